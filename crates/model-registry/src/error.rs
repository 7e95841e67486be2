use std::{io, path::PathBuf};

/// Why an artifact or the champions' file cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The operating system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The disk is full, or a limit of the user or of the process is reached.
    #[error(
        "no room to {action} {}: free some on that disk or raise the limit, then run it again; nothing half-written was left",
        path.display()
    )]
    NoRoom {
        /// What was tried, such as `write`.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A file that an artifact must have is not there.
    #[error(
        "{} does not exist: an artifact is a folder with model.tflite and model.json; train a model or correct the path",
        path.display()
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The text is no JSON, or not of the form expected.
    #[error("{} is broken at line {line}, column {column}; {advice}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What to do.
        advice: &'static str,
        /// What is wrong there.
        #[source]
        source: serde_json::Error,
    },
    /// Written by another version of Tandem.
    #[error(
        "{} has schema version {found}, this program reads version {supported}: train a new model or use the matching version of Tandem",
        path.display()
    )]
    SchemaVersion {
        /// The file.
        path: PathBuf,
        /// Version in the file.
        found: u32,
        /// Version this program writes and reads.
        supported: u32,
    },
    /// A file's bytes are not those that were written.
    #[error(
        "{} is corrupt or incomplete: its sha256 is {found}, model.json says {expected}; copy the artifact again or train a new model",
        path.display()
    )]
    Checksum {
        /// The file.
        path: PathBuf,
        /// From the manifest.
        expected: String,
        /// Of the bytes found.
        found: String,
    },
    /// Parts of a manifest contradict each other.
    #[error("{} contradicts itself: {reason}; train a new model", path.display())]
    Inconsistent {
        /// The manifest.
        path: PathBuf,
        /// Which parts and how.
        reason: String,
    },
    /// An artifact of that name exists; artifacts are never changed.
    #[error("{} exists already: a model id is used once, choose another", path.display())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
}

impl RegistryError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::NoRoom {
                action,
                path,
                source,
            },
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }
}
