use std::{
    cell::Cell,
    io::IsTerminal,
    time::{Duration, Instant},
};

use crate::Progress;
use domain::ModelKind;
use indicatif::{ProgressBar, ProgressStyle};

/// Where no terminal shows a bar, a line this often and at the end of each pass.
const LINE_EVERY: Duration = Duration::from_secs(15);

/// Shows how a training goes: a bar on a terminal, log lines elsewhere. Give it what [`crate::train`] reports.
#[derive(Debug)]
pub struct ProgressDisplay {
    kind: ModelKind,
    bar: Option<ProgressBar>,
    last_line: Cell<Instant>,
}

impl ProgressDisplay {
    /// For the training of one network.
    pub fn new(kind: ModelKind) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{prefix:11} {wide_bar} {msg}");
            // The template is a constant; indicatif's own bar would do as well.
            ProgressBar::new(0)
                .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
                .with_prefix(kind.name())
        });
        Self {
            kind,
            bar,
            last_line: Cell::new(Instant::now()),
        }
    }

    /// Shows where it stands.
    pub fn show(&self, progress: &Progress) {
        let left = progress.remaining.as_secs();
        if let Some(bar) = &self.bar {
            bar.set_length((progress.epochs * progress.batches) as u64);
            bar.set_position(((progress.epoch - 1) * progress.batches + progress.batch) as u64);
            bar.set_message(format!(
                "pass {}/{}  loss {:.4}  {:.0} windows/s  at most {}:{:02} left",
                progress.epoch,
                progress.epochs,
                progress.loss,
                progress.windows_per_second,
                left / 60,
                left % 60
            ));
            return;
        }
        if progress.batch == progress.batches || self.last_line.get().elapsed() >= LINE_EVERY {
            self.last_line.set(Instant::now());
            tracing::info!(
                model.kind = %self.kind,
                epoch = progress.epoch,
                epochs = progress.epochs,
                batch = progress.batch,
                batches = progress.batches,
                loss = progress.loss,
                windows_per_second = progress.windows_per_second.round(),
                at_most_left_s = left,
                "training the {}",
                self.kind
            );
        }
    }

    /// Clears the bar.
    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
