use std::{collections::HashMap, error::Error, mem, time::Duration};

use calendar::Calendar;
use chrono::{DateTime, DurationRound, TimeDelta, Utc};
use domain::{BAR_SECONDS, Price, Ticker};
use futures_util::{StreamExt, stream::FuturesUnordered};
use market_data::{FetchedBars, MAX_SPAN, MinuteRequest, VendorError, YahooClient};
use storage::{FormingPrice, PgPool, RefusedRow, VendorBar};

use crate::{IngestError, IngestSettings, MarketTime, pace::Pace, steps::StepGuard};

/// Vendor of the bars, as stored with them.
const SOURCE: &str = "yahoo";

/// How long a poll waits for the slower answers once the first is there, in real time. Then the others are stored.
const POLL_PATIENCE: Duration = Duration::from_millis(400);

/// How long an unknown symbol is left alone, in market time: it may be a hiccup of the vendor's.
const UNKNOWN_PAUSE: TimeDelta = TimeDelta::hours(1);

/// How long one answer may take in a poll, in market time: in a fast replay the next minute does not wait for it.
const POLL_TIMEOUT: Duration = Duration::from_secs(30);

/// Takes the bars of a set of tickers in. Make one for a process: it holds the vendor's rate.
pub struct Ingestor {
    pub(crate) source: Source,
    pub(crate) book: Book,
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
    /// Requests sent.
    pub requests: usize,
    /// What went wrong, by ticker; the next poll tries again.
    pub failures: Vec<(Ticker, VendorError)>,
    /// Tickers whose newest closed minute is not stored yet.
    pub late: Vec<Ticker>,
}

impl PollReport {
    /// Whether not one of several requests was answered: the vendor is away or wants to be left alone.
    pub fn is_outage(&self) -> bool {
        self.requests > 0
            && self.failures.len() == self.requests
            && self.failures.iter().all(|(_, error)| error.is_retryable())
    }
}

/// Where bars come from.
pub(crate) struct Source {
    vendor: YahooClient,
    pace: Pace,
    pub(crate) time: MarketTime,
    pub(crate) calendar: &'static Calendar,
    pub(crate) settings: IngestSettings,
}

/// Where bars go to, and what is known of each ticker.
pub(crate) struct Book {
    pool: PgPool,
    pub(crate) tickers: Vec<TickerState>,
    /// Whether the last round met with silence only, so that an outage is logged once.
    outage: bool,
}

pub(crate) struct TickerState {
    pub(crate) ticker: Ticker,
    /// Start of the last stored bar, UTC.
    pub(crate) last_start: Option<DateTime<Utc>>,
    steps: StepGuard,
    forming: Option<Price>,
    unknown_until: Option<DateTime<Utc>>,
    /// The last backfill left sessions out. Polls pass it over: bars of today would hide the hole for good.
    pub(crate) owes_history: bool,
    /// The last trouble that was logged.
    complaint: Option<String>,
}

/// One request of a round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    /// Place of the ticker in [`Book::tickers`].
    pub(crate) place: usize,
    pub(crate) start: DateTime<Utc>,
    /// `None` for now and a little ahead, so that the forming price comes along.
    pub(crate) end: Option<DateTime<Utc>>,
}

/// What came of a job.
pub(crate) struct Outcome {
    pub(crate) job: Job,
    /// Market time just before the request, UTC.
    as_of: DateTime<Utc>,
    pub(crate) result: Result<FetchedBars, VendorError>,
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
        let pace = Pace::new(
            time.clone(),
            settings.requests_per_second,
            tickers.len(),
            settings.concurrency,
        );
        let tickers = storage::newest_bars(&pool, &tickers, 1)
            .await?
            .into_iter()
            .map(|(ticker, bars)| TickerState {
                ticker,
                last_start: bars.last().map(|bar| bar.start),
                steps: bars.last().map(StepGuard::at).unwrap_or_default(),
                forming: None,
                unknown_until: None,
                owes_history: false,
                complaint: None,
            })
            .collect();
        Ok(Self {
            source: Source {
                vendor,
                pace,
                time,
                calendar,
                settings,
            },
            book: Book {
                pool,
                tickers,
                outage: false,
            },
        })
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

