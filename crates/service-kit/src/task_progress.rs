//! How far a task is that people wait for, from the program that does it to the one that shows it.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// The file has some hundred bytes: a larger one is something else.
const MAX_BYTES: u64 = 64 * 1024;

/// Who is at work writes more often: an older file is left from a task that was killed.
const OUTDATED: TimeDelta = TimeDelta::seconds(60);

/// How far a task is: the content of a small file, which is replaced about once a second and removed at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskProgress {
    /// What is done now, for people.
    pub message: String,
    /// Steps done.
    pub done: usize,
    /// Steps at most, those done among them.
    pub of: usize,
    /// Estimate, seconds of system time.
    pub seconds_left: Option<u64>,
    /// When this was written, system time, UTC.
    pub at: DateTime<Utc>,
}

impl TaskProgress {
    /// Where a training of models in this folder tells how far it is.
    pub fn of_training(models_dir: &Path) -> PathBuf {
        models_dir.join("training.json")
    }

    /// What the file says at `now` (system time); none when nobody is at work, or it cannot be understood.
    pub fn read(path: &Path, now: DateTime<Utc>) -> Option<Self> {
        let mut text = Vec::new();
        let file = File::open(path).ok()?;
        file.take(MAX_BYTES).read_to_end(&mut text).ok()?;
        let progress: Self = serde_json::from_slice(&text).ok()?;
        (now.signed_duration_since(progress.at) < OUTDATED).then_some(progress)
    }

    /// Replaces the file in one step.
    ///
    /// # Errors
    /// The system's reason when the folder cannot be written to.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let fresh = path.with_extension("json.new");
        std::fs::write(&fresh, serde_json::to_vec(self)?)?;
        std::fs::rename(fresh, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_until_nobody_is_at_work() {
        let folder = tempfile::tempdir().unwrap();
        let path = TaskProgress::of_training(folder.path());
        let now = Utc::now();
        assert_eq!(TaskProgress::read(&path, now), None);
        let progress = TaskProgress {
            message: "Training the LSTM: pass 3 of 6".to_owned(),
            done: 2,
            of: 6,
            seconds_left: Some(95),
            at: now,
        };
        progress.write(&path).unwrap();
        assert_eq!(TaskProgress::read(&path, now), Some(progress));
        assert_eq!(TaskProgress::read(&path, now + OUTDATED), None);
        std::fs::write(&path, "{\"message\"").unwrap();
        assert_eq!(TaskProgress::read(&path, now), None);
    }
}
