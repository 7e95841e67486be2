//! Where bars go to, and what is known of each ticker.

use std::{collections::HashMap, error::Error};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Bar, Price, Ticker};
use market_data::{FetchedBars, Split, VendorError};
use storage::{FormingPrice, PgPool, RefusedRow, VendorBar};

use crate::{
    IngestError, PollReport,
    round::{Failure, NotFetched, Outcome},
    steps::{Step, StepGuard},
};

/// The vendor of all bars but those of the second source, as stored with them.
const SOURCE: &str = "yahoo";

/// How long an unknown symbol is left alone, in market time: it may be a hiccup of the vendor's.
const UNKNOWN_PAUSE: TimeDelta = TimeDelta::hours(1);

pub(crate) struct Book {
    pub(crate) pool: PgPool,
    pub(crate) tickers: Vec<TickerState>,
    /// Whether the last round met with silence only, so that an outage is logged once.
    pub(crate) outage: bool,
}

pub(crate) struct TickerState {
    pub(crate) ticker: Ticker,
    /// Start of the last bar that Yahoo sent (at first: of the last stored one), UTC.
    pub(crate) last_start: Option<DateTime<Utc>>,
    pub(crate) steps: StepGuard,
    forming: Option<Price>,
    unknown_until: Option<DateTime<Utc>>,
    /// The last backfill left sessions out. Polls pass it over: bars of today would hide the hole for good.
    pub(crate) owes_history: bool,
    /// The last trouble that was logged.
    complaint: Option<String>,
}

/// What of an answer goes where.
#[derive(Default)]
struct Sorted {
    bars: Vec<VendorBar>,
    refused: Vec<RefusedRow>,
    forming: Vec<FormingPrice>,
    /// By place.
    last_starts: Vec<(usize, DateTime<Utc>)>,
}

impl Book {
    /// Checks what arrived and stores the closed bars in one transaction. What is known of the tickers changes only
    /// when that succeeded.
    pub(crate) async fn store(
        &mut self,
        arrived: Vec<Outcome>,
        report: &mut PollReport,
        failed: &mut HashMap<usize, Failure>,
    ) -> Result<(), IngestError> {
        let Some(seen_at) = arrived.iter().map(|outcome| outcome.as_of).max() else {
            return Ok(());
        };
        let mut sorted = Sorted::default();
        for Outcome {
            place,
            as_of,
            result,
        } in arrived
        {
            let Some(state) = self.tickers.get_mut(place) else {
                continue;
            };
            match result {
                Ok(fetched) => state.sort(place, as_of, fetched, &mut sorted),
                Err(NotFetched::HeldBack(closed)) => {
                    failed.insert(place, Failure::HeldBack(closed.until));
                    report.held_back += 1;
                    report.closed = Some(closed);
                }
                Err(NotFetched::Failed(error)) => {
                    failed.insert(place, state.note(&error, as_of));
                    // A period without trades is an answer.
                    if !matches!(error, VendorError::NoData { .. }) {
                        report.failures.push((state.ticker.clone(), error));
                    }
                }
            }
        }
        let Sorted {
            bars,
            refused,
            forming,
            last_starts,
        } = sorted;
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
    pub(crate) fn log(&mut self, report: &PollReport) {
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
    /// As the database has it: with the last stored bar.
    pub(crate) fn new(ticker: Ticker, last: Option<&Bar>) -> Self {
        Self {
            ticker,
            last_start: last.map(|bar| bar.start),
            steps: last.map(StepGuard::at).unwrap_or_default(),
            forming: None,
            unknown_until: None,
            owes_history: false,
            complaint: None,
        }
    }

    /// Sorts an answer into what is stored, refused and shown.
    fn sort(
        &mut self,
        place: usize,
        as_of: DateTime<Utc>,
        fetched: FetchedBars,
        into: &mut Sorted,
    ) {
        self.answered();
        for rejected in &fetched.rejected {
            let payload = serde_json::to_value(rejected.row).unwrap_or_default();
            let reason = rejected.fault.to_string();
            let row = refused(SOURCE, &self.ticker, rejected.row.time, reason, payload);
            into.refused.push(row);
        }
        let splits = fetched.splits;
        let judged = self.steps.judge(fetched.closed, &splits);
        for (bar, step) in judged.refused {
            into.refused.push(step.refuse(SOURCE, &self.ticker, &bar));
        }
        if let Some(last) = judged.accepted.last() {
            into.last_starts.push((place, last.start));
        }
        into.bars
            .extend(judged.accepted.into_iter().map(|bar| VendorBar {
                ticker: self.ticker.clone(),
                bar,
                source: SOURCE,
                fetched_at: carried_until(&bar, as_of, &splits),
            }));
        if let Some(trade) = fetched
            .forming
            .filter(|trade| self.forming != Some(trade.price))
        {
            self.forming = Some(trade.price);
            into.forming.push(FormingPrice {
                ticker: self.ticker.clone(),
                time: trade.time,
                price: trade.price,
            });
        }
    }

    /// Notes why the vendor gave nothing.
    fn note(&mut self, error: &VendorError, as_of: DateTime<Utc>) -> Failure {
        match error {
            // Older than what the vendor keeps: nothing will ever be there.
            VendorError::NoData { .. } | VendorError::Period { .. } => Failure::NothingThere,
            VendorError::UnknownSymbol { .. } => {
                self.unknown_until = Some(as_of + UNKNOWN_PAUSE);
                Failure::Lasting
            }
            // An odd answer, such as a coarser interval, may well be a right one the next time.
            _ => Failure::Passing,
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
}

/// The time up to which a bar carries all splits. Yahoo restates its history on the morning of an ex-date, and reports the
/// split from then on: before the open that is later than the fetch.
fn carried_until(bar: &Bar, as_of: DateTime<Utc>, splits: &[Split]) -> DateTime<Utc> {
    let after = splits.iter().map(|split| split.effective);
    let last = after.filter(|effective| *effective > bar.start).max();
    as_of.max(last.unwrap_or(as_of))
}

impl Step {
    /// The bar as a row for the quarantine.
    pub(crate) fn refuse(&self, source: &'static str, ticker: &Ticker, bar: &Bar) -> RefusedRow {
        let payload = serde_json::json!({ "bar": bar, "previous_close": self.from });
        refused(source, ticker, bar.start, self.to_string(), payload)
    }
}

pub(crate) fn refused(
    source: &'static str,
    ticker: &Ticker,
    event_time: DateTime<Utc>,
    reason: String,
    payload: serde_json::Value,
) -> RefusedRow {
    tracing::debug!(
        instrument.symbol = ticker.as_str(),
        %event_time,
        reason,
        "quarantined a row of {ticker}"
    );
    RefusedRow {
        source,
        ticker: ticker.clone(),
        event_time: Some(event_time),
        reason,
        payload,
    }
}
