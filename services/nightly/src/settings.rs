use std::time::Duration;

use domain::{InvalidSettings, SettingsCheck, SettingsSection};
use serde::Deserialize;

use crate::steps::Step;

/// The section `[nightly]`; the crate's page says what the fields mean.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NightlySettings {
    pub(crate) attempts: u32,
    pub(crate) first_pause_s: f64,
    pub(crate) longest_pause_s: f64,
    pub(crate) step_timeout_s: u64,
    pub(crate) train_timeout_s: u64,
    pub(crate) held_out_sessions: usize,
    pub(crate) spare_models: usize,
    pub(crate) keep_nights_days: u32,
}

impl Default for NightlySettings {
    fn default() -> Self {
        Self {
            attempts: 4,
            first_pause_s: 60.0,
            longest_pause_s: 1_800.0,
            step_timeout_s: 3_600,
            train_timeout_s: 21_600,
            held_out_sessions: 5,
            spare_models: 10,
            keep_nights_days: 90,
        }
    }
}

/// The longest pause or step, seconds: a week.
const LONGEST_S: u64 = 7 * 24 * 3_600;

impl SettingsSection for NightlySettings {
    const SECTION: &'static str = "nightly";

    fn check(&self) -> Result<(), InvalidSettings> {
        let longest = LONGEST_S as f64;
        SettingsCheck::new(Self::SECTION)
            .count("attempts", self.attempts, 1, 1_000)
            .number("first_pause_s", self.first_pause_s, 0.0, longest)
            .number("longest_pause_s", self.longest_pause_s, 0.0, longest)
            .field(
                "longest_pause_s",
                self.longest_pause_s,
                self.longest_pause_s >= self.first_pause_s,
                format!("no less than first_pause_s = {}", self.first_pause_s),
            )
            .count("step_timeout_s", self.step_timeout_s, 1, LONGEST_S)
            .count("train_timeout_s", self.train_timeout_s, 1, LONGEST_S)
            .field(
                "held_out_sessions",
                self.held_out_sessions,
                (1..=250).contains(&self.held_out_sessions),
                "1 to 250: without unseen sessions nothing can be compared",
            )
            .size("spare_models", self.spare_models, 0, 100_000)
            .count("keep_nights_days", self.keep_nights_days, 1, 36_500)
            .end()
    }
}

impl NightlySettings {
    /// System time to wait after so many failures in a row, at least one.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(30);
        let seconds = self.first_pause_s * f64::from(1_u32 << doublings);
        Duration::from_secs_f64(seconds.min(self.longest_pause_s))
    }

    pub(crate) const fn timeout(&self, step: Step) -> Duration {
        Duration::from_secs(match step {
            Step::Train => self.train_timeout_s,
            _ => self.step_timeout_s,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let settings = NightlySettings {
            first_pause_s: 10.0,
            longest_pause_s: 35.0,
            ..NightlySettings::default()
        };
        let seconds = [1, 2, 3, 4, u32::MAX].map(|failures| settings.pause(failures).as_secs());
        assert_eq!(seconds, [10, 20, 35, 35, 35]);
    }

    #[test]
    fn impossible_settings_are_named() {
        let refused = |settings: NightlySettings| settings.check().unwrap_err().to_string();
        let usual = NightlySettings::default;
        usual().check().unwrap();
        assert!(
            refused(NightlySettings {
                attempts: 0,
                ..usual()
            })
            .contains("attempts")
        );
        assert!(
            refused(NightlySettings {
                first_pause_s: f64::NAN,
                ..usual()
            })
            .contains("first_pause_s")
        );
        assert!(
            refused(NightlySettings {
                held_out_sessions: 0,
                ..usual()
            })
            .contains("held_out_sessions")
        );
    }
}
