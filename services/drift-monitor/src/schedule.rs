use calendar::{Calendar, Session};
use chrono::{DateTime, Utc};

use crate::{DriftSettings, market::begun};

/// When a session is looked at: again and again while it is open, and once as a whole.
fn times(session: &Session, settings: &DriftSettings) -> impl Iterator<Item = DateTime<Utc>> {
    let interval = settings.check_interval();
    let (open, close) = (session.open, session.close);
    (1..)
        .map(move |count| open + interval * count)
        .take_while(move |time| *time < close)
        .chain([close + settings.after_close()])
}

/// The newest time of a look that is not after `now`.
pub(crate) fn latest(
    now: DateTime<Utc>,
    settings: &DriftSettings,
    calendar: &Calendar,
) -> Option<DateTime<Utc>> {
    let session = begun(now, calendar)?;
    let before = calendar.previous_session(session.date);
    [Some(session), before]
        .into_iter()
        .flatten()
        .flat_map(|session| times(&session, settings).collect::<Vec<_>>())
        .filter(|time| *time <= now)
        .max()
}

/// The first time of a look after `now`.
pub(crate) fn next(
    now: DateTime<Utc>,
    settings: &DriftSettings,
    calendar: &Calendar,
) -> Option<DateTime<Utc>> {
    [begun(now, calendar), calendar.next_open(now)]
        .into_iter()
        .flatten()
        .flat_map(|session| times(&session, settings).collect::<Vec<_>>())
        .filter(|time| *time > now)
        .min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_hour_and_after_the_close() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let settings = DriftSettings::default();
        let around = |now: &str| {
            let now = at(now);
            (
                latest(now, &settings, calendar::nyse()).unwrap(),
                next(now, &settings, calendar::nyse()).unwrap(),
            )
        };
        let friday = at("2018-03-23T20:20:00Z");
        assert_eq!(
            around("2018-03-26T13:00:00Z"),
            (friday, at("2018-03-26T14:00:00Z"))
        );
        assert_eq!(
            around("2018-03-26T13:45:00Z"),
            (friday, at("2018-03-26T14:00:00Z"))
        );
        assert_eq!(
            around("2018-03-26T14:00:00Z"),
            (at("2018-03-26T14:00:00Z"), at("2018-03-26T14:30:00Z"))
        );
        assert_eq!(
            around("2018-03-26T19:59:00Z"),
            (at("2018-03-26T19:30:00Z"), at("2018-03-26T20:20:00Z"))
        );
        assert_eq!(
            around("2018-03-26T23:00:00Z"),
            (at("2018-03-26T20:20:00Z"), at("2018-03-27T14:00:00Z"))
        );
    }
}
