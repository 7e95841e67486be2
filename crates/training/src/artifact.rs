use std::path::Path;

use chrono::{DateTime, Utc};
use domain::{Class, ModelId, ModelKind, Probabilities};
use features::{FeatureSchema, WINDOW};
use model_registry::{
    FeatureRecord, MANIFEST_SCHEMA_VERSION, Manifest, ScalerRecord, checksum, list_artifacts,
    write_artifact_with_drift_reference,
};

use crate::{
    Dataset, Part, Trained, TrainingError,
    abstention::{self, Decision},
    code_version::code_version,
    export,
};

/// Windows of the calibration part that show how sure the network is of itself.
const CONFIDENCE_WINDOWS: usize = 1_000;

/// Exports a trained network and writes its artifact `<models_dir>/<kind>/<model_id>/`. The id is made of the kind,
/// `created_at` and the beginning of the network's checksum.
///
/// The network's conformal sets are fitted for `coverage`, see [`domain::Policy`], on the windows that it was calibrated
/// on; where these are too few, the manifest has none and the log says so.
///
/// `metrics` are the caller's figures on bars that the training did not see; what the training knows itself is added
/// under `training`.
///
/// Where the training went on from a checkpoint, the process before may have come as far as writing the artifact: then
/// that one is it.
///
/// # Errors
/// [`TrainingError`] when the network cannot be exported or the folder cannot be written; nothing is left behind then.
pub fn write_model(
    trained: &Trained,
    dataset: &Dataset,
    coverage: f64,
    models_dir: &Path,
    metrics: serde_json::Map<String, serde_json::Value>,
    created_at: DateTime<Utc>,
) -> Result<Manifest, TrainingError> {
    let kind = trained.kind;
    let describe =
        |source: Box<dyn std::error::Error + Send + Sync>| TrainingError::Describe { kind, source };
    let schema = FeatureSchema::current();
    // Neither the id nor the time is in the file: the same training gives the same bytes.
    let tflite = export::write_tflite(
        &trained.weights,
        &[("features", schema.hash()), ("data", dataset.fingerprint())],
    )
    .map_err(|source| TrainingError::Export { kind, source })?;
    let sum = checksum(&tflite);
    if trained.resumed_after > 0
        && let Some(written) = written_before(models_dir, kind, &sum, coverage)
    {
        return Ok(written);
    }
    let id = format!(
        "{kind}-{}-{}",
        created_at.format("%Y%m%dT%H%M%SZ"),
        sum.get(..8).unwrap_or(&sum)
    );
    let model_id = ModelId::parse(&id).map_err(|error| describe(error.into()))?;

    let mut metrics = metrics;
    let own = serde_json::to_value(&trained.metrics).map_err(|error| describe(error.into()))?;
    metrics.insert("training".to_owned(), own);
    let scaler = dataset.scaler();
    let manifest = Manifest {
        schema_version: MANIFEST_SCHEMA_VERSION,
        model_id,
        kind,
        created_at,
        features: FeatureRecord {
            version: schema.version,
            names: schema.names.iter().map(|name| (*name).to_owned()).collect(),
            hash: schema.hash().to_owned(),
        },
        window: WINDOW,
        scaler: ScalerRecord {
            minimum: scaler.minimum.clone(),
            range: scaler.range.clone(),
        },
        classes: Class::ALL.map(|class| class.name().to_owned()),
        labels: serde_json::to_value(dataset.barriers()).map_err(|error| describe(error.into()))?,
        hyper_parameters: serde_json::to_value(&trained.settings)
            .map_err(|error| describe(error.into()))?,
        ranges: *dataset.ranges(),
        training_statistics: dataset.statistics().to_vec(),
        drift_reference_sha256: None,
        abstention: abstention::fit(
            kind,
            &decisions(trained, dataset),
            coverage,
            trained.metrics.base_rates(),
            dataset.barriers(),
        ),
        metrics: metrics.into(),
        seed: trained.settings.seed,
        data_fingerprint: dataset.fingerprint().to_owned(),
        code_version: code_version(),
        tflite_sha256: sum,
    };
    let (windows, _) = dataset.windows(Part::Calibration, CONFIDENCE_WINDOWS);
    let said = trained
        .predict(&windows)
        .map_err(|error| describe(error.into()))?;
    let confidence = said
        .into_iter()
        .map(Probabilities::top)
        .map(|(_, most)| most);
    let drift_reference = serde_json::to_vec(&dataset.drift_reference(confidence.collect()))
        .map_err(|error| describe(error.into()))?;
    let written = Manifest {
        drift_reference_sha256: Some(checksum(&drift_reference)),
        ..manifest
    };
    write_artifact_with_drift_reference(models_dir, written.clone(), &tflite, &drift_reference)
        .map_err(|source| TrainingError::Artifact {
            kind,
            models_dir: models_dir.to_owned(),
            source,
        })?;
    Ok(written)
}

/// What was decided and came of the windows that the network was calibrated on.
fn decisions(trained: &Trained, dataset: &Dataset) -> Vec<Decision> {
    let samples = dataset.spread(Part::Calibration, trained.settings.validation_windows);
    samples
        .iter()
        .zip(&trained.calibrated)
        .map(|(sample, probabilities)| Decision {
            session: sample.session(),
            class: sample.class,
            worth: sample.worth,
            probabilities: *probabilities,
        })
        .collect()
}

/// The artifact with this network, sure at the same coverage, if there is one. The network's file names the data that it
/// learned from.
fn written_before(
    models_dir: &Path,
    kind: ModelKind,
    tflite_sha256: &str,
    coverage: f64,
) -> Option<Manifest> {
    // A folder that cannot be listed cannot be written into either, which is said then.
    let listed = list_artifacts(models_dir).ok()?;
    listed
        .into_iter()
        .filter(|found| found.kind == kind)
        .filter_map(|found| found.manifest.ok())
        .find(|manifest| {
            let abstention = manifest.abstention.as_ref();
            manifest.tflite_sha256 == tflite_sha256
                && abstention.is_none_or(|record| record.coverage == coverage)
        })
}
