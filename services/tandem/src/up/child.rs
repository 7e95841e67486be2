use std::{
    ffi::OsString,
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{Interrupted, build::Build, logs};
use crate::{programs::sibling, settings_check::problems_of};

/// How long a part may take to end by itself.
const END_TIMEOUT: Duration = Duration::from_secs(15);
/// Wait before a failed part is started again: doubles from the first to the second.
const RESTART_DELAY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// A part that ran this long has recovered: the next restart waits the shortest time again.
const RECOVERED_AFTER: Duration = Duration::from_secs(60);

/// A program of this system with its arguments and environment.
pub(super) struct Program {
    name: &'static str,
    arguments: Vec<OsString>,
    environment: Vec<(&'static str, String)>,
}

impl Program {
    pub(super) fn new(
        name: &'static str,
        arguments: Vec<OsString>,
        environment: &[(&'static str, String)],
    ) -> Self {
        Self {
            name,
            arguments,
            environment: environment.to_owned(),
        }
    }

    fn spawn(&self, output: Stdio, errors: Stdio) -> anyhow::Result<Child> {
        Command::new(sibling(self.name)?)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            // The pipe is never written to. It closes with this program, however that ends, and the part ends with it.
            .env("TANDEM_END_WITH_INPUT", "1")
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            // Ctrl-C reaches this program only, which then ends the others in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("failed to start {}", self.name))
    }

    /// Runs a step that ends by itself, with its messages on this terminal and in its log.
    pub(super) async fn run_to_end(
        self,
        logs: &Path,
        token: &CancellationToken,
    ) -> anyhow::Result<()> {
        let log = logs::open(logs, self.name)?;
        let mut child = self.spawn(Stdio::piped(), Stdio::piped())?;
        let output = copy(child.stdout.take(), tokio::io::stdout(), log.try_clone()?);
        let errors = copy(child.stderr.take(), tokio::io::stderr(), log);
        let (status, (), ()) = tokio::join!(self.ended(&mut child, token), output, errors);
        let Some(status) = status? else {
            return Err(Interrupted.into());
        };
        if !status.success() {
            bail!("{} failed ({status}); its messages stand above", self.name);
        }
        Ok(())
    }

    /// Runs a step that ends by itself, with its messages in its log only; none when the token was cancelled first.
    pub(super) async fn run_to_log(
        self,
        logs: &Path,
        token: &CancellationToken,
    ) -> anyhow::Result<Option<ExitStatus>> {
        let log = logs::open(logs, self.name)?;
        let mut child = self.spawn(log.try_clone()?.into(), log.into())?;
        self.ended(&mut child, token).await
    }

    /// Waits for its end, or ends it when the token is cancelled.
    async fn ended(
        &self,
        child: &mut Child,
        token: &CancellationToken,
    ) -> anyhow::Result<Option<ExitStatus>> {
        // Waiting would close it.
        let _alive = child.stdin.take();
        tokio::select! {
            status = child.wait() => {
                status.map(Some).with_context(|| format!("failed to wait for {}", self.name))
            }
            () = token.cancelled() => {
                end(child, self.name).await;
                Ok(None)
            }
        }
    }
}

/// Copies what a program says to the terminal and to its log, until it says no more. A terminal that is closed keeps
/// nobody from reading the log.
async fn copy(
    said: Option<impl AsyncRead + Unpin>,
    mut terminal: impl AsyncWrite + Unpin,
    mut log: File,
) {
    let Some(mut said) = said else { return };
    let mut buffer = vec![0; 8_192];
    while let Ok(length @ 1..) = said.read(&mut buffer).await {
        let Some(text) = buffer.get(..length) else {
            return;
        };
        if let Err(error) = log.write_all(text) {
            tracing::warn!(%error, "failed to write a log");
        }
        if terminal.write_all(text).await.is_ok() {
            let _ = terminal.flush().await;
        }
    }
}

/// A part that is kept running until the token is cancelled.
pub(super) struct Service {
    name: &'static str,
    task: JoinHandle<()>,
    starts: watch::Receiver<usize>,
}

impl Service {
    /// Starts it once nothing is compiled any more that it waits for; `needs` is a part that it must be started anew
    /// with.
    pub(super) fn start(
        program: Program,
        waits_for: Option<&Build>,
        needs: Option<&Self>,
        logs: &Path,
        token: &CancellationToken,
    ) -> Self {
        let name = program.name;
        let logs = logs.to_owned();
        let (started, starts) = watch::channel(0);
        let needs = needs.map(|part| part.starts.clone());
        let (waits_for, token) = (waits_for.cloned(), token.clone());
        let task = tokio::spawn(async move {
            if let Some(build) = waits_for {
                tokio::select! { () = token.cancelled() => return, () = build.ended() => () }
                // It was not there when the others were asked.
                let problems = problems_of(name).await;
                if !problems.is_empty() {
                    return eprintln!(
                        "{name} is not started, as the settings cannot be used:\n  {}",
                        problems.join("\n  ")
                    );
                }
            }
            keep_running(program, logs, needs, started, token).await;
        });
        Self { name, task, starts }
    }

    /// Waits until it has ended; the token must have been cancelled.
    pub(super) async fn ended(self) {
        if let Err(error) = self.task.await {
            tracing::error!(service = self.name, %error, "the supervisor of a part failed");
        }
    }
}

async fn keep_running(
    program: Program,
    logs: PathBuf,
    mut needs: Option<watch::Receiver<usize>>,
    started: watch::Sender<usize>,
    token: CancellationToken,
) {
    let mut delay = RESTART_DELAY.0;
    let log = logs::path(&logs, program.name);
    loop {
        let began = Instant::now();
        started.send_modify(|starts| *starts += 1);
        if let Some(needs) = &mut needs {
            needs.mark_unchanged();
        }
        match run_once(&program, &logs, needs.as_mut(), &token).await {
            Ok(()) if token.is_cancelled() => return,
            Ok(()) => {
                tracing::warn!(service = program.name, log = %log.display(), "ended, starting it again")
            }
            Err(error) => {
                let error = format!("{error:#}");
                tracing::error!(service = program.name, log = %log.display(), error, "failed, starting it again");
            }
        }
        if began.elapsed() > RECOVERED_AFTER {
            delay = RESTART_DELAY.0;
        }
        tokio::select! { () = token.cancelled() => return, () = tokio::time::sleep(delay) => () }
        delay = (delay * 2).min(RESTART_DELAY.1);
    }
}

/// Runs it until it ends, the token is cancelled, or the part that it needs was started anew.
async fn run_once(
    program: &Program,
    logs: &Path,
    needs: Option<&mut watch::Receiver<usize>>,
    token: &CancellationToken,
) -> anyhow::Result<()> {
    let log = logs::open(logs, program.name)?;
    let mut child = program.spawn(log.try_clone()?.into(), log.into())?;
    // Waiting would close it.
    let _alive = child.stdin.take();
    let replaced = async {
        let changed = match needs {
            Some(needs) => needs.changed().await.is_ok(),
            None => false,
        };
        if !changed {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        status = child.wait() => {
            let status = status?;
            if !status.success() {
                bail!("{status}");
            }
        }
        () = token.cancelled() => end(&mut child, program.name).await,
        () = replaced => end(&mut child, program.name).await,
    }
    Ok(())
}

/// Asks a program to end, and insists after a while.
async fn end(child: &mut Child, name: &str) {
    let Some(id) = child.id() else { return };
    // The standard library can only kill; every system's shell can ask politely.
    let asked = Command::new("sh")
        .args(["-c", "kill -TERM \"$0\"", &id.to_string()])
        .status()
        .await;
    if !asked.as_ref().is_ok_and(std::process::ExitStatus::success) {
        tracing::warn!(service = name, ?asked, "failed to ask it to end");
    }
    if tokio::time::timeout(END_TIMEOUT, child.wait())
        .await
        .is_err()
    {
        tracing::warn!(service = name, "did not end in time, killing it");
        if let Err(error) = child.kill().await {
            tracing::error!(service = name, %error, "failed to kill it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_step_says_is_shown_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let log = || logs::open(folder.path(), "trainer").unwrap();
        let mut terminal = Vec::new();
        copy(Some(&b"pass 1\npass 2\n"[..]), &mut terminal, log()).await;
        assert_eq!(terminal, b"pass 1\npass 2\n");
        // Nobody reads the other end: a terminal that was closed.
        let (closed, _) = tokio::io::duplex(1);
        copy(Some(&b"pass 3\n"[..]), closed, log()).await;
        let kept = std::fs::read_to_string(logs::path(folder.path(), "trainer")).unwrap();
        assert_eq!(kept, "pass 1\npass 2\npass 3\n");
    }
}
