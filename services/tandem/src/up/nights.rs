//! The nights of the live market: what cron does in Compose.

use std::{path::Path, time::Duration};

use calendar::{Calendar, Session};
use chrono::{DateTime, Days, TimeDelta, Utc};
use service_kit::{Clock, EXIT_PASSING};
use tokio_util::sync::CancellationToken;

use super::{build::Build, child::Program, logs};

/// From the open, 9:30 in New York, to the night, 20:30: the extended session has ended by 20:00 and the vendors have the
/// whole day, and the machine is more likely to be on than later.
const AFTER_OPEN: TimeDelta = TimeDelta::hours(11);
/// Before a night that is not done is tried again.
const RETRY: Duration = Duration::from_secs(5 * 60);
/// The exchange was never closed for longer in the calendar's years.
const LONGEST_CLOSURE: Days = Days::new(14);

/// Runs the night after each session, until the token is cancelled; `catch_up` begins with the last one that was due,
/// which says by itself that it is done.
pub(super) async fn run(
    environment: &[(&'static str, String)],
    catch_up: bool,
    build: &Build,
    logs: &Path,
    token: &CancellationToken,
) {
    tokio::select! { () = token.cancelled() => return, () = build.ended() => () }
    let calendar = calendar::nyse();
    if catch_up && let Some(missed) = last_due(calendar, Utc::now()) {
        run_one(missed, environment, logs, token).await;
    }
    while !token.is_cancelled() {
        let Some(session) = next_due(calendar, Utc::now()) else {
            return eprintln!("no more nights: the calendar is at its end");
        };
        eprintln!(
            "the night of {} (new data, training, validation) begins at {}",
            session.date,
            due(&session).format("%Y-%m-%d %H:%M UTC")
        );
        let clock = Clock::system();
        tokio::select! {
            () = token.cancelled() => return,
            () = clock.sleep_until(due(&session)) => (),
        }
        run_one(session, environment, logs, token).await;
    }
}

/// Runs the night after a session, again and again until it is done, has failed for good, or the next one is due.
async fn run_one(
    session: Session,
    environment: &[(&'static str, String)],
    logs: &Path,
    token: &CancellationToken,
) {
    let (date, log) = (session.date, logs::path(logs, "nightly"));
    let next = next_due(calendar::nyse(), Utc::now()).map(|next| due(&next));
    eprintln!("the night of {date} begins (log {})", log.display());
    loop {
        let arguments = vec!["--night".into(), date.to_string().into(), "--retry".into()];
        let program = Program::new("nightly", arguments, environment);
        match program.run_to_log(logs, token).await {
            Ok(None) => return,
            Ok(Some(status)) if status.success() => {
                return eprintln!("the night of {date} is done");
            }
            Ok(Some(status)) if status.code() == Some(EXIT_PASSING.into()) => eprintln!(
                "the night of {date} is not done: trying again in {} minutes",
                RETRY.as_secs() / 60
            ),
            Ok(Some(status)) => {
                return eprintln!(
                    "the night of {date} failed ({status}), see {}",
                    log.display()
                );
            }
            Err(error) => return eprintln!("the night of {date} cannot be run: {error:#}"),
        }
        tokio::select! { () = token.cancelled() => return, () = tokio::time::sleep(RETRY) => () }
        if next.is_some_and(|next| next <= Utc::now()) {
            return;
        }
    }
}

/// When the night after a session begins.
fn due(session: &Session) -> DateTime<Utc> {
    session.open + AFTER_OPEN
}

/// The session whose night is the next to begin.
fn next_due(calendar: &Calendar, now: DateTime<Utc>) -> Option<Session> {
    let today = now.date_naive();
    let sessions = calendar.sessions(today - Days::new(1), today + LONGEST_CLOSURE);
    sessions.iter().find(|session| due(session) > now).copied()
}

/// The session whose night was the last to begin.
fn last_due(calendar: &Calendar, now: DateTime<Utc>) -> Option<Session> {
    let today = now.date_naive();
    let sessions = calendar.sessions(today - LONGEST_CLOSURE, today);
    let begun = |session: &&Session| due(session) <= now;
    sessions.iter().rev().find(begun).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> (String, String) {
        let now = time.parse().unwrap();
        let night = |session: Option<Session>| {
            let session = session.unwrap();
            format!("{} {}", session.date, due(&session).format("%d %H:%M"))
        };
        (
            night(last_due(calendar::nyse(), now)),
            night(next_due(calendar::nyse(), now)),
        )
    }

    #[test]
    fn a_night_begins_in_the_evening_of_its_session() {
        // 20:30 in New York is half past midnight UTC in summer.
        let (last, next) = at("2018-03-26T20:30:00Z");
        assert_eq!(last, "2018-03-23 24 00:30", "the weekend had none");
        assert_eq!(next, "2018-03-26 27 00:30", "the close is not the night");
        let (last, next) = at("2018-03-27T00:30:00Z");
        assert_eq!(last, "2018-03-26 27 00:30", "at its moment it is due");
        assert_eq!(next, "2018-03-27 28 00:30");
    }

    #[test]
    fn holidays_and_weekends_have_no_night() {
        // After Maundy Thursday the next session is Easter Monday's.
        let (last, next) = at("2018-03-30T12:00:00Z");
        assert_eq!(last, "2018-03-29 30 00:30");
        assert_eq!(next, "2018-04-02 03 00:30");
    }

    #[test]
    fn winter_time_and_an_early_close_change_nothing_in_new_york() {
        // The day after Thanksgiving closes at 13:00; 20:30 is 01:30 UTC.
        let (last, next) = at("2018-11-23T19:00:00Z");
        assert_eq!(last, "2018-11-21 22 01:30");
        assert_eq!(next, "2018-11-23 24 01:30");
    }
}
