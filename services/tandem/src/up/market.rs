use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use calendar::Calendar;
use chrono::{DateTime, TimeDelta, Utc};
use service_kit::ReplayClock;
use tokio_util::sync::CancellationToken;

use super::{build::Build, child::Program, logs};

/// How often the market's clock is looked at, in system time.
const LOOK: Duration = Duration::from_millis(250);
/// The market stays at its close for so long, for the last bars to arrive, in market time.
const AFTER_CLOSE: TimeDelta = TimeDelta::minutes(3);
/// A night is skipped up to so long before the open, in market time.
const BEFORE_OPEN: TimeDelta = TimeDelta::minutes(1);

/// A replayed market whose clock this program owns.
pub(super) struct Market {
    pub(super) clock_file: PathBuf,
    pub(super) clock: ReplayClock,
    /// End of the recorded bars, UTC; a generated market has none.
    pub(super) end: Option<DateTime<Utc>>,
}

/// What runs in a night before it is skipped.
pub(super) struct Night<'a> {
    pub(super) environment: &'a [(&'static str, String)],
    pub(super) build: &'a Build,
    pub(super) logs: &'a Path,
    /// Whether models are trained in demo size.
    pub(super) quick: bool,
}

impl Night<'_> {
    /// Trains and validates where the drift monitor has asked for it; the market must stand still.
    async fn run(&self, token: &CancellationToken) {
        if self.build.is_running() {
            return;
        }
        let mut arguments = vec!["--requested".into(), "--retry".into()];
        arguments.extend(self.quick.then(|| "--quick".into()));
        let program = Program::new("nightly", arguments, self.environment);
        match program.run_to_log(self.logs, token).await {
            Ok(Some(status)) if !status.success() => eprintln!(
                "the training that the drift monitor asked for failed ({status}), see {}",
                logs::path(self.logs, "nightly").display()
            ),
            Ok(_) => (),
            Err(error) => eprintln!("the night cannot be run: {error:#}"),
        }
    }
}

/// Waits for Ctrl-C; meanwhile skips the replay's nights and holds its clock at the end of the recording.
pub(super) async fn watch(market: Option<&Market>, night: &Night<'_>, token: &CancellationToken) {
    let Some(market) = market else {
        return token.cancelled().await;
    };
    let mut clock = market.clock;
    loop {
        tokio::select! { () = token.cancelled() => return, () = tokio::time::sleep(LOOK) => () }
        let system = Utc::now();
        let Some(mut next) = next_clock(clock, system, market.end, calendar::nyse()) else {
            continue;
        };
        if next.started.is_some() {
            let held = ReplayClock {
                origin: clock.at(system),
                started: None,
                ..clock
            };
            if let Err(error) = held.write(&market.clock_file) {
                tracing::error!(%error, file = %market.clock_file.display(), "failed to write the clock");
                continue;
            }
            night.run(token).await;
            next.started = Some(Utc::now());
        }
        match next.write(&market.clock_file) {
            Ok(()) if next.started.is_none() => {
                eprintln!(
                    "the recording is at its end: the market stands still (start with --again to see it anew)"
                )
            }
            Ok(()) => eprintln!(
                "the market is closed: skipping to {}",
                next.origin.format("%Y-%m-%d %H:%M UTC")
            ),
            Err(error) => {
                tracing::error!(%error, file = %market.clock_file.display(), "failed to write the clock");
                continue;
            }
        }
        clock = next;
    }
}

/// The clock to go on with, when it must change.
fn next_clock(
    clock: ReplayClock,
    system: DateTime<Utc>,
    end: Option<DateTime<Utc>>,
    calendar: &Calendar,
) -> Option<ReplayClock> {
    clock.started?;
    let now = clock.at(system);
    if end.is_some_and(|end| now > end + AFTER_CLOSE) {
        return Some(ReplayClock {
            origin: now,
            started: None,
            ..clock
        });
    }
    if calendar.session_at(now).is_some() || calendar.session_at(now - AFTER_CLOSE).is_some() {
        return None;
    }
    let morning = calendar.next_open(now)?.open - BEFORE_OPEN;
    (morning > now && end.is_none_or(|end| morning < end)).then_some(ReplayClock {
        origin: morning,
        started: Some(system),
        ..clock
    })
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn clock_at(market: DateTime<Utc>) -> (ReplayClock, DateTime<Utc>) {
        let system = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
        (
            ReplayClock {
                origin: market,
                speed: 60.0,
                started: Some(system),
            },
            system,
        )
    }

    #[test]
    fn skips_a_night_but_not_the_last_bars() {
        let close = Utc.with_ymd_and_hms(2018, 3, 26, 20, 0, 0).unwrap();
        let (clock, system) = clock_at(close + TimeDelta::minutes(1));
        assert_eq!(next_clock(clock, system, None, calendar::nyse()), None);
        let (clock, system) = clock_at(close + TimeDelta::minutes(4));
        let next = next_clock(clock, system, None, calendar::nyse()).unwrap();
        assert_eq!(
            next.at(system),
            Utc.with_ymd_and_hms(2018, 3, 27, 13, 29, 0).unwrap()
        );
        assert_eq!(
            next_clock(next, system, None, calendar::nyse()),
            None,
            "it skips once"
        );
    }

    #[test]
    fn stands_still_at_the_end_of_the_recording() {
        let end = Utc.with_ymd_and_hms(2018, 3, 29, 20, 0, 0).unwrap();
        let (clock, system) = clock_at(end + TimeDelta::minutes(5));
        let next = next_clock(clock, system, Some(end), calendar::nyse()).unwrap();
        assert_eq!(next.started, None);
        assert_eq!(next_clock(next, system, Some(end), calendar::nyse()), None);
    }
}
