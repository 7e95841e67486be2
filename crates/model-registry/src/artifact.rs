use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use domain::{ModelId, ModelKind};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{MANIFEST_SCHEMA_VERSION, Manifest, RegistryError, files};

/// File name of the network in an artifact.
pub const NETWORK_FILE: &str = "model.tflite";

/// File name of the manifest in an artifact.
pub const MANIFEST_FILE: &str = "model.json";

/// File name of what drift is measured against, in an artifact.
pub const DRIFT_REFERENCE_FILE: &str = "drift_reference.json";

const ADVICE: &str = "copy the artifact again or train a new model";

/// A trained model, read and checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Artifact {
    /// What is known of it.
    pub manifest: Manifest,
    /// The network: a TensorFlow Lite file whose checksum is the manifest's.
    pub tflite: Vec<u8>,
}

/// Where a model lies: `<models_dir>/<kind>/<model_id>`.
pub fn artifact_dir(models_dir: &Path, kind: ModelKind, model_id: &ModelId) -> PathBuf {
    models_dir.join(kind.name()).join(model_id.as_str())
}

/// sha256 in lower-case hexadecimal.
pub fn checksum(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Writes a new artifact and gives its folder. The manifest's schema version and checksums are filled in.
///
/// The folder appears whole or not at all, also when the power fails or the disk is full. What a writer that was killed
/// left behind is removed.
///
/// # Errors
/// [`RegistryError::Exists`] when the model id is taken, [`RegistryError::Inconsistent`] when the manifest contradicts
/// itself, [`RegistryError::NoRoom`] when the disk is full, [`RegistryError::Io`] when the system refuses otherwise.
pub fn write_artifact(
    models_dir: &Path,
    manifest: Manifest,
    tflite: &[u8],
) -> Result<PathBuf, RegistryError> {
    write(models_dir, manifest, tflite, None)
}

/// As [`write_artifact`], with what drift is measured against, in a form that the registry need not know.
///
/// # Errors
/// As [`write_artifact`].
pub fn write_artifact_with_drift_reference(
    models_dir: &Path,
    manifest: Manifest,
    tflite: &[u8],
    drift_reference: &[u8],
) -> Result<PathBuf, RegistryError> {
    write(models_dir, manifest, tflite, Some(drift_reference))
}

fn write(
    models_dir: &Path,
    manifest: Manifest,
    tflite: &[u8],
    drift_reference: Option<&[u8]>,
) -> Result<PathBuf, RegistryError> {
    let manifest = Manifest {
        schema_version: MANIFEST_SCHEMA_VERSION,
        tflite_sha256: checksum(tflite),
        drift_reference_sha256: drift_reference.map(checksum),
        ..manifest
    };
    let target = artifact_dir(models_dir, manifest.kind, &manifest.model_id);
    if let Some(reason) = manifest.contradiction() {
        return Err(RegistryError::Inconsistent {
            path: target.join(MANIFEST_FILE),
            reason,
        });
    }
    let kind_dir = files::parent(&target);
    files::create_dirs(kind_dir)?;
    let _lock = files::lock_folder(kind_dir)?;
    let temporary = tempfile::Builder::new()
        .prefix(files::WRITING)
        .tempdir_in(kind_dir)
        .map_err(RegistryError::io("create a temporary folder in", kind_dir))?;
    let json = serde_json::to_vec_pretty(&manifest)
        .map_err(|source| RegistryError::io("write", &target)(source.into()))?;
    files::write_synced(&temporary.path().join(NETWORK_FILE), tflite)?;
    files::write_synced(&temporary.path().join(MANIFEST_FILE), &json)?;
    if let Some(bytes) = drift_reference {
        files::write_synced(&temporary.path().join(DRIFT_REFERENCE_FILE), bytes)?;
    }
    let dir = File::open(temporary.path())
        .map_err(RegistryError::io("open the folder", temporary.path()))?;
    files::share_like_any_file(&dir, temporary.path())?;
    files::sync_dir(temporary.path())?;
    // Renaming onto a folder that has files fails, so of two writers of one id the second is told.
    fs::rename(temporary.path(), &target).map_err(|source| match source.kind() {
        io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => RegistryError::Exists {
            path: target.clone(),
        },
        _ => RegistryError::io("create", &target)(source),
    })?;
    files::sync_dir(kind_dir)?;
    Ok(target)
}

/// Reads an artifact and checks it: schema version, sizes, checksum.
///
/// # Errors
/// A [`RegistryError`] that names the file and what is wrong with it.
pub fn read_artifact(dir: &Path) -> Result<Artifact, RegistryError> {
    let manifest = read_manifest(dir)?;
    let tflite = read_checked(&dir.join(NETWORK_FILE), &manifest.tflite_sha256)?;
    Ok(Artifact { manifest, tflite })
}

/// Reads what drift is measured against from an artifact's folder, and checks it; none if the model has none.
///
/// # Errors
/// A [`RegistryError`] that names the file and what is wrong with it.
pub fn read_drift_reference(
    dir: &Path,
    manifest: &Manifest,
) -> Result<Option<Vec<u8>>, RegistryError> {
    manifest
        .drift_reference_sha256
        .as_ref()
        .map(|expected| read_checked(&dir.join(DRIFT_REFERENCE_FILE), expected))
        .transpose()
}

fn read_checked(path: &Path, expected: &str) -> Result<Vec<u8>, RegistryError> {
    let bytes = read(path)?;
    let found = checksum(&bytes);
    if found == expected {
        Ok(bytes)
    } else {
        Err(RegistryError::Checksum {
            path: path.to_owned(),
            expected: expected.to_owned(),
            found,
        })
    }
}

/// Reads an artifact's manifest and checks it, all but the checksum of the network.
pub(crate) fn read_manifest(dir: &Path) -> Result<Manifest, RegistryError> {
    let path = dir.join(MANIFEST_FILE);
    let json = read(&path)?;
    check_schema_version(&path, &json)?;
    let manifest: Manifest = files::from_json(&path, &json, ADVICE)?;
    match manifest.contradiction() {
        Some(reason) => Err(RegistryError::Inconsistent { path, reason }),
        None => Ok(manifest.completed()),
    }
}

/// Looks at the version alone, since the rest of another version's file may have any form.
fn check_schema_version(path: &Path, json: &[u8]) -> Result<(), RegistryError> {
    #[derive(Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let Version {
        schema_version: found,
    } = files::from_json(path, json, ADVICE)?;
    let supported = MANIFEST_SCHEMA_VERSION;
    if found == supported {
        Ok(())
    } else {
        Err(RegistryError::SchemaVersion {
            path: path.to_owned(),
            found,
            supported,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, RegistryError> {
    fs::read(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => RegistryError::Missing {
            path: path.to_owned(),
        },
        _ => RegistryError::io("read", path)(source),
    })
}
