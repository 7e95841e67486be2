use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use tokio::{
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use super::{Interrupted, sibling};

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
        Command::new(sibling(self.name)?.as_path())
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

    /// Runs a step that ends by itself, with its messages on this terminal.
    pub(super) async fn run_to_end(self, token: &CancellationToken) -> anyhow::Result<()> {
        let mut child = self.spawn(Stdio::inherit(), Stdio::inherit())?;
        let _alive = child.stdin.take();
        let status = tokio::select! {
            status = child.wait() => status.with_context(|| format!("failed to wait for {}", self.name))?,
            () = token.cancelled() => {
                end(&mut child, self.name).await;
                return Err(Interrupted.into());
            }
        };
        if !status.success() {
            bail!("{} failed ({status}); its messages stand above", self.name);
        }
        Ok(())
    }
}

/// A part that is kept running until the token is cancelled.
pub(super) struct Service {
    name: &'static str,
    task: JoinHandle<()>,
    starts: watch::Receiver<usize>,
}

impl Service {
    /// Starts it; `needs` is a part that it must be started anew with. The log of the last run is kept beside the new.
    pub(super) fn start(
        program: Program,
        needs: Option<&Self>,
        logs: &Path,
        token: &CancellationToken,
    ) -> Self {
        let name = program.name;
        let log = logs.join(format!("{name}.log"));
        if let Err(error) = std::fs::rename(&log, logs.join(format!("{name}.old.log")))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, log = %log.display(), "failed to set the last log aside");
        }
        let (started, starts) = watch::channel(0);
        let needs = needs.map(|part| part.starts.clone());
        let task = tokio::spawn(keep_running(program, log, needs, started, token.clone()));
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
    log: PathBuf,
    mut needs: Option<watch::Receiver<usize>>,
    started: watch::Sender<usize>,
    token: CancellationToken,
) {
    let mut delay = RESTART_DELAY.0;
    loop {
        let began = Instant::now();
        started.send_modify(|starts| *starts += 1);
        if let Some(needs) = &mut needs {
            needs.mark_unchanged();
        }
        match run_once(&program, &log, needs.as_mut(), &token).await {
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
    log: &Path,
    needs: Option<&mut watch::Receiver<usize>>,
    token: &CancellationToken,
) -> anyhow::Result<()> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(log)
        .with_context(|| format!("failed to open the log {}", log.display()))?;
    let mut child = program.spawn(file.try_clone()?.into(), file.into())?;
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
