//! Backfill, polls while the market is open, a review after each session, for as long as the process lives.

use std::{collections::BTreeMap, error::Error, time::Duration};

use calendar::Session;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::Ticker;
use ingestion::{
    BackfillReport, IngestError, IngestSettings, Ingestor, MarketTime, PollReport, QualitySettings,
    ReviewReport,
};
use service_kit::{Clock, Passing};
use storage::{PgPool, PipelineState, record_step_ticker};

use crate::{
    live::LiveFeed,
    schedule::{Occasion, Rhythm, Wake, last_reviewable, next_wake},
};

/// Name of the night's step that a review is.
pub(crate) const STEP: &str = "gaps";

/// How often a ticker whose bar was not there at its close is asked for again, apart from the polls to come.
const LATE_RETRIES: u32 = 3;

/// Between these tries, in market time.
const LATE_PAUSE: Duration = Duration::from_secs(2);

/// Between two backfills or reviews when the first could not be finished, in market time.
const RETRY_PAUSE: TimeDelta = TimeDelta::minutes(10);

/// How long after the start the sessions before are looked at: the minute under way comes first. In market time.
const REVIEW_AT_START: TimeDelta = TimeDelta::minutes(1);

/// First and longest pause in an outage, in market time.
const OUTAGE_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A clock that is this much behind where it was has been set back.
const SET_BACK: TimeDelta = TimeDelta::seconds(2);

/// How to fetch, and where the forming prices come from meanwhile.
pub(crate) struct Polling {
    pub(crate) clock: Clock,
    pub(crate) time: MarketTime,
    pub(crate) settings: IngestSettings,
    pub(crate) quality: QualitySettings,
    pub(crate) feed: LiveFeed,
}

/// Fetches the missing history once. With `review`, also looks at the sessions that are over, gaps included, and tells
/// the night how each of `tickers` fared.
///
/// # Errors
/// When the database is lost, or the vendor answered nobody; with `review` also when it left one ticker unanswered.
/// What the vendor did not answer may pass.
pub(crate) async fn once(
    mut ingestor: Ingestor,
    polling: &Polling,
    pool: &PgPool,
    tickers: &[Ticker],
    review: bool,
) -> anyhow::Result<()> {
    let history = ingestor.backfill().await?;
    log_backfill(&history);
    if !history.unfinished.is_empty() && history.requests == 0 {
        return Err(Passing(
            "the vendor answered no request: check the network, TANDEM_VENDOR_ADDRESS and TANDEM_VENDOR_CA, or wait \
             if it limits the requests"
                .to_owned(),
        )
        .into());
    }
    if !review {
        return Ok(());
    }
    let report = ingestor.review(&polling.quality).await?;
    log_review(&report);
    let failures = failures(&history, &report);
    if let Some(run_id) = service_kit::run_id() {
        let now = polling.clock.now();
        for ticker in tickers {
            let (state, message) = match failures.get(ticker) {
                Some(message) => (PipelineState::Failed, message.as_str()),
                None => (PipelineState::Success, ""),
            };
            record_step_ticker(pool, run_id, STEP, ticker, state, message, now).await?;
        }
    }
    if !history.unfinished.is_empty() || !report.is_complete() {
        return Err(Passing("the vendor did not answer for all tickers".to_owned()).into());
    }
    Ok(())
}

/// What went wrong, by ticker.
fn failures(history: &BackfillReport, review: &ReviewReport) -> BTreeMap<Ticker, String> {
    let mut failures: BTreeMap<Ticker, String> = review
        .refetched
        .failures
        .iter()
        .map(|(ticker, error)| (ticker.clone(), error.to_string()))
        .collect();
    for (tickers, message) in [
        (
            &history.unfinished,
            "its history is incomplete: the vendor did not answer",
        ),
        (&history.unknown, "the vendor does not know it"),
    ] {
        for ticker in tickers {
            failures.insert(ticker.clone(), message.to_owned());
        }
    }
    failures
}

/// What is to be done besides the polls, and when: market time, UTC.
struct Duties {
    backfill: DateTime<Utc>,
    /// The session that the last complete review was for.
    reviewed: Option<NaiveDate>,
    /// A review that could not be finished is not tried again before.
    review_not_before: DateTime<Utc>,
}

