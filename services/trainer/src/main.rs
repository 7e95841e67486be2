#![doc = include_str!("../README.md")]

mod progress_file;

use std::{collections::BTreeMap, process::ExitCode, sync::atomic::AtomicBool};

use anyhow::Context as _;
use archive::Archive;
use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser;
use domain::{Bar, ModelId, ModelKind, Policy, Ticker, Universe};
use features::Context;
use labels::BarrierSettings;
use model_registry::{ChampionsFile, Manifest, artifact_dir, read_artifact};
use service_kit::{CheckArguments, Clock, Passing, SettingsProblems, Shutdown};
use storage::{
    DatabaseSettings, ModelEvent, ModelEventKind, PgPool, PipelineState, StorageError,
    model_events_of, record_model_event, record_step_ticker,
};
use tokio_util::sync::CancellationToken;
use training::{Checkpoints, Dataset, Part, ProgressDisplay, TrainingError, TrainingSettings};

use crate::progress_file::ProgressFile;

/// The night's step that this program does.
const STEP: &str = "train";

/// Folder in the models' folder where an interrupted training can be taken up.
const CHECKPOINTS: &str = ".checkpoints";

/// Learns both networks from the bars, news and economic series in the database.
///
/// Exit codes: 0 done; 1 failed for good; 75 failed in a way that may pass, call again.
#[derive(Parser)]
#[command(version, max_term_width = 110, after_help = service_kit::environment_help(&ENVIRONMENT))]
struct Arguments {
    /// A genuine training of demo size: under a minute on two busy cores.
    #[arg(long)]
    quick: bool,
    /// Use bars closed by this time only: 2018-03-26T14:31:00Z, 2018-03-26 14:31 (UTC), or 2018-03-26 for the end of
    /// that day (UTC); default: now on the market clock.
    #[arg(long, value_parser = service_kit::parse_moment)]
    until: Option<DateTime<Utc>>,
    /// Calendar days of bars to learn from.
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(i64).range(1..=3650))]
    days: i64,
    #[command(flatten)]
    check: CheckArguments,
}

/// The variables that it reads beside those of all programs.
const ENVIRONMENT: [&str; 5] = [
    "TANDEM_CONFIG",
    "DATABASE_URL",
    "TANDEM_CLOCK",
    "TANDEM_MODELS_DIR",
    "TANDEM_MODEL_CONFIG",
];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.check.check_settings {
        return service_kit::check_settings(Settings::load(arguments.quick));
    }
    // A lost database may be back when this is run again; the training itself fails for good.
    service_kit::exit_code(run(arguments).await, |cause| {
        cause.downcast_ref().is_some_and(StorageError::is_retryable)
    })
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    service_kit::init_telemetry()?;
    let shutdown = Shutdown::on_signals()
        .context("failed to listen for signals")?
        .token();
    let Settings {
        tickers,
        clock,
        database_url,
        training: settings,
    } = Settings::load(arguments.quick)?;
    let champions = ChampionsFile::new(service_kit::model_config_path());
    champions.read()?;

    let loading = load(&arguments, tickers, database_url, &clock);
    let Some(loaded) = shutdown.run_until_cancelled(loading).await else {
        return stopped("stopped before training began");
    };
    let Loaded {
        pool,
        tickers,
        bars,
        context,
    } = loaded?;
    let without_bars: Vec<Ticker> = tickers
        .iter()
        .filter(|ticker| !bars.contains_key(*ticker))
        .cloned()
        .collect();
    let checkpoints = Checkpoints::new(service_kit::models_dir().join(CHECKPOINTS));
    let (kept, cancelled, now) = (checkpoints.clone(), shutdown.clone(), clock.clone());
    let work = move || train_both(&bars, &context, &settings, &kept, &now, &cancelled);
    let TrainedBoth {
        manifests,
        mut left_out,
    } = match tokio::task::spawn_blocking(work)
        .await
        .context("the training crashed")?
    {
        Err(error) if matches!(error.downcast_ref(), Some(TrainingError::Cancelled)) => {
            return stopped(
                "stopped: the champions are as before, and the next start on the same data goes on from the last pass",
            );
        }
        trained => trained?,
    };
    if let Some(run_id) = service_kit::run_id() {
        let nothing = |ticker| (ticker, "the database has no bars of it".to_owned());
        left_out.extend(without_bars.into_iter().map(nothing));
        tell_the_night(&pool, run_id, &tickers, &left_out, clock.now()).await?;
    }
    for manifest in &manifests {
        hand_over(&champions, &pool, manifest, clock.now()).await?;
    }
    if let Err(error) = checkpoints.remove() {
        tracing::warn!(%error, "failed to remove the checkpoints: the next training does");
    }
    Ok(())
}

