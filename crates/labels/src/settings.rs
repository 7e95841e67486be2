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

impl BarrierSettings {
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
    fn default_is_the_high_low_path_within_the_session() {
        let settings = BarrierSettings::default();
        assert_eq!((settings.horizon, settings.target_span), (30, 60));
        assert_eq!(
            (settings.path, settings.within_session),
            (BarrierPath::HighLow, true)
        );
    }
}
