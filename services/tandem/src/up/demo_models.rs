//! The champions that come along for the simulated market, so that its first minute has analyses.

use std::path::Path;

use anyhow::Context;
use chrono::{DateTime, Utc};
use domain::ModelKind;
use inference::Champions;
use model_registry::{
    ChampionsFile, RegistryError, artifact_dir, read_artifact, read_drift_reference,
    write_artifact, write_artifact_with_drift_reference,
};

/// Why they are champions, for whoever reads the history.
const REASON: &str = "demo model that comes with Tandem, trained on simulated prices";

/// Puts the demo's models into a market's folder and makes them its champions.
///
/// # Errors
/// When this version cannot use them, or they cannot be written.
pub(super) fn install(from: &Path, market: &Path, at: DateTime<Utc>) -> anyhow::Result<()> {
    let file = ChampionsFile::new(from.join("model_config.json"));
    let demo = file.read()?;
    Champions::load(from, &demo)
        .with_context(|| format!("the models in {} cannot be used", from.display()))?;
    let models_dir = market.join("models");
    let champions = ChampionsFile::new(market.join("model_config.json"));
    for kind in ModelKind::ALL {
        let Some(record) = demo.of(kind) else {
            continue;
        };
        let folder = artifact_dir(from, kind, &record.champion);
        let artifact = read_artifact(&folder)?;
        let reference = read_drift_reference(&folder, &artifact.manifest)?;
        let (manifest, tflite) = (artifact.manifest, &artifact.tflite);
        let written = match &reference {
            Some(reference) => {
                write_artifact_with_drift_reference(&models_dir, manifest, tflite, reference)
            }
            None => write_artifact(&models_dir, manifest, tflite),
        };
        match written {
            // A start that was killed had written it.
            Ok(_) | Err(RegistryError::Exists { .. }) => (),
            Err(error) => return Err(error.into()),
        }
        champions.promote(kind, record.champion.clone(), at, REASON)?;
    }
    Ok(())
}
