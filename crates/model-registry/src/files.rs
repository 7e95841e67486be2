//! Files that survive a crash: written beside their place, synced, renamed.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use serde::de::DeserializeOwned;

use crate::RegistryError;

/// Writes a new file and waits until it is on the disk.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
    let mut file = File::create(path).map_err(RegistryError::io("create", path))?;
    file.write_all(bytes)
        .map_err(RegistryError::io("write", path))?;
    file.sync_all().map_err(RegistryError::io("sync", path))
}

/// Waits until a folder's entries are on the disk; without it a rename may be lost with the power.
pub(crate) fn sync_dir(path: &Path) -> Result<(), RegistryError> {
    #[cfg(unix)]
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(RegistryError::io("sync the folder", path))?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// Beginnings of the names of what is being written or removed. No model id begins with a dot, so nobody takes such a
/// folder for an artifact.
pub(crate) const WRITING: &str = ".writing-";
pub(crate) const REMOVING: &str = ".removing-";
const REPLACING: &str = ".replacing-";

/// Held until dropped, also by the system when the process dies.
pub(crate) fn lock(path: &Path) -> Result<File, RegistryError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(RegistryError::io("open the lock", path))?;
    file.lock()
        .map_err(RegistryError::io("take the lock", path))?;
    Ok(file)
}

/// The lock of those who write to or remove from a kind's folder, with which what killed ones left in it is removed.
pub(crate) fn lock_folder(dir: &Path) -> Result<File, RegistryError> {
    let lock = lock(&dir.join(".lock"))?;
    sweep(dir, &[WRITING, REMOVING]);
    Ok(lock)
}

/// Removes what killed writers left. The lock that they held must be held.
fn sweep(dir: &Path, beginnings: &[&str]) {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if beginnings.iter().any(|begin| name.starts_with(begin)) {
            // It is in nobody's way: what cannot be removed stays for the next.
            let path = entry.path();
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
    }
}

/// Replaces a file in one step: whoever reads sees all of the old bytes or all of the new. The caller holds the lock of
/// the file's writers.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<(), RegistryError> {
    let dir = parent(path);
    sweep(dir, &[REPLACING]);
    let mut temporary = tempfile::Builder::new()
        .prefix(REPLACING)
        .tempfile_in(dir)
        .map_err(RegistryError::io("create a temporary file in", dir))?;
    temporary
        .write_all(bytes)
        .map_err(RegistryError::io("write", temporary.path()))?;
    temporary
        .as_file()
        .sync_all()
        .map_err(RegistryError::io("sync", temporary.path()))?;
    share_like_any_file(temporary.as_file(), path)?;
    temporary
        .persist(path)
        .map_err(|refused| RegistryError::io("replace", path)(refused.error))?;
    sync_dir(dir)
}

/// Temporary files and folders are private to their owner; what becomes of them is for the other services too.
#[cfg(unix)]
pub(crate) fn share_like_any_file(file: &File, path: &Path) -> Result<(), RegistryError> {
    use std::os::unix::fs::PermissionsExt;
    let is_dir = file.metadata().is_ok_and(|metadata| metadata.is_dir());
    let mode = if is_dir { 0o755 } else { 0o644 };
    file.set_permissions(fs::Permissions::from_mode(mode))
        .map_err(RegistryError::io("set the permissions of", path))
}

#[cfg(not(unix))]
pub(crate) fn share_like_any_file(_file: &File, _path: &Path) -> Result<(), RegistryError> {
    Ok(())
}

pub(crate) fn create_dirs(path: &Path) -> Result<(), RegistryError> {
    fs::create_dir_all(path).map_err(RegistryError::io("create the folder", path))
}

/// The folder a file lies in; `.` for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|dir| !dir.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

/// Parses JSON and, when it is broken, says where.
pub(crate) fn from_json<T: DeserializeOwned>(
    path: &Path,
    bytes: &[u8],
    advice: &'static str,
) -> Result<T, RegistryError> {
    serde_json::from_slice(bytes).map_err(|source| RegistryError::Json {
        path: path.to_owned(),
        line: source.line(),
        column: source.column(),
        advice,
        source,
    })
}
