use chrono::TimeDelta;
use domain::{InvalidSettings, SettingsCheck, SettingsSection};
use serde::Deserialize;

/// When a champion is looked at and what is too much: section `[drift]` of the settings.
///
/// Times are market time. The README says where the defaults come from.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DriftSettings {
    /// Minutes between two looks while the market is open.
    pub check_minutes: u32,
    /// Minutes after the close of a session until it is looked at as a whole.
    pub after_close_minutes: u32,
    /// Looks in a row that must be worse before the state becomes so.
    pub worsen_after: u32,
    /// Looks in a row that must be better before the state becomes so.
    pub improve_after: u32,

    /// How many times the most that was usual in training a feature may differ before it counts as moved.
    pub tolerance: f64,
    /// Share of the features made of bars that have moved.
    pub degraded_features: f64,
    /// As [`Self::degraded_features`].
    pub critical_features: f64,
    /// How many times the most that was usual in training the correlations of the features may differ.
    pub degraded_correlation: f64,
    /// As [`Self::degraded_correlation`].
    pub critical_correlation: f64,
    /// Volatility over that of the five sessions before, at the same time of day, or the reverse.
    pub degraded_volatility: f64,
    /// As [`Self::degraded_volatility`].
    pub critical_volatility: f64,
    /// Volatility over that of the training, at the same time of day, or the reverse.
    pub degraded_volatility_of_training: f64,
    /// As [`Self::degraded_volatility_of_training`].
    pub critical_volatility_of_training: f64,
    /// Minutes without any change of price, or without a bar, after which a stock's feed counts as frozen.
    pub frozen_minutes: u32,
    /// Step of a price from one bar to the next that no market makes, a fraction.
    pub impossible_step: f64,
    /// Share of the stocks whose prices are wrong: frozen, stepping, or on another level than in training.
    pub degraded_stocks: f64,
    /// As [`Self::degraded_stocks`].
    pub critical_stocks: f64,
    /// How far the mean probability of the most probable class may lie from that on calibration bars. Only ever degrades:
    /// confidence is not accuracy.
    pub degraded_confidence: f64,

    /// Sessions whose outcomes are looked at.
    pub outcome_sessions: u32,
    /// Fewest outcomes that say something.
    pub fewest_outcomes: u32,
    /// Log loss above that of the class prior on the same bars, over all of these sessions; more for fewer, by the root of
    /// their number.
    pub degraded_excess_loss: f64,
    /// As [`Self::degraded_excess_loss`].
    pub critical_excess_loss: f64,
    /// Minutes after which the vendor no longer revises a bar: outcomes wait so long.
    pub settle_minutes: u32,
    /// Hours after the close of a session after which an outcome that is still missing is given up.
    pub give_up_hours: u32,

    /// Sessions on which earlier champions are tried beside the present one.
    pub shadow_sessions: u32,
    /// Every so manieth bar of these is asked about: neighbours share most of their outcome.
    pub shadow_stride: u32,
    /// Earlier champions that are tried, newest first.
    pub candidates: u32,
    /// Log loss by which an earlier champion must be better to take over.
    pub rollback_margin: f64,
    /// Days after a rollback in which there is no other, whatever happens.
    pub cool_down_days: u32,
}

impl Default for DriftSettings {
    fn default() -> Self {
        Self {
            check_minutes: 30,
            after_close_minutes: 20,
            worsen_after: 2,
            improve_after: 4,
            tolerance: 1.25,
            degraded_features: 0.12,
            critical_features: 0.34,
            degraded_correlation: 1.4,
            critical_correlation: 1.6,
            degraded_volatility: 1.5,
            critical_volatility: 1.8,
            degraded_volatility_of_training: 2.0,
            critical_volatility_of_training: 3.0,
            frozen_minutes: 15,
            impossible_step: 0.2,
            degraded_stocks: 0.1,
            critical_stocks: 0.25,
            degraded_confidence: 0.1,
            outcome_sessions: 5,
            fewest_outcomes: 200,
            degraded_excess_loss: 0.03,
            critical_excess_loss: 0.1,
            settle_minutes: 15,
            give_up_hours: 24,
            shadow_sessions: 5,
            shadow_stride: 5,
            candidates: 5,
            rollback_margin: 0.01,
            cool_down_days: 7,
        }
    }
}

impl SettingsSection for DriftSettings {
    const SECTION: &'static str = "drift";