    /// As [`Ingestor::poll`], with everything since a moment (UTC, at most a week ago): takes in what the vendor has
    /// revised meanwhile.
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
        let overlap = TimeDelta::minutes(i64::from(self.source.settings.overlap_minutes));
        // An hour less than the vendor allows, for the time until the request is sent in a fast replay.
        let oldest = now - MAX_SPAN + TimeDelta::hours(1);
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
                    start: since.unwrap_or(next).max(oldest),
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
            .max(Duration::from_secs(1));
        let asked: Vec<usize> = jobs.iter().map(|job| job.place).collect();
        let (mut report, _) = self.round(jobs, timeout, POLL_PATIENCE).await?;
        if let Some(newest) = newest {
            let is_late = |state: &&TickerState| {
                state.unknown_until.is_none() && state.last_start.is_none_or(|last| last < newest)
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

    /// Sends the jobs and stores what comes back, together unless somebody keeps the others waiting longer than
    /// `patience` (real time). Returns the failed jobs in `report.failures` and by place.
    pub(crate) async fn round(
        &mut self,
        jobs: Vec<Job>,
        timeout: Duration,
        patience: Duration,
    ) -> Result<(PollReport, HashMap<usize, Failure>), IngestError> {
        let Self { source, book } = self;
        let mut report = PollReport {
            requests: jobs.len(),
            ..PollReport::default()
        };
        let mut failed = HashMap::new();
        let tickers: Vec<Ticker> = book
            .tickers
            .iter()
            .map(|state| state.ticker.clone())
            .collect();
        let mut requests: FuturesUnordered<_> = jobs
            .into_iter()
            .filter_map(|job| Some(source.fetch(job, tickers.get(job.place)?, timeout)))
            .collect();
        let mut arrived = Vec::new();
        let mut store_at = tokio::time::Instant::now();
        while !requests.is_empty() {
            let next = if arrived.is_empty() {
                let next = requests.next().await;
                store_at = tokio::time::Instant::now() + patience;
                next
            } else {
                match tokio::time::timeout_at(store_at, requests.next()).await {
                    Ok(next) => next,
                    Err(_) => {
                        book.store(mem::take(&mut arrived), &mut report, &mut failed)
                            .await?;
                        continue;
                    }
                }
            };
            arrived.extend(next);
        }
        book.store(arrived, &mut report, &mut failed).await?;
        book.log(&report);
        Ok((report, failed))
    }
}

/// Whether a failed job is worth another try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It may succeed later.
    Passing,
    /// The vendor has nothing for this period.
    NothingThere,
    /// It will not succeed.
    Lasting,
}

impl Source {
    async fn fetch(&self, job: Job, ticker: &Ticker, timeout: Duration) -> Outcome {
        let _turn = self.pace.turn().await;
        // Before the request: what the vendor sends later may not count as closed earlier.
        let as_of = self.time.now();
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
                ticker: ticker.clone(),
            })
        });
        match result.as_ref().err().map(VendorError::retry_after) {
            Some(Some(after)) => {
                if let Some(pause) = self.pace.limited(after) {
                    let seconds = pause.as_secs_f64();
                    tracing::warn!(
                        seconds,
                        "the vendor limits our requests: all of them wait {seconds:.1} s"
                    );
                }
            }
            Some(None) => (),
            None => self.pace.answered(),
        }
        Outcome { job, as_of, result }
    }

    /// Start of the last minute of a regular session that is closed by now, UTC; `None` outside sessions.
    fn newest_closed_minute(&self) -> Option<DateTime<Utc>> {
        let minute = TimeDelta::seconds(BAR_SECONDS);
        let start = (self.time.now() - self.settings.grace())
            .duration_trunc(minute)
            .ok()?
            - minute;
        self.calendar.session_at(start).map(|_| start)
    }
}

