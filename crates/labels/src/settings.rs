use domain::{InvalidSettings, SettingsCheck, SettingsSection};
use serde::{Deserialize, Serialize};

/// What touches a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BarrierPath {
    /// A close beyond it, as in the reference implementation.
    Close,
    /// A high or low that reaches it.
    HighLow,
}

/// How labels are made; saved with every model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BarrierSettings {
    /// What touches a barrier.
    pub path: BarrierPath,
    /// Minutes of trading until the vertical barrier.
    pub horizon: usize,
    /// Span, in bars, of the exponentially weighted volatility.
    pub target_span: usize,
    /// Upper barrier in targets; 0: no upper barrier.
    pub profit: f64,
    /// Lower barrier in targets; 0: no lower barrier.
    pub stop: f64,
    /// Smallest target, a fraction of the price: more than a round trip costs.
    pub minimum_target: f64,
    /// Whether the vertical barrier stays within the session; otherwise sessions are joined end to end.
    pub within_session: bool,
}

impl Default for BarrierSettings {
    fn default() -> Self {
        Self {
            path: BarrierPath::HighLow,
            horizon: 30,
            target_span: 60,
            profit: 1.0,
            stop: 1.0,
            minimum_target: 0.0008,
            within_session: true,
        }
    }
}

/// Labels that are worth nothing to whoever foresees them.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum WorthlessLabels {
    /// Their moves do not pay for trading on them.
    #[error(
        "[labels] and [policy] contradict each other: the smallest barrier, labels.minimum_target times the smaller of labels.profit and labels.stop, is {barrier_bps:.1} basis points, but a round trip costs policy.round_trip_cost_bps = {round_trip_cost_bps}: raise the one or lower the other"
    )]
    BarrierBelowCost {
        /// The smallest barrier, basis points of the price.
        barrier_bps: f64,
        /// What entering and leaving a position costs, basis points of its price.
        round_trip_cost_bps: f64,
    },
    /// There is no barrier to touch.
    #[error("[labels] profit = 0 and stop = 0 cannot both be: expected a barrier, such as 1.0")]
    NoBarrier,
}

impl SettingsSection for BarrierSettings {
    const SECTION: &'static str = "labels";

    fn check(&self) -> Result<(), InvalidSettings> {
        SettingsCheck::new(Self::SECTION)
            .size("horizon", self.horizon, 1, 10_000)
            .size("target_span", self.target_span, 1, 10_000)
            .number("profit", self.profit, 0.0, 1_000.0)
            .number("stop", self.stop, 0.0, 1_000.0)
            .field(
                "minimum_target",
                self.minimum_target,
                (0.0..0.5).contains(&self.minimum_target),
                "a fraction of the price, such as 0.0008",
            )
            .end()
    }
}

impl BarrierSettings {
    /// Checks that whoever is right about a touch earns more than a round trip costs, in basis points of the price.
    ///
    /// # Errors
    /// [`WorthlessLabels`] when the smallest barrier does not exceed the cost, or there is none.
    pub fn check_cost(&self, round_trip_cost_bps: f64) -> Result<(), WorthlessLabels> {
        let multiples = [self.profit, self.stop].into_iter();
        let nearest = multiples
            .filter(|multiple| *multiple > 0.0)
            .fold(f64::INFINITY, f64::min);
        if nearest.is_infinite() {
            return Err(WorthlessLabels::NoBarrier);
        }
        let barrier_bps = self.minimum_target * nearest * 1e4;
        if barrier_bps > round_trip_cost_bps {
            return Ok(());
        }
        Err(WorthlessLabels::BarrierBelowCost {
            barrier_bps,
            round_trip_cost_bps,
        })
    }

    /// The reference method: closes only, sessions joined end to end, no smallest target.
    pub fn closes_only() -> Self {
        Self {
            path: BarrierPath::Close,
            minimum_target: 0.0,
            within_session: false,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_out_of_range_is_named() {
        BarrierSettings::default().check().unwrap();
        let wrong = |settings: BarrierSettings| settings.check().unwrap_err().to_string();
        let basis_points = BarrierSettings {
            minimum_target: 8.0,
            ..BarrierSettings::default()
        };
        assert_eq!(
            wrong(basis_points),
            "[labels] minimum_target = 8 cannot be used: expected a fraction of the price, such as 0.0008"
        );
        assert!(
            wrong(BarrierSettings {
                horizon: 0,
                ..BarrierSettings::default()
            })
            .contains("horizon")
        );
        assert!(
            wrong(BarrierSettings {
                profit: f64::NAN,
                ..BarrierSettings::default()
            })
            .contains("profit")
        );
    }

    #[test]
    fn barriers_exceed_the_cost() {
        let settings = BarrierSettings::default();
        settings.check_cost(7.9).unwrap();
        assert!(settings.check_cost(8.0).is_err());
        let halved = BarrierSettings {
            stop: 0.5,
            ..settings
        };
        halved.check_cost(3.9).unwrap();
        let error = halved.check_cost(4.0).unwrap_err().to_string();
        assert!(
            error.contains("labels.minimum_target") && error.contains("policy.round_trip_cost_bps"),
            "{error}"
        );
        let one_sided = BarrierSettings {
            stop: 0.0,
            ..halved
        };
        one_sided.check_cost(7.9).unwrap();
        let nothing = BarrierSettings {
            profit: 0.0,
            ..one_sided
        };
        let error = nothing.check_cost(0.0).unwrap_err().to_string();
        assert!(error.contains("[labels] profit = 0"), "{error}");
    }

    #[test]
    fn default_is_the_high_low_path_within_the_session() {
        let settings = BarrierSettings::default();
        assert_eq!((settings.horizon, settings.target_span), (30, 60));
        assert_eq!(
            (settings.path, settings.within_session),
            (BarrierPath::HighLow, true)
        );
    }
}
