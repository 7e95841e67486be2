#![doc = include_str!("../README.md")]

use std::{collections::BTreeMap, process::ExitCode, sync::atomic::AtomicBool};

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser;
use domain::{Bar, MACRO_SERIES, ModelId, ModelKind, SeriesId, Ticker, Universe};
use features::{Context, MACRO_HORIZON, MacroEvent, NEWS_HORIZON, NewsEvent};
use labels::BarrierSettings;
use model_registry::{ChampionsFile, Manifest, artifact_dir, read_artifact};
use service_kit::{Clock, Shutdown};
use storage::{
    DatabaseSettings, ModelEvent, ModelEventKind, PgPool, StorageError, record_model_event,
};
use tokio_util::sync::CancellationToken;
use training::{Dataset, Part, ProgressDisplay, TrainingError, TrainingSettings};

/// Learns both networks from the bars, news and economic series in the database.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// A genuine training of demo size: under a minute on two busy cores.
    #[arg(long)]
    quick: bool,
    /// Use bars closed by this time only, RFC 3339; default: now on the market clock.
    #[arg(long)]
    until: Option<DateTime<Utc>>,
    /// Calendar days of bars to learn from.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=3650))]
    days: i64,
}

#[tokio::main]
async fn main() -> ExitCode {
    // A lost database may be back when this is run again; the training itself fails for good.
    service_kit::exit_code(run(Arguments::parse()).await, |cause| {
        cause.downcast_ref().is_some_and(StorageError::is_retryable)
    })
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    service_kit::init_telemetry()?;
    let shutdown = Shutdown::on_signals()
        .context("failed to listen for signals")?
        .token();
    let clock = Clock::from_environment()?;
    let settings = training_settings(&arguments)?;
    let barriers: BarrierSettings = service_kit::load_settings("labels")?;
    let champions = ChampionsFile::new(service_kit::model_config_path());
    champions.read()?;

    let Some(loaded) = shutdown.run_until_cancelled(load(&arguments, &clock)).await else {
        tracing::info!("stopped before training began");
        return Ok(());
    };
    let Loaded {
        pool,
        bars,
        context,
    } = loaded?;
    let cancelled = shutdown.clone();
    let now = clock.clone();
    let work = move || train_both(&bars, &context, &barriers, &settings, &now, &cancelled);
    let manifests = match tokio::task::spawn_blocking(work)
        .await
        .context("the training crashed")?
    {
        Err(error) if matches!(error.downcast_ref(), Some(TrainingError::Cancelled)) => {
            tracing::info!("stopped: the champions are as before");
            return Ok(());
        }
        manifests => manifests?,
    };
    for manifest in &manifests {
        hand_over(&champions, &pool, manifest, clock.now()).await?;
    }
    Ok(())
}

fn training_settings(arguments: &Arguments) -> anyhow::Result<TrainingSettings> {
    let settings: TrainingSettings = service_kit::load_settings("training")?;
    let settings = if arguments.quick {
        settings.quick()
    } else {
        settings
    };
    settings.validate()?;
    Ok(settings)
}

struct Loaded {
    pool: PgPool,
    bars: BTreeMap<Ticker, Vec<Bar>>,
    context: Context,
}

async fn load(arguments: &Arguments, clock: &Clock) -> anyhow::Result<Loaded> {
    let universe: Universe = service_kit::load_settings("universe")?;
    let pool =
        storage::connect(&DatabaseSettings::new(service_kit::database_url()?.into())).await?;
    let as_of = arguments.until.unwrap_or_else(|| clock.now());
    // A bar is known at its close: the last one started a minute before.
    let until = as_of - TimeDelta::seconds(domain::BAR_SECONDS);
    let from = until - TimeDelta::days(arguments.days);
    let mut bars = BTreeMap::new();
    for ticker in universe.symbols() {
        let history =
            storage::bars_between(&pool, &ticker, from, until + TimeDelta::milliseconds(1)).await?;
        if history.is_empty() {
            tracing::warn!(instrument.symbol = %ticker, %from, %until, "no bars of this ticker");
        } else {
            bars.insert(ticker, history);
        }
    }
    anyhow::ensure!(
        !bars.is_empty(),
        "the database has no bars of the universe from {from} to {until}: let price-ingestor fill it first"
    );
    let context = load_context(&pool, &bars, as_of).await?;
    tracing::info!(
        tickers = bars.len(),
        bars = bars.values().map(Vec::len).sum::<usize>(),
        stories = context.news.values().map(Vec::len).sum::<usize>(),
        economic_figures = context.economy.len(),
        %from,
        %until,
        "loaded"
    );
    Ok(Loaded {
        pool,
        bars,
        context,
    })
}

