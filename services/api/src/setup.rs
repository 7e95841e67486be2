//! Tells how far the compilation is that a first start leaves running behind the page.
//!
//! `scripts/run` compiles what the page needs first and the other programs while it is open. It keeps a small JSON file
//! about that, which is replaced about once a second.

use std::path::PathBuf;

use chrono::{DateTime, Utc};
use service_kit::{BuildProgress, BuildState};

use crate::body::{SetupBody, SetupState};

/// A reason is a line, not a compiler's whole message.
const MAX_REASON_CHARACTERS: usize = 160;

/// The compilation's file, and what it told last.
#[derive(Clone, Debug)]
pub(crate) struct SetupFile {
    /// Nothing when nothing is compiled, or no longer.
    path: Option<PathBuf>,
    told: Option<BuildProgress>,
}

impl SetupFile {
    /// A file that is not read yet; none when nothing is compiled.
    pub(crate) const fn new(path: Option<PathBuf>) -> Self {
        Self { path, told: None }
    }

    /// Reads the file, until it says that all is done. What cannot be understood leaves what was told before.
    pub(crate) fn read(&mut self) {
        let Some(path) = &self.path else { return };
        match BuildProgress::read(path) {
            Err(_) => self.told = None,
            Ok(None) => (),
            Ok(Some(told)) => {
                if told.state == BuildState::Done {
                    self.path = None;
                }
                self.told = Some(told);
            }
        }
    }

    /// What users are told at a moment of system time; nothing when nothing is compiled or all is done. `unaffected`
    /// works without the programs that are compiled.
    pub(crate) fn body(&self, now: DateTime<Utc>, unaffected: &str) -> Option<SetupBody> {
        let told = self.told.as_ref()?;
        let (state, message) = match told.state {
            BuildState::Done => return None,
            BuildState::Building if told.is_running(now) => {
                (SetupState::Building, building(told, unaffected))
            }
            BuildState::Building => (SetupState::Failed, failed("it was stopped", unaffected)),
            BuildState::Failed => (SetupState::Failed, failed(&told.message, unaffected)),
        };
        Some(SetupBody {
            state,
            done: told.done,
            of: told.of,
            seconds_left: told
                .seconds_left
                .filter(|_| state == SetupState::Building)
                .map(|seconds| seconds.round() as u64),
            message,
        })
    }
}

fn building(told: &BuildProgress, unaffected: &str) -> String {
    let progress = match told {
        BuildProgress { of: 0, message, .. } => line(message),
        BuildProgress {
            done,
            of,
            seconds_left: Some(seconds),
            ..
        } => format!("{done} of {of}, {} left", rounded(*seconds)),
        BuildProgress { done, of, .. } => format!("{done} of {of}"),
    };
    format!(
        "Still compiling training, news and the other programs: {progress}. {unaffected} do not wait for it."
    )
}

fn failed(reason: &str, unaffected: &str) -> String {
    format!(
        "Compiling the other programs failed: {}. {unaffected} go on; missing are training, the nightly \
         comparison of models, drift checks, news and the research commands. The compiler's \
         message is in .local/build.log: end Tandem with Ctrl-C and run ./scripts/run again, which goes on where it stopped.",
        line(reason.trim_start_matches("error: "))
    )
}

/// The first line of a text, not too long and without the full stop at its end.
fn line(text: &str) -> String {
    let first = text.lines().next().unwrap_or_default();
    let short: String = first.chars().take(MAX_REASON_CHARACTERS).collect();
    short.trim().trim_end_matches('.').to_owned()
}

