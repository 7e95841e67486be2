//! When to poll: pure functions of calendar and time.

use std::time::Duration;

use calendar::{Calendar, Session};
use chrono::{DateTime, TimeDelta, Utc};

const MINUTE: i64 = 60;

/// Polls after the session's end, in seconds: the vendor sends the last bars late and revises some. At the last one the
/// session can be reviewed.
const AFTER_CLOSE: [i64; 3] = [60, 5 * 60, 15 * 60];

/// Least real time between two polls for forming prices.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(250);

/// What a poll is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// A minute has closed.
    Close,
    /// The price of the running minute. Not worth making up for.
    Forming,
    /// Late bars after the session's end.
    Late,
}

/// A poll to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wake {
    /// Market time, UTC.
    pub(crate) at: DateTime<Utc>,
    pub(crate) occasion: Occasion,
}

/// Spans of market time that set the rhythm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rhythm {
    /// From a minute's end to its poll.
    pub(crate) grace: TimeDelta,
    /// Between polls for forming prices; zero for none.
    pub(crate) forming: TimeDelta,
}

impl Rhythm {
    /// `forming` seconds of market time between polls for forming prices, more where the market runs so fast that they
    /// would flood.
    pub(crate) fn new(grace: TimeDelta, forming: u64, speed: f64) -> Self {
        let forming = if forming == 0 {
            TimeDelta::zero()
        } else {
            let shortest = SHORTEST_INTERVAL.mul_f64(speed);
            TimeDelta::from_std(Duration::from_secs(forming).max(shortest))
                .unwrap_or(TimeDelta::MAX)
        };
        Self { grace, forming }
    }
}

/// The first poll after a moment (UTC); `None` where the calendar ends.
pub(crate) fn next_wake(calendar: &Calendar, after: DateTime<Utc>, rhythm: Rhythm) -> Option<Wake> {
    // All polls are the grace behind the market: take it off and put it back on.
    let time = after - rhythm.grace;
    let wake = opened_session(calendar, time)
        .and_then(|session| next_in_session(&session, time, rhythm.forming));
    let wake = match wake {
        Some(wake) => wake,
        None => Wake {
            at: calendar.next_open(time)?.open,
            occasion: Occasion::Forming,
        },
    };
    Some(Wake {
        at: wake.at + rhythm.grace,
        ..wake
    })
}

/// The last session that has been over for long enough to be looked at as a whole.
pub(crate) fn last_reviewable(
    calendar: &Calendar,
    now: DateTime<Utc>,
    grace: TimeDelta,
) -> Option<Session> {
    let settled = AFTER_CLOSE.last().copied().unwrap_or_default();
    let is_settled = |session: &Session| session.close + TimeDelta::seconds(settled) + grace <= now;
    let opened = opened_session(calendar, now)?;
    if is_settled(&opened) {
        return Some(opened);
    }
    calendar.previous_session(opened.date)
}

/// The last session that has opened.
fn opened_session(calendar: &Calendar, time: DateTime<Utc>) -> Option<Session> {
    // In New York it is never tomorrow before it is in UTC.
    let mut session = calendar.previous_session(time.date_naive().succ_opt()?)?;
    if session.open > time {
        session = calendar.previous_session(session.date)?;
    }
    Some(session)
}

