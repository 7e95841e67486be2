use std::path::Path;

use anyhow::{Context, bail};
use bar_files::RejectedRow;
use chrono::{DateTime, Utc};
use domain::Ticker;
use ingestion::{IngestSettings, Ingestor, MarketTime};
use market_data::{MAX_AGE, VendorConnection, YahooClient};
use service_kit::Clock;
use storage::{UpsertCounts, VendorBar};

use crate::cli::BackfillArguments;

/// What bars of a file are stored as coming from.
const FILE: &str = "file";
/// Bars stored in one transaction: about a second's work, so that progress can be seen and little is lost.
const BATCH: usize = 50_000;
/// Rejected rows that are shown.
const SHOWN: usize = 5;

/// `tandem backfill`: brings the bars of past sessions into the database.
pub(crate) fn run(arguments: &BackfillArguments) -> anyhow::Result<()> {
    service_kit::enter_system(&arguments.system, arguments.source.is_none())?;
    service_kit::init_telemetry()?;
    let (from, to) = super::whole_days(Some(arguments.from), Some(arguments.to))?;
    match &arguments.source {
        Some(file) => from_file(arguments, file, from, to),
        None => service_kit::block_on(from_vendor(arguments, from, to)),
    }
}

async fn from_vendor(
    arguments: &BackfillArguments,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> anyhow::Result<()> {
    let settings: IngestSettings = service_kit::load_settings()?;
    let clock = Clock::from_environment()?;
    let oldest = clock.now() - MAX_AGE;
    if to < oldest {
        bail!(
            "Yahoo keeps one-minute bars for 30 days, since {}: earlier sessions need --source FILE",
            oldest.date_naive()
        );
    }
    if from < oldest {
        eprintln!(
            "Yahoo keeps one-minute bars for 30 days: sessions before {} are left out, they need --source FILE",
            oldest.date_naive()
        );
    }
    let vendor = YahooClient::new(&VendorConnection::from_environment(
        settings.request_timeout(),
    ))?;
    let tickers = super::tickers_or_all(&arguments.ticker)?;
    let (now, speed) = (clock.clone(), clock.clone());
    let time = MarketTime::new(move || now.now(), move || speed.speed());
    let pool = super::open().await?;
    let mut ingestor =
        Ingestor::new(vendor, pool, calendar::nyse(), time, settings, &tickers).await?;
    let report = ingestor.backfill_between(from, to).await?;
    println!(
        "{} bars stored, {} rows in quarantine",
        report.inserted, report.quarantined
    );
    let names = |tickers: &[Ticker]| {
        let names: Vec<_> = tickers.iter().map(Ticker::as_str).collect();
        names.join(", ")
    };
    if !report.unknown.is_empty() {
        eprintln!("Yahoo knows no {}", names(&report.unknown));
    }
    if !report.unfinished.is_empty() {
        bail!(
            "the bars of {} are incomplete, as Yahoo did not answer: run the same command again later",
            names(&report.unfinished)
        );
    }
    Ok(())
}

fn from_file(
    arguments: &BackfillArguments,
    path: &Path,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> anyhow::Result<()> {
    let file = tables::read_bars(path)?;
    eprintln!("{}: {}", path.display(), file.report);
    for RejectedRow { row, reason } in file.report.rejected.iter().take(SHOWN) {
        eprintln!("  row {row} left out: {reason}");
    }
    let calendar = calendar::nyse();
    // The share basis of the prices, see `VendorBar::fetched_at`.
    let adjusted = match arguments.adjusted_until {
        Some(date) => Some(super::whole_days(None, Some(date))?.1),
        None => None,
    };
    let wanted = |ticker: &Ticker| arguments.ticker.is_empty() || arguments.ticker.contains(ticker);
    let (mut bars, mut outside) = (Vec::new(), 0_usize);
    for (ticker, read) in file.bars.iter().filter(|(ticker, _)| wanted(ticker)) {
        for bar in read.iter().filter(|bar| (from..to).contains(&bar.start)) {
            if calendar.session_at(bar.start).is_none() {
                outside += 1;
                continue;
            }
            bars.push(VendorBar {
                ticker: ticker.clone(),
                bar: *bar,
                source: FILE,
                fetched_at: adjusted.unwrap_or_else(|| bar.close_time()),
            });
        }
    }
    if bars.is_empty() {
        bail!(
            "{} holds no bars of regular sessions from {} to {}{}",
            path.display(),
            arguments.from,
            arguments.to,
            if arguments.ticker.is_empty() {
                ""
            } else {
                " of the tickers given"
            }
        );
    }
    if outside > 0 {
        eprintln!("{outside} bars outside regular sessions left out");
    }
    let counts = service_kit::block_on(async {
        let pool = super::open().await?;
        let mut counts = UpsertCounts::default();
        for batch in bars.chunks(BATCH) {
            let stored = storage::upsert_bars(&pool, batch).await?;
            counts.inserted += stored.inserted;
            counts.revised += stored.revised;
            counts.unchanged += stored.unchanged;
        }
        Ok(counts)
    })
    .context("what was stored before the failure stays; the same command goes on from there")?;
    println!(
        "{} bars stored, {} revised, {} known already",
        counts.inserted, counts.revised, counts.unchanged
    );
    Ok(())
}
