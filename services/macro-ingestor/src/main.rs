//! The macro-ingestor service: see the library's page.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use macro_ingestor::{EconomySettings, MacroIngestor};
use market_data::{VendorConnection, VendorKeys};
use service_kit::{Clock, Passing, Shutdown};
use storage::StorageError;

/// Keeps the economic series in the database up to date.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Look once at all series, and end.
    #[arg(long)]
    once: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    // A lost database may be back when this is run again.
    service_kit::exit_code(run_until_signal(Arguments::parse()).await, |cause| {
        cause.downcast_ref().is_some_and(StorageError::is_retryable)
    })
}

async fn run_until_signal(arguments: Arguments) -> anyhow::Result<()> {
    service_kit::init_telemetry()?;
    let shutdown = Shutdown::on_signals()
        .context("failed to listen for signals")?
        .token();
    if let Some(ended) = shutdown.run_until_cancelled(run(arguments.once)).await {
        ended?;
    }
    tracing::info!("stopped");
    Ok(())
}

async fn run(once: bool) -> anyhow::Result<()> {
    let settings: EconomySettings = service_kit::load_settings("economy")?;
    let clock = Clock::from_environment()?;
    let connection = VendorConnection::from_environment(settings.request_timeout());
    let pool = storage::open(service_kit::database_url()?).await?;
    tracing::info!(market_time = %clock.now(), speed = clock.speed(), "macro-ingestor starts");
    let keys = VendorKeys::from_environment();
    let mut ingestor = MacroIngestor::new(&settings, &connection, &keys, pool, clock)?;
    if !once {
        ingestor.run().await;
        return Ok(());
    }
    let failed = ingestor.look().await.failed;
    if !failed.is_empty() {
        let names: Vec<&str> = failed.iter().map(|series| series.as_str()).collect();
        let names = names.join(", ");
        return Err(Passing(format!("no answer about {names}: the log says why")).into());
    }
    Ok(())
}
