//! Backfill, then polls, for as long as the process lives.

use std::{error::Error, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use domain::Ticker;
use ingestion::{BackfillReport, IngestError, IngestSettings, Ingestor, MarketTime, PollReport};
use service_kit::Clock;

use crate::schedule::{Occasion, Rhythm, Wake, next_wake};

/// How often a ticker whose bar was not there at its close is asked for again, apart from the polls to come.
const LATE_RETRIES: u32 = 3;

/// Between these tries, in market time.
const LATE_PAUSE: Duration = Duration::from_secs(2);

/// Between two backfills when the first could not be finished, in market time.
const BACKFILL_PAUSE: TimeDelta = TimeDelta::minutes(10);

/// First and longest pause in an outage, in market time.
const OUTAGE_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Fetches the missing history once.
///
/// # Errors
/// When the database is lost, or the vendor answered nobody.
pub(crate) async fn backfill_once(mut ingestor: Ingestor) -> anyhow::Result<()> {
    let report = ingestor.backfill().await?;
    log_backfill(&report);
    anyhow::ensure!(
        report.unfinished.is_empty() || report.requests > 0,
        "the vendor answered no request: check the network, TANDEM_VENDOR_ADDRESS and TANDEM_VENDOR_CA, or wait \
         if it limits the requests"
    );
    Ok(())
}

/// Polls until it is dropped.
pub(crate) async fn run(mut ingestor: Ingestor, clock: Clock, settings: IngestSettings) {
    let calendar = calendar::nyse();
    let time = {
        let (now, speed) = (clock.clone(), clock.clone());
        MarketTime::new(move || now.now(), move || speed.speed())
    };
    let mut outage = Outage::default();
    let mut backfill_due = clock.now();
    // Market time of the last poll of all tickers.
    let mut polled = clock.now();
    let mut late: Vec<Ticker> = Vec::new();
    let mut retries = 0;
    loop {
        if backfill_due <= clock.now() {
            match ingestor.backfill().await {
                Ok(report) => {
                    log_backfill(&report);
                    backfill_due = match calendar.next_open(clock.now()) {
                        Some(session)
                            if report.unfinished.is_empty() && report.unknown.is_empty() =>
                        {
                            session.open
                        }
                        _ => clock.now() + BACKFILL_PAUSE,
                    };
                }
                Err(error) => {
                    outage.wait(&time, Some(&error)).await;
                    continue;
                }
            }
        }
        let rhythm = Rhythm::new(settings.grace(), settings.forming_interval_s, clock.speed());
        let Some(wake) = due_wake(polled, clock.now(), rhythm) else {
            tracing::error!(
                "the calendar knows no further session: extend it, see crates/calendar"
            );
            return std::future::pending().await;
        };
        // A closed market is the time to fetch what a backfill had to leave out.
        if backfill_due < wake.at && wake.occasion != Occasion::Close {
            clock.sleep_until(backfill_due).await;
            continue;
        }
        let retry_at = clock.now() + market_span(&time, LATE_PAUSE);
        let result = if !late.is_empty() && retries < LATE_RETRIES && retry_at < wake.at {
            retries += 1;
            clock.sleep_until(retry_at).await;
            ingestor.poll_only(&late).await
        } else {
            if wake.occasion == Occasion::Close {
                retries = 0;
            }
            if wake.at - clock.now() > TimeDelta::minutes(30) {
                tracing::info!(until = %wake.at, "the market is closed until {}", wake.at.format("%Y-%m-%d %H:%M UTC"));
            }
            clock.sleep_until(wake.at).await;
            polled = clock.now();
            match wake.occasion {
                Occasion::Revision { since } => ingestor.refetch(since).await,
                Occasion::Close | Occasion::Forming | Occasion::Late => ingestor.poll().await,
            }
        };
        match result {
            Ok(report) => {
                log_poll(&report, wake, clock.now());
                if report.is_outage() {
                    outage.wait(&time, None).await;
                } else {
                    outage.over();
                }
                late = report.late;
            }
            Err(error) => outage.wait(&time, Some(&error)).await,
        }
    }
}

/// The next poll after the last one. One that is already past is made up for at once, except for forming prices.
fn due_wake(polled: DateTime<Utc>, now: DateTime<Utc>, rhythm: Rhythm) -> Option<Wake> {
    let calendar = calendar::nyse();
    let mut wake = next_wake(calendar, polled, rhythm)?;
    while wake.occasion == Occasion::Forming && wake.at <= now {
        wake = next_wake(calendar, wake.at, rhythm)?;
    }
    Some(wake)
}

/// The market time that passes during a pause, which is never shorter than what does not flood.
fn market_span(time: &MarketTime, pause: Duration) -> TimeDelta {
    TimeDelta::from_std(time.pause(pause).mul_f64(time.speed())).unwrap_or(TimeDelta::MAX)
}

/// Failures in a row of vendor or database.
#[derive(Default)]
struct Outage {
    failures: u32,
}

impl Outage {
    /// Waits longer each time. The vendor's troubles are logged where they happen, `error` is not yet.
    async fn wait(&mut self, time: &MarketTime, error: Option<&IngestError>) {
        let (first, longest) = OUTAGE_PAUSES;
        let pause = time.pause(
            first
                .saturating_mul(1 << self.failures.min(10))
                .min(longest),
        );
        self.failures = self.failures.saturating_add(1);
        if let Some(error) = error {
            let seconds = pause.as_secs_f64();
            tracing::warn!(
                error = error as &dyn Error,
                seconds,
                "bars cannot be stored; trying again in {seconds:.1} s"
            );
        }
        tokio::time::sleep(pause).await;
    }

    fn over(&mut self) {
        if self.failures > 0 {
            tracing::info!(failures = self.failures, "bars are taken in again");
        }
        self.failures = 0;
    }
}

fn log_backfill(report: &BackfillReport) {
    let BackfillReport {
        requests,
        inserted,
        quarantined,
        unknown,
        unfinished,
    } = report;
    let names = |tickers: &[Ticker]| {
        tickers
            .iter()
            .map(Ticker::as_str)
            .collect::<Vec<_>>()
            .join(", ")
    };
    if !unfinished.is_empty() {
        let names = names(unfinished);
        tracing::warn!(
            tickers = names,
            "the history of {names} is incomplete; it is tried again later"
        );
    }
    if *requests > 0 || !unknown.is_empty() {
        tracing::info!(
            requests,
            inserted,
            quarantined,
            unknown = names(unknown),
            "history fetched: {inserted} new bars"
        );
    }
}

fn log_poll(report: &PollReport, wake: Wake, now: DateTime<Utc>) {
    tracing::debug!(
        occasion = ?wake.occasion,
        behind_ms = (now - wake.at).num_milliseconds(),
        requests = report.requests,
        inserted = report.inserted,
        revised = report.revised,
        forming = report.forming,
        failed = report.failures.len(),
        late = report.late.len(),
        "polled"
    );
    if report.quarantined > 0 {
        tracing::warn!(
            rows = report.quarantined,
            "{} rows went into quarantine",
            report.quarantined
        );
    }
}