/// A person who stops a training is content; a night's step that somebody stopped is to be tried again.
fn stopped(message: &str) -> anyhow::Result<()> {
    if service_kit::run_id().is_some() {
        return Err(Passing(message.to_owned()).into());
    }
    tracing::info!("{message}");
    Ok(())
}

/// Everything that it needs to know from outside.
struct Settings {
    tickers: Vec<Ticker>,
    clock: Clock,
    database_url: String,
    training: Learning,
}

/// What is learned, how, and what it is to be good for.
struct Learning {
    training: TrainingSettings,
    barriers: BarrierSettings,
    policy: Policy,
}

impl Settings {
    /// Reads the settings file and the environment.
    fn load(quick: bool) -> Result<Self, SettingsProblems> {
        SettingsProblems::collect(|problems| {
            let universe = problems.section::<Universe>();
            let training = problems.section::<TrainingSettings>();
            let barriers = problems.section::<BarrierSettings>();
            let policy = problems.section::<Policy>();
            let clock = problems.note(Clock::from_environment());
            let database_url = problems.note(service_kit::database_url());
            let (training, barriers, policy) = (training?, barriers?, policy?);
            problems.contradiction(barriers.check_cost(policy.round_trip_cost_bps));
            Some(Self {
                tickers: universe?.symbols(),
                clock: clock?,
                database_url: database_url?,
                training: Learning {
                    training: if quick { training.quick() } else { training },
                    barriers,
                    policy,
                },
            })
        })
    }
}

struct Loaded {
    pool: PgPool,
    /// Those that are watched and have not failed earlier in the night, with `bars` or without.
    tickers: Vec<Ticker>,
    bars: BTreeMap<Ticker, Vec<Bar>>,
    context: Context,
}

async fn load(
    arguments: &Arguments,
    tickers: Vec<Ticker>,
    database_url: String,
    clock: &Clock,
) -> anyhow::Result<Loaded> {
    let pool = storage::connect(&DatabaseSettings::new(database_url.into())).await?;
    let tickers = match service_kit::run_id() {
        Some(run_id) => storage::step_tickers(&pool, run_id, STEP, &tickers, clock.now()).await?,
        None => tickers,
    };
    let as_of = arguments.until.unwrap_or_else(|| clock.now());
    let from = as_of - TimeDelta::days(arguments.days);
    let Archive { bars, context } = Archive::load(&pool, &tickers, from, as_of).await?;
    for ticker in tickers.iter().filter(|ticker| !bars.contains_key(*ticker)) {
        tracing::warn!(instrument.symbol = %ticker, %from, %as_of, "no bars of this ticker");
    }
    anyhow::ensure!(
        !bars.is_empty(),
        "the database has no bars of the universe from {from} to {as_of}: let price-ingestor fill it first"
    );
    tracing::info!(
        tickers = bars.len(),
        bars = bars.values().map(Vec::len).sum::<usize>(),
        stories = context.news.values().map(Vec::len).sum::<usize>(),
        economic_figures = context.economy.len(),
        %from,
        %as_of,
        "loaded"
    );
    Ok(Loaded {
        pool,
        tickers,
        bars,
        context,
    })
}

struct TrainedBoth {
    manifests: Vec<Manifest>,
    /// Whose bars were of no use, and why.
    left_out: BTreeMap<Ticker, String>,
}

