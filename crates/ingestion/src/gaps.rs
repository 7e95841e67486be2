//! Holes in what is stored: found, kept in the database, asked for again, and closed when filled or given up.

use std::collections::{BTreeMap, HashMap};

use calendar::Session;
use chrono::{DateTime, TimeDelta, Utc};
use domain::Ticker;
use market_data::{MAX_AGE, MAX_SPAN};
use storage::{Gap, GapOutcome, GapReason};

use crate::{
    IngestError, Ingestor, MissingStretch,
    backfill::{MARGIN, PATIENCE},
    market_days::Answered,
    missing_stretches,
    round::{Failure, Job},
};

/// How far back gaps and volumes are looked at: more than the vendor has minutes for, so that rhythm and usual volume
/// rest on enough sessions.
const LOOK_BACK: TimeDelta = TimeDelta::days(45);

/// After its end a session is left alone for so long: the vendor sends the last bars late.
const SETTLED: TimeDelta = TimeDelta::minutes(15);

/// Between two tries of one gap, so that they fall on different days.
const BETWEEN_TRIES: TimeDelta = TimeDelta::hours(12);

/// What a look at the gaps did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GapReport {
    /// Gaps not known before.
    pub found: u64,
    /// Gaps whose bars are there now.
    pub filled: u64,
    /// Gaps that the vendor has nothing for.
    pub given_up: u64,
    /// Gaps that are still open.
    pub open: usize,
    /// Whether some could not be asked for: the vendor did not answer.
    pub is_incomplete: bool,
}

impl GapReport {
    fn add(&mut self, later: Self) {
        self.found += later.found;
        self.filled += later.filled;
    }
}

impl Ingestor {
    /// Looks for gaps in the sessions that are over, asks for the open ones again, once a day each, and gives up what
    /// nobody has. What cannot be asked for now stays open. Only a review, which asks for everybody first, finds days on
    /// which nobody traded.
    ///
    /// # Errors
    /// [`IngestError::Storage`] when the database is lost.
    pub async fn mend_gaps(&mut self) -> Result<GapReport, IngestError> {
        self.mend_gaps_after(&Answered::default()).await
    }

    /// As [`Ingestor::mend_gaps`], after a refetch of the last week.
    pub(crate) async fn mend_gaps_after(
        &mut self,
        answered: &Answered,
    ) -> Result<GapReport, IngestError> {
        let mut report = self.find_gaps(answered).await?;
        let now = self.source.time.now();
        let due: Vec<Gap> = storage::open_gaps(&self.book.pool)
            .await?
            .into_iter()
            .filter(|gap| {
                gap.last_attempt_at
                    // A clock that was set back must not put a try off for long.
                    .is_none_or(|last| (now - last).abs() >= BETWEEN_TRIES)
            })
            .collect();
        if !due.is_empty() {
            let asked = self.ask_for(&due).await?;
            report.is_incomplete |= asked.len() < due.len();
            report.add(self.find_gaps(answered).await?);
            if self.ask_second_source_for(&due, &asked).await? > 0 {
                report.add(self.find_gaps(answered).await?);
            }
            for gap in &asked {
                storage::count_gap_attempt(&self.book.pool, gap, now).await?;
            }
        }
        let oldest = now - MAX_AGE;
        let attempts = self.source.settings.gap_attempts;
        let open = storage::open_gaps(&self.book.pool).await?;
        for gap in &open {
            if gap.attempts >= attempts || gap.start < oldest {
                storage::close_gap(&self.book.pool, gap, GapOutcome::NoData, now).await?;
                report.given_up += 1;
                tracing::warn!(
                    instrument.symbol = gap.ticker.as_str(),
                    bars = gap.expected_bars,
                    attempts = gap.attempts,
                    "nobody has the bars of {} from {} to {}: the gap is given up",
                    gap.ticker,
                    gap.start,
                    gap.end
                );
            } else {
                report.open += 1;
            }
        }
        Ok(report)
    }

