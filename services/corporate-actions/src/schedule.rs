//! When to look for actions: a pure function of calendar and time.

use calendar::Calendar;
use chrono::{DateTime, TimeDelta, Utc};

/// How long before an open the day's actions are looked for: late enough for the vendor to know them, early enough to
/// try again.
const LEAD: TimeDelta = TimeDelta::hours(1);

/// The first time after `after` that lies the lead before an open (market time, UTC); `None` where the calendar ends.
pub(crate) fn next_update(calendar: &Calendar, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let session = calendar.next_open(after + LEAD)?;
    Some(session.open - LEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_session_has_one_update_an_hour_before_its_open() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let mut time = at("2018-03-28T00:00:00Z");
        // Good Friday is the 30th.
        for expected in [
            "2018-03-28T12:30:00Z",
            "2018-03-29T12:30:00Z",
            "2018-04-02T12:30:00Z",
        ] {
            time = next_update(calendar::nyse(), time).unwrap();
            assert_eq!(time, at(expected));
        }
        let opening = at("2018-03-28T13:00:00Z");
        assert_eq!(
            next_update(calendar::nyse(), opening).unwrap(),
            at("2018-03-29T12:30:00Z")
        );
    }
}
