use std::{fmt, io, path::PathBuf};

/// A file of bars cannot be read. Every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
pub enum BarFileError {
    /// There is no such file.
    #[error("there is no file {}", path.display())]
    NotFound {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The name does not tell the format.
    #[error("{} has no known format: its name must end in .csv, .csv.gz or .parquet", path.display())]
    UnknownFormat {
        /// The path given.
        path: PathBuf,
    },
    /// The system refuses to read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The compressed data end too early or are damaged.
    #[error("{} is torn or no gzip file: fetch or write it again", path.display())]
    Gzip {
        /// The file.
        path: PathBuf,
        /// The decompressor's reason.
        source: io::Error,
    },
    /// The header lacks columns.
    #[error("{} has no column {}: found {}; expected {EXPECTED}", path.display(), List(missing), List(found))]
    MissingColumns {
        /// The file.
        path: PathBuf,
        /// The columns it lacks.
        missing: Vec<&'static str>,
        /// The columns it has.
        found: Vec<String>,
    },
    /// A cell is neither empty nor of its column's type.
    #[error("{} line {line}: {column} is {value:?}, expected {expected}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Line of a CSV file (the header is line 1) or row of a Parquet file (the first is 1).
        line: u64,
        /// The column.
        column: &'static str,
        /// What the cell holds.
        value: String,
        /// What it should hold.
        expected: &'static str,
    },
    /// A line has more or fewer cells than the header: often the last one, cut off.
    #[error("{} line {line}: {found} cells, but the header has {expected}", path.display())]
    CellCount {
        /// The file.
        path: PathBuf,
        /// Its line; the header is line 1.
        line: u64,
        /// Cells on the line.
        found: u64,
        /// Cells in the header.
        expected: u64,
    },
    /// The text is not UTF-8.
    #[error("{} line {line} is not UTF-8 text", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Its line; the header is line 1.
        line: u64,
    },
    /// Parquet is read by the research commands only.
    #[error("{0} is Parquet, which is not read here: `tandem bars --bars {0} --out BARS.csv.gz` writes it as CSV", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
    },
}

/// The one layout that is read, for messages.
const EXPECTED: &str =
    "ticker,ts,open,high,low,close,volume with ts the bar's start such as 2018-03-26T13:30:00Z";

struct List<'a, T>(&'a [T]);

impl<T: AsRef<str>> fmt::Display for List<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, item) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(", ")?;
            }
            formatter.write_str(item.as_ref())?;
        }
        if self.0.is_empty() {
            formatter.write_str("nothing")
        } else {
            Ok(())
        }
    }
}
