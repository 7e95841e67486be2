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

impl BarrierSettings {
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
    fn default_is_the_high_low_path_within_the_session() {
        let settings = BarrierSettings::default();
        assert_eq!((settings.horizon, settings.target_span), (30, 60));
        assert_eq!(
            (settings.path, settings.within_session),
            (BarrierPath::HighLow, true)
        );
    }
}
