//! The api service: see the library's page.

use std::{process::ExitCode, time::Duration};

use anyhow::Context as _;
use api::{App, Settings, bind};
use clap::Parser;
use service_kit::{CheckArguments, Clock, SettingsProblems, Shutdown};
use storage::DatabaseSettings;

/// A database that is still starting gets this long.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// Requests are short: more connections than cores only queue inside the database.
const MAX_CONNECTIONS: u32 = 10;

/// Serves the dashboard, REST and WebSocket, and analyses every closed bar with both champions.
#[derive(Parser)]
#[command(version, max_term_width = 110, after_help = service_kit::environment_help(&ENVIRONMENT))]
struct Arguments {
    #[command(flatten)]
    check: CheckArguments,
}

/// The variables that it reads beside those of all programs.
const ENVIRONMENT: [&str; 13] = [
    "TANDEM_CONFIG",
    "DATABASE_URL",
    "TANDEM_CLOCK",
    "TANDEM_API_ADDRESS",
    "TANDEM_FRONTEND_DIR",
    "TANDEM_SOURCE",
    "TANDEM_MODELS_DIR",
    "TANDEM_MODEL_CONFIG",
    "TANDEM_BUILD_FILE",
    "TANDEM_ALERT_WEBHOOK",
    "TANDEM_ALERT_SMTP_URL",
    "TANDEM_ALERT_TO",
    "TANDEM_ALERT_FROM",
];

#[tokio::main]
async fn main() -> ExitCode {
    if Arguments::parse().check.check_settings {
        return service_kit::check_settings(load());
    }
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

/// Reads everything that it needs to know from outside, the database's address last.
fn load() -> Result<(Settings, Clock, String), SettingsProblems> {
    SettingsProblems::collect(|problems| {
        let settings = Settings::load(problems);
        let clock = problems.note(Clock::from_environment());
        let database_url = problems.note(service_kit::database_url());
        Some((settings?, clock?, database_url?))
    })
}

async fn run() -> anyhow::Result<()> {
    let shutdown = Shutdown::on_signals().context("failed to listen for signals")?;
    let (settings, clock, database_url) = load()?;
    let listener = bind(settings.address)?;
    let database = DatabaseSettings {
        url: database_url.into(),
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
