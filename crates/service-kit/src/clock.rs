use std::{
    ops::{Range, RangeInclusive},
    path::{Path, PathBuf},
    sync::{Arc, RwLock, Weak},
    time::Duration,
};

use chrono::{DateTime, Datelike, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::keep_running;

/// How often a replay clock looks at its file, in system time.
const FILE_POLL: Duration = Duration::from_millis(100);

/// The longest single sleep on the system's clock: bounds the error after a suspended machine or a changed clock.
const LONGEST_NAP: Duration = Duration::from_secs(30);

/// Market seconds per system second: from one that as good as stands still to a session in a fiftieth of a second. Pauses
/// of market time are multiplied and divided by it.
const SPEEDS: RangeInclusive<f64> = 1e-9..=1e6;

/// Years in which a replay may begin.
const YEARS: Range<i32> = 1900..2200;

/// A replay ends here, so that nobody has to reckon with times to which no day can be added: 2300-01-01.
const END_OF_TIME: DateTime<Utc> = match DateTime::from_timestamp(10_413_792_000, 0) {
    Some(time) => time,
    None => DateTime::<Utc>::MAX_UTC,
};

/// What time it is in the market: the system's time, or that of a replayed day.
///
/// Cloning is cheap and all clones agree.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    Replay(Arc<RwLock<ReplayClock>>),
}

/// A replay's time line, also the content of the clock file that all programs of a replay share.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayClock {
    /// Market time at which the replay begins, UTC.
    pub origin: DateTime<Utc>,
    /// Market seconds per system second, 1e-9 to 1,000,000.
    pub speed: f64,
    /// System time at which market time leaves `origin`, UTC; until it is set the market stands still.
    #[serde(default)]
    pub started: Option<DateTime<Utc>>,
}

/// The clock file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// The file cannot be read.
    #[error("failed to read the clock file {}", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is no clock.
    #[error("{} is no clock file: expected {{\"origin\": \"2018-03-26T13:30:00Z\", \"speed\": 60, \"started\": null}}", path.display())]
    Parse {
        /// Path of the file.
        path: PathBuf,
        /// What the parser found.
        source: serde_json::Error,
    },
    /// The speed is not one at which a market can be followed.
    #[error("a replay runs at a speed between {} and {}, not {speed}", SPEEDS.start(), SPEEDS.end())]
    Speed {
        /// The value found.
        speed: f64,
    },
    /// The replay would begin in another age.
    #[error("a replay begins between the years {} and {}, not at {origin}", YEARS.start, YEARS.end - 1)]
    Origin {
        /// The value found.
        origin: DateTime<Utc>,
    },
}

impl ReplayClock {
    /// Reads a clock file.
    ///
    /// # Errors
    /// [`ClockError`] when it cannot be read, is no clock, or its speed or its beginning is out of bounds.
    pub fn read(path: &Path) -> Result<Self, ClockError> {
        let text = std::fs::read(path).map_err(|source| ClockError::Read {
            path: path.to_owned(),
            source,
        })?;
        let clock: Self = serde_json::from_slice(&text).map_err(|source| ClockError::Parse {
            path: path.to_owned(),
            source,
        })?;
        clock.checked()
    }

    /// Writes the clock file atomically: a reader sees the old clock or the new one.
    ///
    /// # Errors
    /// The system's reason when the folder cannot be written to.
    pub fn write(&self, path: &Path) -> std::io::Result<()> {
        let fresh = path.with_extension("json.new");
        std::fs::write(&fresh, serde_json::to_vec(self)?)?;
        std::fs::rename(fresh, path)
    }

    fn checked(self) -> Result<Self, ClockError> {
        let Self { origin, speed, .. } = self;
        if !SPEEDS.contains(&speed) {
            return Err(ClockError::Speed { speed });
        }
        if !YEARS.contains(&origin.year()) {
            return Err(ClockError::Origin { origin });
        }
        Ok(self)
    }

    /// Market time at a system time, both UTC.
    pub fn at(&self, system: DateTime<Utc>) -> DateTime<Utc> {
        let elapsed = self.started.map_or(0.0, |started| {
            (system - started)
                .num_microseconds()
                .map_or(0.0, |micros| micros as f64)
                .max(0.0)
        });
        // A float becomes the nearest integer that there is.
        self.origin
            .checked_add_signed(TimeDelta::microseconds((elapsed * self.speed) as i64))
            .map_or(END_OF_TIME, |time| time.min(END_OF_TIME))
    }
}

impl Clock {
    /// The system's clock.
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A replay that runs.
    ///
    /// # Errors
    /// [`ClockError`] when speed or origin is out of bounds.
    pub fn replay(
        origin: DateTime<Utc>,
        speed: f64,
        started: DateTime<Utc>,
    ) -> Result<Self, ClockError> {
        let clock = ReplayClock {
            origin,
            speed,
            started: Some(started),
        }
        .checked()?;
        Ok(Self(Source::Replay(Arc::new(RwLock::new(clock)))))
    }

