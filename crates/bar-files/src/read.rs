use std::{
    fs::File,
    io::{self, BufReader, Read},
    path::Path,
};

use chrono::{DateTime, Utc};
use csv::{ErrorKind, StringRecord};
use domain::Bar;
use flate2::read::MultiGzDecoder;

use crate::{BarFile, BarFileError, clean::Collector, format::Format};

/// The columns of a file of bars.
pub const COLUMNS: [&str; 7] = ["ticker", "ts", "open", "high", "low", "close", "volume"];
/// The columns that hold numbers.
pub const PRICES_AND_VOLUME: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// What a cell of `ticker` holds, for messages.
pub const EXPECTED_TICKER: &str = "a symbol such as AAPL";
/// What a cell of `ts` holds, for messages.
pub const EXPECTED_TIME: &str = "the bar's start with its zone, such as 2018-03-26T13:30:00Z";
/// What a cell of the other columns holds, for messages.
pub const EXPECTED_NUMBER: &str = "a number";

/// Reads and cleans a file of one-minute bars: CSV or gzipped CSV by the name's ending.
///
/// # Errors
/// [`BarFileError`] when the file is missing, Parquet, torn, lacks columns, or a cell holds text where a number or a time
/// belongs. Rows that can be read but are no bars (empty cells, NaN, `high < low`, off the minute) are not errors: see
/// [`BarFile::report`].
pub fn read_bars(path: &Path) -> Result<BarFile, BarFileError> {
    let mut text = Vec::new();
    match Format::of(path)? {
        Format::Csv => {
            open(path)?
                .read_to_end(&mut text)
                .map_err(|source| BarFileError::Read {
                    path: path.to_owned(),
                    source,
                })?;
            read_csv(path, &text)
        }
        Format::CsvGzip => {
            MultiGzDecoder::new(BufReader::with_capacity(1 << 16, open(path)?))
                .read_to_end(&mut text)
                .map_err(|source| BarFileError::Gzip {
                    path: path.to_owned(),
                    source,
                })?;
            read_csv(path, &text)
        }
        Format::Parquet => Err(BarFileError::Parquet {
            path: path.to_owned(),
        }),
    }
}

/// Opens a file to read.
///
/// # Errors
/// [`BarFileError`] when it is not there or cannot be opened.
pub fn open(path: &Path) -> Result<File, BarFileError> {
    File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => BarFileError::NotFound {
            path: path.to_owned(),
        },
        _ => BarFileError::Read {
            path: path.to_owned(),
            source,
        },
    })
}

fn read_csv(path: &Path, text: &[u8]) -> Result<BarFile, BarFileError> {
    let mut reader = csv::Reader::from_reader(text);
    let line_of = |position: Option<csv::Position>| {
        Lines::new(text).at(position.map_or(0, |position| position.byte()))
    };
    let error = |error: csv::Error| match error.into_kind() {
        ErrorKind::UnequalLengths {
            pos,
            expected_len,
            len,
        } => BarFileError::CellCount {
            path: path.to_owned(),
            line: line_of(pos),
            found: len,
            expected: expected_len,
        },
        ErrorKind::Utf8 { pos, .. } => BarFileError::NotText {
            path: path.to_owned(),
            line: line_of(pos),
        },
        // Nothing else can happen to text in memory.
        other => BarFileError::Read {
            path: path.to_owned(),
            source: io::Error::other(format!("{other:?}")),
        },
    };
    let found: Vec<String> = reader
        .headers()
        .map_err(error)?
        .iter()
        .map(|name| name.trim_start_matches('\u{feff}').trim().to_owned())
        .collect();
    let positions = locate(path, &found)?;
    let [ticker, ts, numbers @ ..] = positions;

    let mut collector = Collector::default();
    let mut lines = Lines::new(text);
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(error)? {
        let mut line = || lines.at(record.position().map_or(0, csv::Position::byte));
        let cell = |index: usize| record.get(index).unwrap_or_default().trim();
        let value_error = |line, column, value: &str, expected| BarFileError::Value {
            path: path.to_owned(),
            line,
            column,
            value: value.to_owned(),
            expected,
        };
        let empty = COLUMNS
            .iter()
            .zip(positions)
            .find(|&(_, index)| cell(index).is_empty());
        if let Some((column, _)) = empty {
            collector.reject(line(), format!("{column} is empty"));
            continue;
        }
        let series = collector
            .series(cell(ticker))
            .map_err(|_| value_error(line(), "ticker", cell(ticker), EXPECTED_TICKER))?;
        let start = parse_time(cell(ts))
            .ok_or_else(|| value_error(line(), "ts", cell(ts), EXPECTED_TIME))?;
        let mut values = [0.0; 5];
        for ((value, &index), column) in values.iter_mut().zip(&numbers).zip(PRICES_AND_VOLUME) {
            *value = cell(index)
                .parse()
                .map_err(|_| value_error(line(), column, cell(index), EXPECTED_NUMBER))?;
        }
        let [open, high, low, close, volume] = values;
        match Bar::new(start, open, high, low, close, volume) {
            Ok(bar) => collector.accept(series, bar),
            Err(fault) => collector.reject(line(), fault.to_string()),
        }
    }
    Ok(collector.finish())
}

/// Line numbers of ascending places in a text. (The csv crate's own count is off after blank lines and `\r\n`.)
struct Lines<'a> {
    text: &'a [u8],
    byte: usize,
    line: u64,
}

impl<'a> Lines<'a> {
    const fn new(text: &'a [u8]) -> Self {
        Self {
            text,
            byte: 0,
            line: 1,
        }
    }

    /// Line, from 1, of the first text at or after the byte.
    fn at(&mut self, byte: u64) -> u64 {
        let mut end = usize::try_from(byte).unwrap_or(self.text.len());
        while matches!(self.text.get(end), Some(b'\r' | b'\n')) {
            end += 1;
        }
        let passed = self.text.get(self.byte..end).unwrap_or_default();
        self.line += passed.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.byte = self.byte.max(end);
        self.line
    }
}

/// Returns the positions of [`COLUMNS`] in a header.
///
/// # Errors
/// [`BarFileError::MissingColumns`] names those that are not there.
pub fn locate(path: &Path, found: &[String]) -> Result<[usize; 7], BarFileError> {
    let mut positions = [0; 7];
    let mut missing = Vec::new();
    for (position, name) in positions.iter_mut().zip(COLUMNS) {
        match found.iter().position(|column| column == name) {
            Some(index) => *position = index,
            None => missing.push(name),
        }
    }
    if missing.is_empty() {
        Ok(positions)
    } else {
        Err(BarFileError::MissingColumns {
            path: path.to_owned(),
            missing,
            found: found.to_vec(),
        })
    }
}

/// Reads a time with its zone, RFC 3339.
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text)
        .ok()
        .map(|time| time.to_utc())
}
