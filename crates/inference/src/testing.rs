//! Artifacts of random networks: complete, valid, and worthless. For the tests of whatever needs a model.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Bar, ModelId, ModelKind};
use features::{FEATURE_COUNT, FeatureSchema, WINDOW};
use model_registry::{
    AbstentionRecord, Artifact, ChampionsFile, FeatureRecord, FeatureStatistics,
    MANIFEST_SCHEMA_VERSION, Manifest, Ranges, RegistryError, ScalerRecord, TimeRange, checksum,
    write_artifact,
};
use tflite_export::{
    ExportError, NetworkWeights,
    testing::{Random, random_lstm, random_transformer},
    write_tflite,
};

use crate::LiveTicker;

/// 2018-01-01, a holiday, after the Unix epoch.
const FIRST_DAY: TimeDelta = TimeDelta::days(17_532);

/// Why no artifact could be made.
#[derive(Debug, thiserror::Error)]
pub enum TestingError {
    /// The network could not be written.
    #[error("cannot export the network")]
    Export(#[from] ExportError),
    /// The registry refuses it.
    #[error("cannot store the artifact")]
    Registry(#[from] RegistryError),
}

/// A small network of the kind with random weights, different for every seed.
pub fn random_weights(kind: ModelKind, seed: u64) -> NetworkWeights {
    match kind {
        ModelKind::Lstm => random_lstm(FEATURE_COUNT, 16, 1, seed),
        ModelKind::Transformer => random_transformer(FEATURE_COUNT, 16, 2, 2, seed),
    }
}

/// An artifact that holds the network, with a scaler that leaves features in `0..=1` as they are. Its model id is the
/// kind's name and the seed, such as `lstm-7`.
///
/// # Errors
/// [`ExportError`] when the weights make no network.
pub fn artifact(weights: &NetworkWeights, seed: u64) -> Result<Artifact, ExportError> {
    let kind = match weights {
        NetworkWeights::Lstm(_) => ModelKind::Lstm,
        NetworkWeights::Transformer(_) => ModelKind::Transformer,
    };
    let tflite = write_tflite(weights, &[("purpose", "test")])?;
    Ok(Artifact {
        manifest: manifest(kind, seed, &tflite),
        tflite,
    })
}

/// Writes random models of both kinds below `models_dir` and promotes them in `file`.
///
/// # Errors
/// [`TestingError`] when the files cannot be written.
pub fn promote_random_champions(
    models_dir: &Path,
    file: &ChampionsFile,
    seed: u64,
) -> Result<(), TestingError> {
    for kind in ModelKind::ALL {
        let Artifact { manifest, tflite } = artifact(&random_weights(kind, seed), seed)?;
        let (model_id, at) = (manifest.model_id.clone(), manifest.created_at);
        write_artifact(models_dir, manifest, &tflite)?;
        file.promote(kind, model_id, at, "random weights for a test")?;
    }
    Ok(())
}

/// A believable random walk of one-minute bars over the first `sessions` sessions of the NYSE from 2018-01-02 on, no minute
/// missing.
pub fn random_bars(sessions: usize, seed: u64) -> Vec<Bar> {
    let mut random = Random::new(seed);
    let mut price = 100.0 + 50.0 * f64::from(random.next(1.0));
    let mut bars = Vec::new();
    let mut after = DateTime::UNIX_EPOCH + FIRST_DAY;
    for _ in 0..sessions {
        let Some(today) = calendar::nyse().next_open(after) else {
            break;
        };
        after = today.open;
        for minute in 0..today.minutes() {
            let open = price;
            let close = open * (1.0 + 0.001 * f64::from(random.next(1.0)));
            let high = open.max(close) * (1.0 + 0.0005 * f64::from(random.next(0.5) + 0.5));
            let low = open.min(close) * (1.0 - 0.0005 * f64::from(random.next(0.5) + 0.5));
            let volume = (10_000.0 + 9_000.0 * f64::from(random.next(1.0))).round();
            let start = today.open + TimeDelta::minutes(i64::from(minute));
            bars.extend(Bar::new(start, open, high, low, close, volume));
            price = close;
        }
    }
    bars
}

/// A ticker that has seen enough random bars to be asked.
pub fn ready_ticker(seed: u64) -> LiveTicker {
    let mut live = LiveTicker::new();
    for bar in random_bars(features::WARM_UP_SESSIONS + 2, seed) {
        // The bars are in order and within sessions.
        let _ = live.push(&bar);
    }
    live
}

fn manifest(kind: ModelKind, seed: u64, tflite: &[u8]) -> Manifest {
    let schema = FeatureSchema::current();
    let names: Vec<String> = schema.names.iter().map(|name| (*name).to_owned()).collect();
    let statistics = |name: &String| FeatureStatistics {
        name: name.clone(),
        mean: 0.5,
        standard_deviation: 0.25,
        minimum: 0.0,
        maximum: 1.0,
        deciles: std::array::from_fn(|index| (index + 1) as f64 / 10.0),
    };
    let range = TimeRange {
        start: DateTime::UNIX_EPOCH,
        end: DateTime::UNIX_EPOCH,
    };
    #[expect(clippy::expect_used, reason = "letters, digits and a hyphen")]
    let model_id = ModelId::parse(&format!("{kind}-{seed}")).expect("a valid id");
    Manifest {
        schema_version: MANIFEST_SCHEMA_VERSION,
        model_id,
        kind,
        created_at: DateTime::<Utc>::UNIX_EPOCH,
        training_statistics: names.iter().map(statistics).collect(),
        drift_reference_sha256: None,
        // Random networks know nothing, yet tests want to see them confirm now and then.
        abstention: Some(AbstentionRecord {
            coverage: 0.8,
            thresholds: [0.34; 3],
            moves: [-8.0, 0.0, 8.0],
            move_reach: Some([0.1; 3]),
            base_rates: Some([1.0 / 3.0; 3]),
            horizon_minutes: Some(30),
            cases: 0,
            delay_minutes: 60,
        }),
        features: FeatureRecord {
            version: schema.version,
            names,
            hash: schema.hash().to_owned(),
        },
        window: WINDOW,
        scaler: ScalerRecord {
            minimum: vec![0.0; FEATURE_COUNT],
            range: vec![1.0; FEATURE_COUNT],
        },
        classes: ["down", "neutral", "up"].map(str::to_owned),
        labels: serde_json::Value::Null,
        hyper_parameters: serde_json::Value::Null,
        ranges: Ranges {
            training: range,
            early_stopping: range,
            calibration: None,
        },
        metrics: serde_json::Value::Null,
        seed,
        data_fingerprint: "random".to_owned(),
        code_version: env!("CARGO_PKG_VERSION").to_owned(),
        tflite_sha256: checksum(tflite),
    }
}
