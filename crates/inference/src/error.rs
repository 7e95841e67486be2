use domain::{InvalidProbabilities, ModelId, ModelKind};
use features::ScalerFault;
use model_registry::RegistryError;

use crate::network::NetworkError;

/// Why a model cannot be loaded or asked.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// The artifact or the champions' file cannot be read.
    #[error("cannot read the model from the registry")]
    Registry(#[from] RegistryError),
    /// The model was trained on other features.
    #[error(
        "model {model_id} was trained on feature schema {found} (version {found_version}), this program computes {expected} (version {expected_version}): train a new model"
    )]
    FeatureSchema {
        /// The model.
        model_id: ModelId,
        /// Its schema's hash.
        found: String,
        /// Its schema's version.
        found_version: u32,
        /// This build's hash.
        expected: String,
        /// This build's version.
        expected_version: u32,
    },
    /// The model reads windows of another length.
    #[error(
        "model {model_id} reads windows of {found} bars, this program makes {expected}: train a new model"
    )]
    Window {
        /// The model.
        model_id: ModelId,
        /// Bars it reads.
        found: usize,
        /// Bars of this build's windows.
        expected: usize,
    },
    /// The scaler in the manifest is unusable.
    #[error("model {model_id} has an unusable scaler: train a new model")]
    Scaler {
        /// The model.
        model_id: ModelId,
        /// What is wrong with it.
        #[source]
        source: ScalerFault,
    },
    /// The TFLite file cannot be used.
    #[error(
        "the network of model {model_id} cannot be used: copy the artifact again or train a new model"
    )]
    Network {
        /// The model.
        model_id: ModelId,
        /// What is wrong with it.
        #[source]
        source: NetworkError,
    },
    /// The network gave numbers that are no probabilities.
    #[error("model {model_id} gave an impossible answer")]
    Answer {
        /// The model.
        model_id: ModelId,
        /// The numbers.
        #[source]
        source: InvalidProbabilities,
    },
    /// The model did not prove itself before it was to be used.
    #[error("model {model_id} did not prove itself: {problem}")]
    Unproved {
        /// The model.
        model_id: ModelId,
        /// What went wrong.
        problem: String,
    },
    /// An artifact of these very bytes was found out.
    #[error("model {model_id} is refused: {reason}")]
    Refused {
        /// The model.
        model_id: ModelId,
        /// What was found.
        reason: String,
    },
    /// The artifact under a champion's name is another model's.
    #[error(
        "the artifact of {kind} model {model_id} says that it is {found_kind} model {found_id}: put the right artifact back or promote another model"
    )]
    WrongModel {
        /// The kind asked for.
        kind: ModelKind,
        /// The model asked for.
        model_id: ModelId,
        /// The kind found.
        found_kind: ModelKind,
        /// The model found.
        found_id: ModelId,
    },
    /// No model of a kind has been promoted yet.
    #[error("there is no {kind} champion yet: train a model and promote it")]
    NoChampion {
        /// The kind.
        kind: ModelKind,
    },
    /// A ticker has not enough bars.
    #[error("{ticker} has no full window yet: ask after LiveTicker::push has answered true")]
    NotReady {
        /// Whose window.
        ticker: domain::Ticker,
    },
    /// The inputs have the wrong length.
    #[error("expected {expected} numbers for {windows} windows, got {found}")]
    InputLength {
        /// Windows announced.
        windows: usize,
        /// Numbers they take.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
}

impl InferenceError {
    /// The model that cannot be used, where the error names one.
    pub const fn model_id(&self) -> Option<&ModelId> {
        match self {
            Self::FeatureSchema { model_id, .. }
            | Self::Window { model_id, .. }
            | Self::Scaler { model_id, .. }
            | Self::Network { model_id, .. }
            | Self::Answer { model_id, .. }
            | Self::Unproved { model_id, .. }
            | Self::Refused { model_id, .. }
            | Self::WrongModel { model_id, .. } => Some(model_id),
            Self::Registry(_)
            | Self::NoChampion { .. }
            | Self::NotReady { .. }
            | Self::InputLength { .. } => None,
        }
    }
}