    /// The clock that `TANDEM_CLOCK` names: `system` (also when unset), or a clock file.
    ///
    /// The file is looked at again and again, so that whoever owns it (`tandem up`) can start a held market or skip a
    /// night. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`ClockError`] when the file cannot be used.
    pub fn from_environment() -> Result<Self, ClockError> {
        match std::env::var_os("TANDEM_CLOCK") {
            Some(value) if value != "system" && !value.is_empty() => {
                Self::from_file(PathBuf::from(value))
            }
            _ => Ok(Self::system()),
        }
    }

    /// A replay clock kept in a file, see [`Clock::from_environment`].
    ///
    /// # Errors
    /// [`ClockError`] when the file cannot be used.
    pub fn from_file(path: PathBuf) -> Result<Self, ClockError> {
        let clock = ReplayClock::read(&path)?;
        let shared = Arc::new(RwLock::new(clock));
        let watched = Arc::downgrade(&shared);
        // It ends with the last clone of the clock.
        let watch = move || watch_file(path.clone(), Weak::clone(&watched));
        tokio::spawn(keep_running(
            "replay clock",
            CancellationToken::new(),
            watch,
        ));
        Ok(Self(Source::Replay(shared)))
    }

    /// Market time, UTC.
    pub fn now(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::System => Utc::now(),
            Source::Replay(clock) => read(clock).at(Utc::now()),
        }
    }

    /// Market seconds per system second; 1 for the system's clock.
    pub fn speed(&self) -> f64 {
        match &self.0 {
            Source::System => 1.0,
            Source::Replay(clock) => read(clock).speed,
        }
    }

    /// Whether the market stands still: a replay that nobody has started, or that is held while models train.
    pub fn is_held(&self) -> bool {
        match &self.0 {
            Source::System => false,
            Source::Replay(clock) => read(clock).started.is_none(),
        }
    }

    /// Whether the market is a replayed one.
    pub const fn is_replay(&self) -> bool {
        matches!(self.0, Source::Replay(_))
    }

    /// Waits until the market time is reached; returns at once when it has passed.
    pub async fn sleep_until(&self, time: DateTime<Utc>) {
        loop {
            let Ok(market) = (time - self.now()).to_std() else {
                return;
            };
            if market.is_zero() {
                return;
            }
            let longest = if self.is_replay() {
                FILE_POLL
            } else {
                LONGEST_NAP
            };
            let nap = Duration::try_from_secs_f64(market.as_secs_f64() / self.speed())
                .map_or(longest, |nap| nap.min(longest));
            tokio::time::sleep(nap.max(Duration::from_micros(200))).await;
        }
    }

    /// Waits for a span of market time.
    pub async fn sleep(&self, market: Duration) {
        let span = TimeDelta::from_std(market).unwrap_or(TimeDelta::MAX);
        if let Some(time) = self.now().checked_add_signed(span) {
            self.sleep_until(time).await;
        }
    }
}

/// Takes over what the file says until the clock is gone.
async fn watch_file(path: PathBuf, watched: Weak<RwLock<ReplayClock>>) {
    let mut readable = true;
    loop {
        tokio::time::sleep(FILE_POLL).await;
        let Some(shared) = watched.upgrade() else {
            return;
        };
        match ReplayClock::read(&path) {
            Ok(clock) => {
                *write(&shared) = clock;
                readable = true;
            }
            Err(error) if readable => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the replay goes on by its last known clock"
                );
                readable = false;
            }
            Err(_) => (),
        }
    }
}

