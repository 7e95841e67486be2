use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use chrono::{DateTime, SecondsFormat, Utc};
use flate2::{Compression, write::GzEncoder};
use polars::{
    error::{PolarsError, PolarsResult},
    prelude::{
        CsvWriter, DataFrame, Int64Chunked, IntoColumn, IntoSeries, NamedFrom, ParquetWriter,
        SerWriter, Series, TimeUnit, TimeZone,
    },
};

use bar_files::Format;
use domain::{Bar, Price, Ticker};

use crate::TableError;

/// One column of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Its header.
    pub name: String,
    /// Its cells, first row first.
    pub values: Values,
}

/// A column's cells.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Text.
    Text(Vec<String>),
    /// Moments: RFC 3339 with `Z` in CSV, timestamps in UTC with microseconds in Parquet.
    Time(Vec<DateTime<Utc>>),
    /// Numbers; `None` is an empty cell.
    Float(Vec<Option<f64>>),
    /// Whole numbers.
    Integer(Vec<i64>),
}

impl Column {
    /// A column of that name.
    pub fn new(name: impl Into<String>, values: Values) -> Self {
        Self {
            name: name.into(),
            values,
        }
    }
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Time(values) => values.len(),
            Self::Float(values) => values.len(),
            Self::Integer(values) => values.len(),
        }
    }
}

/// Returns bars as a table in the layout that [`crate::read_bars`] reads: ticker, ts, open, high, low, close, volume.
pub fn bar_columns<'a>(rows: impl Iterator<Item = (&'a Ticker, &'a Bar)>) -> Vec<Column> {
    let (tickers, bars): (Vec<String>, Vec<&Bar>) =
        rows.map(|(ticker, bar)| (ticker.to_string(), bar)).unzip();
    let price =
        |of: fn(&Bar) -> Price| Values::Float(bars.iter().map(|bar| Some(of(bar).get())).collect());
    vec![
        Column::new("ticker", Values::Text(tickers)),
        Column::new(
            "ts",
            Values::Time(bars.iter().map(|bar| bar.start).collect()),
        ),
        Column::new("open", price(|bar| bar.open)),
        Column::new("high", price(|bar| bar.high)),
        Column::new("low", price(|bar| bar.low)),
        Column::new("close", price(|bar| bar.close)),
        Column::new("volume", volumes(&bars)),
    ]
}

/// Whole numbers as long as all are, as almost all vendors send them.
fn volumes(bars: &[&Bar]) -> Values {
    if bars.iter().all(|bar| bar.volume.fract() == 0.0) {
        Values::Integer(bars.iter().map(|bar| bar.volume as i64).collect())
    } else {
        Values::Float(bars.iter().map(|bar| Some(bar.volume)).collect())
    }
}

/// Writes a table: CSV, gzipped CSV or Parquet by the name's ending; `-` is CSV on standard output.
///
/// A file appears complete or not at all, and replaces one of that name. A reader of standard output that has seen
/// enough (`| head`) is no error.
///
/// # Errors
/// [`TableError`] for an unknown ending, columns of unequal length, or a place that cannot be written to.
pub fn write_table(path: &Path, columns: Vec<Column>) -> Result<(), TableError> {
    let to_stdout = path.as_os_str() == "-";
    let format = if to_stdout {
        Format::Csv
    } else {
        Format::of(path)?
    };
    let mut frame = assemble(path, columns, format)?;
    if to_stdout {
        return match write_csv(&mut frame, io::stdout().lock()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|source| write_error(path, source)),
        };
    }
    let partial = partial_path(path);
    let written = File::create(&partial)
        .and_then(|file| write_file(&mut frame, file, format))
        .and_then(|()| fs::rename(&partial, path));
    written.map_err(|source| {
        // Best effort: the error that matters is the first one.
        let _ = fs::remove_file(&partial);
        write_error(path, source)
    })
}

fn assemble(path: &Path, columns: Vec<Column>, format: Format) -> Result<DataFrame, TableError> {
    let expected = columns.first().map_or(0, |column| column.values.len());
    if let Some(column) = columns
        .iter()
        .find(|column| column.values.len() != expected)
    {
        let found = column.values.len();
        return Err(TableError::UnequalColumns {
            column: column.name.clone(),
            found,
            expected,
        });
    }
    let columns: PolarsResult<Vec<_>> = columns
        .into_iter()
        .map(|Column { name, values }| {
            let name = name.as_str().into();
            let series = match values {
                Values::Text(values) => Series::new(name, values),
                Values::Float(values) => Series::new(name, values),
                Values::Integer(values) => Series::new(name, values),
                Values::Time(values) if format == Format::Parquet => {
                    let micros: Vec<i64> = values.iter().map(DateTime::timestamp_micros).collect();
                    // A cast would drop the zone: this build of polars does not know any.
                    Int64Chunked::from_vec(name, micros)
                        .into_datetime(TimeUnit::Microseconds, Some(TimeZone::UTC))
                        .into_series()
                }
                Values::Time(values) => {
                    let texts: Vec<String> = values
                        .iter()
                        .map(|time| time.to_rfc3339_opts(SecondsFormat::AutoSi, true))
                        .collect();
                    Series::new(name, texts)
                }
            };
            Ok(series.into_column())
        })
        .collect();
    columns
        .and_then(DataFrame::new_infer_height)
        .map_err(|source| TableError::Table {
            path: path.to_owned(),
            source,
        })
}

fn write_file(frame: &mut DataFrame, file: File, format: Format) -> io::Result<()> {
    let mut buffer = BufWriter::with_capacity(1 << 18, file);
    match format {
        Format::Csv => write_csv(frame, &mut buffer)?,
        Format::CsvGzip => {
            let mut encoder = GzEncoder::new(&mut buffer, Compression::new(5));
            write_csv(frame, &mut encoder)?;
            encoder.finish()?;
        }
        Format::Parquet => {
            ParquetWriter::new(&mut buffer)
                .finish(frame)
                .map_err(io_error)?;
        }
    }
    buffer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?
        .sync_all()
}

fn write_csv(frame: &mut DataFrame, writer: impl Write) -> io::Result<()> {
    CsvWriter::new(writer).finish(frame).map_err(io_error)
}

fn io_error(error: PolarsError) -> io::Error {
    match error {
        PolarsError::IO { error, .. } => io::Error::new(error.kind(), error),
        other => io::Error::other(other),
    }
}

fn write_error(path: &Path, source: io::Error) -> TableError {
    TableError::Write {
        path: path.to_owned(),
        source,
    }
}

/// A name beside the file, so that renaming stays within one disk.
fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    path.with_file_name(name)
}
