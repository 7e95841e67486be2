//! The drift-monitor service: see the library's page.

use alerts::{AlertSettings, Alerts};
use anyhow::Context;
use clap::Parser;
use domain::Universe;
use drift_monitor::{DriftMonitor, DriftSettings, Places};
use model_registry::ChampionsFile;
use service_kit::{Clock, Shutdown};

/// Watches how the champions do, and puts a better one back when one fails.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Resolve outcomes and look at the champions once, with what is known now, and end.
    #[arg(long)]
    once: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
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
    let settings: DriftSettings = service_kit::load_settings("drift")?;
    let universe: Universe = service_kit::load_settings("universe")?;
    let clock = Clock::from_environment()?;
    let alerts = Alerts::new(AlertSettings::from_environment())?;
    let pool = storage::open(service_kit::database_url()?).await?;
    let places = Places {
        models_dir: service_kit::models_dir(),
        champions: ChampionsFile::new(service_kit::model_config_path()),
    };
    let mut monitor = DriftMonitor::new(settings, places, universe.symbols(), pool, alerts)?;
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