// A panic while holding the lock cannot leave a torn clock: it is one assignment of plain data.
fn read(clock: &RwLock<ReplayClock>) -> ReplayClock {
    *clock
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn write(clock: &RwLock<ReplayClock>) -> std::sync::RwLockWriteGuard<'_, ReplayClock> {
    clock
        .write()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn origin() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2018, 3, 26, 13, 30, 0).unwrap()
    }

    #[test]
    fn market_time_runs_at_its_speed_from_the_common_start() {
        let started = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
        let clock = ReplayClock {
            origin: origin(),
            speed: 60.0,
            started: Some(started),
        };
        assert_eq!(
            clock.at(started + TimeDelta::seconds(30)),
            origin() + TimeDelta::minutes(30)
        );
        assert_eq!(
            clock.at(started - TimeDelta::seconds(30)),
            origin(),
            "before its start it stands still"
        );
        let held = ReplayClock {
            started: None,
            ..clock
        };
        assert_eq!(held.at(started + TimeDelta::days(1)), origin());
    }

    #[test]
    fn a_speed_must_be_one_at_which_a_market_can_be_followed() {
        for speed in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300, 1e-300, 1e6 + 1.0] {
            assert!(matches!(
                Clock::replay(origin(), speed, Utc::now()),
                Err(ClockError::Speed { .. })
            ));
        }
    }

    #[test]
    fn no_clock_tells_a_time_to_which_a_day_cannot_be_added() {
        let started = "-262143-01-01T00:00:00Z".parse().unwrap();
        for started in [started, "1800-01-01T00:00:00Z".parse().unwrap()] {
            for system in [Utc::now(), DateTime::<Utc>::MAX_UTC] {
                let clock = Clock::replay(origin(), 1e6, started).unwrap();
                assert!(clock.now() + TimeDelta::days(10_000) > origin());
                let Clock(Source::Replay(clock)) = clock else {
                    panic!("a replay")
                };
                assert!(read(&clock).at(system) + TimeDelta::days(10_000) > origin());
            }
        }
        for origin in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
            assert!(matches!(
                Clock::replay(origin, 1.0, Utc::now()),
                Err(ClockError::Origin { .. })
            ));
        }
    }

    #[tokio::test]
    async fn a_clock_file_that_became_absurd_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock.json");
        let held = ReplayClock {
            origin: origin(),
            speed: 60.0,
            started: None,
        };
        held.write(&path).unwrap();
        let clock = Clock::from_file(path.clone()).unwrap();
        let origin = r#""origin": "2018-03-26T13:30:00Z", "started": "2026-01-01T00:00:00Z""#;
        for absurd in [
            format!(r#"{{{origin}, "speed": 1e300}}"#),
            format!(r#"{{{origin}, "speed": 1e999}}"#),
            format!(r#"{{{origin}, "speed": -60}}"#),
            format!(r#"{{{origin}, "speed": NaN}}"#),
            format!(r#"{{{origin}, "speed": 1e-300}}"#),
            r#"{"origin": "+262142-12-31T00:00:00Z", "speed": 60, "started": null}"#.to_owned(),
            String::new(),
        ] {
            std::fs::write(&path, &absurd).unwrap();
            tokio::time::sleep(3 * FILE_POLL).await;
            assert_eq!(
                (clock.now(), clock.speed()),
                (self::origin(), 60.0),
                "{absurd}"
            );
        }
        // It was not the end of whoever watches the file.
        let started = Some(Utc::now());
        ReplayClock { started, ..held }.write(&path).unwrap();
        clock
            .sleep_until(self::origin() + TimeDelta::seconds(1))
            .await;
        assert!(clock.now() > self::origin());
    }

    #[tokio::test]
    async fn sleeping_reaches_the_market_time() {
        let clock = Clock::replay(origin(), 3_600.0, Utc::now()).unwrap();
        let target = origin() + TimeDelta::minutes(5);
        clock.sleep_until(target).await;
        assert!(clock.now() >= target);
    }

    #[tokio::test]
    async fn a_held_clock_starts_when_its_file_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock.json");
        let held = ReplayClock {
            origin: origin(),
            speed: 1_000.0,
            started: None,
        };
        std::fs::write(&path, serde_json::to_vec(&held).unwrap()).unwrap();
        let clock = Clock::from_file(path.clone()).unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(clock.now(), origin());
        assert!(clock.is_held());
        let running = ReplayClock {
            started: Some(Utc::now()),
            ..held
        };
        std::fs::write(&path, serde_json::to_vec(&running).unwrap()).unwrap();
        clock.sleep_until(origin() + TimeDelta::seconds(1)).await;
        assert!(clock.now() > origin());
        assert!(!clock.is_held());
    }

    #[tokio::test]
    async fn a_night_is_skipped_for_those_who_sleep() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock.json");
        let clock = ReplayClock {
            origin: origin(),
            speed: 1.0,
            started: Some(Utc::now()),
        };
        std::fs::write(&path, serde_json::to_vec(&clock).unwrap()).unwrap();
        let sleeper = Clock::from_file(path.clone()).unwrap();
        let morning = origin() + TimeDelta::hours(24);
        let jump = async {
            let clock = ReplayClock {
                origin: morning,
                ..clock
            };
            tokio::fs::write(&path, serde_json::to_vec(&clock).unwrap())
                .await
                .unwrap();
        };
        tokio::join!(sleeper.sleep_until(morning), jump);
        assert!(sleeper.now() >= morning);
    }

    #[test]
    fn a_bad_clock_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock.json");
        assert!(
            ReplayClock::read(&path)
                .unwrap_err()
                .to_string()
                .contains("clock.json")
        );
        std::fs::write(&path, "{\"origin\": 5}").unwrap();
        assert!(matches!(
            ReplayClock::read(&path),
            Err(ClockError::Parse { .. })
        ));
    }
}