    /// Compares what is stored with the calendar, opens new gaps and closes those that are filled. Hours in which nobody
    /// traded are no gaps of anybody's: these are written down as one finding.
    async fn find_gaps(&self, answered: &Answered) -> Result<GapReport, IngestError> {
        let now = self.source.time.now();
        let sessions = self.settled_sessions(now);
        let mut report = GapReport::default();
        let (Some(first), Some(last)) = (sessions.first(), sessions.last()) else {
            return Ok(report);
        };
        let days = self.market_days(sessions, answered, now).await?;
        for state in &self.book.tickers {
            let pool = &self.book.pool;
            let starts =
                storage::bar_starts_between(pool, &state.ticker, first.open, last.close).await?;
            let found = missing_stretches(&starts, &days.sessions, |date| {
                days.last_closes.contains_key(&date)
            });
            self.reconcile(&state.ticker, &starts, &found, &mut report)
                .await?;
        }
        self.close_gaps_of_closures(&days, now).await?;
        Ok(report)
    }

    /// Brings what is known of one ticker's gaps in line with what was found.
    async fn reconcile(
        &self,
        ticker: &Ticker,
        starts: &[DateTime<Utc>],
        found: &[MissingStretch],
        report: &mut GapReport,
    ) -> Result<(), IngestError> {
        let (Some(first_bar), Some(last)) = (
            starts.first(),
            found
                .last()
                .map(|stretch| stretch.end)
                .max(starts.last().copied()),
        ) else {
            return Ok(());
        };
        let now = self.source.time.now();
        let pool = &self.book.pool;
        let known = storage::gaps_between(pool, Some(ticker), *first_bar, last).await?;
        let fresh: Vec<Gap> = found
            .iter()
            // History begins with the first bar stored, which may lie within a session: what was before is no hole.
            .filter(|stretch| stretch.start >= *first_bar)
            .filter(|stretch| !known.iter().any(|gap| is_settled(gap, stretch)))
            .map(|stretch| {
                Gap::found(
                    ticker.clone(),
                    stretch.start,
                    stretch.end,
                    stretch.reason,
                    stretch.expected_bars,
                    now,
                )
            })
            .collect();
        let opened = storage::record_gaps(pool, &fresh, now).await?;
        report.found += opened;
        if opened > 0 {
            let bars: u32 = fresh.iter().map(|gap| gap.expected_bars).sum();
            tracing::info!(
                instrument.symbol = ticker.as_str(),
                gaps = opened,
                bars,
                "{ticker} has {opened} new gaps of about {bars} bars"
            );
        }
        for gap in &known {
            let is_open = gap.closed_at.is_none();
            match outcome_of(gap, starts, found) {
                Some(GapOutcome::Filled) if is_open || gap.outcome == Some(GapOutcome::NoData) => {
                    if !is_open {
                        // It was given up, and its bars came after all.
                        storage::record_gaps(pool, std::slice::from_ref(gap), now).await?;
                    }
                    storage::close_gap(pool, gap, GapOutcome::Filled, now).await?;
                    report.filled += 1;
                }
                Some(outcome) if is_open => storage::close_gap(pool, gap, outcome, now).await?,
                _ => (),
            }
        }
        Ok(())
    }

    /// Asks for the periods of the gaps, and returns those whose answers came.
    async fn ask_for(&mut self, gaps: &[Gap]) -> Result<Vec<Gap>, IngestError> {
        let oldest = self.source.time.now() - (MAX_AGE - MARGIN);
        let places = self.places();
        let mut requests: BTreeMap<usize, Vec<Request>> = BTreeMap::new();
        let mut asked = Vec::new();
        for gap in gaps {
            match places.get(&gap.ticker) {
                // Older than what the vendor keeps, or no longer watched: there is nothing to ask.
                None => asked.push(gap.clone()),
                Some(_) if gap.end <= oldest => asked.push(gap.clone()),
                Some(place) => add(requests.entry(*place).or_default(), gap, oldest),
            }
        }
        let timeout = self.source.settings.request_timeout();
        while !requests.is_empty() {
            let jobs = requests.iter().filter_map(|(place, requests)| {
                let request = requests.last()?;
                Some(Job {
                    place: *place,
                    start: request.start,
                    end: Some(request.end),
                })
            });
            let (_, failed) = self.round(jobs.collect(), timeout, PATIENCE).await?;
            requests.retain(|place, requests| {
                let request = requests.pop();
                match failed.get(place) {
                    None | Some(Failure::NothingThere) => {
                        asked.extend(request.into_iter().flat_map(|request| request.gaps));
                        !requests.is_empty()
                    }
                    // It is asked for at the next look.
                    Some(_) => false,
                }
            });
        }
        Ok(asked)
    }

