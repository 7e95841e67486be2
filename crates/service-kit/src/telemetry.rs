use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

/// Logging cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// `RUST_LOG` is no filter.
    #[error("RUST_LOG={value:?} is not a log filter such as info or info,storage=debug")]
    Filter {
        /// The value found.
        value: String,
        /// The parser's reason.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Logging was started before.
    #[error("failed to start logging")]
    Init(#[from] tracing_subscriber::util::TryInitError),
}

/// Starts logging to standard error.
///
/// `RUST_LOG` sets the filter (default `info,sqlx=warn`), `TANDEM_LOG_FORMAT=json` one JSON object a line.
///
/// # Errors
/// [`TelemetryError`] for a filter that cannot be read, or a second call.
pub fn init_telemetry() -> Result<(), TelemetryError> {
    let registry = tracing_subscriber::registry().with(filter()?);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    if std::env::var("TANDEM_LOG_FORMAT").is_ok_and(|format| format == "json") {
        registry.with(layer.json()).try_init()?;
    } else {
        registry
            .with(layer.with_ansi(std::io::stderr().is_terminal()))
            .try_init()?;
    }
    Ok(())
}

/// Which messages are logged.
pub(crate) fn filter() -> Result<EnvFilter, TelemetryError> {
    match std::env::var("RUST_LOG") {
        Ok(value) if !value.is_empty() => {
            EnvFilter::try_new(&value).map_err(|source| TelemetryError::Filter { value, source })
        }
        // sqlx repeats what our own errors say, and notices that concern nobody.
        _ => Ok(EnvFilter::new("info,sqlx=warn")),
    }
}
