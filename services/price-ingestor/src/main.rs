#![doc = include_str!("../README.md")]

mod poll_loop;
mod schedule;

use anyhow::Context;
use clap::Parser;
use domain::Universe;
use ingestion::{IngestSettings, Ingestor, MarketTime};
use market_data::{VendorConnection, YahooClient};
use service_kit::{Clock, Shutdown};
use storage::{DatabaseSettings, PgPool};

/// Keeps the database up to date with the vendor's one-minute bars.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Fetch the history that the database misses, and end.
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
    match shutdown.clone().run_until_cancelled_owned(start()).await {
        None => (),
        Some(Err(error)) => return Err(error),
        Some(Ok(service)) if arguments.once => {
            shutdown
                .run_until_cancelled(poll_loop::backfill_once(service.ingestor))
                .await
                .transpose()?;
        }
        Some(Ok(service)) => {
            let polling = poll_loop::run(service.ingestor, service.clock, service.settings);
            shutdown.run_until_cancelled(polling).await;
        }
    }
    tracing::info!("stopped");
    Ok(())
}

struct Service {
    ingestor: Ingestor,
    clock: Clock,
    settings: IngestSettings,
}

async fn start() -> anyhow::Result<Service> {
    let universe: Universe = service_kit::load_settings("universe")?;
    let settings: IngestSettings = service_kit::load_settings("ingest")?;
    let clock = Clock::from_environment()?;
    let vendor = YahooClient::new(&VendorConnection::from_environment(
        settings.request_timeout(),
    ))?;
    let pool = open_database().await?;
    let (now, speed) = (clock.clone(), clock.clone());
    let time = MarketTime::new(move || now.now(), move || speed.speed());
    let tickers = universe.symbols();
    anyhow::ensure!(
        !tickers.is_empty(),
        "[universe] of the settings lists no tickers"
    );
    tracing::info!(tickers = tickers.len(), market_time = %clock.now(), speed = clock.speed(), "price-ingestor starts");
    let ingestor = Ingestor::new(
        vendor,
        pool,
        calendar::nyse(),
        time,
        settings.clone(),
        &tickers,
    )
    .await?;
    Ok(Service {
        ingestor,
        clock,
        settings,
    })
}

async fn open_database() -> anyhow::Result<PgPool> {
    let url = service_kit::database_url()?;
    let pool = storage::connect(&DatabaseSettings::new(url.into())).await?;
    storage::migrate(&pool).await?;
    Ok(pool)
}
