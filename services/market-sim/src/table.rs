//! Recorded data in CSV files.

use std::{
    fs::File,
    io::{BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use serde::de::DeserializeOwned;

/// A file of recorded data cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It cannot be opened.
    #[error("failed to open {}", path.display())]
    Open {
        /// Path of the file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A row is torn or holds something else than expected.
    #[error("{} is not as expected: {expected}", path.display())]
    Row {
        /// Path of the file.
        path: PathBuf,
        /// The columns that it should have.
        expected: &'static str,
        /// The reader's reason, with the line.
        source: csv::Error,
    },
    /// The columns are others.
    #[error("{} lacks columns: expected {expected}", path.display())]
    Columns {
        /// Path of the file.
        path: PathBuf,
        /// The columns that it should have.
        expected: &'static str,
    },
}

/// A CSV file, gzipped if its name says so.
pub(crate) fn open(path: &Path) -> Result<csv::Reader<Box<dyn Read>>, TableError> {
    let file = File::open(path).map_err(|source| TableError::Open {
        path: path.to_owned(),
        source,
    })?;
    let zipped = path.extension().is_some_and(|extension| extension == "gz");
    let text: Box<dyn Read> = if zipped {
        Box::new(MultiGzDecoder::new(BufReader::new(file)))
    } else {
        Box::new(file)
    };
    Ok(csv::Reader::from_reader(text))
}

/// All rows of a CSV file, by the names of its columns.
pub(crate) fn read<T: DeserializeOwned>(
    path: &Path,
    expected: &'static str,
) -> Result<Vec<T>, TableError> {
    open(path)?
        .into_deserialize()
        .collect::<Result<_, _>>()
        .map_err(|source| TableError::Row {
            path: path.to_owned(),
            expected,
            source,
        })
}
