use chrono::{DateTime, NaiveDate, Utc};

/// Minutes after midnight, New York time, at which every session opens: 9:30.
pub const OPEN_MINUTE_OF_DAY: u32 = 9 * 60 + 30;

/// Minutes of a session that is no half day: 9:30 to 16:00.
pub const REGULAR_SESSION_MINUTES: u32 = 390;

/// The regular trading hours of one day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Session {
    /// The day in New York.
    pub date: NaiveDate,
    /// First moment, UTC.
    pub open: DateTime<Utc>,
    /// First moment after it, UTC.
    pub close: DateTime<Utc>,
    /// Trading ends before the usual time: a half day, or an early close of the settings.
    pub early_close: bool,
}

impl Session {
    /// Length in minutes: 390, on half days 210, on an early close of the settings as they say.
    pub fn minutes(&self) -> u32 {
        u32::try_from((self.close - self.open).num_minutes()).unwrap_or(0)
    }

    /// Whole minutes from the open to this moment, 0 for the first bar; none outside the session.
    pub fn minute_of(&self, time: DateTime<Utc>) -> Option<u32> {
        if !self.contains(time) {
            return None;
        }
        u32::try_from((time - self.open).num_minutes()).ok()
    }

    /// `open <= time < close`.
    pub fn contains(&self, time: DateTime<Utc>) -> bool {
        self.open <= time && time < self.close
    }
}
