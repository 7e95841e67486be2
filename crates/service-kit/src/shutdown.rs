use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels one token when the program is asked to end.
#[derive(Clone, Debug)]
pub struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    /// Listens for SIGINT (Ctrl-C), SIGTERM and SIGHUP (a closed terminal) from here on. Must be called inside a tokio
    /// runtime.
    ///
    /// A second signal ends the program at once: somebody insists. With `TANDEM_END_WITH_INPUT` set, the end of standard
    /// input counts as a signal: a supervisor that is killed cannot say goodbye, but its pipes close.
    ///
    /// # Errors
    /// When the system refuses a signal handler.
    pub fn on_signals() -> io::Result<Self> {
        let token = CancellationToken::new();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hang_up = signal(SignalKind::hangup())?;
        let cancelled = token.clone();
        if std::env::var_os("TANDEM_END_WITH_INPUT").is_some() {
            let orphaned = token.clone();
            std::thread::spawn(move || {
                // Nothing is ever written: the call returns when the other end is gone.
                let ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
                tracing::info!(?ended, "the supervisor is gone, shutting down");
                orphaned.cancel();
            });
        }
        tokio::spawn(async move {
            let name = tokio::select! { _ = interrupt.recv() => "SIGINT", _ = terminate.recv() => "SIGTERM", _ = hang_up.recv() => "SIGHUP" };
            tracing::info!(signal = name, "shutting down");
            cancelled.cancel();
            tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => (), _ = hang_up.recv() => () }
            tracing::warn!("second signal: ending at once");
            std::process::exit(130);
        });
        Ok(Self { token })
    }

    /// The token that is cancelled.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }
}
