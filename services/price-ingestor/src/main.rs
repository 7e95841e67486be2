#![doc = include_str!("../README.md")]

mod live;
mod poll_loop;
mod schedule;

use std::{error::Error, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use domain::{Ticker, Universe};
use ingestion::{IngestError, IngestSettings, Ingestor, MarketTime, QualitySettings};
use market_data::{AlphaVantageClient, VendorConnection, VendorKeys, YahooClient};
use service_kit::{Clock, Shutdown};
use storage::{PgPool, StorageError};

use crate::{
    live::{Live, LiveFeed},
    poll_loop::Polling,
};

/// Keeps the database up to date with the vendor's one-minute bars.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Fetch the history that the database misses, and end.
    #[arg(long)]
    once: bool,
    /// Before the end, look at the sessions that are over: what came late or was revised, gaps, volumes.
    #[arg(long, requires = "once")]
    review: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    service_kit::exit_code(run(Arguments::parse()).await, may_pass)
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    service_kit::init_telemetry()?;
    let shutdown = Shutdown::on_signals()
        .context("failed to listen for signals")?
        .token();
    match shutdown.clone().run_until_cancelled_owned(start()).await {
        None => (),
        Some(Err(error)) => return Err(error),
        Some(Ok(service)) if arguments.once => {
            let Service {
                ingestor,
                polling,
                pool,
                tickers,
                ..
            } = service;
            let once = poll_loop::once(ingestor, &polling, &pool, &tickers, arguments.review);
            shutdown.run_until_cancelled(once).await.transpose()?;
        }
        Some(Ok(service)) => {
            let (polling, live) = (service.polling, service.live);
            let live = async {
                if let Some(live) = live {
                    live::run(live).await;
                }
            };
            let running = async { tokio::join!(poll_loop::run(service.ingestor, polling), live) };
            shutdown.run_until_cancelled(running).await;
        }
    }
    tracing::info!("stopped");
    Ok(())
}

struct Service {
    ingestor: Ingestor,
    polling: Polling,
    live: Option<Live>,
    pool: PgPool,
    tickers: Vec<Ticker>,
}

async fn start() -> anyhow::Result<Service> {
    let universe: Universe = service_kit::load_settings("universe")?;
    let settings: IngestSettings = service_kit::load_settings("ingest")?;
    let quality: QualitySettings = service_kit::load_settings("quality")?;
    quality.check()?;
    let tickers = universe.symbols();
    anyhow::ensure!(
        !tickers.is_empty(),
        "[universe] of the settings lists no tickers"
    );
    let clock = Clock::from_environment()?;
    let connection = VendorConnection::from_environment(settings.request_timeout());
    let vendor = YahooClient::new(&connection)?;
    let second = VendorKeys::from_environment()
        .alpha_vantage
        .map(|key| AlphaVantageClient::new(&connection, key))
        .transpose()?;
    let pool = storage::open(service_kit::database_url()?).await?;
    let (now, speed) = (clock.clone(), clock.clone());
    let time = MarketTime::new(move || now.now(), move || speed.speed());
    tracing::info!(
        tickers = tickers.len(),
        market_time = %clock.now(),
        speed = clock.speed(),
        second_source = second.is_some(),
        "price-ingestor starts"
    );
    let mut ingestor = Ingestor::new(
        vendor,
        pool.clone(),
        calendar::nyse(),
        time.clone(),
        settings.clone(),
        &tickers,
    )
    .await?;
    if let Some(client) = second {
        ingestor = ingestor.with_second_source(client);
    }
    let feed = LiveFeed::default();
    let live = settings.live_stream.then(|| Live {
        connection,
        tickers: tickers.clone(),
        pool: pool.clone(),
        clock: clock.clone(),
        time: time.clone(),
        feed: feed.clone(),
    });
    let polling = Polling {
        clock,
        time,
        settings,
        quality,
        feed,
    };
    Ok(Service {
        ingestor,
        polling,
        live,
        pool,
        tickers,
    })
}

/// A lost database may be back when this is run again.
fn may_pass(cause: &(dyn Error + 'static)) -> bool {
    match cause.downcast_ref() {
        Some(IngestError::Storage(error)) => error.is_retryable(),
        _ => cause.downcast_ref().is_some_and(StorageError::is_retryable),
    }
}
