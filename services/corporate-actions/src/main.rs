#![doc = include_str!("../README.md")]

mod schedule;
mod undo;
mod update;

use std::{error::Error, process::ExitCode};

use anyhow::Context;
use clap::Parser;
use domain::{Ticker, Universe};
use ingestion::{IngestError, IngestSettings, MarketTime};
use market_data::{Gate, GateLimits, Vendor, VendorConnection, YahooClient};
use service_kit::{CheckArguments, Clock, SettingsProblems, Shutdown};
use storage::StorageError;

use crate::{undo::Named, update::Updater};

/// Keeps the splits, spin-offs and dividends of the watched stocks up to date, by which prices are adjusted.
///
/// Exit codes: 0 done; 1 failed for good; 75 failed in a way that may pass, call again.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110, after_help = service_kit::environment_help(&ENVIRONMENT))]
struct Arguments {
    /// Do it once and end; this is the default.
    #[arg(long)]
    once: bool,
    /// Stay, and do it again before each open.
    #[arg(long, conflicts_with = "once")]
    daemon: bool,
    /// Take an action back instead: ticker, ex-date and split, spin_off or dividend.
    #[arg(long, num_args = 3, value_names = ["TICKER", "DATE", "KIND"], conflicts_with_all = ["once", "daemon"])]
    remove: Option<Vec<String>>,
    /// Restore an action that was taken back.
    #[arg(
        long, num_args = 3, value_names = ["TICKER", "DATE", "KIND"],
        conflicts_with_all = ["once", "daemon", "remove"]
    )]
    restore: Option<Vec<String>>,
    #[command(flatten)]
    check: CheckArguments,
}

/// The variables that it reads beside those of all programs.
const ENVIRONMENT: [&str; 5] = [
    "TANDEM_CONFIG",
    "DATABASE_URL",
    "TANDEM_CLOCK",
    "TANDEM_VENDOR_ADDRESS",
    "TANDEM_VENDOR_CA",
];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.check.check_settings {
        return service_kit::check_settings(Settings::load());
    }
    service_kit::exit_code(run_until_signal(arguments).await, may_pass)
}

async fn run_until_signal(arguments: Arguments) -> anyhow::Result<()> {
    service_kit::init_telemetry()?;
    let shutdown = Shutdown::on_signals()
        .context("failed to listen for signals")?
        .token();
    shutdown
        .run_until_cancelled_owned(run(arguments))
        .await
        .transpose()?;
    tracing::info!("stopped");
    Ok(())
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    if let Some(words) = &arguments.remove {
        return undo::remove(
            &storage::open(service_kit::database_url()?).await?,
            &Named::parse(words)?,
        )
        .await;
    }
    if let Some(words) = &arguments.restore {
        return undo::restore(
            &storage::open(service_kit::database_url()?).await?,
            &Named::parse(words)?,
        )
        .await;
    }
    let updater = start().await?;
    if arguments.daemon {
        updater.run().await
    } else {
        updater.once().await
    }
}

/// Everything that an update needs to know from outside.
struct Settings {
    tickers: Vec<Ticker>,
    ingest: IngestSettings,
    clock: Clock,
    connection: VendorConnection,
    database_url: String,
}

impl Settings {
    /// Reads the settings file and the environment.
    fn load() -> Result<Self, SettingsProblems> {
        SettingsProblems::collect(|problems| {
            let universe = problems.section::<Universe>();
            let ingest = problems.section::<IngestSettings>();
            let clock = problems.note(Clock::from_environment());
            let database_url = problems.note(service_kit::database_url());
            let (tickers, ingest) = (universe?.symbols(), ingest?);
            let connection = VendorConnection::from_environment(ingest.request_timeout());
            problems.note(connection.check());
            problems.contradiction(connection.check_tickers(&tickers));
            Some(Self {
                tickers,
                ingest,
                clock: clock?,
                connection,
                database_url: database_url?,
            })
        })
    }
}

async fn start() -> anyhow::Result<Updater> {
    let Settings {
        tickers,
        ingest: settings,
        clock,
        connection,
        database_url,
    } = Settings::load()?;
    let vendor = YahooClient::new(&connection)?;
    let (now, speed) = (clock.clone(), clock.clone());
    let time = MarketTime::new(move || now.now(), move || speed.speed());
    let limits = GateLimits {
        requests_per_second: settings.requests_per_second,
        concurrency: settings.concurrency,
        ..GateLimits::of(Vendor::Yahoo)
    };
    tracing::info!(tickers = tickers.len(), market_time = %clock.now(), speed = clock.speed(), "corporate-actions starts");
    Ok(Updater {
        gate: Gate::new(Vendor::Yahoo.name(), time.clone(), limits),
        pool: storage::open(database_url).await?,
        vendor,
        time,
        clock,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn it_runs_once_unless_told_otherwise_and_one_thing_at_a_time() {
        assert!(!parse("corporate-actions").unwrap().daemon);
        assert!(parse("corporate-actions --once").unwrap().once);
        assert!(parse("corporate-actions --daemon").unwrap().daemon);
        let removal = parse("corporate-actions --remove AAPL 2020-08-31 split").unwrap();
        assert_eq!(removal.remove.unwrap(), ["AAPL", "2020-08-31", "split"]);
        for line in [
            "corporate-actions --once --daemon",
            "corporate-actions --remove AAPL 2020-08-31",
            "corporate-actions --remove AAPL 2020-08-31 split --daemon",
            "corporate-actions --remove AAPL 2020-08-31 split --restore AAPL 2020-08-31 split",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
