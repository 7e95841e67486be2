//! The api service: see the library's page.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use api::{App, Settings, bind};
use service_kit::{Clock, Shutdown};
use storage::DatabaseSettings;

/// A database that is still starting gets this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests are short: more connections than cores only queue inside the database.
const MAX_CONNECTIONS: u32 = 10;

#[tokio::main]
async fn main() -> ExitCode {
    if let Err(error) = service_kit::init_telemetry() {
        eprintln!("api: {:#}", anyhow::Error::new(error));
        return ExitCode::FAILURE;
    }
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "api ended");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals().context("failed to listen for signals")?;
    let settings = Settings::from_environment()?;
    let clock = Clock::from_environment()?;
    let listener = bind(settings.address)?;
    let database = DatabaseSettings {
        url: service_kit::database_url()?.into(),
        connect_timeout: CONNECT_TIMEOUT,
        max_connections: MAX_CONNECTIONS,
    };
    let pool = tokio::select! {
        connected = storage::connect(&database) => connected?,
        () = shutdown.token().cancelled_owned() => return Ok(()),
    };
    storage::migrate(&pool).await?;
    App::start(settings, pool, clock, shutdown.token())
        .await?
        .serve(listener)
        .await
}
