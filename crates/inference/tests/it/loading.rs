use std::{fs, path::Path, sync::Arc};

use domain::{ModelId, ModelKind};
use inference::{Champions, InferenceError, LiveChampions, Model, Refreshed, Refusal, testing};
use model_registry::{Artifact, ChampionsFile, NETWORK_FILE, artifact_dir, write_artifact};
use tflite_export::NetworkWeights;

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

/// Writes a model that says what no probabilities are, and makes it the champion.
fn promote_speechless(models: &Path, file: &ChampionsFile, kind: ModelKind, seed: u64) -> ModelId {
    let mut weights = testing::random_weights(kind, seed);
    let head = match &mut weights {
        NetworkWeights::Lstm(lstm) => &mut lstm.head,
        NetworkWeights::Transformer(transformer) => &mut transformer.head,
    };
    // The exporter takes no NaN. Without weights it leaves the biases as they are.
    let marker = 12_345.5_f32;
    head.weight.fill(0.0);
    head.bias.fill(marker);
    let Artifact {
        manifest,
        mut tflite,
    } = testing::artifact(&weights, seed).unwrap();
    let places: Vec<usize> = (0..tflite.len() - 3)
        .filter(|place| tflite[*place..place + 4] == marker.to_le_bytes())
        .collect();
    assert!(!places.is_empty());
    for place in places {
        tflite[place..place + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    }
    let (model_id, at) = (manifest.model_id.clone(), manifest.created_at);
    write_artifact(models, manifest, &tflite).unwrap();
    file.promote(kind, model_id.clone(), at, "for a test")
        .unwrap();
    model_id
}

#[test]
fn a_model_proves_itself_before_it_replaces_another() {
    let dir = tempfile::tempdir().unwrap();
    let file = ChampionsFile::new(dir.path().join("model_config.json"));
    testing::promote_random_champions(dir.path(), &file, 1).unwrap();
    for kind in ModelKind::ALL {
        let live = LiveChampions::new(file.clone(), dir.path(), 3);
        live.refresh().unwrap();
        let good = live.current().unwrap();
        let bad = promote_speechless(dir.path(), &file, kind, 2);
        // What is known of it the second time is not found out again.
        for _ in 0..2 {
            let error = live.refresh().unwrap_err();
            assert!(matches!(error, InferenceError::Refused { .. }), "{error:?}");
            assert_eq!(error.model_id(), Some(&bad));
            assert!(error.to_string().contains("impossible answer"), "{error}");
            assert!(Arc::ptr_eq(&live.current().unwrap(), &good));
            let [
                Refusal {
                    kind: of, model_id, ..
                },
            ] = &live.refusals()[..]
            else {
                panic!("one refusal: {:?}", live.refusals())
            };
            assert_eq!((*of, model_id), (kind, &bad));
        }
        // It is refused for what it is, not for its name.
        let good_id = good.of(kind).id().clone();
        file.promote(kind, good_id, good.of(kind).manifest().created_at, "back")
            .unwrap();
        assert_eq!(live.refresh().unwrap(), Refreshed::Unchanged);
        assert_eq!(live.refusals(), []);
    }
}

#[test]
fn at_a_start_an_earlier_champion_stands_in_for_one_that_cannot_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let file = ChampionsFile::new(dir.path().join("model_config.json"));
    testing::promote_random_champions(dir.path(), &file, 1).unwrap();
    promote_speechless(dir.path(), &file, ModelKind::Transformer, 2);
    let gone = ModelId::parse("transformer-gone").unwrap();
    let at = chrono::DateTime::UNIX_EPOCH;
    file.promote(ModelKind::Transformer, gone.clone(), at, "gone")
        .unwrap();
    let live = LiveChampions::new(file.clone(), dir.path(), 1);
    live.refresh().unwrap_err();
    let in_use = live.current().unwrap();
    assert_eq!(in_use.lstm.id().as_str(), "lstm-1");
    assert_eq!(in_use.transformer.id().as_str(), "transformer-1");
    assert_eq!(live.refusals()[0].model_id, gone);
}

#[test]
fn champions_that_fail_in_use_give_way_to_the_last_good_ones() {
    let dir = tempfile::tempdir().unwrap();
    let file = ChampionsFile::new(dir.path().join("model_config.json"));
    testing::promote_random_champions(dir.path(), &file, 1).unwrap();
    let live = LiveChampions::new(file.clone(), dir.path(), 1);
    live.refresh().unwrap();
    let first = live.current().unwrap();
    testing::promote_random_champions(dir.path(), &file, 2).unwrap();
    live.refresh().unwrap();
    let second = live.current().unwrap();

    assert!(live.put_back(&second, Some(second.lstm.id()), "for a test"));
    let in_use = live.current().unwrap();
    assert!(Arc::ptr_eq(&in_use.lstm, &first.lstm));
    assert!(Arc::ptr_eq(&in_use.transformer, &first.transformer));
    // Told twice, it is done once.
    assert!(live.put_back(&second, None, "for a test"));
    assert!(Arc::ptr_eq(&live.current().unwrap(), &in_use));
    // The file still names it, and it is the same.
    let error = live.refresh().unwrap_err();
    assert_eq!(
        error.to_string(),
        "model lstm-2 is refused: it failed while it was in use: for a test"
    );
    assert!(Arc::ptr_eq(&live.current().unwrap(), &in_use));

    // Others take over, whoever failed before.
    testing::promote_random_champions(dir.path(), &file, 3).unwrap();
    assert_eq!(live.refresh().unwrap(), Refreshed::Replaced);
    let third = live.current().unwrap();
    assert!(live.put_back(&third, None, "for a test"));
    assert_eq!(live.current().unwrap().lstm.id().as_str(), "lstm-1");

    // With nothing in memory to go back to, the file's earlier champions are tried, of the kind that failed.
    let started = LiveChampions::new(file, dir.path(), 1);
    started.refresh().unwrap();
    let pair = started.current().unwrap();
    assert!(started.put_back(&pair, Some(pair.lstm.id()), "for a test"));
    let pair = started.current().unwrap();
    let ids = [&pair.lstm, &pair.transformer].map(|model| model.id().to_string());
    assert_eq!(ids, ["lstm-2", "transformer-3"]);
    // The very last one stays, better now and then than never, and is named.
    fs::remove_dir_all(dir.path().join("lstm/lstm-1")).unwrap();
    assert!(!started.put_back(&pair, Some(pair.lstm.id()), "for a test"));
    assert!(Arc::ptr_eq(&started.current().unwrap(), &pair));
    let error = started.refresh().unwrap_err().to_string();
    assert!(error.contains("lstm-3 is refused"), "{error}");
}
