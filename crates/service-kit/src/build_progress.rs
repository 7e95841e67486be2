//! The compilation that a first start leaves running behind the page, as `scripts/run` tells of it.

use std::{fs::File, io::Read as _, path::Path};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

/// The file has some hundred bytes: a larger one is something else.
const MAX_BYTES: u64 = 64 * 1024;
/// The file is written every second: an older one is left from a compilation that was killed.
const STALE: TimeDelta = TimeDelta::seconds(60);

/// Whether a compilation goes on, and how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BuildState {
    /// It goes on.
    Building,
    /// All programs are there.
    Done,
    /// It ended, and programs are missing.
    Failed,
}

/// What the file of a compilation says, which is replaced about once a second.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct BuildProgress {
    /// Whether it goes on.
    pub state: BuildState,
    /// Crates compiled.
    pub done: u32,
    /// Crates to compile, those compiled among them; 0 while that is not known.
    pub of: u32,
    /// Estimate, seconds.
    pub seconds_left: Option<f64>,
    /// What is compiled now, or why it failed.
    pub message: String,
    /// When this was written, UTC, system time.
    pub at: DateTime<Utc>,
}

impl BuildProgress {
    /// Reads a compilation's file; nothing for one that cannot be understood.
    ///
    /// # Errors
    /// When there is no such file, or it cannot be opened.
    pub fn read(path: &Path) -> std::io::Result<Option<Self>> {
        let mut text = Vec::new();
        let read = File::open(path)?.take(MAX_BYTES).read_to_end(&mut text);
        Ok(read
            .ok()
            .and_then(|_| serde_json::from_slice::<Self>(&text).ok()))
    }

    /// Whether the compilation lives at this moment of system time.
    pub fn is_running(&self, now: DateTime<Utc>) -> bool {
        self.state == BuildState::Building && now - self.at < STALE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_compilation_that_writes_lives() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("build.json");
        let now: DateTime<Utc> = "2026-12-01T01:20:00Z".parse().unwrap();
        let told = |state: &str, at: DateTime<Utc>| {
            let at = at.to_rfc3339();
            let text = format!(
                r#"{{"state": "{state}", "done": 3, "of": 9, "seconds_left": null, "message": "burn", "at": "{at}"}}"#
            );
            std::fs::write(&path, text).unwrap();
            BuildProgress::read(&path).unwrap().unwrap()
        };
        assert!(told("building", now).is_running(now));
        assert!(!told("building", now - TimeDelta::minutes(1)).is_running(now));
        assert!(!told("done", now).is_running(now));
        assert!(!told("failed", now).is_running(now));
        let huge = format!("{}{{}}", " ".repeat(1 << 20));
        for text in ["", "{\"state\": \"build", "{\"state\": \"resting\"}", &huge] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(BuildProgress::read(&path).unwrap(), None, "{text:.30}");
        }
        std::fs::remove_file(&path).unwrap();
        assert!(BuildProgress::read(&path).is_err());
    }
}
