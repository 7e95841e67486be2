//! The export against a real MLflow server, and against servers that say no.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod export;
mod refusals;
mod server;

use std::path::Path;

use chrono::{DateTime, Utc};
use domain::{ModelId, ModelKind};
use mlflow::MlflowSettings;
use model_registry::{FeatureRecord, Manifest, Ranges, ScalerRecord, TimeRange, write_artifact};
use serde_json::json;

fn id(text: &str) -> ModelId {
    ModelId::parse(text).unwrap()
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// The settings for a server without a login.
fn settings(address: &str) -> MlflowSettings {
    settings_with(&[("MLFLOW_TRACKING_URI", address)])
}

fn settings_with(variables: &[(&str, &str)]) -> MlflowSettings {
    MlflowSettings::from_variables(|name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    })
    .unwrap()
    .unwrap()
}

/// Writes an artifact whose network is `network`; nobody asks it.
fn write_model(models_dir: &Path, kind: ModelKind, model_id: &str, network: &[u8]) {
    let range = |start: &str, end: &str| TimeRange {
        start: time(start),
        end: time(end),
    };
    let manifest = Manifest {
        schema_version: 0,
        model_id: id(model_id),
        kind,
        created_at: time("2018-03-26T22:00:00Z"),
        features: FeatureRecord {
            version: 1,
            names: vec!["return_1".to_owned()],
            hash: "abc".to_owned(),
        },
        window: 60,
        scaler: ScalerRecord {
            minimum: vec![0.0],
            range: vec![1.0],
        },
        classes: ["down", "neutral", "up"].map(str::to_owned),
        labels: json!({ "horizon": 30 }),
        hyper_parameters: json!({ "epochs": 2, "lstm": { "hidden": 16 }, "schedule": "cosine" }),
        ranges: Ranges {
            training: range("2018-02-16T14:30:00Z", "2018-03-16T20:00:00Z"),
            early_stopping: range("2018-03-19T13:30:00Z", "2018-03-21T20:00:00Z"),
            calibration: None,
        },
        training_statistics: Vec::new(),
        drift_reference_sha256: None,
        abstention: None,
        metrics: json!({ "training": {
            "best_epoch": 2,
            "early_stopping": { "log_loss": 1.02, "prior_log_loss": 1.05 },
            "history": [
                { "epoch": 1, "training_loss": 1.1, "validation_log_loss": 1.04 },
                { "epoch": 2, "training_loss": 1.0, "validation_log_loss": 1.02 },
            ],
        }}),
        seed: 7,
        data_fingerprint: "def".to_owned(),
        code_version: "0.1.0+abc1234".to_owned(),
        tflite_sha256: String::new(),
    };
    write_artifact(models_dir, manifest, network).unwrap();
}
