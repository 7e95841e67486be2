//! Moments as vendors write them, and dates and wall clocks of the exchange.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc};
use chrono_tz::America::New_York;

/// A moment of Unix seconds, UTC.
pub(crate) fn moment(seconds: i64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp(seconds, 0).filter(is_plausible)
}

/// Whether a vendor's moment is one of our era. At the far ends of what can be written, adding a minute would panic.
pub(crate) fn is_plausible(time: &DateTime<Utc>) -> bool {
    (1900..3000).contains(&time.year())
}

/// The date in New York at a moment.
pub(crate) fn date_at(time: DateTime<Utc>) -> NaiveDate {
    time.with_timezone(&New_York).date_naive()
}

/// The first moment of a New York day, UTC.
pub(crate) fn midnight(date: NaiveDate) -> Option<DateTime<Utc>> {
    from_wall_clock(date.and_time(NaiveTime::MIN))
}

/// A New York wall clock as UTC; `None` for the hour that summer time skips. The hour that comes twice is taken as
/// its first: the exchange is closed then.
pub(crate) fn from_wall_clock(wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    let time = New_York.from_local_datetime(&wall).earliest()?;
    Some(time.with_timezone(&Utc)).filter(is_plausible)
}
