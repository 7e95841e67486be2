//! The macro-ingestor service: see the library's page.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use macro_ingestor::{EconomySettings, MacroIngestor};
use market_data::{VendorConnection, VendorKeys};
use service_kit::{CheckArguments, Clock, Passing, SettingsProblems, Shutdown};
use storage::StorageError;

/// Keeps the economic series in the database up to date.
///
/// Exit codes: 0 done; 1 failed for good; 75 failed in a way that may pass, call again.
#[derive(Parser)]
#[command(version, max_term_width = 110, after_help = service_kit::environment_help(&ENVIRONMENT))]
struct Arguments {
    /// Look once at all series, and end.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    check: CheckArguments,
}

/// The variables that it reads beside those of all programs.
const ENVIRONMENT: [&str; 6] = [
    "TANDEM_CONFIG",
    "DATABASE_URL",
    "TANDEM_CLOCK",
    "TANDEM_VENDOR_ADDRESS",
    "TANDEM_VENDOR_CA",
    "FRED_API_KEY",
];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.check.check_settings {
        return service_kit::check_settings(Settings::load());
    }
    // A lost database may be back when this is run again.
    service_kit::exit_code(run_until_signal(arguments).await, |cause| {
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

/// Everything that it needs to know from outside.
struct Settings {
    economy: EconomySettings,
    clock: Clock,
    connection: VendorConnection,
    keys: VendorKeys,
    database_url: String,
}

impl Settings {
    /// Reads the settings file and the environment.
    fn load() -> Result<Self, SettingsProblems> {
        SettingsProblems::collect(|problems| {
            let economy = problems.section::<EconomySettings>();
            let clock = problems.note(Clock::from_environment());
            let keys = problems.note(VendorKeys::from_environment());
            let database_url = problems.note(service_kit::database_url());
            let economy = economy?;
            let connection = VendorConnection::from_environment(economy.request_timeout());
            problems.note(connection.check());
            Some(Self {
                economy,
                clock: clock?,
                connection,
                keys: keys?,
                database_url: database_url?,
            })
        })
    }
}

async fn run(once: bool) -> anyhow::Result<()> {
    let Settings {
        economy,
        clock,
        connection,
        keys,
        database_url,
    } = Settings::load()?;
    let pool = storage::open(database_url).await?;
    tracing::info!(market_time = %clock.now(), speed = clock.speed(), "macro-ingestor starts");
    let mut ingestor = MacroIngestor::new(&economy, &connection, &keys, pool, clock)?;
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
