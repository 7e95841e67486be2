use std::{collections::BTreeMap, path::Path};

use anyhow::{Context, bail};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Bar, CorporateAction, Price, Ticker};
use ingestion::{IngestSettings, Ingestor, MarketTime, split_factor};
use market_data::{MAX_AGE, VendorConnection, YahooClient};
use service_kit::Clock;
use storage::{PgPool, RefusedRow, StoredBar, UpsertCounts, VendorBar};

use crate::{admission::Admission, cli::BackfillArguments};

/// What bars of a file are stored as coming from.
const FILE: &str = "file";
/// Bars stored in one transaction: about a second's work, so that progress can be seen and little is lost.
const BATCH: usize = 50_000;
/// How long a stored price says where the next ones should be.
const PRICE_KNOWN: TimeDelta = TimeDelta::days(10);

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
    let only = match &*arguments.ticker {
        [ticker] => Some(ticker.clone()),
        _ => None,
    };
    let file = crate::bars::read_file(path, &arguments.reading.options(only))?;
    // The share basis of the prices, see `VendorBar::fetched_at`.
    let adjusted = match arguments.adjusted_until {
        Some(date) => Some(super::whole_days(None, Some(date))?.1),
        None => None,
    };
    let wanted = |ticker: &Ticker| arguments.ticker.is_empty() || arguments.ticker.contains(ticker);
    let mut wanted_bars: BTreeMap<Ticker, Vec<Bar>> = BTreeMap::new();
    for (ticker, mut read) in file.into_iter().filter(|(ticker, _)| wanted(ticker)) {
        read.retain(|bar| (from..to).contains(&bar.start));
        wanted_bars.insert(ticker, read);
    }
    let carried = move |bar: &Bar| adjusted.unwrap_or_else(|| bar.close_time());
    let (counts, quarantined) = service_kit::block_on(async {
        let pool = super::open().await?;
        let mut admission = Admission::default();
        for (ticker, read) in wanted_bars {
            let before = match read.first() {
                Some(first) => stored_before(&pool, &ticker, first.start).await?,
                None => None,
            };
            // All are judged on one basis, the latest that any of them is on: a split that is stored is no step.
            let fetched_at = before.map(|row| row.fetched_at);
            let basis = [adjusted, fetched_at]
                .into_iter()
                .flatten()
                .fold(to, Ord::max);
            let actions = actions_of(&pool, &ticker).await?;
            let brought = |bar: &Bar, carried: DateTime<Utc>| {
                on_basis(bar, split_factor(&actions, carried, basis).price)
            };
            let before = before.map(|row| brought(&row.bar, row.fetched_at.max(row.bar.start)));
            admission.add(&ticker, before.as_ref(), read, |bar| {
                brought(bar, carried(bar))
            });
        }
        eprint!("{admission}");
        if admission.bars.is_empty() {
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
        let refused: Vec<RefusedRow> = admission
            .refused
            .iter()
            .map(|(ticker, bar, step)| step.refuse(FILE, ticker, bar))
            .collect();
        let bars: Vec<VendorBar> = admission
            .bars
            .into_iter()
            .flat_map(|(ticker, bars)| {
                bars.into_iter().map(move |bar| VendorBar {
                    ticker: ticker.clone(),
                    bar,
                    source: FILE,
                    fetched_at: carried(&bar),
                })
            })
            .collect();
        let mut counts = UpsertCounts::default();
        for batch in bars.chunks(BATCH) {
            let stored = storage::upsert_bars(&pool, batch).await.context(
                "what was stored before the failure stays; the same command goes on from there",
            )?;
            counts.inserted += stored.inserted;
            counts.revised += stored.revised;
            counts.unchanged += stored.unchanged;
        }
        let quarantined = if refused.is_empty() {
            0
        } else {
            storage::quarantine(&pool, &refused, Clock::from_environment()?.now()).await?
        };
        Ok((counts, quarantined))
    })?;
    println!(
        "{} bars stored, {} revised, {} known already",
        counts.inserted, counts.revised, counts.unchanged
    );
    if quarantined > 0 {
        println!("{quarantined} rows in quarantine");
    }
    Ok(())
}

/// The last stored bar before a moment. One that is older than [`PRICE_KNOWN`] says too little of the price.
async fn stored_before(
    pool: &PgPool,
    ticker: &Ticker,
    moment: DateTime<Utc>,
) -> anyhow::Result<Option<StoredBar>> {
    let stored = storage::stored_bars(pool, ticker, moment - PRICE_KNOWN, moment).await?;
    Ok(stored.last().copied())
}

/// The stored actions of a stock that count.
async fn actions_of(pool: &PgPool, ticker: &Ticker) -> anyhow::Result<Vec<CorporateAction>> {
    let stored = storage::corporate_actions(pool, ticker).await?;
    let counting = stored
        .into_iter()
        .filter(|stored| stored.removed_at.is_none());
    Ok(counting.map(|stored| stored.action).collect())
}

/// The bar with its prices divided by a factor.
fn on_basis(bar: &Bar, factor: f64) -> Bar {
    let price = |price: Price| Price::new(price.get() / factor).unwrap_or(price);
    Bar {
        open: price(bar.open),
        high: price(bar.high),
        low: price(bar.low),
        close: price(bar.close),
        ..*bar
    }
}
