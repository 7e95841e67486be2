//! What is loaded, what is refused, and what is said about it.

use std::{error::Error, fs, path::Path};

use sentiment::{SentimentError, SentimentModel, Transformer};

use crate::tiny;

fn loaded(dir: &Path) -> Result<Transformer, SentimentError> {
    Transformer::load(dir)
}

/// The model in a folder of its own, changed by `change` and vouched for anew.
fn changed(change: impl FnOnce(&Path)) -> SentimentError {
    let dir = tempfile::tempdir().unwrap();
    tiny::export_to(dir.path());
    change(dir.path());
    tiny::vouch_for(dir.path(), "tiny");
    loaded(dir.path()).unwrap_err()
}

#[test]
fn the_models_name_tells_files_of_one_name_apart() {
    let dir = tempfile::tempdir().unwrap();
    tiny::install(dir.path());
    let name = format!("tiny-{}", &tiny::sha256(tiny::NETWORK)[..8]);
    assert_eq!(loaded(dir.path()).unwrap().name(), name);
}

#[test]
fn sentiments_follow_the_labels_wherever_they_stand() {
    let dir = tempfile::tempdir().unwrap();
    tiny::install(dir.path());
    let texts = ["Profit rose 5%", "Acme cuts its outlook"];
    let here = loaded(dir.path()).unwrap().score(&texts).unwrap();
    // The same logits under the labels in another order.
    let config = String::from_utf8(tiny::CONFIG.to_vec()).unwrap();
    let swapped = config
        .replace("positive", "Neg_")
        .replace("negative", "POSITIVE")
        .replace("Neg_", "Negative");
    fs::write(dir.path().join("config.json"), swapped).unwrap();
    tiny::vouch_for(dir.path(), "tiny");
    let there = loaded(dir.path()).unwrap().score(&texts).unwrap();
    for (here, there) in here.iter().zip(there) {
        assert_eq!(here.positive(), there.negative());
        assert_eq!(here.negative(), there.positive());
        assert_eq!(here.neutral(), there.neutral());
    }
    assert!(here[0].positive() != here[1].positive());
}

#[test]
fn a_changed_file_is_refused() {
    for file in ["model.onnx", "tokenizer.json", "config.json"] {
        let dir = tempfile::tempdir().unwrap();
        tiny::install(dir.path());
        let path = dir.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        let error = loaded(dir.path()).unwrap_err();
        assert!(matches!(error, SentimentError::Checksum { .. }), "{error}");
        let message = error.to_string();
        assert!(
            message.contains(file) && message.contains("tandem models fetch"),
            "{message}"
        );
    }
}

#[test]
fn a_missing_or_broken_file_is_named() {
    for file in [
        "model.onnx",
        "tokenizer.json",
        "config.json",
        "manifest.json",
    ] {
        let dir = tempfile::tempdir().unwrap();
        tiny::install(dir.path());
        fs::remove_file(dir.path().join(file)).unwrap();
        let error = loaded(dir.path()).unwrap_err();
        assert!(
            matches!(error, SentimentError::Unreadable { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(file), "{error}");
    }
    let dir = tempfile::tempdir().unwrap();
    tiny::install(dir.path());
    fs::write(dir.path().join("manifest.json"), "{\"name\": ").unwrap();
    let error = loaded(dir.path()).unwrap_err();
    assert!(matches!(error, SentimentError::Json { .. }), "{error}");
    let error = changed(|dir| fs::write(dir.join("config.json"), "[]").unwrap());
    assert!(matches!(error, SentimentError::Json { .. }), "{error}");
    let error = changed(|dir| fs::write(dir.join("tokenizer.json"), "{}").unwrap());
    assert!(matches!(error, SentimentError::Tokenizer { .. }), "{error}");
}

#[test]
fn other_labels_are_refused() {
    let error = changed(|dir| {
        let config = String::from_utf8(tiny::CONFIG.to_vec()).unwrap();
        fs::write(
            dir.join("config.json"),
            config.replace("neutral", "sarcastic"),
        )
        .unwrap();
    });
    let SentimentError::Labels { found, .. } = &error else {
        unreachable!("{error}");
    };
    assert_eq!(found, &["positive", "negative", "sarcastic"]);
}

/// Cut, emptied or with any byte changed: an error or a model, never a panic.
#[test]
fn a_damaged_network_never_panics() {
    let damaged = |network: &[u8]| {
        let dir = tempfile::tempdir().unwrap();
        tiny::export_to(dir.path());
        fs::write(dir.path().join("model.onnx"), network).unwrap();
        tiny::vouch_for(dir.path(), "tiny");
        loaded(dir.path())
    };
    for length in [0, 1, 100, 5_000, tiny::NETWORK.len() - 1] {
        let error = damaged(&tiny::NETWORK[..length]).unwrap_err();
        assert!(
            matches!(error, SentimentError::Network { .. }),
            "{length}: {error}"
        );
        assert!(error.source().is_some());
    }
    for index in (0..tiny::NETWORK.len()).step_by(tiny::NETWORK.len() / 40) {
        let mut network = tiny::NETWORK.to_vec();
        network[index] ^= 0x55;
        match damaged(&network) {
            Ok(_) => {}
            Err(error) => assert!(
                matches!(
                    error,
                    SentimentError::Network { .. } | SentimentError::Answer { .. }
                ),
                "{index}: {error}"
            ),
        }
    }
}

#[test]
fn the_lexicon_stands_in_where_no_model_can_be_used() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("sentiment");
    let name = |dir: &Path| SentimentModel::load(dir).unwrap().name().to_owned();
    assert_eq!(name(&models), "lexicon-3");
    // What is still arriving hides behind a dot, and a folder without a manifest is none.
    tiny::install(&models.join(".tiny-0123"));
    tiny::export_to(&models.join("export"));
    assert_eq!(name(&models), "lexicon-3");
    assert!(SentimentModel::load_transformer(&models).unwrap().is_none());

    tiny::install(&models.join("tiny"));
    assert!(name(&models).starts_with("tiny-"));
    let model = SentimentModel::load(&models).unwrap();
    assert_eq!(model.score(&["a", "b", ""]).unwrap().len(), 3);
    assert_eq!(model.score(&[]).unwrap(), []);

    fs::write(models.join("tiny/model.onnx"), "broken").unwrap();
    assert_eq!(name(&models), "lexicon-3");
    let error = SentimentModel::load_transformer(&models).unwrap_err();
    assert!(matches!(error, SentimentError::Checksum { .. }), "{error}");

    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = SentimentModel::load(&file).unwrap_err();
    assert!(
        matches!(error, SentimentError::Unreadable { .. }),
        "{error}"
    );
}
