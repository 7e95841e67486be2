//! Sessions whose bars look wrong though each bar is well formed. Pure functions of what is known of each session.

use chrono::{DateTime, Utc};
use domain::{InvalidSettings, LARGEST_STEP, SettingsCheck, SettingsSection};
use market_data::DailyBar;
use serde::Deserialize;
use storage::{Finding, SessionVolume, SoundCheck};

/// Too many minutes with a bar and no trade.
const ZERO_VOLUME: &str = "zero_volume_minutes";

/// More or less was traded than before, beyond belief.
pub(crate) const SESSION_VOLUME: &str = "session_volume";

/// The minutes do not add up to the vendor's own day.
pub(crate) const DAILY_VOLUME: &str = "daily_volume";

/// Prices go on at another level, and no action explains it.
const PRICE_STEP: &str = "price_step";

/// The checks that are made of every session, each time anew.
pub(crate) const SESSION_CHECKS: [&str; 4] =
    [ZERO_VOLUME, SESSION_VOLUME, DAILY_VOLUME, PRICE_STEP];

/// When a session's volumes count as wrong: section `[quality]` of the settings.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QualitySettings {
    /// Largest share of a session's bars that may have volume 0. Yahoo leaves minutes without trades out, so that in
    /// clean sessions it is below 0.003 for large stocks and below 0.02 for thin ones.
    pub zero_volume_share: f64,
    /// How many times the usual volume a session may have, or be below it. News makes it 7 (Facebook in March 2018).
    pub volume_ratio: f64,
    /// The same for sessions with too many empty minutes, whose volumes are doubtful already.
    pub doubtful_volume_ratio: f64,
    /// Sessions before whose median is the usual volume.
    pub usual_sessions: usize,
    /// Least number of these: below it the volume is not judged.
    pub fewest_sessions: usize,
    /// Largest sum of a session's minutes as a share of the vendor's daily volume. The auctions are not in Yahoo's
    /// minutes, which makes it 0.6 to 0.9.
    pub most_of_daily: f64,
    /// Smallest such share.
    pub least_of_daily: f64,
}

impl Default for QualitySettings {
    fn default() -> Self {
        Self {
            zero_volume_share: 0.02,
            volume_ratio: 10.0,
            doubtful_volume_ratio: 2.0,
            usual_sessions: 20,
            fewest_sessions: 4,
            most_of_daily: 1.1,
            least_of_daily: 0.4,
        }
    }
}

impl SettingsSection for QualitySettings {
    const SECTION: &'static str = "quality";

    /// Refuses thresholds that would report everything or nothing.
    fn check(&self) -> Result<(), InvalidSettings> {
        let ratio = |value: f64| value > 1.0 && value.is_finite();
        SettingsCheck::new(Self::SECTION)
            .field(
                "zero_volume_share",
                self.zero_volume_share,
                (0.0..1.0).contains(&self.zero_volume_share),
                "0 or more, below 1",
            )
            .field(
                "volume_ratio",
                self.volume_ratio,
                ratio(self.volume_ratio),
                "a number above 1",
            )
            .field(
                "doubtful_volume_ratio",
                self.doubtful_volume_ratio,
                ratio(self.doubtful_volume_ratio),
                "a number above 1",
            )
            .size("usual_sessions", self.usual_sessions, 1, 1_000)
            .field(
                "fewest_sessions",
                self.fewest_sessions,
                (1..=self.usual_sessions).contains(&self.fewest_sessions),
                "1 to usual_sessions",
            )
            .field(
                "most_of_daily",
                self.most_of_daily,
                self.most_of_daily > 0.0 && self.most_of_daily.is_finite(),
                "a number above 0",
            )
            .field(
                "least_of_daily",
                self.least_of_daily,
                (0.0..self.most_of_daily).contains(&self.least_of_daily),
                "0 or more, below most_of_daily",
            )
            .end()
    }
}

/// What came of checks. One that could not be made is in neither list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QualityChecks {
    /// Of those that failed.
    pub findings: Vec<Finding>,
    /// Those that found nothing: what they found before, on bars that were revised since, no longer holds.
    pub sound: Vec<SoundCheck>,
}

impl QualityChecks {
    fn add(
        &mut self,
        session: &SessionVolume,
        check: &str,
        fault: Option<Fault>,
        at: DateTime<Utc>,
    ) {
        let (ticker, check) = (session.ticker.clone(), check.to_owned());
        let session = session.session;
        match fault {
            None => self.sound.push(SoundCheck {
                ticker,
                session,
                check,
            }),
            Some(fault) => self.findings.push(Finding {
                ticker,
                session,
                check,
                observed: fault.observed,
                expected: fault.expected,
                detail: fault.detail,
                found_at: at,
            }),
        }
    }
}

/// What a check found.
struct Fault {
    observed: f64,
    expected: f64,
    detail: String,
}