/// Trains and writes both networks, LSTM first; goes on where an interrupted training of the same data stood.
fn train_both(
    bars: &BTreeMap<Ticker, Vec<Bar>>,
    context: &Context,
    settings: &Learning,
    checkpoints: &Checkpoints,
    clock: &Clock,
    shutdown: &CancellationToken,
) -> anyhow::Result<TrainedBoth> {
    let Learning {
        training,
        barriers,
        policy,
    } = settings;
    let dataset = Dataset::build(bars, context, barriers, training, calendar::nyse())?;
    for (ticker, error) in dataset.left_out() {
        tracing::warn!(instrument.symbol = %ticker, error = error as &dyn std::error::Error, "{ticker} is left out of the training");
    }
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
    let progress_file = ProgressFile::in_folder(&models_dir);
    let mut manifests = Vec::new();
    for kind in ModelKind::ALL {
        let display = ProgressDisplay::new(kind);
        let progress = |progress| {
            display.show(&progress);
            progress_file.tell(&progress);
            cancel.store(
                shutdown.is_cancelled(),
                std::sync::atomic::Ordering::Relaxed,
            );
        };
        let trained = training::train_with_checkpoints(
            &dataset,
            kind,
            training,
            checkpoints,
            &progress,
            &cancel,
        )?;
        display.finish();
        let no_figures = serde_json::Map::new();
        let manifest = training::write_model(
            &trained,
            &dataset,
            policy.coverage,
            &models_dir,
            no_figures,
            clock.now(),
        )?;
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
    let left_out = dataset.left_out().iter();
    Ok(TrainedBoth {
        manifests,
        left_out: left_out
            .map(|(ticker, error)| (ticker.clone(), error.to_string()))
            .collect(),
    })
}

/// Writes down in the night's run of which tickers was learned.
async fn tell_the_night(
    pool: &PgPool,
    run_id: i64,
    tickers: &[Ticker],
    left_out: &BTreeMap<Ticker, String>,
    at: DateTime<Utc>,
) -> anyhow::Result<()> {
    for ticker in tickers {
        let (state, message) = match left_out.get(ticker) {
            Some(message) => (PipelineState::Failed, message.as_str()),
            None => (PipelineState::Success, ""),
        };
        record_step_ticker(pool, run_id, STEP, ticker, state, message, at).await?;
    }
    Ok(())
}

/// Makes the model champion where there is none, and writes down what happened.
async fn hand_over(
    champions: &ChampionsFile,
    pool: &PgPool,
    manifest: &Manifest,
    at: DateTime<Utc>,
) -> anyhow::Result<()> {
    let (kind, model_id) = (manifest.kind, &manifest.model_id);
    let found = champions.read()?;
    let found = found.of(kind);
    let reason = match found {
        None => Some("first model of its kind".to_owned()),
        // By a process that was killed before it could tell.
        Some(record) if record.champion == *model_id => {
            record.changes.first().map(|change| change.why.clone())
        }
        Some(record) if !is_usable(&record.champion, manifest) => {
            Some("the champion before cannot be used".to_owned())
        }
        Some(_) => None,
    };
    let before = found.map(|record| &record.champion);
    let reason = match reason {
        // Somebody may have put another one in meanwhile: then this one waits.
        Some(reason) => (before == Some(model_id)
            || champions.promote_in_place_of(before, kind, model_id.clone(), at, &reason)?)
        .then_some(reason),
        None => None,
    };
    match &reason {
        Some(reason) => {
            tracing::info!(model.id = %model_id, "{model_id} is the champion: {reason}");
        }
        None => {
            tracing::info!(model.id = %model_id, "{model_id} is a challenger: the champion stays until the validator decides");
        }
    }
    let mut events = vec![(ModelEventKind::Trained, "trained".to_owned())];
    if let Some(reason) = reason {
        events.push((ModelEventKind::Promoted, reason));
    }
    // Those of a lost database are told again, at worst.
    let told = model_events_of(pool, model_id).await.unwrap_or_default();
    events.retain(|(event, _)| told.iter().all(|told| told.event != *event));
    for (event, reason) in events {
        let event = ModelEvent {
            event_time: at,
            kind,
            event,
            model_id: model_id.clone(),
            previous_model_id: None,
            reason,
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
