#![doc = include_str!("../README.md")]

mod abstention;
mod artifact;
mod calibration;
mod checkpoint;
mod code_version;
mod dataset;
mod device;
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
pub use calibration::EvidenceCorrection;
pub use checkpoint::Checkpoints;
pub use dataset::{Dataset, Part};
pub use display::ProgressDisplay;
pub use error::TrainingError;
pub use fit::{
    EpochRecord, PartScore, Progress, Trained, TrainingMetrics, train, train_with_checkpoints,
};
pub use settings::{LstmSettings, TrainingSettings, TransformerSettings};
pub use tflite_export::{
    self as export,
    weights::{
        DenseWeights, EncoderLayerWeights, LstmLayerWeights, LstmWeights, NetworkWeights,
        NormWeights, TransformerWeights,
    },
};