    /// Refuses what would never alarm, always alarm, or never end.
    fn check(&self) -> Result<(), InvalidSettings> {
        let mut check = SettingsCheck::new(Self::SECTION)
            .count("check_minutes", self.check_minutes, 1, 390)
            .count("after_close_minutes", self.after_close_minutes, 0, 720)
            .count("worsen_after", self.worsen_after, 1, 100)
            .count("improve_after", self.improve_after, 1, 100)
            .count("frozen_minutes", self.frozen_minutes, 2, 390)
            .count("outcome_sessions", self.outcome_sessions, 1, 60)
            .count("fewest_outcomes", self.fewest_outcomes, 1, 1_000_000)
            .count("settle_minutes", self.settle_minutes, 0, 1_440)
            .count("give_up_hours", self.give_up_hours, 1, 720)
            .field(
                "give_up_hours",
                self.give_up_hours,
                self.give_up() > self.settle(),
                format!("more than settle_minutes = {}", self.settle_minutes),
            )
            .count("shadow_sessions", self.shadow_sessions, 1, 60)
            .count("shadow_stride", self.shadow_stride, 1, 390)
            .count("candidates", self.candidates, 1, 100)
            .count("cool_down_days", self.cool_down_days, 0, 365);
        let above_zero = |value: f64| value > 0.0 && value.is_finite();
        for (field, value) in [
            ("tolerance", self.tolerance),
            ("impossible_step", self.impossible_step),
            ("rollback_margin", self.rollback_margin),
        ] {
            check = check.field(field, value, above_zero(value), "a number above 0");
        }
        // A share lies between 0 and 1, a ratio of two volatilities or its reverse is at least 1.
        let share = (0.0, 1.0);
        let ratio = (1.0, f64::MAX);
        let positive = (0.0, f64::MAX);
        check = check.field(
            "degraded_confidence",
            self.degraded_confidence,
            self.degraded_confidence > 0.0 && self.degraded_confidence <= 1.0,
            "a share above 0, up to 1",
        );
        for ((least, most), degraded, critical) in [
            (
                share,
                ("degraded_features", self.degraded_features),
                ("critical_features", self.critical_features),
            ),
            (
                positive,
                ("degraded_correlation", self.degraded_correlation),
                ("critical_correlation", self.critical_correlation),
            ),
            (
                ratio,
                ("degraded_volatility", self.degraded_volatility),
                ("critical_volatility", self.critical_volatility),
            ),
            (
                ratio,
                (
                    "degraded_volatility_of_training",
                    self.degraded_volatility_of_training,
                ),
                (
                    "critical_volatility_of_training",
                    self.critical_volatility_of_training,
                ),
            ),
            (
                share,
                ("degraded_stocks", self.degraded_stocks),
                ("critical_stocks", self.critical_stocks),
            ),
            (
                positive,
                ("degraded_excess_loss", self.degraded_excess_loss),
                ("critical_excess_loss", self.critical_excess_loss),
            ),
        ] {
            let expected = if most < f64::MAX {
                format!("a number above {least}, up to {most}")
            } else {
                format!("a number above {least}")
            };
            let inside = |value: f64| value > least && value <= most;
            for (field, value) in [degraded, critical] {
                check = check.field(field, value, inside(value), expected.as_str());
            }
            let (field, value) = critical;
            check = check.field(
                field,
                value,
                value >= degraded.1,
                format!("no less than {} = {}", degraded.0, degraded.1),
            );
        }
        check.end()
    }
}

impl DriftSettings {
    pub(crate) fn check_interval(&self) -> TimeDelta {
        TimeDelta::minutes(self.check_minutes.into())
    }

    pub(crate) fn after_close(&self) -> TimeDelta {
        TimeDelta::minutes(self.after_close_minutes.into())
    }

    pub(crate) fn frozen(&self) -> TimeDelta {
        TimeDelta::minutes(self.frozen_minutes.into())
    }

    pub(crate) fn settle(&self) -> TimeDelta {
        TimeDelta::minutes(self.settle_minutes.into())
    }

    pub(crate) fn give_up(&self) -> TimeDelta {
        TimeDelta::hours(self.give_up_hours.into())
    }

    pub(crate) fn cool_down(&self) -> TimeDelta {
        TimeDelta::days(self.cool_down_days.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_setting_is_named_with_its_value() {
        DriftSettings::default().check().unwrap();
        let wrong = |settings: DriftSettings| settings.check().unwrap_err().to_string();
        let never = wrong(DriftSettings {
            check_minutes: 0,
            ..DriftSettings::default()
        });
        assert!(never.contains("[drift] check_minutes = 0"), "{never}");
        let turned = wrong(DriftSettings {
            critical_volatility: 1.2,
            ..DriftSettings::default()
        });
        assert!(turned.contains("critical_volatility = 1.2"), "{turned}");
        let nothing = wrong(DriftSettings {
            tolerance: f64::NAN,
            ..DriftSettings::default()
        });
        assert!(nothing.contains("tolerance = NaN"), "{nothing}");
        let more_than_all = wrong(DriftSettings {
            critical_stocks: 1.5,
            ..DriftSettings::default()
        });
        assert!(
            more_than_all.contains("[drift] critical_stocks = 1.5"),
            "{more_than_all}"
        );
        let given_up_at_once = wrong(DriftSettings {
            settle_minutes: 90,
            give_up_hours: 1,
            ..DriftSettings::default()
        });
        assert!(
            given_up_at_once.contains("give_up_hours = 1"),
            "{given_up_at_once}"
        );
    }
}