/// What could be known at `as_of`, and may matter to the bars.
async fn load_context(
    pool: &PgPool,
    bars: &BTreeMap<Ticker, Vec<Bar>>,
    as_of: DateTime<Utc>,
) -> anyhow::Result<Context> {
    let starts = bars.values().filter_map(|bars| bars.first());
    let Some(oldest) = starts.map(|bar| bar.start).min() else {
        return Ok(Context::default());
    };
    let mut context = Context::default();
    let tickers: Vec<Ticker> = bars.keys().cloned().collect();
    let scores = storage::news_events(pool, &tickers, oldest - NEWS_HORIZON, as_of).await?;
    for (ticker, score) in scores {
        context.news.entry(ticker).or_default().push(NewsEvent {
            available_at: score.available_at,
            score: score.score,
        });
    }
    let series = MACRO_SERIES
        .into_iter()
        .map(SeriesId::parse)
        .collect::<Result<Vec<_>, _>>()?;
    context.economy = storage::macro_observations(pool, &series, as_of)
        .await?
        .iter()
        .filter(|observation| observation.available_at > oldest - MACRO_HORIZON)
        .filter_map(MacroEvent::from_observation)
        .collect();
    Ok(context)
}

/// Trains and writes both networks, LSTM first.
fn train_both(
    bars: &BTreeMap<Ticker, Vec<Bar>>,
    context: &Context,
    barriers: &BarrierSettings,
    settings: &TrainingSettings,
    clock: &Clock,
    shutdown: &CancellationToken,
) -> anyhow::Result<Vec<Manifest>> {
    let dataset = Dataset::build(bars, context, barriers, settings, calendar::nyse())?;
    let [down, neutral, up] = dataset.class_counts();
    tracing::info!(
        training = dataset.len(Part::Training),
        early_stopping = dataset.len(Part::EarlyStopping),
        calibration = dataset.len(Part::Calibration),
        down,
        neutral,
        up,
        "labelled windows"
    );
    let models_dir = service_kit::models_dir();
    let cancel = AtomicBool::new(false);
    let mut manifests = Vec::new();
    for kind in ModelKind::ALL {
        let display = ProgressDisplay::new(kind);
        let progress = |progress| {
            display.show(&progress);
            cancel.store(
                shutdown.is_cancelled(),
                std::sync::atomic::Ordering::Relaxed,
            );
        };
        let trained = training::train(&dataset, kind, settings, &progress, &cancel)?;
        display.finish();
        let no_figures = serde_json::Map::new();
        let manifest =
            training::write_model(&trained, &dataset, &models_dir, no_figures, clock.now())?;
        let metrics = &trained.metrics;
        tracing::info!(
            model.id = %manifest.model_id,
            best_epoch = metrics.best_epoch,
            best_early_stopping_log_loss = metrics.early_stopping.log_loss,
            prior_log_loss = metrics.early_stopping.prior_log_loss,
            windows_per_second = metrics.windows_per_second.round(),
            "trained {}",
            manifest.model_id
        );
        manifests.push(manifest);
    }
    Ok(manifests)
}

/// Makes the model champion where there is none, and writes down what happened.
async fn hand_over(
    champions: &ChampionsFile,
    pool: &PgPool,
    manifest: &Manifest,
    at: DateTime<Utc>,
) -> anyhow::Result<()> {
    let (kind, model_id) = (manifest.kind, &manifest.model_id);
    let reason = match champions.read()?.of(kind) {
        None => Some("first model of its kind"),
        Some(record) if !is_usable(&record.champion, manifest) => {
            Some("the champion before cannot be used")
        }
        Some(_) => None,
    };
    if let Some(reason) = reason {
        champions.promote(kind, model_id.clone(), at, reason)?;
        tracing::info!(model.id = %model_id, "{model_id} is the champion: {reason}");
    } else {
        tracing::info!(model.id = %model_id, "{model_id} is a challenger: the champion stays until the validator decides");
    }
    let mut events = vec![(ModelEventKind::Trained, "trained")];
    if let Some(reason) = reason {
        events.push((ModelEventKind::Promoted, reason));
    }
    for (event, reason) in events {
        let event = ModelEvent {
            event_time: at,
            kind,
            event,
            model_id: model_id.clone(),
            previous_model_id: None,
            reason: reason.to_owned(),
        };
        if let Err(error) = record_model_event(pool, &event).await {
            // The champions' file decides; the table is a diary.
            tracing::warn!(model.id = %model_id, error = &error as &dyn std::error::Error, "failed to record the model event");
        }
    }
    Ok(())
}

/// Whether a champion's artifact is whole and takes the features of today.
fn is_usable(champion: &ModelId, challenger: &Manifest) -> bool {
    let folder = artifact_dir(&service_kit::models_dir(), challenger.kind, champion);
    read_artifact(&folder).is_ok_and(|artifact| {
        artifact.manifest.features.hash == challenger.features.hash
            && artifact.manifest.window == challenger.window
    })
}
