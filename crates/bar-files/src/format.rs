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
        let name = lower_case_name(path);
        if name.ends_with(".csv") {
            Ok(Self::Csv)
        } else if name.ends_with(".csv.gz") {
            Ok(Self::CsvGzip)
        } else if name.ends_with(".parquet") {
            Ok(Self::Parquet)
        } else {
            Err(BarFileError::UnknownFormat {
                path: path.to_owned(),
                endings: ".csv, .csv.gz or .parquet",
            })
        }
    }

    /// Tells the format of a file of bars to read, which others may have written: text under its other endings too.
    ///
    /// # Errors
    /// [`BarFileError::UnknownFormat`] for another ending.
    pub fn of_bars(path: &Path) -> Result<Self, BarFileError> {
        let name = lower_case_name(path);
        let (stem, text) = match name.strip_suffix(".gz") {
            Some(stem) => (stem, Self::CsvGzip),
            None => (&*name, Self::Csv),
        };
        let ends = |name: &str, endings: [&str; 3]| {
            endings.into_iter().any(|ending| name.ends_with(ending))
        };
        if ends(stem, [".csv", ".txt", ".tsv"]) {
            Ok(text)
        } else if ends(&name, [".parquet", ".parq", ".pq"]) {
            Ok(Self::Parquet)
        } else {
            Err(BarFileError::UnknownFormat {
                path: path.to_owned(),
                endings: ".csv, .txt, .tsv (or one of these and .gz), .parquet, .parq or .pq",
            })
        }
    }
}

fn lower_case_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().to_ascii_lowercase()
}