/// A duration in the words of the terminal's progress line.
fn rounded(seconds: f64) -> String {
    match (seconds / 60.0).round() as u64 {
        0 => "less than a minute".to_owned(),
        1 => "about 1 minute".to_owned(),
        minutes @ 2..60 => format!("about {minutes} minutes"),
        minutes => format!("about {:.1} hours", minutes as f64 / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const NOW: &str = "2026-12-01T01:20:00Z";

    fn write(folder: &Path, state: &str, fields: &str) -> PathBuf {
        let path = folder.join("build.json");
        let at = r#""at": "2026-12-01T01:19:59.500Z""#;
        std::fs::write(&path, format!(r#"{{"state": "{state}", {fields}, {at}}}"#)).unwrap();
        path
    }

    fn told(state: &str, fields: &str) -> Option<SetupBody> {
        let folder = tempfile::tempdir().unwrap();
        let mut file = SetupFile::new(Some(write(folder.path(), state, fields)));
        file.read();
        file.body(NOW.parse().unwrap(), "Prices and analyses")
    }

    #[test]
    fn tells_how_far_it_is() {
        let setup = told(
            "building",
            r#""done": 312, "of": 620, "seconds_left": 431.4, "message": "training, burn-flex""#,
        )
        .unwrap();
        assert_eq!(
            (setup.state, setup.done, setup.of, setup.seconds_left),
            (SetupState::Building, 312, 620, Some(431))
        );
        assert_eq!(
            setup.message,
            "Still compiling training, news and the other programs: 312 of 620, about 7 minutes left. Prices and analyses do \
             not wait for it."
        );
        let fields =
            r#""done": 0, "of": 0, "seconds_left": null, "message": "downloading 9 crates""#;
        let setup = told("building", fields).unwrap();
        assert_eq!(setup.seconds_left, None);
        assert!(
            setup.message.contains("programs: downloading 9 crates. "),
            "{}",
            setup.message
        );
    }

    #[test]
    fn a_failure_says_what_is_missing_and_what_to_do() {
        let fields = r#""done": 400, "of": 620, "seconds_left": 80, "message": "error: could not compile `burn`.\nmore""#;
        let setup = told("failed", fields).unwrap();
        assert_eq!(
            (setup.state, setup.seconds_left),
            (SetupState::Failed, None)
        );
        for part in [
            "failed: could not compile `burn`. Prices and analyses go on",
            "missing are training",
            "run ./scripts/run again",
        ] {
            assert!(setup.message.contains(part), "{}", setup.message);
        }
    }

    #[test]
    fn a_compilation_that_was_killed_has_failed() {
        let folder = tempfile::tempdir().unwrap();
        let fields = r#""done": 1, "of": 620, "seconds_left": 900, "message": "serde""#;
        let mut file = SetupFile::new(Some(write(folder.path(), "building", fields)));
        file.read();
        let later = "2026-12-01T01:21:00Z".parse().unwrap();
        let setup = file.body(later, "Prices").unwrap();
        assert_eq!(setup.state, SetupState::Failed);
        assert!(
            setup
                .message
                .contains("failed: it was stopped. Prices go on"),
            "{}",
            setup.message
        );
    }

    #[test]
    fn nothing_is_told_when_all_is_done_or_nothing_is_compiled() {
        let fields = r#""done": 620, "of": 620, "seconds_left": null, "message": """#;
        assert_eq!(told("done", fields), None);
        for path in [None, Some("/nowhere/build.json".into())] {
            let mut file = SetupFile::new(path);
            file.read();
            assert_eq!(file.body(NOW.parse().unwrap(), "Prices"), None);
        }
    }

    #[test]
    fn what_cannot_be_understood_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let fields = r#""done": 312, "of": 620, "seconds_left": null, "message": "serde""#;
        let path = write(folder.path(), "building", fields);
        let mut file = SetupFile::new(Some(path.clone()));
        file.read();
        let before = file.body(NOW.parse().unwrap(), "Prices");
        assert!(before.is_some());
        let huge = format!("{}{{}}", " ".repeat(1 << 20));
        for text in ["", "{\"state\": \"build", "{\"state\": \"resting\"}", &huge] {
            std::fs::write(&path, text).unwrap();
            file.read();
            assert_eq!(
                file.body(NOW.parse().unwrap(), "Prices"),
                before,
                "{text:.30}"
            );
        }
        std::fs::remove_file(&path).unwrap();
        file.read();
        assert_eq!(file.body(NOW.parse().unwrap(), "Prices"), None);
    }
}
