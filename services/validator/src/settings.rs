use domain::{InvalidSettings, Policy, SettingsCheck, SettingsSection};
use evaluation::{CompareError, ComparisonSettings};
use serde::Deserialize;

/// How champions and challengers are compared: section `[validation]` of the settings; the service's page says what the
/// fields mean.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ValidationSettings {
    /// Newest challengers of each kind that are compared.
    pub challengers: usize,
    /// What a challenger must at least gain, nats of log loss a decision.
    pub margin: f64,
    /// Probability with which the bounds of all challengers of a kind hold together.
    pub level: f64,
    /// Draws of the bootstrap over whole days.
    pub resamples: usize,
    /// Seed of these draws.
    pub seed: u64,
}

impl Default for ValidationSettings {
    fn default() -> Self {
        Self {
            challengers: 5,
            margin: 0.0005,
            level: 0.95,
            resamples: 2_000,
            seed: 1,
        }
    }
}

impl SettingsSection for ValidationSettings {
    const SECTION: &'static str = "validation";

    /// Refuses settings that compare nothing, or let anything win.
    fn check(&self) -> Result<(), InvalidSettings> {
        let mut check =
            SettingsCheck::new(Self::SECTION).size("challengers", self.challengers, 1, 1_000);
        let comparison = self.of_comparison(1, 1, &Policy::default()).check();
        if let Err(CompareError::Setting {
            field,
            value,
            expected,
        }) = comparison
        {
            check = check.field(field, value, false, expected);
        }
        check
            .field(
                "resamples",
                self.resamples,
                self.resamples <= 1_000_000,
                "1000000 or less",
            )
            .end()
    }
}

impl ValidationSettings {
    /// The settings of one of `comparisons` that are made at once. Each bound holds with a higher probability, so that
    /// together they hold with [`Self::level`] (Bonferroni).
    pub(crate) fn of_comparison(
        &self,
        comparisons: usize,
        trials: usize,
        policy: &Policy,
    ) -> ComparisonSettings {
        ComparisonSettings {
            margin: self.margin,
            level: 1.0 - (1.0 - self.level) / comparisons.max(1) as f64,
            resamples: self.resamples,
            seed: self.seed,
            round_trip_cost_bps: policy.round_trip_cost_bps,
            trials,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_prove_nothing_are_refused() {
        let usual = ValidationSettings::default();
        usual.check().unwrap();
        for wrong in [
            ValidationSettings {
                challengers: 0,
                ..usual
            },
            ValidationSettings {
                level: 1.0,
                ..usual
            },
            ValidationSettings {
                margin: -0.1,
                ..usual
            },
            ValidationSettings {
                resamples: 10,
                ..usual
            },
        ] {
            let error = format!("{:#}", wrong.check().unwrap_err());
            assert!(error.contains("[validation]"), "{error}");
        }
        let of_five = usual.of_comparison(5, 9, &Policy::default());
        assert!((of_five.level - 0.99).abs() < 1e-12);
    }
}
