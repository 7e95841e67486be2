use std::collections::HashMap;

use calendar::Calendar;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{SettingsSection, Ticker};
use market_data::{
    AlphaVantageClient, Gate, GateClosed, GateLimits, MAX_SPAN, MarketTime, Vendor, VendorError,
    YahooClient,
};
use storage::PgPool;

use crate::{
    IngestError, IngestSettings,
    book::{Book, TickerState},
    round::{Job, POLL_PATIENCE, POLL_TIMEOUT, Source},
    second_source::SecondSource,
};

/// Before the vendor's limit of a week, for the time until a request is sent in a fast replay.
const MARGIN: TimeDelta = TimeDelta::hours(1);

/// Takes the bars of a set of tickers in. Make one for a process: it holds the vendors' rates.
pub struct Ingestor {
    pub(crate) source: Source,
    pub(crate) second: Option<SecondSource>,
    pub(crate) book: Book,
    /// Since when no request was answered, market time, UTC.
    pub(crate) shut_since: Option<DateTime<Utc>>,
}

/// What a poll or a round of backfill did.
#[derive(Debug, Default)]
pub struct PollReport {
    /// Bars not stored before.
    pub inserted: u64,
    /// Bars that the vendor changed.
    pub revised: u64,
    /// Rows put into quarantine that were not there yet.
    pub quarantined: u64,
    /// Forming prices that were passed on.
    pub forming: usize,
    /// Requests sent, and those that were held back.
    pub requests: usize,
    /// Requests that were not sent, because the vendor is left alone for a while.
    pub held_back: usize,
    /// Why and until when it is, if so.
    pub closed: Option<GateClosed>,
    /// What went wrong, by ticker; the next poll tries again.
    pub failures: Vec<(Ticker, VendorError)>,
    /// Tickers whose newest closed minute is not stored yet.
    pub late: Vec<Ticker>,
}

impl PollReport {
    /// Whether not one request was answered: the vendor is away or wants to be left alone.
    pub fn is_outage(&self) -> bool {
        self.requests > 0
            && self.failures.len() + self.held_back == self.requests
            && self.failures.iter().all(|(_, error)| error.is_retryable())
    }

    /// Whether every request was answered, be it by "there is nothing" or "there is no such ticker".
    pub fn is_complete(&self) -> bool {
        let is_answer = |error: &VendorError| {
            matches!(
                error,
                VendorError::UnknownSymbol { .. } | VendorError::Period { .. }
            )
        };
        self.held_back == 0 && self.failures.iter().all(|(_, error)| is_answer(error))
    }
}

impl Ingestor {
    /// Reads where the database stands.
    ///
    /// # Errors
    /// [`IngestError`] for settings that cannot be used or a lost database.
    pub async fn new(
        vendor: YahooClient,
        pool: PgPool,
        calendar: &'static Calendar,
        time: MarketTime,
        settings: IngestSettings,
        tickers: &[Ticker],
    ) -> Result<Self, IngestError> {
        settings.check()?;
        let mut tickers = tickers.to_vec();
        tickers.sort();
        tickers.dedup();
        let limits = GateLimits {
            requests_per_second: settings.requests_per_second,
            burst: tickers.len(),
            concurrency: settings.concurrency,
            ..GateLimits::of(Vendor::Yahoo)
        };
        let tickers = storage::newest_bars(&pool, &tickers, 1)
            .await?
            .into_iter()
            .map(|(ticker, bars)| TickerState::new(ticker, bars.last()))
            .collect();
        Ok(Self {
            source: Source {
                vendor,
                gate: Gate::new(Vendor::Yahoo.name(), time.clone(), limits),
                time,
                calendar,
                settings,
            },
            second: None,
            book: Book {
                pool,
                tickers,
                outage: false,
            },
            shut_since: None,
        })
    }

    /// Adds the vendor that is asked while the first one is away, and about what it does not have.
    #[must_use]
    pub fn with_second_source(mut self, client: AlphaVantageClient) -> Self {
        let settings = &self.source.settings;
        if settings.second_source_daily_requests > 0 {
            self.second = Some(SecondSource::new(
                client,
                self.source.time.clone(),
                settings.second_source_daily_requests,
            ));
        }
        self
    }

    /// Fetches what is new of all tickers, stores the closed bars and passes the forming prices on.
    ///
    /// # Errors
    /// [`IngestError::Storage`]: nothing is lost, the next poll asks for the same bars again.
    pub async fn poll(&mut self) -> Result<PollReport, IngestError> {
        let jobs = self.jobs(|_| true, None);
        self.run(jobs).await
    }

    /// As [`Ingestor::poll`], for some tickers: those whose bar was late.
    ///
    /// # Errors
    /// As [`Ingestor::poll`].
    pub async fn poll_only(&mut self, tickers: &[Ticker]) -> Result<PollReport, IngestError> {
        let jobs = self.jobs(|state| tickers.contains(&state.ticker), None);
        self.run(jobs).await
    }

    /// As [`Ingestor::poll`], with everything since a moment (UTC), at most since a week ago: takes in what the vendor
    /// has revised meanwhile.
    ///
    /// # Errors
    /// As [`Ingestor::poll`].
    pub async fn refetch(&mut self, since: DateTime<Utc>) -> Result<PollReport, IngestError> {
        let jobs = self.jobs(|_| true, Some(since));
        self.run(jobs).await
    }

    fn jobs(
        &self,
        wanted: impl Fn(&TickerState) -> bool,
        since: Option<DateTime<Utc>>,
    ) -> Vec<Job> {
        let now = self.source.time.now();
        let overlap = self.source.settings.overlap();
        let oldest = now - MAX_SPAN + MARGIN;
        let opened = self
            .source
            .calendar
            .session_at(now)
            .map_or(now - TimeDelta::days(1), |session| session.open);
        let states = self.book.tickers.iter().enumerate();
        states
            .filter(|(_, state)| !state.owes_history && state.may_be_known(now) && wanted(state))
            .map(|(place, state)| {
                let next = state.last_start.map_or(opened, |last| last - overlap);
                Job {
                    place,
                    // A clock that was set back must not ask for the future only.
                    start: since.unwrap_or(next).min(now).max(oldest),
                    end: None,
                }
            })
            .collect()
    }

    async fn run(&mut self, jobs: Vec<Job>) -> Result<PollReport, IngestError> {
        let newest = self.source.newest_closed_minute();
        let timeout = self
            .source
            .time
            .pause(POLL_TIMEOUT)
            .max(std::time::Duration::from_secs(1));
        let asked: Vec<usize> = jobs.iter().map(|job| job.place).collect();
        let (mut report, _) = self.round(jobs, timeout, POLL_PATIENCE).await?;
        if let Some(newest) = newest {
            let is_late = |state: &&TickerState| {
                !state.is_unknown() && state.last_start.is_none_or(|last| last < newest)
            };
            let states = asked
                .iter()
                .filter_map(|place| self.book.tickers.get(*place));
            report.late = states
                .filter(is_late)
                .map(|state| state.ticker.clone())
                .collect();
        }
        Ok(report)
    }

    /// All tickers, in order.
    pub fn tickers(&self) -> Vec<Ticker> {
        let states = self.book.tickers.iter();
        states.map(|state| state.ticker.clone()).collect()
    }

    /// Where each ticker stands in the book.
    pub(crate) fn places(&self) -> HashMap<Ticker, usize> {
        let states = self.book.tickers.iter().enumerate();
        states
            .map(|(place, state)| (state.ticker.clone(), place))
            .collect()
    }
}
