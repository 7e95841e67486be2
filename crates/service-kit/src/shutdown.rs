use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Cancels one token when the program is asked to end.
#[derive(Clone, Debug)]
pub struct Shutdown {
    token: CancellationToken,
}

impl Shutdown {
    /// Listens for SIGINT (Ctrl-C) and SIGTERM from here on. Must be called inside a tokio runtime.
    ///
    /// A second signal ends the program at once: somebody insists.
    ///
    /// # Errors
    /// When the system refuses a signal handler.
    pub fn on_signals() -> io::Result<Self> {
        let token = CancellationToken::new();
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let cancelled = token.clone();
        tokio::spawn(async move {
            let name = tokio::select! { _ = interrupt.recv() => "SIGINT", _ = terminate.recv() => "SIGTERM" };
            tracing::info!(signal = name, "shutting down");
            cancelled.cancel();
            tokio::select! { _ = interrupt.recv() => (), _ = terminate.recv() => () }
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
