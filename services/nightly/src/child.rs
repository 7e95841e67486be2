//! A step's program, from its start to its end.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::Context;
use mlflow::MlflowError;
use storage::StorageError;
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::CancellationToken;

/// How long a program may take to end when it is asked to, and how long one is waited for that outlived its night.
const END_TIMEOUT: Duration = Duration::from_secs(20);

/// How much of the end of a log is looked through for the last words.
const LAST_WORDS_BYTES: u64 = 16 * 1024;

/// The longest message that is kept, in characters.
const LONGEST_MESSAGE: usize = 1_000;

/// A program to be run.
pub(crate) struct Order<'a> {
    pub(crate) program: PathBuf,
    pub(crate) arguments: &'a [String],
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) log: PathBuf,
    pub(crate) timeout: Duration,
}

/// How a step ended.
pub(crate) enum Ended {
    /// It is done.
    Done(String),
    /// It failed in a way that may pass.
    Passing(String),
    /// It failed for good.
    Failed(String),
    /// This program was asked to end.
    Interrupted,
}

impl From<anyhow::Error> for Ended {
    /// A database or a server that may be back lets the step be tried again.
    fn from(error: anyhow::Error) -> Self {
        let may_pass = error.chain().any(|cause| {
            let server = cause.downcast_ref().is_some_and(MlflowError::is_retryable);
            server || cause.downcast_ref().is_some_and(StorageError::is_retryable)
        });
        let message = format!("{error:#}");
        if may_pass {
            Self::Passing(message)
        } else {
            Self::Failed(message)
        }
    }
}

/// Runs a program to its end; what it says goes to its log.
///
/// # Errors
/// When it cannot be started.
pub(crate) async fn run(order: &Order<'_>, token: &CancellationToken) -> anyhow::Result<Ended> {
    let mut log = open(&order.log)
        .with_context(|| format!("failed to open the log {}", order.log.display()))?;
    // The lock belongs to the open file, which the program inherits as its output: as long as it lives, and be it longer
    // than the night that started it, nobody else begins the step.
    let started = Instant::now();
    while let Err(error) = log.try_lock() {
        if let TryLockError::Error(error) = error {
            return Err(error)
                .with_context(|| format!("failed to lock the log {}", order.log.display()));
        }
        if started.elapsed() > END_TIMEOUT {
            return Ok(Ended::Passing(format!(
                "a process of an earlier night is still at it and writes to {}",
                order.log.display()
            )));
        }
        tokio::select! {
            () = token.cancelled() => return Ok(Ended::Interrupted),
            () = sleep(Duration::from_millis(100)) => (),
        }
    }
    let said_before = log.seek(SeekFrom::End(0))?;
    let mut child = Command::new(&order.program)
        .args(order.arguments)
        .envs(order.environment.iter().map(|(name, value)| (name, value)))
        // The pipe is never written to. It closes with this program, however that ends, and the step ends with it.
        .env("TANDEM_END_WITH_INPUT", "1")
        .stdin(Stdio::piped())
        .stdout(log.try_clone()?)
        .stderr(log)
        // A group of its own: it gets no signals meant for this program, and ends with all that it started.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("failed to start {}", order.program.display()))?;
    let _alive = child.stdin.take();
    let status = tokio::select! {
        status = child.wait() => status.context("failed to wait for the program")?,
        () = token.cancelled() => {
            end(&mut child).await;
            return Ok(Ended::Interrupted);
        }
        () = sleep(order.timeout) => {
            end(&mut child).await;
            return Ok(Ended::Passing(format!("took longer than {} s", order.timeout.as_secs())));
        }
    };
    let words = last_words(&order.log, said_before).unwrap_or_default();
    Ok(judge(status, words))
}

fn judge(status: ExitStatus, words: String) -> Ended {
    if status.success() {
        return Ended::Done(String::new());
    }
    let words_are_missing = words.is_empty();
    let message = if words_are_missing {
        status.to_string()
    } else {
        words
    };
    match status.code() {
        Some(code) if code == i32::from(service_kit::EXIT_PASSING) => Ended::Passing(message),
        Some(_) => Ended::Failed(message),
        // A signal ended it: the machine was short of memory, or somebody was in a hurry.
        None if words_are_missing => Ended::Passing(message),
        None => Ended::Passing(format!("{status}: {message}")),
    }
}

fn open(log: &Path) -> io::Result<File> {
    if let Some(folder) = log.parent() {
        std::fs::create_dir_all(folder)?;
    }
    OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(log)
}

/// Asks a program and all that it started to end, and insists after a while.
async fn end(child: &mut Child) {
    let Some(id) = child.id() else { return };
    signal(id, "TERM").await;
    if timeout(END_TIMEOUT, child.wait()).await.is_err() {
        tracing::warn!(pid = id, "the step did not end in time, killing it");
    }
    // Also what it may have left behind.
    signal(id, "KILL").await;
    if let Err(error) = child.wait().await {
        tracing::error!(pid = id, %error, "failed to wait for the end of a step");
    }
}

/// The standard library can only kill, and only one process; every system's shell can do more.
async fn signal(group: u32, name: &str) {
    let asked = Command::new("sh")
        .args(["-c", "kill -s \"$0\" -- \"-$1\"", name, &group.to_string()])
        .stderr(Stdio::null())
        .status()
        .await;
    if let Err(error) = asked {
        tracing::warn!(%error, "failed to send SIG{name} to a step");
    }
}

/// What a program said last of why it ended: its error with the causes, else its last line.
fn last_words(log: &Path, from: u64) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(
        from.max(length.saturating_sub(LAST_WORDS_BYTES)),
    ))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    // As a program prints the error that ends it.
    let error = text
        .rfind("\nError: ")
        .map(|position| position + 1)
        .or_else(|| text.starts_with("Error: ").then_some(0))
        .and_then(|position| text.get(position..))
        .and_then(|error| error.strip_prefix("Error: "));
    let words = match error {
        Some(error) => error
            .lines()
            .map(str::trim)
            .take_while(|line| *line != "Stack backtrace:")
            .filter(|line| !line.is_empty() && *line != "Caused by:")
            .collect::<Vec<_>>()
            .join(": "),
        None => text
            .lines()
            .rev()
            .map(str::trim)
            .find(|line| !line.is_empty())
            .unwrap_or_default()
            .to_owned(),
    };
    Ok(words.chars().take(LONGEST_MESSAGE).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_the_error_with_its_causes() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("step.log");
        let said = |text: &str, from| {
            std::fs::write(&log, text).unwrap();
            last_words(&log, from).unwrap()
        };
        assert_eq!(
            said(
                "INFO begins\nError: failed to read bars\n\nCaused by:\n    0: lost\n    1: refused\n\nStack backtrace:\n   0: main\n",
                0
            ),
            "failed to read bars: 0: lost: 1: refused"
        );
        assert_eq!(
            said("INFO begins\nkilled by the moon\n\n", 0),
            "killed by the moon"
        );
        assert_eq!(
            said("Error: of the first try\nof the second\n", 24),
            "of the second"
        );
        assert_eq!(said("", 0), "");
        assert_eq!(said(&"x".repeat(40_000), 0).len(), LONGEST_MESSAGE);
    }
}
