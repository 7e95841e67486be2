#![doc = include_str!("../README.md")]

mod artifact;
mod champions;
mod error;
mod files;
mod manifest;
mod shelf;

pub use artifact::{
    Artifact, DRIFT_REFERENCE_FILE, MANIFEST_FILE, NETWORK_FILE, artifact_dir, checksum,
    read_artifact, read_drift_reference, write_artifact, write_artifact_with_drift_reference,
};
pub use champions::{Champions, ChampionsFile, Change, KindRecord, ROLLED_BACK};
pub use error::RegistryError;
pub use manifest::{
    AbstentionRecord, FeatureRecord, FeatureStatistics, MANIFEST_SCHEMA_VERSION, Manifest, Ranges,
    ScalerRecord, TimeRange, base_rates,
};
pub use shelf::{Listed, list_artifacts, remove_unneeded};
