use std::{
    io::IsTerminal,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use anyhow::bail;
use chrono::Utc;
use domain::ModelKind;
use indicatif::{ProgressBar, ProgressStyle};
use labels::BarrierSettings;
use model_registry::ChampionsFile;
use training::{Dataset, Part, Progress, TrainingSettings, train, write_model};

use super::models::CHAMPIONS_FILE;
use crate::cli::TrainArguments;

/// Where no terminal shows a bar, a line this often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// `tandem train`: both networks on the bars of a file.
pub(crate) fn run(arguments: &TrainArguments) -> anyhow::Result<()> {
    let mut settings: TrainingSettings = service_kit::load_settings("training")?;
    let barriers: BarrierSettings = service_kit::load_settings("labels")?;
    if arguments.quick {
        settings = settings.quick();
    }
    settings.seed = arguments.seed.unwrap_or(settings.seed);

    let mut bars = super::read_bars(&arguments.bars.bars)?;
    if let Some(until) = arguments.until {
        bars.values_mut().for_each(|bars| bars.retain(|bar| bar.close_time() <= until));
        if bars.values().all(Vec::is_empty) {
            bail!("{} holds no bar that was closed by {until}", arguments.bars.bars.display());
        }
    }
    let dataset = Dataset::build(&bars, &barriers, &settings, calendar::nyse())?;
    drop(bars);
    let [down, neutral, up] = dataset.class_counts();
    eprintln!(
        "training on {} windows ({down} down, {neutral} neutral, {up} up), stopping by {}, calibrating on {}",
        dataset.len(Part::Training),
        dataset.len(Part::EarlyStopping),
        dataset.len(Part::Calibration)
    );

    let champions = ChampionsFile::new(arguments.out.join(CHAMPIONS_FILE));
    for kind in ModelKind::ALL {
        let display = Display::new();
        let trained = train(&dataset, kind, &settings, &|progress| display.show(progress), &AtomicBool::new(false))?;
        display.bar.finish_and_clear();
        let now = Utc::now();
        let manifest = write_model(&trained, &dataset, &arguments.out, serde_json::Map::new(), now)?;
        champions.promote(kind, manifest.model_id.clone(), now, "trained by tandem train")?;
        let metrics = &trained.metrics;
        eprintln!(
            "{kind}: best pass {}, early-stopping log loss {:.4} (class prior {:.4}), {:.0} windows/s: {}",
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

/// Progress as a bar on a terminal and as lines elsewhere.
struct Display {
    bar: ProgressBar,
    last_line: std::cell::Cell<Instant>,
}

impl Display {
    fn new() -> Self {
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(0) } else { ProgressBar::hidden() };
        // The template is a constant; indicatif's own default stands in if it were wrong.
        let style = ProgressStyle::with_template("{prefix:11} {wide_bar} {msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style);
        Self { bar, last_line: std::cell::Cell::new(Instant::now()) }
    }

    fn show(&self, progress: Progress) {
        let seconds = progress.remaining.as_secs();
        let text = format!(
            "pass {}/{}, loss {:.4}, {:.0} windows/s, {}:{:02} left",
            progress.epoch, progress.epochs, progress.loss, progress.windows_per_second, seconds / 60, seconds % 60
        );
        if self.bar.is_hidden() {
            if self.last_line.get().elapsed() >= LINE_EVERY {
                self.last_line.set(Instant::now());
                eprintln!("{}: {text}", progress.kind);
            }
            return;
        }
        let done = (progress.epoch - 1) * progress.batches + progress.batch;
        self.bar.set_prefix(progress.kind.name());
        self.bar.set_length((progress.epochs * progress.batches) as u64);
        self.bar.set_position(done as u64);
        self.bar.set_message(text);
    }
}