impl Book {
    /// Checks what arrived and stores the closed bars in one transaction. What is known of the tickers changes only
    /// when that succeeded.
    async fn store(
        &mut self,
        arrived: Vec<Outcome>,
        report: &mut PollReport,
        failed: &mut HashMap<usize, Failure>,
    ) -> Result<(), IngestError> {
        let Some(seen_at) = arrived.iter().map(|outcome| outcome.as_of).max() else {
            return Ok(());
        };
        let (mut bars, mut refused, mut forming, mut last_starts) =
            (vec![], vec![], vec![], vec![]);
        for Outcome { job, as_of, result } in arrived {
            let Some(state) = self.tickers.get_mut(job.place) else {
                continue;
            };
            let fetched = match result {
                Ok(fetched) => fetched,
                Err(error) => {
                    failed.insert(job.place, state.note(&error, as_of));
                    // A period without trades is an answer.
                    if !matches!(error, VendorError::NoData { .. }) {
                        report.failures.push((state.ticker.clone(), error));
                    }
                    continue;
                }
            };
            state.answered();
            for rejected in &fetched.rejected {
                let payload = serde_json::to_value(rejected.row).unwrap_or_default();
                refused.push(state.refuse(rejected.row.time, rejected.fault.to_string(), payload));
            }
            for bar in fetched.closed {
                match state.steps.check(&bar, &fetched.splits) {
                    Ok(()) => {
                        last_starts.push((job.place, bar.start));
                        bars.push(VendorBar {
                            ticker: state.ticker.clone(),
                            bar,
                            source: SOURCE,
                            fetched_at: as_of,
                        });
                    }
                    Err(step) => {
                        let payload =
                            serde_json::json!({ "bar": bar, "previous_close": step.from });
                        refused.push(state.refuse(bar.start, step.to_string(), payload));
                    }
                }
            }
            if let Some(trade) = fetched
                .forming
                .filter(|trade| state.forming != Some(trade.price))
            {
                state.forming = Some(trade.price);
                forming.push(FormingPrice {
                    ticker: state.ticker.clone(),
                    time: trade.time,
                    price: trade.price,
                });
            }
        }
        // The bars first: others wait for them.
        if !bars.is_empty() {
            let counts = storage::upsert_bars(&self.pool, &bars).await?;
            report.inserted += counts.inserted;
            report.revised += counts.revised;
            tracing::debug!(
                inserted = counts.inserted,
                revised = counts.revised,
                unchanged = counts.unchanged,
                "stored bars"
            );
        }
        for (place, start) in last_starts {
            if let Some(state) = self.tickers.get_mut(place) {
                state.last_start = state.last_start.max(Some(start));
            }
        }
        if !forming.is_empty() {
            storage::notify_forming_prices(&self.pool, &forming).await?;
            report.forming += forming.len();
        }
        if !refused.is_empty() {
            report.quarantined += storage::quarantine(&self.pool, &refused, seen_at).await?;
        }
        Ok(())
    }

    /// Logs what went wrong when it is new: an outage once, else each ticker's trouble once.
    fn log(&mut self, report: &PollReport) {
        if report.requests == 0 {
            return;
        }
        let outage = report.is_outage();
        if outage && !self.outage {
            let first = report
                .failures
                .first()
                .map(|(_, error)| error as &dyn Error);
            tracing::warn!(
                error = first,
                requests = report.requests,
                "the vendor answers no request; going on trying"
            );
        } else if self.outage && !outage {
            tracing::info!("the vendor answers again");
        }
        self.outage = outage;
        if outage {
            return;
        }
        for (ticker, error) in &report.failures {
            let Some(state) = self
                .tickers
                .iter_mut()
                .find(|state| state.ticker == *ticker)
            else {
                continue;
            };
            let complaint = error.to_string();
            if state.complaint.as_ref() == Some(&complaint) {
                continue;
            }
            let (symbol, cause) = (ticker.as_str(), error.source());
            if error.is_retryable() {
                tracing::warn!(
                    instrument.symbol = symbol,
                    cause,
                    "{complaint}; going on trying"
                );
            } else {
                tracing::error!(
                    instrument.symbol = symbol,
                    cause,
                    "{complaint}; the other tickers go on"
                );
            }
            state.complaint = Some(complaint);
        }
    }
}

impl TickerState {
    /// Notes why the vendor gave nothing.
    fn note(&mut self, error: &VendorError, as_of: DateTime<Utc>) -> Failure {
        match error {
            // Older than what the vendor keeps: nothing will ever be there.
            VendorError::NoData { .. } | VendorError::Period { .. } => Failure::NothingThere,
            VendorError::UnknownSymbol { .. } => {
                self.unknown_until = Some(as_of + UNKNOWN_PAUSE);
                Failure::Lasting
            }
            _ if error.is_retryable() => Failure::Passing,
            _ => Failure::Lasting,
        }
    }

    /// Whether it is worth asking for: the vendor may have been wrong about a ticker it does not know.
    pub(crate) fn may_be_known(&self, now: DateTime<Utc>) -> bool {
        self.unknown_until.is_none_or(|until| until <= now)
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.unknown_until.is_some()
    }

    fn answered(&mut self) {
        self.unknown_until = None;
        if self.complaint.take().is_some() {
            tracing::info!(
                instrument.symbol = self.ticker.as_str(),
                "{} is answered again",
                self.ticker
            );
        }
    }

    fn refuse(
        &self,
        event_time: DateTime<Utc>,
        reason: String,
        payload: serde_json::Value,
    ) -> RefusedRow {
        let ticker = self.ticker.clone();
        tracing::debug!(instrument.symbol = ticker.as_str(), %event_time, reason, "quarantined a row of {ticker}");
        RefusedRow {
            source: SOURCE,
            ticker,
            event_time: Some(event_time),
            reason,
            payload,
        }
    }
}