/// Polls until it is dropped.
pub(crate) async fn run(mut ingestor: Ingestor, polling: Polling) {
    let Polling { clock, time, .. } = &polling;
    let mut outage = Outage::default();
    let mut duties = Duties::at(clock.now());
    let mut seen = clock.now();
    // Market time of the last poll of all tickers.
    let mut polled = clock.now();
    let mut late: Vec<Ticker> = Vec::new();
    let mut retries = 0;
    loop {
        let now = clock.now();
        if now < seen - SET_BACK {
            tracing::warn!(%now, %seen, "the clock was set back");
            polled = polled.min(now);
            // What was done at a time that was none is done again.
            duties = Duties::at(now);
        }
        seen = now;
        if let Err(error) = duties.attend(&mut ingestor, &polling).await {
            outage.wait(time, Some(&error)).await;
            continue;
        }
        let forming = if polling.feed.is_live(time) {
            0
        } else {
            polling.settings.forming_interval_s
        };
        let rhythm = Rhythm::new(polling.settings.grace(), forming, clock.speed());
        let Some(wake) = due_wake(polled, clock.now(), rhythm) else {
            tracing::error!(
                "the calendar knows no further session: extend it, see crates/calendar"
            );
            return std::future::pending().await;
        };
        // A closed market is the time to fetch what had to be left out.
        if let Some(duty) = duties.next(clock.now(), rhythm.grace)
            && duty < wake.at
            && wake.occasion != Occasion::Close
        {
            sleep_until(clock, duty).await;
            continue;
        }
        let retry_at = clock.now() + market_span(time, LATE_PAUSE);
        let result = if !late.is_empty() && retries < LATE_RETRIES && retry_at < wake.at {
            retries += 1;
            sleep_until(clock, retry_at).await;
            ingestor.poll_only(&late).await
        } else {
            if wake.occasion == Occasion::Close {
                retries = 0;
            }
            if wake.at - clock.now() > TimeDelta::minutes(30) {
                tracing::info!(until = %wake.at, "the market is closed until {}", wake.at.format("%Y-%m-%d %H:%M UTC"));
            }
            if !sleep_until(clock, wake.at).await {
                continue;
            }
            polled = clock.now();
            ingestor.poll().await
        };
        match result {
            Ok(report) => {
                log_poll(&report, wake, clock.now());
                if report.is_outage() {
                    if let Err(error) = ingestor.stand_in().await {
                        outage.wait(time, Some(&error)).await;
                        continue;
                    }
                    outage.wait(time, None).await;
                } else {
                    outage.over();
                }
                late = report.late;
            }
            Err(error) => outage.wait(time, Some(&error)).await,
        }
    }
}

impl Duties {
    /// Everything, the history at once.
    fn at(now: DateTime<Utc>) -> Self {
        Self {
            backfill: now,
            reviewed: None,
            review_not_before: now + REVIEW_AT_START,
        }
    }

    /// Does what is due: history first, since gaps and volumes rest on it.
    async fn attend(
        &mut self,
        ingestor: &mut Ingestor,
        polling: &Polling,
    ) -> Result<(), IngestError> {
        let calendar = calendar::nyse();
        let Polling { clock, .. } = polling;
        if self.backfill <= clock.now() {
            let report = ingestor.backfill().await?;
            log_backfill(&report);
            let is_done = report.unfinished.is_empty() && report.unknown.is_empty();
            self.backfill = match calendar.next_open(clock.now()) {
                Some(session) if is_done => session.open,
                _ => clock.now() + RETRY_PAUSE,
            };
        }
        if let Some(session) = self.reviewable(clock.now(), polling.settings.grace()) {
            let report = ingestor.review(&polling.quality).await?;
            log_review(&report);
            if report.is_complete() {
                self.reviewed = Some(session.date);
            } else {
                self.review_not_before = clock.now() + RETRY_PAUSE;
            }
        }
        Ok(())
    }

    /// The session to be reviewed now.
    fn reviewable(&self, now: DateTime<Utc>, grace: TimeDelta) -> Option<Session> {
        // Not "later than": a clock that was ahead for a while must not leave a session out.
        last_reviewable(calendar::nyse(), now, grace)
            .filter(|session| self.reviewed != Some(session.date) && self.review_not_before <= now)
    }

    /// When the next duty that could not be finished is tried again.
    fn next(&self, now: DateTime<Utc>, grace: TimeDelta) -> Option<DateTime<Utc>> {
        let owes_review = last_reviewable(calendar::nyse(), now, grace)
            .is_some_and(|session| self.reviewed != Some(session.date));
        let review = owes_review.then_some(self.review_not_before);
        [Some(self.backfill), review].into_iter().flatten().min()
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

/// Waits for a market time; false when the clock was set back meanwhile, so that the wait would have been for nothing.
async fn sleep_until(clock: &Clock, time: DateTime<Utc>) -> bool {
    let mut before = clock.now();
    while before < time {
        let nap = TimeDelta::from_std(Duration::from_secs(1).mul_f64(clock.speed()))
            .unwrap_or(TimeDelta::seconds(1));
        clock.sleep_until(time.min(before + nap)).await;
        let now = clock.now();
        if now < before - SET_BACK {
            return false;
        }
        before = now;
    }
    true
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

fn log_review(report: &ReviewReport) {
    let ReviewReport {
        refetched,
        gaps,
        findings,
    } = report;
    tracing::info!(
        inserted = refetched.inserted,
        revised = refetched.revised,
        gaps.found,
        gaps.filled,
        gaps.given_up,
        gaps.open,
        findings,
        "sessions reviewed: {} late and {} revised bars, {} gaps open",
        refetched.inserted,
        refetched.revised,
        gaps.open
    );
}

fn log_poll(report: &PollReport, wake: Wake, now: DateTime<Utc>) {
    tracing::debug!(
        occasion = ?wake.occasion,
        behind_ms = (now - wake.at).num_milliseconds(),
        requests = report.requests,
        held_back = report.held_back,
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
