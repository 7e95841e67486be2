use chrono::{DateTime, Datelike, Utc};
use domain::{AdaptiveThresholds, ModelId, ModelKind};
use serde::{Deserialize, Serialize};

use crate::checksum;

/// Minutes of a whole session.
const SESSION_MINUTES: f64 = 390.0;

/// The normal distribution's quantile at 95 %.
const NORMAL_95: f64 = 1.645;

/// Version of [`Manifest`]'s form that this program writes and reads.
pub const MANIFEST_SCHEMA_VERSION: u32 = 3;

/// Years in which models can have seen bars.
const YEARS: std::ops::Range<i32> = 1900..2200;

/// Where most of the training's own values lie on the scale, 0 to 1, with much room.
const SCALED_DECILES: std::ops::RangeInclusive<f64> = -10.0..=11.0;

/// No class of bars is worth more volatilities on average.
const LARGEST_MOVE: f64 = 1e6;

/// No label looks further ahead.
const LONGEST_DELAY_MINUTES: u32 = 30 * 24 * 60;

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
    /// What in the ranges no training gives, if anything.
    fn contradiction(&self) -> Option<String> {
        [
            ("training", Some(self.training)),
            ("early stopping", Some(self.early_stopping)),
            ("calibration", self.calibration),
        ]
        .into_iter()
        .find_map(|(part, range)| {
            let range = range.filter(|range| !range.is_plausible())?;
            Some(format!("{part} from {} to {}", range.start, range.end))
        })
    }

    /// The end of everything that had a say in the model, its labels' horizons included, UTC: what begins from here on it
    /// has not seen.
    pub fn seen_until(&self) -> DateTime<Utc> {
        let fitted = self.training.end.max(self.early_stopping.end);
        self.calibration
            .map_or(fitted, |range| fitted.max(range.end))
    }
}

impl TimeRange {
    fn is_plausible(&self) -> bool {
        let plausible = |time: DateTime<Utc>| YEARS.contains(&time.year());
        plausible(self.start) && plausible(self.end) && self.start <= self.end
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
    /// How far [`Self::moves`] may lie from the truth: the reach of each one's bound, one-sided at 95 %, by Student's t
    /// with the sessions of the calibration part as the trials, in multiples of the volatility. None where there is only
    /// one session, and then, as in an artifact of before it was kept, a wide one is filled in at reading.
    #[serde(default)]
    pub move_reach: Option<[f64; 3]>,
    /// What the model gives each class of a window that tells it nothing, see [`base_rates()`]. None only in an artifact
    /// that does not say how often the classes came.
    #[serde(default)]
    pub base_rates: Option<[f64; 3]>,
    /// Minutes of trading that the labels look ahead.
    #[serde(default)]
    pub horizon_minutes: Option<u32>,
    /// Decisions that it was fitted on.
    pub cases: u64,
    /// Minutes after the start of a bar from which what came of it is known for sure: the labels' horizon and a margin.
    pub delay_minutes: u32,
}

/// What a calibrated model gives each class of a window that tells it nothing: the frequencies of the classes in the
/// training part, with the log odds of no move corrected by `level` to those of the calibration part. In the order of
/// [`Manifest::classes`]; the counts must be above zero.
pub fn base_rates(class_counts: [f64; 3], level: f64) -> [f64; 3] {
    let [down, neutral, up] = class_counts;
    let weights = [down, neutral * level.exp(), up];
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
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
        if !self.moves.iter().all(|it| it.abs() <= LARGEST_MOVE) {
            return Some(format!("moves of {:?} volatilities", self.moves));
        }
        if self.delay_minutes > LONGEST_DELAY_MINUTES {
            return Some(format!(
                "outcomes that are known after {} minutes",
                self.delay_minutes
            ));
        }
        if let Some(reach) = self.move_reach
            && !reach.iter().all(|it| (0.0..f64::INFINITY).contains(it))
        {
            return Some(format!("moves known to within {reach:?} volatilities"));
        }
        if let Some(rates) = self.base_rates
            && !rates.iter().all(|it| *it > 0.0 && *it < 1.0)
        {
            return Some(format!("base rates of {rates:?}"));
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
    /// Fills in what an artifact did not keep when it was written, from what it does say, so that its model can go on.
    ///
    /// - The labels' horizon stands among their settings.
    /// - The base rates follow from the counts and the correction that the training's figures hold.
    /// - Of the spread of the moves nothing is left. It is taken to be as large as the moves of up and down themselves,
    ///   which is more than barriers allow them, and all decisions of one horizon to be a single trial, as if the stocks
    ///   moved as one. So an older artifact recommends less than one that says how well it knows its moves.
    pub(crate) fn completed(mut self) -> Self {
        let Some(record) = &mut self.abstention else {
            return self;
        };
        let number = |value: &serde_json::Value, pointer: &str| value.pointer(pointer)?.as_f64();
        record.horizon_minutes = record
            .horizon_minutes
            .or_else(|| u32::try_from(self.labels.get("horizon")?.as_u64()?).ok());
        record.base_rates = record.base_rates.or_else(|| {
            let count = |class| number(&self.metrics, &format!("/training/class_counts/{class}"));
            let counts = [count(0)?, count(1)?, count(2)?];
            let level = number(&self.metrics, "/training/correction/level")?;
            Some(base_rates(counts, level)).filter(|_| counts.iter().all(|count| *count > 0.0))
        });
        record.move_reach = record.move_reach.or_else(|| {
            let range = self.ranges.calibration?;
            let days = (range.end.date_naive() - range.start.date_naive()).num_days() + 1;
            // Five days of a week are sessions.
            let sessions = (days * 5 / 7).max(1) as f64;
            let trials = (sessions * SESSION_MINUTES / f64::from(record.horizon_minutes?)).max(1.0);
            let [down, _, up] = record.moves;
            let spread = (down.abs() + up.abs()) / 2.0;
            Some([NORMAL_95 * spread / trials.sqrt(); 3])
        });
        self
    }

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
        self.ranges
            .contradiction()
            .or_else(|| self.scaling_contradiction())
            .or_else(|| self.abstention.and_then(|record| record.contradiction()))
    }

    /// The scaler was fitted on the bars that the statistics describe.
    fn scaling_contradiction(&self) -> Option<String> {
        let scales = self.scaler.minimum.iter().zip(&self.scaler.range);
        self.training_statistics
            .iter()
            .zip(scales)
            // A range of 0 is a constant feature.
            .filter(|(_, (_, range))| **range > 0.0)
            .find_map(|(feature, (minimum, range))| {
                let scaled = |value: f64| (value - f64::from(*minimum)) / f64::from(*range);
                let deciles = feature.deciles.map(scaled);
                let absurd = deciles
                    .iter()
                    .any(|decile| decile.is_finite() && !SCALED_DECILES.contains(decile));
                absurd.then(|| {
                    format!(
                        "a scaler that puts the training's own values of {} between {:e} and {:e}, not 0 and 1",
                        feature.name,
                        deciles[0],
                        deciles[8]
                    )
                })
            })
    }
}
