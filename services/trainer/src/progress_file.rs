//! Tells the api how far the training is.

use std::{
    cell::Cell,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use chrono::Utc;
use domain::ModelKind;
use service_kit::TaskProgress;
use training::Progress;

/// Nobody sees more.
const BETWEEN_WRITES: Duration = Duration::from_secs(1);

/// A small file in the models' folder, which goes with the training.
pub(crate) struct ProgressFile {
    path: PathBuf,
    written: Cell<Option<Instant>>,
}

impl ProgressFile {
    pub(crate) fn in_folder(models_dir: &Path) -> Self {
        Self {
            path: TaskProgress::of_training(models_dir),
            written: Cell::new(None),
        }
    }

    pub(crate) fn tell(&self, progress: &Progress) {
        let is_recent = |written: Instant| written.elapsed() < BETWEEN_WRITES;
        if self.written.get().is_some_and(is_recent) {
            return;
        }
        self.written.set(Some(Instant::now()));
        let name = match progress.kind {
            ModelKind::Lstm => "LSTM",
            ModelKind::Transformer => "Transformer",
        };
        let told = TaskProgress {
            message: format!(
                "Training the {name}: pass {} of {}",
                progress.epoch, progress.epochs
            ),
            done: progress.epoch.saturating_sub(1),
            of: progress.epochs,
            seconds_left: Some(progress.remaining.as_secs()),
            at: Utc::now(),
        };
        // Models are worth more than the word on how far they are.
        if let Err(error) = told.write(&self.path) {
            tracing::debug!(%error, file = %self.path.display(), "failed to write how far the training is");
        }
    }
}

impl Drop for ProgressFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_pass_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let file = ProgressFile::in_folder(folder.path());
        file.tell(&Progress {
            kind: ModelKind::Lstm,
            epoch: 3,
            epochs: 6,
            batch: 4,
            batches: 128,
            loss: 1.0,
            validation_log_loss: None,
            windows_per_second: 900.0,
            remaining: Duration::from_millis(95_400),
        });
        let read = || TaskProgress::read(&TaskProgress::of_training(folder.path()), Utc::now());
        let told = read().unwrap();
        assert_eq!(told.message, "Training the LSTM: pass 3 of 6");
        assert_eq!((told.done, told.of, told.seconds_left), (2, 6, Some(95)));
        drop(file);
        assert_eq!(read(), None);
    }
}