/// What is wrong with one ticker's sessions, in their order. `volumes` ascending, in shares of one day; sessions that
/// were cut short count by their minutes, so `minutes` gives the length of a session.
pub fn check_volumes(
    volumes: &[SessionVolume],
    minutes: impl Fn(&SessionVolume) -> u32,
    settings: &QualitySettings,
    at: DateTime<Utc>,
) -> QualityChecks {
    let mut checks = QualityChecks::default();
    // Shares a minute of the sessions that may be trusted.
    let mut usual: Vec<f64> = Vec::new();
    for session in volumes {
        let minutes = f64::from(minutes(session).max(1));
        let share = f64::from(session.zero_volume_bars) / f64::from(session.bars.max(1));
        let is_doubtful = share > settings.zero_volume_share;
        let empty = is_doubtful.then(|| Fault {
            observed: share,
            expected: settings.zero_volume_share,
            detail: format!(
                "{} of {} bars have no volume",
                session.zero_volume_bars, session.bars
            ),
        });
        checks.add(session, ZERO_VOLUME, empty, at);
        if let Some(step) = session.largest_step {
            checks.add(session, PRICE_STEP, step_fault(step), at);
        }
        let per_minute = session.volume / minutes;
        let recent = usual
            .get(usual.len().saturating_sub(settings.usual_sessions)..)
            .unwrap_or_default();
        let median = (recent.len() >= settings.fewest_sessions)
            .then(|| median(recent))
            .filter(|median| *median > 0.0);
        let mut is_wrong = is_doubtful;
        if let Some(median) = median {
            let ratio = per_minute / median;
            let largest = if is_doubtful {
                settings.doubtful_volume_ratio
            } else {
                settings.volume_ratio
            };
            let is_unusual = ratio > largest || ratio < 1.0 / largest;
            let unusual = is_unusual.then(|| Fault {
                observed: session.volume,
                expected: (median * minutes).round(),
                detail: format!(
                    "{ratio:.1} times the median of the {} sessions before",
                    recent.len()
                ),
            });
            is_wrong |= is_unusual;
            checks.add(session, SESSION_VOLUME, unusual, at);
        }
        // A wrong session is nobody's measure.
        if !is_wrong {
            usual.push(per_minute);
        }
    }
    checks
}

/// A step that no action explains: a split that nobody told of, prices that were not adjusted for one, or another company
/// that took the ticker over. It may be a real one, too.
fn step_fault(step: f64) -> Option<Fault> {
    (step > LARGEST_STEP).then(|| Fault {
        observed: step,
        expected: LARGEST_STEP,
        detail: format!(
            "prices step by {:.0} % from one bar to the next, and no known action explains it",
            step * 100.0
        ),
    })
}

/// Compares the minutes' sum of a session with the vendor's own day, unless nothing was traded on it. What counts is the
/// turnover at the close: the vendor may give its days on another share basis than the minutes are on.
pub fn check_daily_volume(
    session: &SessionVolume,
    day: &DailyBar,
    settings: &QualitySettings,
    at: DateTime<Utc>,
    checks: &mut QualityChecks,
) {
    let expected = day.volume * day.close.get() / session.close;
    if expected <= 0.0 || !expected.is_finite() {
        return;
    }
    let share = session.volume / expected;
    let is_sound = (settings.least_of_daily..=settings.most_of_daily).contains(&share);
    let fault = (!is_sound).then(|| Fault {
        observed: session.volume,
        expected,
        detail: format!("the minutes sum up to {share:.2} of the vendor's own daily volume"),
    });
    checks.add(session, DAILY_VOLUME, fault, at);
}

/// Of values that are not empty and hold no NaN.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |place: usize| sorted.get(place).copied().unwrap_or_default();
    let middle = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        at(middle)
    } else {
        f64::midpoint(at(middle - 1), at(middle))
    }
}

#[cfg(test)]
mod tests {
    use chrono::{Days, NaiveDate};
    use domain::Ticker;

    use super::*;

    fn session(day: u64, bars: u32, zero_volume_bars: u32, volume: f64) -> SessionVolume {
        SessionVolume {
            ticker: Ticker::parse("AAPL").unwrap(),
            session: NaiveDate::from_ymd_opt(2026, 3, 2).unwrap() + Days::new(day),
            bars,
            zero_volume_bars,
            volume,
            close: 100.0,
            largest_step: Some(0.01),
        }
    }

    fn checks(volumes: &[SessionVolume]) -> Vec<(u64, String)> {
        let first = session(0, 0, 0, 0.0).session;
        check_volumes(
            volumes,
            |session| if session.bars > 210 { 390 } else { 210 },
            &QualitySettings::default(),
            DateTime::UNIX_EPOCH,
        )
        .findings
        .into_iter()
        .map(|finding| {
            let day = (finding.session - first).num_days();
            (u64::try_from(day).unwrap(), finding.check)
        })
        .collect()
    }

