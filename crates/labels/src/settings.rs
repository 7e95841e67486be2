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
    /// Bars until the vertical barrier.
    pub horizon: usize,
    /// Span, in bars, of the exponentially weighted volatility.
    pub target_span: usize,
    /// Upper barrier in targets; 0 or less: no upper barrier.
    pub profit: f64,
    /// Lower barrier in targets; 0 or less: no lower barrier.
    pub stop: f64,
    /// Smallest target, a fraction of the price: more than a round trip costs.
    pub minimum_target: f64,
    /// Whether the vertical barrier stays within the session, and bars outside regular sessions are left out.
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

/// A setting that makes no labels.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("setting labels.{field} is {value}: expected {expected}")]
pub struct InvalidBarriers {
    field: &'static str,
    value: f64,
    expected: &'static str,
}

/// Labels whose moves do not pay for trading on them.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "the smallest barrier, labels.minimum_target times the smaller of labels.profit and labels.stop, is {barrier_bps:.1} basis points, but a round trip costs policy.round_trip_cost_bps = {round_trip_cost_bps}: raise the one or lower the other"
)]
pub struct BarrierBelowCost {
    barrier_bps: f64,
    round_trip_cost_bps: f64,
}

impl BarrierSettings {
    /// Checks that whoever is right about a touch earns more than a round trip costs, in basis points of the price.
    ///
    /// # Errors
    /// [`BarrierBelowCost`] when the smallest barrier does not exceed the cost.
    pub fn check_cost(&self, round_trip_cost_bps: f64) -> Result<(), BarrierBelowCost> {
        let multiples = [self.profit, self.stop].into_iter();
        let nearest = multiples
            .filter(|multiple| *multiple > 0.0)
            .fold(f64::INFINITY, f64::min);
        let barrier_bps = self.minimum_target * nearest * 1e4;
        if barrier_bps > round_trip_cost_bps {
            return Ok(());
        }
        Err(BarrierBelowCost {
            barrier_bps,
            round_trip_cost_bps,
        })
    }

    /// Checks settings read from a file or a command line.
    ///
    /// # Errors
    /// [`InvalidBarriers`] names the first field that is out of range.
    pub fn check(&self) -> Result<(), InvalidBarriers> {
        let field = |field, value: f64, valid, expected| match valid {
            true => Ok(()),
            false => Err(InvalidBarriers {
                field,
                value,
                expected,
            }),
        };
        let size = |value: usize| (1..=10_000).contains(&value);
        field(
            "horizon",
            self.horizon as f64,
            size(self.horizon),
            "1 to 10000 bars",
        )?;
        field(
            "target_span",
            self.target_span as f64,
            size(self.target_span),
            "1 to 10000 bars",
        )?;
        field(
            "profit",
            self.profit,
            self.profit.is_finite(),
            "a finite number",
        )?;
        field("stop", self.stop, self.stop.is_finite(), "a finite number")?;
        let fraction = (0.0..0.5).contains(&self.minimum_target);
        field(
            "minimum_target",
            self.minimum_target,
            fraction,
            "a fraction of the price, such as 0.0008",
        )
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
            "setting labels.minimum_target is 8: expected a fraction of the price, such as 0.0008"
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
