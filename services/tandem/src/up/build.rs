//! The compilation that a first start leaves running behind the page.

use std::{path::PathBuf, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

/// How often the file is looked at.
const POLL: Duration = Duration::from_millis(500);
/// The file is written every second: an older one is left from a compilation that was killed.
const STALE: TimeDelta = TimeDelta::seconds(60);

/// The compilation of those programs that the page does not need, as `scripts/run` started it.
#[derive(Clone, Debug)]
pub(super) struct Build {
    /// Where the compilation tells how far it is; none when nothing is compiled.
    file: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Progress {
    state: State,
    at: DateTime<Utc>,
}

#[derive(Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum State {
    Building,
    Done,
    Failed,
}

impl Build {
    /// The compilation that `TANDEM_BUILD_FILE` tells of, if any.
    pub(super) fn from_environment() -> Self {
        let file = std::env::var_os("TANDEM_BUILD_FILE").filter(|path| !path.is_empty());
        Self {
            file: file.map(PathBuf::from),
        }
    }

    /// Whether it still runs.
    pub(super) fn is_running(&self) -> bool {
        let Some(file) = &self.file else {
            return false;
        };
        let progress = std::fs::read(file)
            .ok()
            .and_then(|text| serde_json::from_slice::<Progress>(&text).ok());
        progress.is_some_and(|progress| {
            progress.state == State::Building && Utc::now() - progress.at < STALE
        })
    }

    /// Waits until it has ended, well or not: what it did not leave is missed when it is started.
    pub(super) async fn ended(&self) {
        while self.is_running() {
            tokio::time::sleep(POLL).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_running(text: &str) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("build.json");
        std::fs::write(&file, text).unwrap();
        Build { file: Some(file) }.is_running()
    }

    #[test]
    fn only_a_living_compilation_is_waited_for() {
        let now = Utc::now();
        let told = |state: &str, at: DateTime<Utc>| {
            let at = at.to_rfc3339();
            format!(
                r#"{{"state": "{state}", "done": 3, "of": 9, "message": "burn", "at": "{at}"}}"#
            )
        };
        assert!(is_running(&told("building", now)));
        assert!(!is_running(&told("building", now - TimeDelta::minutes(5))));
        assert!(!is_running(&told("done", now)));
        assert!(!is_running(&told("failed", now)));
        assert!(!is_running("{\"state\": \"buil"));
        assert!(!Build { file: None }.is_running());
        let absent = Build {
            file: Some("/nowhere/build.json".into()),
        };
        assert!(!absent.is_running());
    }
}
