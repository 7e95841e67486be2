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
    /// Tells the format by the name's ending.
    ///
    /// # Errors
    /// [`BarFileError::UnknownFormat`] for another ending.
    pub fn of(path: &Path) -> Result<Self, BarFileError> {
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().to_ascii_lowercase());
        match name.as_deref() {
            Some(name) if name.ends_with(".csv") => Ok(Self::Csv),
            Some(name) if name.ends_with(".csv.gz") => Ok(Self::CsvGzip),
            Some(name) if name.ends_with(".parquet") => Ok(Self::Parquet),
            _ => Err(BarFileError::UnknownFormat {
                path: path.to_owned(),
            }),
        }
    }
}
