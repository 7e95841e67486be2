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
use service_kit::{CheckArguments, Clock, SettingsProblems, Shutdown};
use storage::{PgPool, StorageError};

use crate::{
    live::{Live, LiveFeed},
    poll_loop::Polling,
};

/// Keeps the database up to date with the vendor's one-minute bars.
///
/// Exit codes: 0 done; 1 failed for good; 75 failed in a way that may pass, call again.
#[derive(Parser)]
#[command(version, max_term_width = 110, after_help = service_kit::environment_help(&ENVIRONMENT))]
struct Arguments {
    /// Fetch the history that the database misses, and end.
    #[arg(long)]
    once: bool,
    /// Before the end, look at the sessions that are over: what came late or was revised, gaps, volumes.
    #[arg(long, requires = "once")]
    review: bool,
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
    "ALPHA_VANTAGE_API_KEY",
];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.check.check_settings {
        return service_kit::check_settings(Settings::load());
    }
    service_kit::exit_code(run(arguments).await, may_pass)
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

/// Everything that it needs to know from outside.
struct Settings {
    tickers: Vec<Ticker>,
    ingest: IngestSettings,
    quality: QualitySettings,
    clock: Clock,
    connection: VendorConnection,
    keys: VendorKeys,
    database_url: String,
}

impl Settings {
    /// Reads the settings file and the environment.
    fn load() -> Result<Self, SettingsProblems> {
        SettingsProblems::collect(|problems| {
            let universe = problems.section::<Universe>();
            let ingest = problems.section::<IngestSettings>();
            let quality = problems.section();
            let clock = problems.note(Clock::from_environment());
            let keys = problems.note(VendorKeys::from_environment());
            let database_url = problems.note(service_kit::database_url());
            let (tickers, ingest) = (universe?.symbols(), ingest?);
            let connection = VendorConnection::from_environment(ingest.request_timeout());
            problems.note(connection.check());
            problems.contradiction(connection.check_tickers(&tickers));
            Some(Self {
                tickers,
                ingest,
                quality: quality?,
                clock: clock?,
                connection,
                keys: keys?,
                database_url: database_url?,
            })
        })
    }
}

async fn start() -> anyhow::Result<Service> {
    let Settings {
        tickers,
        ingest: settings,
        quality,
        clock,
        connection,
        keys,
        database_url,
    } = Settings::load()?;
    let vendor = YahooClient::new(&connection)?;
    let second = keys
        .alpha_vantage
        .map(|key| AlphaVantageClient::new(&connection, key))
        .transpose()?;
    let pool = storage::open(database_url).await?;
    let tickers = match service_kit::run_id() {
        Some(run_id) => {
            storage::step_tickers(&pool, run_id, poll_loop::STEP, &tickers, clock.now()).await?
        }
        None => tickers,
    };
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
