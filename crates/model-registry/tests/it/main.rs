//! Artifacts and the champions' file on a real file system.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod artifact;
mod champions;
mod shelf;

use chrono::{DateTime, TimeZone, Utc};
use domain::{ModelId, ModelKind};
use model_registry::{
    AbstentionRecord, FeatureRecord, FeatureStatistics, Manifest, Ranges, ScalerRecord, TimeRange,
};

fn time(day: u32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(2018, 3, day, 20, 0, 0).unwrap()
}

fn id(text: &str) -> ModelId {
    ModelId::parse(text).unwrap()
}

fn manifest(model_id: &str) -> Manifest {
    Manifest {
        schema_version: 0,
        model_id: id(model_id),
        kind: ModelKind::Lstm,
        created_at: time(20),
        features: FeatureRecord {
            version: 1,
            names: vec!["return_1".to_owned(), "rsi_14".to_owned()],
            hash: "abc".to_owned(),
        },
        window: 60,
        scaler: ScalerRecord {
            minimum: vec![-0.1, 0.0],
            range: vec![0.2, 0.123_456_79],
        },
        classes: ["down", "neutral", "up"].map(str::to_owned),
        labels: serde_json::json!({"horizon": 30}),
        hyper_parameters: serde_json::json!({"hidden": 32}),
        ranges: Ranges {
            training: TimeRange {
                start: time(1),
                end: time(15),
            },
            early_stopping: TimeRange {
                start: time(16),
                end: time(19),
            },
            calibration: None,
        },
        training_statistics: vec![FeatureStatistics {
            name: "return_1".to_owned(),
            mean: 1e-5,
            standard_deviation: 0.001,
            minimum: -0.1,
            maximum: 0.1,
            deciles: [-0.03, -0.02, -0.01, -0.005, 0.0, 0.005, 0.01, 0.02, 0.03],
        }],
        drift_reference_sha256: None,
        abstention: Some(AbstentionRecord {
            coverage: 0.8,
            thresholds: [0.21, 0.3, 0.2],
            moves: [-6.0, 0.1, 6.1],
            move_reach: Some([0.4, 0.2, 0.5]),
            base_rates: Some([0.3, 0.42, 0.28]),
            horizon_minutes: Some(30),
            cases: 500,
            delay_minutes: 60,
        }),
        metrics: serde_json::json!({"log_loss": 1.04}),
        seed: 7,
        data_fingerprint: "def".to_owned(),
        code_version: "0.1.0".to_owned(),
        tflite_sha256: String::new(),
    }
}
