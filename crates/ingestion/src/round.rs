//! Requests to the vendor, many at a time.

use std::{collections::HashMap, mem, time::Duration};

use calendar::Calendar;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::{BAR_SECONDS, Ticker};
use futures_util::{StreamExt, stream::FuturesUnordered};
use market_data::{
    Asked, FetchedBars, Gate, GateClosed, MAX_AGE, MarketTime, MinuteRequest, Vendor, VendorError,
    YahooClient,
};

use crate::{IngestError, IngestSettings, Ingestor, PollReport};

/// How long a poll waits for the slower answers once the first is there, in real time. Then the others are stored.
pub(crate) const POLL_PATIENCE: Duration = Duration::from_millis(400);

/// How long one answer may take in a poll, in market time: in a fast replay the next minute does not wait for it.
pub(crate) const POLL_TIMEOUT: Duration = Duration::from_secs(30);

/// Actions that took effect longer ago than this lie before every bar that the vendor has.
const ACTIONS_REACH: TimeDelta = TimeDelta::days(MAX_AGE.num_days() + 1);

/// Where bars come from.
pub(crate) struct Source {
    pub(crate) vendor: YahooClient,
    pub(crate) gate: Gate,
    pub(crate) time: MarketTime,
    pub(crate) calendar: &'static Calendar,
    pub(crate) settings: IngestSettings,
}

/// One request of a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    /// Place of the ticker in the book.
    pub(crate) place: usize,
    pub(crate) start: DateTime<Utc>,
    /// `None` for now and a little ahead, so that the forming price comes along.
    pub(crate) end: Option<DateTime<Utc>>,
}

/// What came of a job.
pub(crate) struct Outcome {
    pub(crate) place: usize,
    /// Market time just before the request, UTC.
    pub(crate) as_of: DateTime<Utc>,
    pub(crate) result: Result<FetchedBars, NotFetched>,
}

/// Why a job brought nothing.
#[derive(Debug)]
pub(crate) enum NotFetched {
    /// The vendor's answer, or that there was none.
    Failed(VendorError),
    /// It was not asked.
    HeldBack(GateClosed),
}

/// Whether a failed job is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may succeed later.
    Passing,
    /// The vendor is left alone until then, market time, UTC.
    HeldBack(DateTime<Utc>),
    /// The vendor says that it has nothing for this period.
    NothingThere,
    /// It will not succeed.
    Lasting,
}

impl Ingestor {
    /// Sends the jobs and stores what comes back, together unless somebody keeps the others waiting longer than
    /// `patience` (real time). Returns the failed jobs in the report and by place.
    pub(crate) async fn round(
        &mut self,
        jobs: Vec<Job>,
        timeout: Duration,
        patience: Duration,
    ) -> Result<(PollReport, HashMap<usize, Failure>), IngestError> {
        let Self { source, book, .. } = self;
        let mut report = PollReport {
            requests: jobs.len(),
            ..PollReport::default()
        };
        let mut failed = HashMap::new();
        if jobs.is_empty() {
            return Ok((report, failed));
        }
        let tickers: Vec<Ticker> = book
            .tickers
            .iter()
            .map(|state| state.ticker.clone())
            .collect();
        let mut requests: FuturesUnordered<_> = jobs
            .into_iter()
            .filter_map(|job| Some(source.fetch(job, tickers.get(job.place)?, timeout)))
            .collect();
        // Actions are read while the vendor thinks.
        let since = source.time.now() - ACTIONS_REACH;
        let (first, known) = tokio::join!(
            requests.next(),
            storage::actions_since(&book.pool, &tickers, since)
        );
        let known = known?;
        let mut arrived: Vec<Outcome> = first.into_iter().collect();
        let mut store_at = tokio::time::Instant::now() + patience;
        while !requests.is_empty() {
            let next = if arrived.is_empty() {
                let next = requests.next().await;
                store_at = tokio::time::Instant::now() + patience;
                next
            } else {
                match tokio::time::timeout_at(store_at, requests.next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        book.store(mem::take(&mut arrived), &known, &mut report, &mut failed)
                            .await?;
                        continue;
                    }
                }
            };
            arrived.extend(next);
        }
        drop(requests);
        book.store(arrived, &known, &mut report, &mut failed)
            .await?;
        book.log(&report);
        if report.is_outage() {
            self.shut_since = self.shut_since.or(Some(self.source.time.now()));
        } else if report.requests > 0 {
            self.shut_since = None;
        }
        Ok((report, failed))
    }
}

impl Source {
    async fn fetch(&self, job: Job, ticker: &Ticker, timeout: Duration) -> Outcome {
        let turn = self.gate.turn().await;
        // Before the request: what the vendor sends later may not count as closed earlier.
        let as_of = self.time.now();
        let result = match turn {
            Err(closed) => Err(NotFetched::HeldBack(closed)),
            Ok(_turn) => self.ask(job, ticker, as_of, timeout).await,
        };
        Outcome {
            place: job.place,
            as_of,
            result,
        }
    }

    async fn ask(
        &self,
        job: Job,
        ticker: &Ticker,
        as_of: DateTime<Utc>,
        timeout: Duration,
    ) -> Result<FetchedBars, NotFetched> {
        let request = MinuteRequest {
            ticker: ticker.clone(),
            start: job.start,
            end: job.end.unwrap_or(as_of + TimeDelta::seconds(BAR_SECONDS)),
            as_of,
            grace: self.settings.grace(),
        };
        let answer =
            tokio::time::timeout(timeout, self.vendor.minute_bars(&request, self.calendar)).await;
        let result = answer.unwrap_or_else(|_| {
            Err(VendorError::Timeout {
                asked: Asked::new(Vendor::Yahoo, ticker),
            })
        });
        if let (Some(pause), Err(error)) = (self.gate.note(&result), &result) {
            let seconds = pause.as_secs_f64();
            tracing::warn!(seconds, "{error}: Yahoo is left alone for {seconds:.1} s");
        }
        result.map_err(NotFetched::Failed)
    }

    /// Start of the last minute of a regular session that is closed by now, UTC; `None` outside sessions.
    pub(crate) fn newest_closed_minute(&self) -> Option<DateTime<Utc>> {
        let minute = TimeDelta::seconds(BAR_SECONDS);
        let start = (self.time.now() - self.settings.grace())
            .duration_trunc(minute)
            .ok()?
            - minute;
        self.calendar.session_at(start).map(|_| start)
    }
}
