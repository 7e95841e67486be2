//! Where bars go to, and what is known of each ticker.

use std::{
    collections::{BTreeSet, HashMap},
    error::Error,
};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::America::New_York;
use domain::{Bar, CorporateAction, Price, Ticker};
use market_data::{FetchedBars, VendorError};
use storage::{
    Finding, FormingPrice, PgPool, PgTransaction, RefusedRow, SoundCheck, StoredAction, VendorBar,
};

use crate::{
    IngestError, PollReport,
    basis::{Answer, brought_to, place},
    corporate_actions::{SHARE_BASIS, Settled, ex_date, not_applied_once, not_in_prices, settle},
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
    /// Actions that have come into effect, with the time of the answer that told of them.
    actions: Vec<(DateTime<Utc>, Vec<CorporateAction>)>,
    findings: Vec<Finding>,
    sound: Vec<SoundCheck>,
    /// By place.
    last_starts: Vec<(usize, DateTime<Utc>)>,
}

impl Book {
    /// Checks what arrived and stores it in one transaction: closed bars, and the actions that came into effect with them.
    /// What is known of the tickers changes only when that succeeded. `known` are the tickers' actions of late.
    pub(crate) async fn store(
        &mut self,
        arrived: Vec<Outcome>,
        known: &[StoredAction],
        report: &mut PollReport,
        failed: &mut HashMap<usize, Failure>,
    ) -> Result<(), IngestError> {
        let Some(seen_at) = arrived.iter().map(|outcome| outcome.as_of).max() else {
            return Ok(());
        };
        let mut answers = Vec::new();
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
                Ok(fetched) => answers.push((place, as_of, fetched)),
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
        if answers.is_empty() {
            return Ok(());
        }
        let mut transaction = storage::begin(&self.pool).await?;
        let mut sorted = Sorted::default();
        for (place, as_of, fetched) in answers {
            if let Some(state) = self.tickers.get_mut(place) {
                let settled = state
                    .settle(&mut transaction, as_of, &fetched, known)
                    .await?;
                state.sort(place, as_of, fetched, settled, &mut sorted);
            }
        }
        let Sorted {
            bars,
            refused,
            forming,
            actions,
            findings,
            sound,
            last_starts,
        } = sorted;
        for (as_of, actions) in &actions {
            storage::write_corporate_actions(&mut transaction, actions, SOURCE, *as_of).await?;
        }
        let counts = storage::write_bars(&mut transaction, &bars).await?;
        let mut new_findings = 0;
        if !findings.is_empty() {
            new_findings = storage::store_findings(&mut *transaction, &findings).await?;
        }
        if !sound.is_empty() {
            storage::withdraw_findings(&mut *transaction, &sound, seen_at).await?;
        }
        storage::commit(transaction).await?;
        report.inserted += counts.inserted;
        report.revised += counts.revised;
        tracing::debug!(
            inserted = counts.inserted,
            revised = counts.revised,
            unchanged = counts.unchanged,
            "stored bars"
        );
        log_actions(&actions);
        if new_findings > 0 {
            log_findings(&findings);
        }
        for (place, start) in last_starts {
            if let Some(state) = self.tickers.get_mut(place) {
                state.last_start = state.last_start.max(Some(start));
            }
        }
        // The bars went first: others wait for them.
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

    /// Finds out what an answer means for the ticker's actions, and which of them its bars are judged by.
    async fn settle(
        &self,
        transaction: &mut PgTransaction<'_>,
        as_of: DateTime<Utc>,
        fetched: &FetchedBars,
        known: &[StoredAction],
    ) -> Result<Settled, IngestError> {
        let mine = known.iter().filter(|row| row.action.ticker == self.ticker);
        let known: Vec<&StoredAction> = mine.collect();
        if fetched.actions.is_empty() && known.is_empty() {
            return Ok(Settled::default());
        }
        let answer = Answer {
            bars: &fetched.closed,
            forming: fetched.forming.map(|trade| trade.price),
            as_of,
        };
        settle(
            transaction,
            &self.ticker,
            &fetched.actions,
            &known,
            as_of,
            Some(answer),
            self.steps.level_start(),
        )
        .await
    }

    /// Sorts an answer into what is stored, refused and shown.
    fn sort(
        &mut self,
        number: usize,
        as_of: DateTime<Utc>,
        fetched: FetchedBars,
        settled: Settled,
        into: &mut Sorted,
    ) {
        self.answered();
        for rejected in &fetched.rejected {
            let payload = serde_json::to_value(rejected.row).unwrap_or_default();
            let reason = rejected.fault.to_string();
            let row = refused(
                SOURCE,
                &self.ticker,
                Some(rejected.row.time),
                reason,
                payload,
            );
            into.refused.push(row);
        }
        for rejected in fetched.rejected_events {
            let reason = rejected.reason.to_owned();
            let row = refused(SOURCE, &self.ticker, rejected.time, reason, rejected.event);
            into.refused.push(row);
        }
        let Settled {
            changes,
            fresh,
            contradicted,
            stored,
        } = settled;
        if !fresh.is_empty() {
            into.actions.push((as_of, fresh));
        }
        for (action, step) in &contradicted {
            into.findings.push(not_in_prices(action, *step, as_of));
        }
        let answer = Answer {
            bars: &fetched.closed,
            forming: fetched.forming.map(|trade| trade.price),
            as_of,
        };
        let placed = place(answer, &changes, &stored);
        let in_effect = placed.applied.iter();
        let in_effect = in_effect.filter(|applied| applied.change.at <= as_of);
        for applied in in_effect.clone().filter(|applied| applied.times != 1) {
            let before = |bar: &Bar| bar.start < applied.change.at;
            let bars = fetched.closed.partition_point(before);
            let finding = not_applied_once(&self.ticker, applied, bars, as_of);
            into.findings.push(finding);
        }
        // Nothing is wrong, or nothing is told any more, at the other opens that the answer spans.
        let doubtful: BTreeSet<NaiveDate> = in_effect
            .filter(|applied| applied.times != 1 || !applied.is_seen)
            .map(|applied| ex_date(&applied.change))
            .chain(contradicted.iter().map(|(action, _)| action.ex_date))
            .collect();
        let sound = opens_within(&fetched.closed, as_of)
            .filter(|session| !doubtful.contains(session))
            .map(|session| SoundCheck {
                ticker: self.ticker.clone(),
                session,
                check: SHARE_BASIS.to_owned(),
            });
        into.sound.extend(sound);
        // Steps are judged on one basis, that of now.
        if let Some(row) = stored.last() {
            let last = brought_to(&row.bar, row.fetched_at, as_of, &changes);
            self.steps.restart_at(&last);
        }
        let present = placed
            .bars
            .iter()
            .map(|(bar, until)| brought_to(bar, *until, as_of, &changes));
        let judged = self.steps.judge(present.collect());
        let mut steps = judged.refused.into_iter().peekable();
        for (bar, until) in placed.bars {
            if let Some((present, step)) = steps.next_if(|(refused, _)| refused.start == bar.start)
            {
                let row = step.refuse(SOURCE, &self.ticker, &present);
                into.refused.push(row);
                continue;
            }
            into.bars.push(VendorBar {
                ticker: self.ticker.clone(),
                bar,
                source: SOURCE,
                fetched_at: until,
            });
        }
        if let Some(last) = judged.accepted.last() {
            into.last_starts.push((number, last.start));
        }
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

/// The sessions whose open lies between the first of an answer's bars and the moment of the answer, New York dates.
fn opens_within(bars: &[Bar], as_of: DateTime<Utc>) -> impl Iterator<Item = NaiveDate> + use<> {
    let first = bars.first().map_or(as_of, |bar| bar.start);
    let day = |time: DateTime<Utc>| time.with_timezone(&New_York).date_naive();
    calendar::nyse()
        .sessions(day(first), day(as_of))
        .iter()
        .filter(move |session| first < session.open && session.open <= as_of)
        .map(|session| session.date)
}

fn log_actions(actions: &[(DateTime<Utc>, Vec<CorporateAction>)]) {
    for action in actions.iter().flat_map(|(_, actions)| actions) {
        tracing::info!(
            instrument.symbol = action.ticker.as_str(),
            "{}: {:?} of {} is in effect",
            action.ticker,
            action.change,
            action.ex_date
        );
    }
}

fn log_findings(findings: &[Finding]) {
    for finding in findings {
        tracing::warn!(
            instrument.symbol = finding.ticker.as_str(),
            "{}: {}",
            finding.ticker,
            finding.detail
        );
    }
}

impl Step {
    /// The bar as a row for the quarantine.
    pub fn refuse(&self, source: &'static str, ticker: &Ticker, bar: &Bar) -> RefusedRow {
        let payload = serde_json::json!({ "bar": bar, "previous_close": self.from });
        refused(source, ticker, Some(bar.start), self.to_string(), payload)
    }
}

pub(crate) fn refused(
    source: &'static str,
    ticker: &Ticker,
    event_time: Option<DateTime<Utc>>,
    reason: String,
    payload: serde_json::Value,
) -> RefusedRow {
    tracing::debug!(
        instrument.symbol = ticker.as_str(),
        ?event_time,
        reason,
        "quarantined a row of {ticker}"
    );
    RefusedRow {
        source,
        ticker: ticker.clone(),
        event_time,
        reason,
        payload,
    }
}