    /// The sessions of late whose last bars can be expected to be there, ascending.
    pub(crate) fn settled_sessions(&self, now: DateTime<Utc>) -> &'static [Session] {
        let calendar = self.source.calendar;
        let sessions = calendar.sessions((now - LOOK_BACK).date_naive(), now.date_naive());
        let over = sessions.partition_point(|session| session.close + SETTLED <= now);
        sessions.get(..over).unwrap_or_default()
    }
}

/// One period asked for, and the gaps within.
struct Request {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
    gaps: Vec<Gap>,
}

/// Adds a gap (they come in order) to the last request if it can hold it, else to new ones of its own.
fn add(requests: &mut Vec<Request>, gap: &Gap, oldest: DateTime<Utc>) {
    let start = gap.start.max(oldest);
    if let Some(last) = requests.last_mut()
        && gap.end - last.start <= MAX_SPAN
    {
        last.end = last.end.max(gap.end);
        last.gaps.push(gap.clone());
        return;
    }
    // Only a stop can be longer than one request. It counts as asked for when its first part was, which is sent last.
    let mut from = start;
    let mut gaps = vec![gap.clone()];
    while gap.end - from > MAX_SPAN {
        requests.push(Request {
            start: from,
            end: from + MAX_SPAN,
            gaps: std::mem::take(&mut gaps),
        });
        from += MAX_SPAN;
    }
    requests.push(Request {
        start: from,
        end: gap.end,
        gaps,
    });
}

/// Whether a hole that was found needs no word more: it is known as it is, or was given up with all of it.
fn is_settled(gap: &Gap, found: &MissingStretch) -> bool {
    let is_same = (gap.start, gap.end) == (found.start, found.end);
    if gap.closed_at.is_none() {
        return is_same && gap.reason == found.reason;
    }
    gap.outcome == Some(GapOutcome::NoData) && gap.start <= found.start && found.end <= gap.end
}

/// How a gap has ended; `None` for one that goes on.
fn outcome_of(gap: &Gap, starts: &[DateTime<Utc>], found: &[MissingStretch]) -> Option<GapOutcome> {
    let overlaps = |stretch: &&MissingStretch| stretch.start < gap.end && gap.start < stretch.end;
    let mut left = found.iter().filter(overlaps).peekable();
    if left.peek().is_some() {
        // Recording the hole that begins where this one does has changed this one.
        let goes_on = left.any(|stretch| stretch.start == gap.start);
        return (!goes_on).then_some(GapOutcome::Superseded);
    }
    let has_bars = starts
        .get(starts.partition_point(|start| *start < gap.start))
        .is_some_and(|start| *start < gap.end);
    // Without a bar it stays a gap, whatever the rhythm says by now.
    has_bars.then_some(GapOutcome::Filled)
}

/// The gaps of each ticker that the second source may be asked about, those with most bars missing first.
pub(crate) fn by_need(gaps: &[Gap]) -> Vec<(Ticker, Vec<&Gap>)> {
    let mut by_ticker: HashMap<&Ticker, Vec<&Gap>> = HashMap::new();
    for gap in gaps.iter().filter(|gap| gap.reason != GapReason::Stopped) {
        by_ticker.entry(&gap.ticker).or_default().push(gap);
    }
    let mut tickers: Vec<(Ticker, Vec<&Gap>)> = by_ticker
        .into_iter()
        .map(|(ticker, gaps)| (ticker.clone(), gaps))
        .collect();
    let missing = |gaps: &[&Gap]| gaps.iter().map(|gap| gap.expected_bars).sum::<u32>();
    tickers.sort_by(|(a, gaps_of_a), (b, gaps_of_b)| {
        (missing(gaps_of_b), a).cmp(&(missing(gaps_of_a), b))
    });
    tickers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_of_many_requests_counts_as_asked_for_when_the_last_of_them_was() {
        let start = DateTime::UNIX_EPOCH;
        let stop = Gap::found(
            Ticker::parse("KO").unwrap(),
            start,
            start + TimeDelta::days(15),
            GapReason::Stopped,
            3 * 390,
            start,
        );
        let mut requests = Vec::new();
        add(&mut requests, &stop, start);
        let mut asked_for = Vec::new();
        while let Some(sent) = requests.pop() {
            asked_for.push(sent.gaps.len());
        }
        assert_eq!(asked_for, [0, 0, 1]);
    }
}
