use std::path::Path;

use crate::BarFileError;

/// How a file is laid out, told by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated text.
    Csv,
    /// The same, compressed by gzip.
    CsvGzip,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// Tells the format by the name's ending: what is written, and what every command reads.
    ///
    /// # Errors
    /// [`BarFileError::UnknownFormat`] for another ending.
    pub fn of(path: &Path) -> Result<Self, BarFileError> {
        match lower_case_name(path).as_deref() {
            Some(name) if name.ends_with(".csv") => Ok(Self::Csv),
            Some(name) if name.ends_with(".csv.gz") => Ok(Self::CsvGzip),
            Some(name) if name.ends_with(".parquet") => Ok(Self::Parquet),
            _ => Err(BarFileError::UnknownFormat {
                path: path.to_owned(),
            }),
        }
    }

    /// Tells the format of a file of bars to read, which others may have written: text under its other endings too.
    ///
    /// # Errors
    /// [`BarFileError::UnknownFormat`] for another ending.
    pub fn of_bars(path: &Path) -> Result<Self, BarFileError> {
        let name = lower_case_name(path).unwrap_or_default();
        let (stem, text) = match name.strip_suffix(".gz") {
            Some(stem) => (stem, Self::CsvGzip),
            None => (&*name, Self::Csv),
        };
        if [".txt", ".tsv"].iter().any(|ending| stem.ends_with(ending)) {
            Ok(text)
        } else if [".parq", ".pq"].iter().any(|ending| name.ends_with(ending)) {
            Ok(Self::Parquet)
        } else {
            Self::of(path)
        }
    }
}

fn lower_case_name(path: &Path) -> Option<String> {
    path.file_name()
        .map(|name| name.to_string_lossy().to_ascii_lowercase())
}
