use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use domain::{ModelId, ModelKind};

use crate::{
    Champions, Manifest, RegistryError,
    artifact::read_manifest,
    artifact_dir,
    files::{self, sync_dir},
};

/// An artifact found on the disk.
#[derive(Debug)]
pub struct Listed {
    /// Which rider.
    pub kind: ModelKind,
    /// Its name, from the folder's.
    pub model_id: ModelId,
    /// What is known of it, or why nothing is. The network's bytes have not been looked at.
    pub manifest: Result<Manifest, RegistryError>,
}

/// All artifacts, by kind, the newest first; those that cannot be read come last.
///
/// # Errors
/// [`RegistryError::Io`] when a folder cannot be read; a folder of models that does not exist yet holds none.
pub fn list_artifacts(models_dir: &Path) -> Result<Vec<Listed>, RegistryError> {
    let mut listed = Vec::new();
    for kind in ModelKind::ALL {
        for (model_id, path) in folders(&models_dir.join(kind.name()))? {
            let manifest = read_manifest(&path);
            listed.push(Listed {
                kind,
                model_id,
                manifest,
            });
        }
    }
    let newest_first = |listed: &Listed| {
        let created = listed.manifest.as_ref().ok().map(|found| found.created_at);
        (listed.kind.name(), std::cmp::Reverse(created))
    };
    listed.sort_by_key(newest_first);
    Ok(listed)
}

/// Removes the artifacts that nothing names: not the champions' file with its history, not `named` (the models of stored
/// predictions), and not the newest `spare` of each kind. Gives the names of those removed.
///
/// An artifact disappears whole, so that a reader finds all of it or none. What killed writers left behind is removed too.
///
/// # Errors
/// [`RegistryError::Io`] when the system refuses; what was removed until then stays removed.
pub fn remove_unneeded(
    models_dir: &Path,
    champions: &Champions,
    named: &BTreeSet<ModelId>,
    spare: usize,
) -> Result<Vec<(ModelKind, ModelId)>, RegistryError> {
    let listed = list_artifacts(models_dir)?;
    let mut removed = Vec::new();
    for kind in ModelKind::ALL {
        let kind_dir = models_dir.join(kind.name());
        if !kind_dir.is_dir() {
            continue;
        }
        let _lock = files::lock_folder(&kind_dir)?;
        let history = champions.of(kind).map(|record| {
            let changes = record
                .changes
                .iter()
                .flat_map(|change| change.from.iter().chain([&change.to]));
            record
                .previous
                .iter()
                .chain([&record.champion])
                .chain(changes)
                .collect::<BTreeSet<_>>()
        });
        let history = history.unwrap_or_default();
        let own = listed.iter().filter(|found| found.kind == kind);
        for found in own.skip(spare) {
            if history.contains(&found.model_id) || named.contains(&found.model_id) {
                continue;
            }
            remove(&artifact_dir(models_dir, kind, &found.model_id))?;
            removed.push((kind, found.model_id.clone()));
        }
    }
    Ok(removed)
}

fn remove(path: &Path) -> Result<(), RegistryError> {
    let mut hidden = std::ffi::OsString::from(files::REMOVING);
    hidden.push(path.file_name().unwrap_or_default());
    let hidden = path.with_file_name(hidden);
    fs::rename(path, &hidden).map_err(RegistryError::io("remove", path))?;
    sync_dir(files::parent(path))?;
    fs::remove_dir_all(&hidden).map_err(RegistryError::io("remove", &hidden))
}

/// Folders that are named as models are; others, such as half-written ones, are none of ours.
fn folders(dir: &Path) -> Result<Vec<(ModelId, PathBuf)>, RegistryError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(RegistryError::io("read the folder", dir))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry
            .map_err(RegistryError::io("read the folder", dir))?
            .path();
        let name = path.file_name().and_then(|name| name.to_str());
        let model_id = name.and_then(|name| ModelId::parse(name).ok());
        if let Some(model_id) = model_id.filter(|_| path.is_dir()) {
            found.push((model_id, path));
        }
    }
    found.sort();
    Ok(found)
}
