#![doc = include_str!("../README.md")]

mod rules;
mod session;

use std::{fmt, ops::RangeInclusive, sync::LazyLock};

use chrono::{DateTime, NaiveDate, Utc};

pub use session::{OPEN_MINUTE_OF_DAY, REGULAR_SESSION_MINUTES, Session};

/// The sessions of one exchange, in order.
pub struct Calendar {
    coverage: RangeInclusive<NaiveDate>,
    sessions: Vec<Session>,
}

/// The New York Stock Exchange. Built on first use, in a few milliseconds.
pub fn nyse() -> &'static Calendar {
    static NYSE: LazyLock<Calendar> =
        LazyLock::new(|| Calendar::new(rules::FIRST_YEAR..=rules::LAST_YEAR));
    &NYSE
}

impl Calendar {
    fn new(years: RangeInclusive<i32>) -> Self {
        let coverage = rules::date(*years.start(), 1, 1)..=rules::date(*years.end(), 12, 31);
        Self {
            coverage,
            sessions: rules::sessions(years),
        }
    }

    /// The New York dates the calendar answers for; outside it knows of no sessions.
    pub fn coverage(&self) -> RangeInclusive<NaiveDate> {
        self.coverage.clone()
    }

    /// The session of a New York date; none on weekends and holidays.
    pub fn session_on(&self, date: NaiveDate) -> Option<Session> {
        let index = self
            .sessions
            .binary_search_by_key(&date, |session| session.date)
            .ok()?;
        self.sessions.get(index).copied()
    }

    /// The session that is open at this moment: `open <= time < close`.
    pub fn session_at(&self, time: DateTime<Utc>) -> Option<Session> {
        let later = self
            .sessions
            .partition_point(|session| session.open <= time);
        let session = self.sessions.get(later.checked_sub(1)?)?;
        session.contains(time).then_some(*session)
    }

    /// The sessions of these New York dates, both ends included, in order. Empty when `from` is after `to`.
    pub fn sessions(&self, from: NaiveDate, to: NaiveDate) -> &[Session] {
        let first = self.sessions.partition_point(|session| session.date < from);
        let end = self.sessions.partition_point(|session| session.date <= to);
        self.sessions.get(first..end).unwrap_or_default()
    }

    /// The first session that opens after this moment (not at it).
    pub fn next_open(&self, after: DateTime<Utc>) -> Option<Session> {
        self.sessions
            .get(
                self.sessions
                    .partition_point(|session| session.open <= after),
            )
            .copied()
    }

    /// The last session before this New York date (not on it).
    pub fn previous_session(&self, before: NaiveDate) -> Option<Session> {
        let index = self
            .sessions
            .partition_point(|session| session.date < before);
        self.sessions.get(index.checked_sub(1)?).copied()
    }
}

/// Without the thousands of sessions, which would fill any log.
impl fmt::Debug for Calendar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Calendar")
            .field("coverage", &self.coverage)
            .field("sessions", &self.sessions.len())
            .finish()
    }
}
