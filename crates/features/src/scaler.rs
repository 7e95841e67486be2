use serde::{Deserialize, Serialize};

use crate::{FEATURE_COUNT, FeatureVector};

/// Smallest scaled value: half a range below what training saw.
pub const SCALED_MINIMUM: f32 = -0.5;

/// Largest scaled value: half a range above what training saw.
pub const SCALED_MAXIMUM: f32 = 1.5;

/// Min-max scaling, fitted on training rows only (in `training`) and saved with the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scaler {
    /// Smallest training value of each feature.
    pub minimum: Vec<f32>,
    /// Largest less smallest training value of each feature.
    pub range: Vec<f32>,
}

/// Numbers that cannot scale feature vectors.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScalerFault {
    /// Not one number for each feature.
    #[error(
        "scaler has {minimum} minima and {range} ranges: expected {} of each",
        FEATURE_COUNT
    )]
    Length {
        /// Minima found.
        minimum: usize,
        /// Ranges found.
        range: usize,
    },
    /// A minimum that is not finite, or a range that is not finite or below zero.
    #[error(
        "scaler of feature {feature} has minimum {minimum} and range {range}: expected finite numbers, range >= 0"
    )]
    Value {
        /// Name of the feature.
        feature: &'static str,
        /// Its minimum.
        minimum: f32,
        /// Its range.
        range: f32,
    },
}

impl Scaler {
    /// Checks numbers read from a file: one pair for each feature, all finite. A range of 0 is a constant feature.
    ///
    /// # Errors
    /// The first [`ScalerFault`] found.
    pub fn check(&self) -> Result<(), ScalerFault> {
        if self.minimum.len() != FEATURE_COUNT || self.range.len() != FEATURE_COUNT {
            return Err(ScalerFault::Length {
                minimum: self.minimum.len(),
                range: self.range.len(),
            });
        }
        let names = crate::FeatureSchema::current().names;
        for ((feature, minimum), range) in names.into_iter().zip(&self.minimum).zip(&self.range) {
            if !minimum.is_finite() || !range.is_finite() || *range < 0.0 {
                return Err(ScalerFault::Value {
                    feature,
                    minimum: *minimum,
                    range: *range,
                });
            }
        }
        Ok(())
    }

    /// Writes `(feature - minimum) / range` into `out` `[FEATURE_COUNT]`, clamped to
    /// [`SCALED_MINIMUM`]`..=`[`SCALED_MAXIMUM`]: what lies far outside of training is not trusted to mean more. Constant
    /// features (range 0) and values that are not finite become 0.
    pub fn apply(&self, features: &FeatureVector, out: &mut [f32]) {
        let scales = self.minimum.iter().zip(&self.range);
        for ((out, feature), (minimum, range)) in out.iter_mut().zip(features).zip(scales) {
            let scaled = (feature - minimum) / range;
            let usable = *range > 0.0 && scaled.is_finite();
            *out = if usable {
                scaled.clamp(SCALED_MINIMUM, SCALED_MAXIMUM)
            } else {
                0.0
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scaler(minimum: f32, range: f32) -> Scaler {
        Scaler {
            minimum: vec![minimum; FEATURE_COUNT],
            range: vec![range; FEATURE_COUNT],
        }
    }

    #[test]
    fn scales_clamps_and_guards() {
        let mut features = [3.0; FEATURE_COUNT];
        features[1] = 1e9;
        features[2] = -1e9;
        features[3] = f32::NAN;
        features[4] = f32::INFINITY;
        let mut out = [9.0; FEATURE_COUNT];
        scaler(1.0, 4.0).apply(&features, &mut out);
        assert_eq!(
            out[..6],
            [0.5, SCALED_MAXIMUM, SCALED_MINIMUM, 0.0, 0.0, 0.5]
        );

        scaler(3.0, 0.0).apply(&features, &mut out);
        assert_eq!(out, [0.0; FEATURE_COUNT]);
    }

    #[test]
    fn check_names_the_feature() {
        assert!(scaler(0.0, 1.0).check().is_ok());
        let mut broken = scaler(0.0, 1.0);
        broken.range[4] = f32::NAN;
        assert!(broken.check().unwrap_err().to_string().contains("rsi_14"));
        broken.range.pop();
        assert!(matches!(
            broken.check(),
            Err(ScalerFault::Length { range, .. }) if range == FEATURE_COUNT - 1
        ));
    }
}
