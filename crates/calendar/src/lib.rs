#![doc = include_str!("../README.md")]

mod rules;
mod session;
mod settings;

use std::{fmt, ops::RangeInclusive, sync::OnceLock};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

pub use session::{OPEN_MINUTE_OF_DAY, REGULAR_SESSION_MINUTES, Session};
pub use settings::{CalendarSettings, EarlyClose};

/// The sessions of one exchange, in order.
pub struct Calendar {
    coverage: RangeInclusive<NaiveDate>,
    sessions: Vec<Session>,
    settings: CalendarSettings,
}

/// The one calendar of the process.
static NYSE: OnceLock<Calendar> = OnceLock::new();

/// The New York Stock Exchange. Built on first use, in a few milliseconds, unless [`configure`] was called before.
pub fn nyse() -> &'static Calendar {
    NYSE.get_or_init(|| Calendar::new(&CalendarSettings::default()))
}

/// Lets [`nyse`] know the closures of the settings, for as long as the process lives: two answers about one day would
/// make bars of the one a hole of the other.
///
/// # Errors
/// When [`nyse`] was used before, without these settings.
pub fn configure(settings: &CalendarSettings) -> Result<(), CalendarInUse> {
    let known = NYSE.get_or_init(|| Calendar::new(settings));
    if known.settings == *settings {
        Ok(())
    } else {
        Err(CalendarInUse)
    }
}

/// The calendar was used before its settings were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the calendar was in use before section [calendar] of the settings was read")]
pub struct CalendarInUse;

impl Calendar {
    /// The rules, and what the settings add to them.
    pub fn new(settings: &CalendarSettings) -> Self {
        let years = rules::FIRST_YEAR..=rules::LAST_YEAR;
        let coverage = rules::date(*years.start(), 1, 1)..=rules::date(*years.end(), 12, 31);
        Self {
            coverage,
            sessions: rules::sessions(years, settings),
            settings: settings.clone(),
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

    /// Minutes of trading in `from..to` (UTC).
    pub fn trading_minutes(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> u32 {
        let first = self
            .sessions
            .partition_point(|session| session.close <= from);
        let sessions = self.sessions.get(first..).unwrap_or_default();
        let minutes: i64 = sessions
            .iter()
            .take_while(|session| session.open < to)
            .map(|session| (session.close.min(to) - session.open.max(from)).num_minutes())
            .sum();
        u32::try_from(minutes).unwrap_or(0)
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

    /// The moment when so many minutes of trading have passed from this one on: what a close cuts off goes on at the next
    /// open. None where the calendar ends before.
    pub fn after_trading(&self, from: DateTime<Utc>, minutes: u32) -> Option<DateTime<Utc>> {
        let mut left = TimeDelta::minutes(minutes.into());
        let next = self
            .sessions
            .partition_point(|session| session.close <= from);
        for session in self.sessions.get(next..)? {
            let start = session.open.max(from);
            if start + left <= session.close {
                return Some(start + left);
            }
            left -= session.close - start;
        }
        None
    }

    /// The last session that is over at this moment.
    pub fn last_closed(&self, at: DateTime<Utc>) -> Option<Session> {
        let over = self.sessions.partition_point(|session| session.close <= at);
        self.sessions.get(over.checked_sub(1)?).copied()
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
            .field("settings", &self.settings)
            .finish()
    }
}
