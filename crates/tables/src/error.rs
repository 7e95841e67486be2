use std::{io, path::PathBuf};

use bar_files::BarFileError;
use polars::error::PolarsError;

/// A file of bars cannot be read, or a table not written. Every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The bars cannot be read, or the name tells no format.
    #[error(transparent)]
    Bars(#[from] BarFileError),
    /// The Parquet file is damaged or uses something unknown.
    #[error("failed to read {} as Parquet", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// The reader's reason.
        source: PolarsError,
    },
    /// The Parquet reader gave up in a way that it does not foresee.
    #[error("{} cannot be read as Parquet: {reason}; `tandem bars` reads CSV, which the program that wrote it can write too", path.display())]
    ParquetPanic {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// The table's columns differ in length.
    #[error("column {column} has {found} rows, but the first column has {expected}")]
    UnequalColumns {
        /// The column.
        column: String,
        /// Its length.
        found: usize,
        /// The first column's length.
        expected: usize,
    },
    /// The table cannot be assembled.
    #[error("failed to assemble the table for {}", path.display())]
    Table {
        /// Where it was to go.
        path: PathBuf,
        /// The reason.
        source: PolarsError,
    },
    /// The table cannot be written.
    #[error("failed to write {}", path.display())]
    Write {
        /// Where it was to go.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}
