//! The models on disk.

use std::{collections::BTreeMap, path::PathBuf};

use labels::BarrierSettings;
use model_registry::{ChampionsFile, list_artifacts};

/// Where models and the champions' file lie.
#[derive(Clone, Debug)]
pub struct Places {
    /// Folder of the artifacts.
    pub models_dir: PathBuf,
    /// The champions' file.
    pub champions: ChampionsFile,
}

/// How labels are made, and the name under which outcomes of such labels are stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LabelSettings {
    /// As `Manifest::label_settings` gives it.
    pub(crate) name: String,
    pub(crate) barriers: BarrierSettings,
}

impl Places {
    /// The different label settings of all models on disk; those of models that cannot be read are left out.
    pub(crate) fn label_settings(&self) -> anyhow::Result<Vec<LabelSettings>> {
        let mut found = BTreeMap::new();
        for listed in list_artifacts(&self.models_dir)? {
            let Ok(manifest) = listed.manifest else {
                continue;
            };
            if let Ok(barriers) = serde_json::from_value(manifest.labels.clone()) {
                found.insert(manifest.label_settings(), barriers);
            }
        }
        let found = found.into_iter();
        Ok(found
            .map(|(name, barriers)| LabelSettings { name, barriers })
            .collect())
    }
}
