//! A BERT of two layers with random weights, made by `tests/bert_onnx.py` with its defaults and kept in `tests/tiny`.

use std::{fs, path::Path};

use sha2::{Digest, Sha256};

pub(crate) const NETWORK: &[u8] = include_bytes!("../tiny/model.onnx");
pub(crate) const TOKENIZER: &[u8] = include_bytes!("../tiny/tokenizer.json");
pub(crate) const CONFIG: &[u8] = include_bytes!("../tiny/config.json");
/// Texts of many kinds.
pub(crate) const TEXTS: &str = include_str!("../tiny/texts.json");
/// What `tests/bert_logits.py` answered for them, from onnxruntime.
pub(crate) const ANSWERS: &str = include_str!("../tiny/answers.json");

/// Positions that the model has.
pub(crate) const POSITIONS: usize = 64;

/// The files of an export, without a manifest.
pub(crate) fn export_to(dir: &Path) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("model.onnx"), NETWORK).unwrap();
    fs::write(dir.join("tokenizer.json"), TOKENIZER).unwrap();
    fs::write(dir.join("config.json"), CONFIG).unwrap();
}

/// Writes a manifest that vouches for what is in `dir`.
pub(crate) fn vouch_for(dir: &Path, name: &str) {
    let files = ["model.onnx", "tokenizer.json", "config.json"].map(|file| {
        let sha256 = sha256(&fs::read(dir.join(file)).unwrap());
        format!("{file:?}: {sha256:?}")
    });
    let manifest = format!(
        r#"{{"name": {name:?}, "source": "a test", "revision": null, "sha256": {{{}}}}}"#,
        files.join(", ")
    );
    fs::write(dir.join("manifest.json"), manifest).unwrap();
}

pub(crate) fn install(dir: &Path) {
    export_to(dir);
    vouch_for(dir, "tiny");
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