    #[test]
    fn news_is_no_fault_and_neither_is_a_half_day() {
        let volumes = [
            session(0, 390, 0, 1_000.0),
            session(1, 390, 1, 1_100.0),
            session(2, 390, 0, 900.0),
            session(3, 390, 0, 1_000.0),
            session(4, 390, 0, 7_400.0),
            session(5, 210, 0, 150.0),
        ];
        assert_eq!(checks(&volumes), []);
    }

    #[test]
    fn sums_of_five_times_with_empty_minutes_are_reported_and_no_measure_for_later() {
        let mut volumes: Vec<_> = (0..5).map(|day| session(day, 390, 0, 1_000.0)).collect();
        volumes.extend((5..9).map(|day| session(day, 390, 45, 5_000.0)));
        volumes.extend((9..12).map(|day| session(day, 390, 0, 950.0)));
        let found = checks(&volumes);
        assert_eq!(found.len(), 8, "{found:?}");
        for day in 5..9 {
            assert!(found.contains(&(day, ZERO_VOLUME.to_owned())));
            assert!(found.contains(&(day, SESSION_VOLUME.to_owned())));
        }
    }

    #[test]
    fn a_volume_beyond_belief_needs_no_other_sign() {
        let mut volumes: Vec<_> = (0..5).map(|day| session(day, 390, 0, 1_000.0)).collect();
        volumes.push(session(5, 390, 0, 12_000.0));
        volumes.push(session(6, 390, 0, 80.0));
        volumes.push(session(7, 390, 0, 1_000.0));
        let found = checks(&volumes);
        assert_eq!(found, [5, 6].map(|day| (day, SESSION_VOLUME.to_owned())));
        assert_eq!(checks(&volumes[2..6]), [], "too few sessions to know");
    }

    #[test]
    fn the_vendors_own_day_is_the_surest_measure() {
        let settings = QualitySettings::default();
        let checked = |volume, daily, close| {
            let mut checks = QualityChecks::default();
            let session = session(0, 390, 0, volume);
            let price = domain::Price::new(close).unwrap();
            let day = DailyBar {
                session: session.session,
                open: price,
                high: price,
                low: price,
                close: price,
                adjusted_close: None,
                volume: daily,
            };
            let at = DateTime::UNIX_EPOCH;
            check_daily_volume(&session, &day, &settings, at, &mut checks);
            checks
        };
        assert_eq!(checked(5_000.0, 0.0, 100.0), QualityChecks::default());
        let sound = checked(750.0, 1_000.0, 100.0);
        assert_eq!((sound.findings.len(), sound.sound.len()), (0, 1));
        let much = checked(5_000.0, 1_000.0, 100.0);
        assert_eq!(much.findings[0].expected, 1_000.0);
        let little = checked(100.0, 1_000.0, 100.0);
        assert_eq!(little.findings[0].check, DAILY_VOLUME);
        assert_eq!(little.sound, []);
        // The vendor has restated its days for a split of four for one, the minutes are as they were fetched.
        let restated = checked(750.0, 4_000.0, 25.0);
        assert_eq!((restated.findings.len(), restated.sound.len()), (0, 1));
        let little = checked(100.0, 4_000.0, 25.0);
        assert_eq!(
            little.findings[0].expected, 1_000.0,
            "in shares of the minutes"
        );
    }

    #[test]
    fn a_step_that_stays_is_found_and_one_that_cannot_be_seen_is_not_judged() {
        let step = |largest_step| SessionVolume {
            largest_step,
            ..session(0, 390, 0, 1_000.0)
        };
        let volumes = [step(None), step(Some(0.5)), step(Some(14.3))];
        let at = DateTime::UNIX_EPOCH;
        let checks = check_volumes(&volumes, |_| 390, &QualitySettings::default(), at);
        let found: Vec<_> = checks
            .findings
            .iter()
            .map(|finding| (finding.check.as_str(), finding.observed))
            .collect();
        assert_eq!(found, [(PRICE_STEP, 14.3)]);
        let sound = checks.sound.iter().filter(|row| row.check == PRICE_STEP);
        assert_eq!(sound.count(), 1);
    }

    #[test]
    fn a_check_that_could_not_be_made_says_neither() {
        let volumes: Vec<_> = (0..5).map(|day| session(day, 390, 0, 1_000.0)).collect();
        let at = DateTime::UNIX_EPOCH;
        let checks = check_volumes(&volumes, |_| 390, &QualitySettings::default(), at);
        let sound = |check: &str| -> Vec<NaiveDate> {
            let rows = checks.sound.iter().filter(|row| row.check == check);
            rows.map(|row| row.session).collect()
        };
        assert_eq!(sound(ZERO_VOLUME).len(), 5);
        assert_eq!(
            sound(SESSION_VOLUME),
            [volumes[4].session],
            "the first four are the measure"
        );
    }

    #[test]
    fn a_bad_threshold_is_named() {
        QualitySettings::default().check().unwrap();
        let settings = QualitySettings {
            volume_ratio: 0.5,
            ..QualitySettings::default()
        };
        let error = settings.check().unwrap_err().to_string();
        assert!(error.contains("[quality] volume_ratio = 0.5"), "{error}");
    }
}
