//! The drift-monitor service: see the library's page.

use std::process::ExitCode;

use alerts::{AlertSettings, Alerts};
use anyhow::Context;
use clap::Parser;
use domain::{Ticker, Universe};
use drift_monitor::{DriftMonitor, DriftSettings, Places};
use model_registry::ChampionsFile;
use service_kit::{CheckArguments, Clock, SettingsProblems, Shutdown};

/// Watches how the champions do, and puts a better one back when one fails.
#[derive(Parser)]
#[command(version, max_term_width = 110, after_help = service_kit::environment_help(&ENVIRONMENT))]
struct Arguments {
    /// Resolve outcomes and look at the champions once, with what is known now, and end.
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    check: CheckArguments,
}

/// The variables that it reads beside those of all programs.
const ENVIRONMENT: [&str; 9] = [
    "TANDEM_CONFIG",
    "DATABASE_URL",
    "TANDEM_CLOCK",
    "TANDEM_MODELS_DIR",
    "TANDEM_MODEL_CONFIG",
    "TANDEM_ALERT_WEBHOOK",
    "TANDEM_ALERT_SMTP_URL",
    "TANDEM_ALERT_TO",
    "TANDEM_ALERT_FROM",
];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.check.check_settings {
        return service_kit::check_settings(Settings::load());
    }
    service_kit::exit_code(run_until_signal(arguments.once).await, |_| false)
}

async fn run_until_signal(once: bool) -> anyhow::Result<()> {
    service_kit::init_telemetry()?;
    let shutdown = Shutdown::on_signals()
        .context("failed to listen for signals")?
        .token();
    if let Some(ended) = shutdown.run_until_cancelled(run(once)).await {
        ended?;
    }
    tracing::info!("stopped");
    Ok(())
}

/// Everything that it needs to know from outside.
struct Settings {
    drift: DriftSettings,
    tickers: Vec<Ticker>,
    clock: Clock,
    alerts: Alerts,
    database_url: String,
}

impl Settings {
    /// Reads the settings file and the environment.
    fn load() -> Result<Self, SettingsProblems> {
        SettingsProblems::collect(|problems| {
            let drift = problems.section();
            let universe = problems.section::<Universe>();
            let clock = problems.note(Clock::from_environment());
            let alerts = problems.note(Alerts::new(AlertSettings::from_environment()));
            let database_url = problems.note(service_kit::database_url());
            Some(Self {
                drift: drift?,
                tickers: universe?.symbols(),
                clock: clock?,
                alerts: alerts?,
                database_url: database_url?,
            })
        })
    }
}

async fn run(once: bool) -> anyhow::Result<()> {
    let Settings {
        drift,
        tickers,
        clock,
        alerts,
        database_url,
    } = Settings::load()?;
    let pool = storage::open(database_url).await?;
    let places = Places {
        models_dir: service_kit::models_dir(),
        champions: ChampionsFile::new(service_kit::model_config_path()),
    };
    let mut monitor = DriftMonitor::new(drift, places, tickers, pool, alerts);
    tracing::info!(market_time = %clock.now(), speed = clock.speed(), "drift-monitor starts");
    if !once {
        monitor.run(&clock).await;
        return Ok(());
    }
    let as_of = clock.now();
    monitor.resolve(as_of).await?;
    monitor.look(as_of).await?;
    Ok(())
}
