use serde::{Deserialize, Serialize};

use crate::{InvalidSettings, SettingsCheck, SettingsSection};

/// When a recommendation is made: section `[policy]` of the settings.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// How often a model's set of possible classes shall hold what happens, above 0.5 and below 1: the more, the
    /// larger the sets and the fewer recommendations. A trained model keeps the value it was calibrated with.
    pub coverage: f64,
    /// Spread and fees of entering and leaving a position, basis points of its price.
    pub round_trip_cost_bps: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            coverage: 0.8,
            round_trip_cost_bps: 4.0,
        }
    }
}

impl SettingsSection for Policy {
    const SECTION: &'static str = "policy";

    fn check(&self) -> Result<(), InvalidSettings> {
        let Self {
            coverage,
            round_trip_cost_bps: cost,
        } = *self;
        SettingsCheck::new(Self::SECTION)
            .field(
                "coverage",
                coverage,
                coverage > 0.5 && coverage < 1.0,
                "a number above 0.5 and below 1, such as 0.8",
            )
            .field(
                "round_trip_cost_bps",
                cost,
                (0.0..10_000.0).contains(&cost),
                "a number of basis points from 0 on, such as 4",
            )
            .end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_decides_nothing_is_refused() {
        assert!(Policy::default().check().is_ok());
        for coverage in [f64::NAN, 0.0, 0.5, 1.0] {
            let policy = Policy {
                coverage,
                ..Policy::default()
            };
            assert!(policy.check().unwrap_err().to_string().contains("coverage"));
        }
        for round_trip_cost_bps in [f64::NAN, f64::INFINITY, -0.1] {
            let policy = Policy {
                round_trip_cost_bps,
                ..Policy::default()
            };
            let error = policy.check().unwrap_err().to_string();
            assert!(error.contains("round_trip_cost_bps"), "{error}");
        }
    }

    #[test]
    fn a_setting_of_former_times_is_refused() {
        let error = serde_json::from_str::<Policy>(r#"{"threshold": 0.45}"#).unwrap_err();
        assert!(
            error.to_string().contains("unknown field `threshold`"),
            "{error}"
        );
        let policy: Policy = serde_json::from_str(r#"{"coverage": 0.9}"#).unwrap();
        assert_eq!(policy.round_trip_cost_bps, 4.0);
    }
}
