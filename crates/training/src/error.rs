use chrono::{DateTime, Utc};
use domain::{Class, Ticker};

/// Why nothing was trained, or what was trained was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainingError {
    /// A setting of the training or of the labels is outside its range.
    #[error(transparent)]
    Settings(#[from] domain::InvalidSettings),
    /// The bars span too few trading sessions.
    #[error(
        "too little data: {found} sessions with labelled windows found, {needed} needed after about \
         {warm_up} sessions of warm-up; load more days of bars"
    )]
    TooFewSessions {
        /// Sessions that have at least one labelled window.
        found: usize,
        /// The least that can be split.
        needed: usize,
        /// Sessions that the features need before their first value.
        warm_up: usize,
    },
    /// A part of the split has too few labelled windows.
    #[error(
        "too little data: {found} labelled windows for {part}, {needed} needed; load more days or more tickers"
    )]
    TooFewSamples {
        /// `training`, `early stopping` or `calibration`.
        part: &'static str,
        /// Windows found.
        found: usize,
        /// The least that is accepted.
        needed: usize,
    },
    /// One of the three classes never occurs in the training part.
    #[error(
        "no training window has the label {class} (down {down}, neutral {neutral}, up {up}): load more days, or \
         change the barriers in the [labels] section"
    )]
    MissingClass {
        /// The class that is missing.
        class: Class,
        /// Training windows labelled down.
        down: usize,
        /// Training windows labelled neutral.
        neutral: usize,
        /// Training windows labelled up.
        up: usize,
    },
    /// A feature of the bars has the same value in all training rows, so it cannot be scaled and says nothing.
    #[error(
        "feature {name} is {value} in every training row: check the bars (volume, prices) it is made from"
    )]
    ConstantFeature {
        /// The feature.
        name: &'static str,
        /// Its only value.
        value: f32,
    },
    /// A feature of the bars has the same value in all rows of a ticker: its feed stood still.
    #[error(
        "feature {name} of {ticker} is {value} in each of its {rows} rows: check its bars (volume, prices), the feed \
         may have stood still"
    )]
    FrozenFeature {
        /// The feature.
        name: &'static str,
        /// Whose.
        ticker: Ticker,
        /// Its only value.
        value: f32,
        /// Bars with features.
        rows: usize,
    },
    /// A feature is NaN or infinite.
    #[error(
        "feature {name} of {ticker} is {value} at {bar_start}: check the bars, news and economic figures before it"
    )]
    NotFinite {
        /// The feature.
        name: &'static str,
        /// Whose.
        ticker: Ticker,
        /// Start of the bar, UTC.
        bar_start: DateTime<Utc>,
        /// NaN or an infinity.
        value: f32,
    },
    /// The feature stream refused a bar.
    #[error("failed to compute the features of {ticker} at {bar_start}")]
    Features {
        /// Whose bar.
        ticker: Ticker,
        /// Start of the bar, UTC.
        bar_start: DateTime<Utc>,
        /// Why.
        #[source]
        source: features::StreamError,
    },
    /// The min-max scaler could not be fitted.
    #[error("failed to fit the min-max scaler")]
    Scaler(#[source] linfa_preprocessing::PreprocessingError),
    /// The loss became NaN or infinite.
    #[error("the {kind} diverged in epoch {epoch}: lower training.learning_rate")]
    Diverged {
        /// Which network.
        kind: domain::ModelKind,
        /// Counted from 1.
        epoch: usize,
    },
    /// This build trains on a GPU.
    #[error(
        "no NVIDIA GPU was found: install its driver, or use a build without the feature `cuda`, which trains on the \
         processor"
    )]
    NoGpu,
    /// The caller asked to stop. No model was written.
    #[error("training was cancelled")]
    Cancelled,
    /// The network could not be written as TFLite.
    #[error("failed to export the {kind} to TFLite")]
    Export {
        /// Which network.
        kind: domain::ModelKind,
        /// Why.
        #[source]
        source: crate::export::ExportError,
    },
    /// The model's folder could not be written.
    #[error("failed to write the {kind} into {models_dir}")]
    Artifact {
        /// Which network.
        kind: domain::ModelKind,
        /// The models' folder.
        models_dir: std::path::PathBuf,
        /// Why.
        #[source]
        source: model_registry::RegistryError,
    },
    /// What describes the model is no valid JSON value or model id.
    #[error("failed to describe the {kind}")]
    Describe {
        /// Which network.
        kind: domain::ModelKind,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