fn next_in_session(session: &Session, time: DateTime<Utc>, forming: TimeDelta) -> Option<Wake> {
    if time >= session.close {
        let at = AFTER_CLOSE
            .iter()
            .map(|seconds| session.close + TimeDelta::seconds(*seconds))
            .find(|at| *at > time)?;
        return Some(Wake {
            at,
            occasion: Occasion::Late,
        });
    }
    let minutes = (time - session.open).num_seconds() / MINUTE;
    let minute = session.open + TimeDelta::seconds(minutes * MINUTE);
    let close = minute + TimeDelta::seconds(MINUTE);
    if forming > TimeDelta::zero() {
        let polls = (time - minute).num_milliseconds() / forming.num_milliseconds().max(1) + 1;
        let at = minute + forming * i32::try_from(polls).ok()?;
        // One shortly before the close would keep the close waiting.
        if at + forming / 2 <= close {
            return Some(Wake {
                at,
                occasion: Occasion::Forming,
            });
        }
    }
    Some(Wake {
        at: close,
        occasion: Occasion::Close,
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn at(day: u32, hour: u32, minute: u32, second: u32) -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2018, 3, day, hour, minute, second)
            .unwrap()
    }

    fn wakes(from: DateTime<Utc>, until: DateTime<Utc>, rhythm: Rhythm) -> Vec<Wake> {
        let mut wakes = Vec::new();
        let mut time = from;
        while let Some(wake) =
            next_wake(calendar::nyse(), time, rhythm).filter(|wake| wake.at <= until)
        {
            assert!(wake.at > time);
            time = wake.at;
            wakes.push(wake);
        }
        wakes
    }

    fn rhythm(grace_s: i64, forming: u64, speed: f64) -> Rhythm {
        Rhythm::new(TimeDelta::seconds(grace_s), forming, speed)
    }

    #[test]
    fn every_minute_is_polled_once_after_its_close_and_three_times_for_its_price() {
        let day = wakes(at(26, 4, 0, 0), at(27, 4, 0, 0), rhythm(1, 15, 1.0));
        let closes: Vec<_> = day
            .iter()
            .filter(|wake| wake.occasion == Occasion::Close)
            .collect();
        assert_eq!(closes.len(), 390);
        assert_eq!(closes[0].at, at(26, 13, 31, 1));
        assert_eq!(closes[389].at, at(26, 20, 0, 1));
        let first: Vec<_> = day.iter().take(5).map(|wake| wake.at).collect();
        assert_eq!(
            first,
            [
                at(26, 13, 30, 1),
                at(26, 13, 30, 16),
                at(26, 13, 30, 31),
                at(26, 13, 30, 46),
                at(26, 13, 31, 1)
            ]
        );
        let after: Vec<_> = day
            .iter()
            .rev()
            .take(3)
            .map(|wake| (wake.at, wake.occasion))
            .collect();
        assert_eq!(
            after,
            [
                (at(26, 20, 15, 1), Occasion::Late),
                (at(26, 20, 5, 1), Occasion::Late),
                (at(26, 20, 1, 1), Occasion::Late),
            ]
        );
        assert_eq!(day.len(), 1 + 390 * 4 + 3);
    }

    #[test]
    fn a_fast_market_is_polled_for_prices_no_more_than_four_times_a_real_second() {
        let minute = |forming, speed| {
            wakes(
                at(26, 14, 0, 1),
                at(26, 14, 1, 1),
                rhythm(1, forming, speed),
            )
            .len()
        };
        assert_eq!(minute(15, 60.0), 4);
        assert_eq!(minute(5, 60.0), 4);
        assert_eq!(minute(5, 1.0), 12);
        assert_eq!(minute(15, 600.0), 1, "only the close is left");
        assert_eq!(minute(0, 1.0), 1);
    }

    #[test]
    fn nights_weekends_holidays_and_half_days_are_slept_through() {
        let calendar = calendar::nyse();
        let rhythm = rhythm(1, 15, 1.0);
        // Friday evening to Monday; Good Friday 2018-03-30.
        assert_eq!(
            next_wake(calendar, at(23, 21, 0, 0), rhythm).unwrap().at,
            at(26, 13, 30, 1)
        );
        let after_easter = next_wake(calendar, at(29, 22, 0, 0), rhythm).unwrap().at;
        assert_eq!(
            after_easter,
            Utc.with_ymd_and_hms(2018, 4, 2, 13, 30, 1).unwrap()
        );
        // The day after Thanksgiving closes at 13:00 New York.
        let noon = Utc.with_ymd_and_hms(2018, 11, 23, 17, 59, 50).unwrap();
        assert_eq!(
            next_wake(calendar, noon, rhythm).unwrap().at,
            noon + TimeDelta::seconds(11)
        );
        let last = next_wake(calendar, noon + TimeDelta::minutes(10), rhythm).unwrap();
        assert_eq!(last.at, noon + TimeDelta::seconds(10 + 15 * 60 + 1));
    }

    #[test]
    fn a_session_is_reviewed_a_quarter_of_an_hour_after_its_end_and_until_the_next_one_is() {
        let date = |now| {
            let session = last_reviewable(calendar::nyse(), now, TimeDelta::seconds(1)).unwrap();
            session.date.to_string()
        };
        assert_eq!(date(at(26, 20, 15, 0)), "2018-03-23");
        assert_eq!(date(at(26, 20, 15, 1)), "2018-03-26");
        assert_eq!(date(at(27, 13, 0, 0)), "2018-03-26");
        assert_eq!(date(at(25, 12, 0, 0)), "2018-03-23");
    }
}
