#![doc = include_str!("../README.md")]

mod artifact;
mod calibration;
mod dataset;
mod display;
mod error;
mod fit;
mod kernels;
mod memory;
mod networks;
mod scaling;
mod settings;
mod split;
mod statistics;

pub use artifact::write_model;
pub use calibration::EvidenceScales;
pub use dataset::{Dataset, Part};
pub use display::ProgressDisplay;
pub use error::TrainingError;
pub use fit::{EpochRecord, PartScore, Progress, Trained, TrainingMetrics, train};
pub use settings::{LstmSettings, TrainingSettings, TransformerSettings};
pub use tflite_export::{
    self as export,
    weights::{
        DenseWeights, EncoderLayerWeights, LstmLayerWeights, LstmWeights, NetworkWeights,
        NormWeights, TransformerWeights,
    },
};
