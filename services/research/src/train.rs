use std::sync::atomic::AtomicBool;

use anyhow::bail;
use chrono::Utc;
use domain::{ModelKind, Policy};
use labels::BarrierSettings;
use model_registry::ChampionsFile;
use training::{Dataset, Part, ProgressDisplay, TrainingSettings, train, write_model};

use super::models::CHAMPIONS_FILE;
use crate::cli::TrainArguments;

/// `tandem train`: both networks on the bars of a file.
pub(crate) fn run(arguments: &TrainArguments) -> anyhow::Result<()> {
    service_kit::init_telemetry()?;
    let mut settings: TrainingSettings = service_kit::load_settings()?;
    let barriers: BarrierSettings = service_kit::load_settings()?;
    let policy: Policy = service_kit::load_settings()?;
    barriers.check_cost(policy.round_trip_cost_bps)?;
    if arguments.quick {
        settings = settings.quick();
    }
    settings.seed = arguments.seed.unwrap_or(settings.seed);

    let mut bars = super::read_bars(&arguments.bars.bars, &arguments.bars.options())?;
    if let Some(until) = arguments.until {
        bars.values_mut()
            .for_each(|bars| bars.retain(|bar| bar.close_time() <= until));
        if bars.values().all(Vec::is_empty) {
            bail!(
                "{} holds no bar that was closed by {until}",
                arguments.bars.bars.display()
            );
        }
    }
    let context = super::context::read(&arguments.context, &bars)?;
    let dataset = Dataset::build(&bars, &context, &barriers, &settings, calendar::nyse())?;
    drop((bars, context));
    for (ticker, error) in dataset.left_out() {
        eprintln!("{ticker} is left out: {error}");
    }
    let [down, neutral, up] = dataset.class_counts();
    eprintln!(
        "training on {} windows ({down} down, {neutral} neutral, {up} up), stopping by {}, calibrating on {}",
        dataset.len(Part::Training),
        dataset.len(Part::EarlyStopping),
        dataset.len(Part::Calibration)
    );

    let champions = ChampionsFile::new(arguments.out.join(CHAMPIONS_FILE));
    for kind in ModelKind::ALL {
        let display = ProgressDisplay::new(kind);
        let trained = train(
            &dataset,
            kind,
            &settings,
            &|progress| display.show(&progress),
            &AtomicBool::new(false),
        )?;
        display.finish();
        let now = Utc::now();
        let manifest = write_model(
            &trained,
            &dataset,
            policy.coverage,
            &arguments.out,
            serde_json::Map::new(),
            now,
        )?;
        champions.promote(
            kind,
            manifest.model_id.clone(),
            now,
            "trained by tandem train",
        )?;
        let metrics = &trained.metrics;
        eprintln!(
            "{kind}: best pass {}, early-stopping log loss at best {:.4} (class prior {:.4}), {:.0} windows/s: {}",
            metrics.best_epoch,
            metrics.early_stopping.log_loss,
            metrics.early_stopping.prior_log_loss,
            metrics.windows_per_second,
            model_registry::artifact_dir(&arguments.out, kind, &manifest.model_id).display()
        );
    }
    eprintln!("these figures chose the models: judge them by `tandem evaluate` on later bars");
    Ok(())
}
