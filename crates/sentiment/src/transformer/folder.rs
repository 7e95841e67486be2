//! A model's folder: `model.onnx`, `tokenizer.json`, `config.json` and the manifest that vouches for them.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::SentimentError;

/// The network.
pub(crate) const NETWORK_FILE: &str = "model.onnx";
/// How texts become token ids.
pub(crate) const TOKENIZER_FILE: &str = "tokenizer.json";
/// Labels and sizes.
pub(crate) const CONFIG_FILE: &str = "config.json";
/// All files that a manifest vouches for.
pub(crate) const FILES: [&str; 3] = [NETWORK_FILE, TOKENIZER_FILE, CONFIG_FILE];
/// Written last: a folder without it is not a model yet.
pub(crate) const MANIFEST_FILE: &str = "manifest.json";

/// Where a model's files come from and what they must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// The model's name, which is its folder's.
    pub(crate) name: String,
    /// Where the files were taken from, for people.
    pub(crate) source: String,
    /// The commit of that place, where it has one.
    pub(crate) revision: Option<String>,
    /// By file name: sha256 in lower-case hexadecimal.
    pub(crate) sha256: BTreeMap<String, String>,
}

/// The files of a model, checked against the manifest. The bytes are those that were checked.
pub(crate) struct ModelFiles {
    pub(crate) manifest: Manifest,
    pub(crate) network: Vec<u8>,
    pub(crate) tokenizer: Vec<u8>,
    pub(crate) config: Vec<u8>,
}

/// Folders below `models_dir` that hold a manifest, by name; none where the folder is absent.
pub(crate) fn installed(models_dir: &Path) -> Result<Vec<PathBuf>, SentimentError> {
    let unreadable = |source| SentimentError::Unreadable {
        path: models_dir.to_owned(),
        source,
    };
    let entries = match fs::read_dir(models_dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        // Downloads that are under way hide behind a dot.
        let hidden = path
            .file_name()
            .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.join(MANIFEST_FILE).is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

pub(crate) fn read_manifest(dir: &Path) -> Result<Manifest, SentimentError> {
    let path = dir.join(MANIFEST_FILE);
    let json = read(&path)?;
    serde_json::from_slice(&json).map_err(|source| SentimentError::Json { path, source })
}

/// Reads a model's files and checks each.
pub(crate) fn read_model(dir: &Path) -> Result<ModelFiles, SentimentError> {
    let manifest = read_manifest(dir)?;
    let read_checked = |file: &str| {
        let path = dir.join(file);
        let bytes = read(&path)?;
        let found = hex(&Sha256::digest(&bytes));
        match manifest.sha256.get(file) {
            Some(expected) if *expected == found => Ok(bytes),
            expected => Err(SentimentError::Checksum {
                path,
                expected: expected
                    .map_or("nothing about it", String::as_str)
                    .to_owned(),
                found,
            }),
        }
    };
    Ok(ModelFiles {
        network: read_checked(NETWORK_FILE)?,
        tokenizer: read_checked(TOKENIZER_FILE)?,
        config: read_checked(CONFIG_FILE)?,
        manifest,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, SentimentError> {
    fs::read(path).map_err(|source| SentimentError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
