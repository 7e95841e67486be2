use std::{fs, sync::Arc};

use domain::{ModelId, ModelKind};
use inference::{Champions, InferenceError, LiveChampions, Model, Refreshed, testing};
use model_registry::{Artifact, ChampionsFile, NETWORK_FILE, artifact_dir, write_artifact};

fn artifact(kind: ModelKind, seed: u64) -> Artifact {
    testing::artifact(&testing::random_weights(kind, seed), seed).unwrap()
}

#[test]
fn models_of_other_features_are_refused() {
    let mut other = artifact(ModelKind::Lstm, 1);
    other.manifest.features.hash = "0".repeat(64);
    let message = Model::from_artifact(other).unwrap_err().to_string();
    assert!(
        message.starts_with("model lstm-1 was trained on feature schema 000"),
        "{message}"
    );

    let mut other = artifact(ModelKind::Lstm, 1);
    other.manifest.features.names.swap(0, 1);
    assert!(matches!(
        Model::from_artifact(other),
        Err(InferenceError::FeatureSchema { .. })
    ));

    let mut other = artifact(ModelKind::Lstm, 1);
    other.manifest.window = 30;
    let message = Model::from_artifact(other).unwrap_err().to_string();
    assert!(
        message.contains("reads windows of 30 bars, this program makes 60"),
        "{message}"
    );

    let mut other = artifact(ModelKind::Lstm, 1);
    other.manifest.scaler.range[3] = f32::NAN;
    assert!(matches!(
        Model::from_artifact(other),
        Err(InferenceError::Scaler { .. })
    ));
}

#[test]
fn inputs_of_a_wrong_length_are_refused() {
    let model = Model::from_artifact(artifact(ModelKind::Lstm, 1)).unwrap();
    let error = model.predict(&[0.0; 100], 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "expected 2400 numbers for 1 windows, got 100"
    );
    assert!(model.predict(&[], 0).unwrap().is_empty());
}

#[test]
fn inputs_that_are_no_numbers_are_an_error() {
    let model = Model::from_artifact(artifact(ModelKind::Transformer, 1)).unwrap();
    let error = model
        .predict(&[f32::NAN; features::WINDOW * features::FEATURE_COUNT], 1)
        .unwrap_err();
    assert!(matches!(error, InferenceError::Answer { .. }), "{error}");
}

#[test]
fn champions_are_followed_and_kept_when_the_new_ones_are_bad() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("models");
    let file = ChampionsFile::new(dir.path().join("config/model_config.json"));
    let live = LiveChampions::new(file.clone(), &models, 3);
    assert_eq!(live.refresh().unwrap(), Refreshed::None);
    assert!(live.current().is_none());

    testing::promote_random_champions(&models, &file, 1).unwrap();
    assert_eq!(live.refresh().unwrap(), Refreshed::Replaced);
    assert_eq!(live.refresh().unwrap(), Refreshed::Unchanged);
    let first = live.current().unwrap();
    assert_eq!(first.lstm.id().as_str(), "lstm-1");

    // Only one rider changes: the other is not loaded again.
    let second = artifact(ModelKind::Lstm, 2);
    let at = second.manifest.created_at;
    write_artifact(&models, second.manifest, &second.tflite).unwrap();
    file.promote(
        ModelKind::Lstm,
        ModelId::parse("lstm-2").unwrap(),
        at,
        "better",
    )
    .unwrap();
    assert_eq!(live.refresh().unwrap(), Refreshed::Replaced);
    let now = live.current().unwrap();
    assert_eq!(now.lstm.id().as_str(), "lstm-2");
    assert!(Arc::ptr_eq(&first.transformer, &now.transformer));

    // A champion without an artifact, then one that is torn, then a broken file: the good ones stay.
    let keeps = |what: &str| {
        assert!(live.refresh().is_err(), "{what}");
        assert!(Arc::ptr_eq(&live.current().unwrap(), &now), "{what}");
    };
    let third = ModelId::parse("lstm-3").unwrap();
    file.promote(ModelKind::Lstm, third.clone(), at, "gone")
        .unwrap();
    keeps("no artifact");
    let Artifact { manifest, tflite } = artifact(ModelKind::Lstm, 3);
    write_artifact(&models, manifest, &tflite).unwrap();
    let network = artifact_dir(&models, ModelKind::Lstm, &third).join(NETWORK_FILE);
    fs::write(&network, &tflite[..tflite.len() / 2]).unwrap();
    keeps("torn artifact");
    fs::write(&network, &tflite).unwrap();
    let good = fs::read(file.path()).unwrap();
    fs::write(file.path(), &good[..good.len() - 20]).unwrap();
    keeps("broken champions' file");
    fs::write(file.path(), &good).unwrap();
    assert_eq!(live.refresh().unwrap(), Refreshed::Replaced);
    assert_eq!(live.current().unwrap().lstm.id(), &third);
}

#[test]
fn an_artifact_under_another_models_name_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = ChampionsFile::new(dir.path().join("model_config.json"));
    testing::promote_random_champions(dir.path(), &file, 1).unwrap();
    let kinds = dir.path().join("lstm");
    fs::rename(kinds.join("lstm-1"), kinds.join("lstm-9")).unwrap();
    let at = chrono::DateTime::UNIX_EPOCH;
    file.promote(
        ModelKind::Lstm,
        ModelId::parse("lstm-9").unwrap(),
        at,
        "renamed",
    )
    .unwrap();
    let message = Champions::load(dir.path(), &file.read().unwrap())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("lstm-9 says that it is lstm model lstm-1"),
        "{message}"
    );
}
