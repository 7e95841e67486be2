use std::path::Path;

use domain::{ModelId, ModelKind, Probabilities};
use features::{FEATURE_COUNT, FeatureSchema, Scaler, WINDOW};
use model_registry::{Artifact, Manifest, read_artifact};

use crate::{InferenceError, network::Network};

/// Most windows in one run of a network; [`Model::predict`] splits what is more.
pub const MAXIMUM_BATCH: usize = crate::network::MAXIMUM_BATCH;

/// A model that can be asked, from any number of threads at a time.
pub struct Model {
    manifest: Manifest,
    scaler: Scaler,
    network: Network,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Model")
            .field("manifest", &self.manifest)
            .finish_non_exhaustive()
    }
}

impl Model {
    /// Reads an artifact's folder, checks it and compiles the network for a single window.
    ///
    /// # Errors
    /// [`InferenceError`] saying what does not match: a missing, torn or changed file, another feature schema or
    /// window, an unusable scaler or network.
    pub fn load(dir: &Path) -> Result<Self, InferenceError> {
        Self::from_artifact(read_artifact(dir)?)
    }

    /// As [`Self::load`], with the artifact read already.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_artifact(artifact: Artifact) -> Result<Self, InferenceError> {
        let Artifact { manifest, tflite } = artifact;
        let schema = FeatureSchema::current();
        let names_match = manifest.features.names.iter().eq(schema.names);
        if manifest.features.hash != schema.hash() || !names_match {
            return Err(InferenceError::FeatureSchema {
                model_id: manifest.model_id,
                found: manifest.features.hash,
                found_version: manifest.features.version,
                expected: schema.hash().to_owned(),
                expected_version: schema.version,
            });
        }
        if manifest.window != WINDOW {
            let (model_id, found) = (manifest.model_id, manifest.window);
            return Err(InferenceError::Window {
                model_id,
                found,
                expected: WINDOW,
            });
        }
        let scaler = Scaler {
            minimum: manifest.scaler.minimum.clone(),
            range: manifest.scaler.range.clone(),
        };
        if let Err(source) = scaler.check() {
            return Err(InferenceError::Scaler {
                model_id: manifest.model_id,
                source,
            });
        }
        let network = match Network::new(tflite, [WINDOW, FEATURE_COUNT]) {
            Ok(network) => network,
            Err(source) => {
                return Err(InferenceError::Network {
                    model_id: manifest.model_id,
                    source,
                });
            }
        };
        Ok(Self {
            manifest,
            scaler,
            network,
        })
    }

    /// What is known of the model.
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The model's name.
    pub const fn id(&self) -> &ModelId {
        &self.manifest.model_id
    }

    /// Which rider.
    pub const fn kind(&self) -> ModelKind {
        self.manifest.kind
    }

    /// From features to the network's inputs.
    pub const fn scaler(&self) -> &Scaler {
        &self.scaler
    }

    /// Compiles the network for a batch of `count` windows ahead of time, about 0.1 s; otherwise the first such batch
    /// takes that long.
    ///
    /// # Errors
    /// [`InferenceError::Network`] when tract refuses.
    pub fn prepare(&self, count: usize) -> Result<(), InferenceError> {
        self.network
            .prepare(count)
            .map_err(|source| self.network_error(source))
    }

    /// Probabilities of `n` windows: `windows` is `[n, WINDOW, FEATURE_COUNT]`, row-major, scaled with
    /// [`Self::scaler`], oldest bar first.
    ///
    /// # Errors
    /// [`InferenceError::InputLength`] when `windows` has another length, [`InferenceError::Network`] when tract fails,
    /// [`InferenceError::Answer`] when it gives no probabilities.
    pub fn predict(&self, windows: &[f32], n: usize) -> Result<Vec<Probabilities>, InferenceError> {
        let expected = n * WINDOW * FEATURE_COUNT;
        if windows.len() != expected {
            return Err(InferenceError::InputLength {
                windows: n,
                expected,
                found: windows.len(),
            });
        }
        let answers = self
            .network
            .run(windows)
            .map_err(|source| self.network_error(source))?;
        answers
            .into_iter()
            .map(|values| {
                Probabilities::new(values).map_err(|source| InferenceError::Answer {
                    model_id: self.id().clone(),
                    source,
                })
            })
            .collect()
    }

    fn network_error(&self, source: crate::network::NetworkError) -> InferenceError {
        InferenceError::Network {
            model_id: self.id().clone(),
            source,
        }
    }
}
