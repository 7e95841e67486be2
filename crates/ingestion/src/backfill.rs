use std::{collections::VecDeque, time::Duration};

use calendar::{Calendar, Session};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{BAR_SECONDS, Ticker};
use market_data::{MAX_AGE, MAX_SPAN};

use crate::{
    IngestError, Ingestor,
    progress::Progress,
    round::{Failure, Job},
};

/// How often one request is tried.
const ATTEMPTS: u32 = 6;

/// How often the vendor must say that it has nothing of a period with sessions: it also says so when something is wrong
/// with it.
const NOTHING_THERE_ATTEMPTS: u32 = 3;

/// Pause before a second try, in market time; doubled before each further one.
const RETRY_PAUSE: Duration = Duration::from_secs(2);

/// Longest pause before another try while the vendor is left alone, in market time.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How long a round waits for its slowest answer before it stores the others, in real time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// How near to the end of what the vendor has a period may begin: in a fast replay market time runs on while the
/// requests wait for their turn.
pub(crate) const MARGIN: TimeDelta = TimeDelta::hours(2);

/// How long after its open a session is left to the polls, which ask from its open on themselves.
const JUST_OPENED: TimeDelta = TimeDelta::minutes(5);

/// What a backfill did.
#[derive(Debug, Default)]
pub struct BackfillReport {
    /// Requests that were answered.
    pub requests: usize,
    /// Bars not stored before.
    pub inserted: u64,
    /// Rows put into quarantine that were not there yet.
    pub quarantined: u64,
    /// Tickers that the vendor does not know.
    pub unknown: Vec<Ticker>,
    /// Tickers whose history is still incomplete: the vendor did not answer. A later backfill goes on there.
    pub unfinished: Vec<Ticker>,
}

