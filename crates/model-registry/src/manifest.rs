use chrono::{DateTime, Utc};
use domain::{AdaptiveThresholds, ModelId, ModelKind};
use serde::{Deserialize, Serialize};

use crate::checksum;

/// Version of [`Manifest`]'s form that this program writes and reads.
pub const MANIFEST_SCHEMA_VERSION: u32 = 3;

/// All that is known of a trained model: `model.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// [`MANIFEST_SCHEMA_VERSION`] when written.
    pub schema_version: u32,
    /// Unique name, also the folder's.
    pub model_id: ModelId,
    /// Which rider.
    pub kind: ModelKind,
    /// When the training ended, UTC.
    pub created_at: DateTime<Utc>,
    /// What a bar's numbers mean.
    pub features: FeatureRecord,
    /// Bars per input.
    pub window: usize,
    /// From features to the network's inputs.
    pub scaler: ScalerRecord,
    /// Names of the outputs: down, neutral, up.
    pub classes: [String; 3],
    /// Settings of the labels, as the `labels` crate writes them.
    pub labels: serde_json::Value,
    /// Settings of the network and of the training.
    pub hyper_parameters: serde_json::Value,
    /// Which bars were used for what.
    pub ranges: Ranges,
    /// The unscaled features on the training bars, in order.
    pub training_statistics: Vec<FeatureStatistics>,
    /// sha256 of `drift_reference.json`, what drift is measured against at the same time of day; none for a model whose
    /// drift nobody can measure. Filled in when the artifact is written.
    pub drift_reference_sha256: Option<String>,
    /// How the model tells when it is sure; none where its calibration part was too small, and such a model never
    /// confirms a direction.
    pub abstention: Option<AbstentionRecord>,
    /// Figures on held-out bars beside their baselines.
    pub metrics: serde_json::Value,
    /// Seed of the training.
    pub seed: u64,
    /// Fingerprint of the bars trained on.
    pub data_fingerprint: String,
    /// Version of the code that trained.
    pub code_version: String,
    /// sha256 of `model.tflite`, lower-case hexadecimal.
    pub tflite_sha256: String,
}

/// Which features, in which order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeatureRecord {
    /// Version of the feature schema.
    pub version: u32,
    /// In the order of the network's inputs.
    pub names: Vec<String>,
    /// Hash of the feature schema.
    pub hash: String,
}

/// Min-max scaling, fitted on training bars only: `(feature - minimum) / range`, in the order of the features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScalerRecord {
    /// Smallest value seen.
    pub minimum: Vec<f32>,
    /// Largest value seen minus the smallest.
    pub range: Vec<f32>,
}

/// Which bars a model has seen, and for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranges {
    /// Its weights were fitted here.
    pub training: TimeRange,
    /// Its training was stopped by these.
    pub early_stopping: TimeRange,
    /// Its temperature and its conformal sets were fitted here.
    pub calibration: Option<TimeRange>,
}

impl Ranges {
    /// The end of everything that had a say in the model, its labels' horizons included, UTC: what begins from here on it
    /// has not seen.
    pub fn seen_until(&self) -> DateTime<Utc> {
        let fitted = self.training.end.max(self.early_stopping.end);
        self.calibration
            .map_or(fitted, |range| fitted.max(range.end))
    }
}

/// Conformal sets and what each class is worth, fitted on the calibration part; classes in the order of
/// [`Manifest::classes`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct AbstentionRecord {
    /// Probability with which the sets should hold what happens, between 0 and 1.
    pub coverage: f64,
    /// A class belongs to the set when the model gives it at least this probability, 0..=1.
    pub thresholds: [f64; 3],
    /// Mean gross return of a buyer when the class happens, in multiples of the stock's realised volatility at the
    /// decision; entered at the next bar's open, left at the touch.
    pub moves: [f64; 3],
    /// Decisions that it was fitted on.
    pub cases: u64,
    /// Minutes after the start of a bar from which what came of it is known for sure: the labels' horizon and a margin.
    pub delay_minutes: u32,
}

impl AbstentionRecord {
    /// The thresholds as they start in service.
    pub const fn adaptive(&self) -> AdaptiveThresholds {
        AdaptiveThresholds::new(self.coverage, self.thresholds, self.delay_minutes)
    }

    /// What in the record no data give, if anything.
    fn contradiction(&self) -> Option<String> {
        let share = 0.0..=1.0;
        if !share.contains(&self.coverage) || !self.thresholds.iter().all(|it| share.contains(it)) {
            return Some(format!(
                "a coverage of {} by thresholds {:?}, which are no probabilities",
                self.coverage, self.thresholds
            ));
        }
        if !self.moves.iter().all(|it| it.is_finite()) {
            return Some(format!("moves of {:?} volatilities", self.moves));
        }
        None
    }
}

/// A stretch of time, UTC. `end` includes the labels' horizon: no later bar was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeRange {
    /// Start of the first bar.
    pub start: DateTime<Utc>,
    /// End of the last bar looked at.
    pub end: DateTime<Utc>,
}

/// One feature on the training bars, unscaled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FeatureStatistics {
    /// The feature's name.
    pub name: String,
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard deviation.
    pub standard_deviation: f64,
    /// Smallest value.
    pub minimum: f64,
    /// Largest value.
    pub maximum: f64,
    /// The nine values that cut the sorted values into tenths.
    pub deciles: [f64; 9],
}

impl Manifest {
    /// Names the settings of the labels: models of equal ones can be compared, and share what came of their bars. sha256
    /// of the settings as JSON with sorted keys, lower-case hexadecimal.
    pub fn label_settings(&self) -> String {
        // serde_json sorts the keys of an object.
        checksum(self.labels.to_string().as_bytes())
    }

    /// What in the manifest contradicts what, if anything.
    pub(crate) fn contradiction(&self) -> Option<String> {
        let features = self.features.names.len();
        let scaler = &self.scaler;
        if scaler.minimum.len() != features || scaler.range.len() != features {
            return Some(format!(
                "{features} features, but a scaler of {} minima and {} ranges",
                scaler.minimum.len(),
                scaler.range.len()
            ));
        }
        let bad = scaler
            .minimum
            .iter()
            .chain(&scaler.range)
            .any(|value| !value.is_finite());
        if bad || scaler.range.iter().any(|range| *range < 0.0) {
            return Some("the scaler holds numbers that no data give".to_owned());
        }
        if self.window == 0 || features == 0 {
            return Some(format!(
                "a window of {} bars of {features} features",
                self.window
            ));
        }
        if self.classes != ["down", "neutral", "up"] {
            return Some(format!("classes {:?}, not down, neutral, up", self.classes));
        }
        self.abstention.and_then(|record| record.contradiction())
    }
}