/// The rest of one ticker's history.
struct Rest {
    place: usize,
    /// Oldest first.
    periods: VecDeque<Period>,
    attempts: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Period {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl Ingestor {
    /// Fetches all sessions since each ticker's last stored bar, as far back as settings and vendor allow. Asks for
    /// nothing when nothing is missing. Dropped halfway, the next one goes on where this one ended.
    ///
    /// # Errors
    /// [`IngestError::Storage`] when the database is lost.
    pub async fn backfill(&mut self) -> Result<BackfillReport, IngestError> {
        let rests = self.missing();
        self.work_off(rests).await
    }

    /// Fetches the sessions between two moments (UTC) of all tickers, whatever is stored of them, as far back as the
    /// vendor allows: what comes replaces what was fetched before.
    ///
    /// # Errors
    /// [`IngestError::Storage`] when the database is lost.
    pub async fn backfill_between(
        &mut self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<BackfillReport, IngestError> {
        let now = self.source.time.now();
        let oldest = from.max(now - (MAX_AGE - MARGIN));
        let periods = periods(self.source.calendar, None, oldest, to.min(now));
        let rest = |place| Rest {
            place,
            periods: periods.clone().into(),
            attempts: 0,
        };
        let rests = if periods.is_empty() {
            Vec::new()
        } else {
            (0..self.book.tickers.len()).map(rest).collect()
        };
        self.work_off(rests).await
    }

    /// Asks for period after period until nothing is left or nobody answers.
    async fn work_off(&mut self, mut rests: Vec<Rest>) -> Result<BackfillReport, IngestError> {
        for rest in &rests {
            if let Some(state) = self.book.tickers.get_mut(rest.place) {
                state.owes_history = true;
            }
        }
        let total = rests.iter().map(|rest| rest.periods.len()).sum();
        let mut report = BackfillReport::default();
        let mut progress = Progress::start(total);
        let timeout = self.source.settings.request_timeout();
        while !rests.is_empty() {
            // One period of each ticker: no ticker is ahead of its own history, none waits for the others' to end.
            let jobs = rests.iter().filter_map(|rest| {
                let period = rest.periods.front()?;
                Some(Job {
                    place: rest.place,
                    start: period.start,
                    end: Some(period.end),
                })
            });
            let (round, failed) = self.round(jobs.collect(), timeout, PATIENCE).await?;
            report.inserted += round.inserted;
            report.quarantined += round.quarantined;
            let mut done = 0;
            let mut pause = Duration::ZERO;
            let now = self.source.time.now();
            rests.retain_mut(|rest| {
                let again = match failed.get(&rest.place) {
                    None => None,
                    Some(Failure::NothingThere) => Some(NOTHING_THERE_ATTEMPTS),
                    Some(Failure::Passing | Failure::HeldBack(_)) => Some(ATTEMPTS),
                    Some(Failure::Lasting) => Some(0),
                };
                rest.attempts += 1;
                if again.is_some_and(|attempts| rest.attempts < attempts) {
                    let mut wait = RETRY_PAUSE.saturating_mul(1 << (rest.attempts - 1).min(10));
                    if let Some(Failure::HeldBack(until)) = failed.get(&rest.place) {
                        wait = wait.max((*until - now).to_std().unwrap_or_default());
                    }
                    pause = pause.max(wait.min(LONGEST_PAUSE));
                    return true;
                }
                let Some(state) = self.book.tickers.get_mut(rest.place) else {
                    return false;
                };
                if matches!(failed.get(&rest.place), None | Some(Failure::NothingThere)) {
                    rest.periods.pop_front();
                    rest.attempts = 0;
                    report.requests += 1;
                    done += 1;
                    state.owes_history = !rest.periods.is_empty();
                    return state.owes_history;
                }
                done += rest.periods.len();
                let list = if state.is_unknown() {
                    &mut report.unknown
                } else {
                    &mut report.unfinished
                };
                list.push(state.ticker.clone());
                false
            });
            progress.advance(done, report.inserted);
            if !pause.is_zero() {
                tokio::time::sleep(self.source.time.pause(pause)).await;
            }
        }
        Ok(report)
    }

    fn missing(&self) -> Vec<Rest> {
        let now = self.source.time.now();
        let age =
            TimeDelta::days(i64::from(self.source.settings.backfill_days)).min(MAX_AGE - MARGIN);
        let oldest = now - age;
        let states = self.book.tickers.iter().enumerate();
        states
            .filter(|(_, state)| state.may_be_known(now))
            .map(|(place, state)| {
                let next = state
                    .last_start
                    .map(|last| last + TimeDelta::seconds(BAR_SECONDS));
                let mut periods = periods(self.source.calendar, next, oldest, now);
                // What came last may have been provisional.
                if let Some(first) = periods
                    .first_mut()
                    .filter(|period| Some(period.start) == next)
                {
                    first.start = (first.start - self.source.settings.overlap()).max(oldest);
                    first.end = first.end.min(first.start + MAX_SPAN);
                }
                Rest {
                    place,
                    periods: periods.into(),
                    attempts: 0,
                }
            })
            .filter(|rest| !rest.periods.is_empty())
            .collect()
    }
}

/// The sessions that still miss bars from `next` on (all of them for `None`), oldest first, in periods that the vendor
/// answers. Sessions that began before `oldest` are left out unless they are already begun on.
fn periods(
    calendar: &Calendar,
    next: Option<DateTime<Utc>>,
    oldest: DateTime<Utc>,
    now: DateTime<Utc>,
) -> Vec<Period> {
    let from = next.map_or(oldest, |next| next.max(oldest));
    let is_missing = |session: &&Session| {
        session.open + JUST_OPENED < now && session.close > from && session.open.max(from) >= oldest
    };
    let mut periods: Vec<Period> = Vec::new();
    // A session's New York date and its UTC dates differ by a day at most.
    let day = TimeDelta::days(1);
    let sessions = calendar.sessions((from - day).date_naive(), (now + day).date_naive());
    for session in sessions.iter().filter(is_missing) {
        // A session that lies across the oldest moment is cut there, one that is begun on goes on.
        let start = session.open.max(from);
        let end = (session.close + TimeDelta::seconds(BAR_SECONDS)).min(now);
        match periods.last_mut() {
            Some(period) if end - period.start <= MAX_SPAN => period.end = end,
            _ => periods.push(Period { start, end }),
        }
    }
    periods
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn at(month: u32, day: u32, hour: u32, minute: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2018, month, day, hour, minute, 0)
            .unwrap()
    }

    fn period(start: DateTime<Utc>, end: DateTime<Utc>) -> Period {
        Period { start, end }
    }

    #[test]
    fn an_empty_history_is_cut_into_weeks_the_vendor_answers() {
        let now = at(3, 26, 14, 0);
        let found = periods(calendar::nyse(), None, now - TimeDelta::days(30), now);
        // 2018-02-24 is a Saturday. Summer time began on 03-11.
        assert_eq!(
            found,
            [
                period(at(2, 26, 14, 30), at(3, 2, 21, 1)),
                period(at(3, 5, 14, 30), at(3, 9, 21, 1)),
                period(at(3, 12, 13, 30), at(3, 16, 20, 1)),
                period(at(3, 19, 13, 30), at(3, 23, 20, 1)),
                period(at(3, 26, 13, 30), now),
            ]
        );
    }

    #[test]
    fn nothing_is_asked_when_nothing_is_missing() {
        let calendar = calendar::nyse();
        let last_of_friday = at(3, 23, 20, 0);
        let month_ago = at(2, 24, 0, 0);
        assert!(periods(calendar, Some(last_of_friday), month_ago, at(3, 25, 12, 0)).is_empty());
        assert!(periods(calendar, Some(last_of_friday), month_ago, at(3, 26, 13, 35)).is_empty());
    }

    #[test]
    fn a_gap_goes_on_at_the_last_bar() {
        let found = periods(
            calendar::nyse(),
            Some(at(3, 22, 15, 45)),
            at(2, 24, 0, 0),
            at(3, 26, 14, 0),
        );
        assert_eq!(found, [period(at(3, 22, 15, 45), at(3, 26, 14, 0))]);
    }

    #[test]
    fn every_period_keeps_to_the_vendors_limits() {
        let calendar = calendar::nyse();
        for hours in 0..24 * 40 {
            let now = at(3, 1, 0, 0) + TimeDelta::hours(hours);
            let oldest = now - (MAX_AGE - MARGIN);
            let found = periods(calendar, None, oldest, now);
            assert!(
                found
                    .iter()
                    .all(|period| period.start >= oldest && period.end - period.start <= MAX_SPAN)
            );
            assert!(found.iter().all(|period| period.start < period.end));
            assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start));
            assert!(found.len() <= 6);
        }
    }
}
