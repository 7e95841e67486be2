use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read},
    path::Path,
};

use csv::StringRecord;

use crate::{
    BarFile, BarFileError, Cell, DateOrder, Format, Layout, LeftOut, Lines, Located, NumberStyle,
    OrderVotes, ReadOptions, RowReader, StyleVotes, TimeCell, join_date_and_time,
    layout::{is_alpha_vantage, join_levels, locate},
    parse_number, text,
    time::order_matters,
};

/// Reads and cleans a file of one-minute bars that says itself how it is to be read.
///
/// # Errors
/// As [`read_bars_with`].
pub fn read_bars(path: &Path) -> Result<BarFile, BarFileError> {
    read_bars_with(path, &ReadOptions::default())
}

/// Reads and cleans a file of one-minute bars: text, packed by gzip or not.
///
/// # Errors
/// [`BarFileError`] when the file is missing, Parquet, torn or lacks columns, and when most of its rows are no bars. Rows
/// that are none among others that are (empty cells, text for a number, `high < low`, off the minute) are not errors:
/// see [`BarFile::report`].
pub fn read_bars_with(path: &Path, options: &ReadOptions) -> Result<BarFile, BarFileError> {
    let format = Format::of_bars(path)?;
    if format == Format::Parquet {
        return Err(BarFileError::Parquet {
            path: path.to_owned(),
        });
    }
    let mut bytes = Vec::new();
    open(path)?
        .read_to_end(&mut bytes)
        .map_err(|source| BarFileError::Read {
            path: path.to_owned(),
            source,
        })?;
    if format == Format::CsvGzip || text::is_gzip(&bytes) {
        bytes = text::unpack(&bytes).map_err(|source| BarFileError::Gzip {
            path: path.to_owned(),
            source,
        })?;
    }
    read_table(path, &text::decode(bytes), options)
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

fn read_table(path: &Path, whole: &str, options: &ReadOptions) -> Result<BarFile, BarFileError> {
    if whole.trim().is_empty() {
        return Err(BarFileError::Empty {
            path: path.to_owned(),
        });
    }
    let (separator, text) = text::separator(whole);
    let error = |error: csv::Error| BarFileError::Read {
        path: path.to_owned(),
        // Nothing else can happen to text in memory.
        source: io::Error::other(error),
    };
    let header = Header::of(path, &first_records(text, separator), options)?;
    let located = &header.located;
    let mut rows = RowReader::new(path, located, options);
    let (style, order) = style(text, separator, &header);
    rows.set_style(style, order);

    let mut reader = reader(text, separator);
    let mut lines = Lines::new(whole, text);
    let mut record = StringRecord::new();
    let mut left_of_header = header.lines;
    while reader.read_record(&mut record).map_err(error)? {
        if left_of_header > 0 {
            left_of_header -= 1;
            continue;
        }
        let mut line = || lines.at(record.position());
        let cell = |index: usize| {
            record
                .get(index)
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
        };
        let spare = record
            .iter()
            .skip(header.width)
            .any(|cell| !cell.trim().is_empty());
        if record.len() < header.width || spare {
            let reason = format!(
                "{} cells, but the header has {}",
                record.len(),
                header.width
            );
            rows.reject(line(), LeftOut::CellCount, reason, cell);
            continue;
        }
        let time = match (cell(located.time), located.time_of_day.map(cell)) {
            (None, _) | (_, Some(None)) => TimeCell::Empty,
            (Some(time), None) => TimeCell::Text(Cow::Borrowed(time)),
            (Some(date), Some(Some(time))) => {
                TimeCell::Text(Cow::Owned(join_date_and_time(date, time)))
            }
        };
        rows.row(line, &time, cell, |index| {
            cell(index).map_or(Cell::Empty, Cell::Text)
        });
    }
    rows.finish()
}

fn reader(text: &str, separator: u8) -> csv::Reader<&[u8]> {
    csv::ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .from_reader(text.as_bytes())
}

/// The first three lines: some tables have a header of so many.
fn first_records(text: &str, separator: u8) -> Vec<Vec<String>> {
    reader(text, separator)
        .into_records()
        .take(3)
        .map_while(Result::ok)
        .map(|record| record.iter().map(str::to_owned).collect())
        .collect()
}

/// A table's header.
struct Header {
    /// How many lines it takes.
    lines: usize,
    /// How many cells a line has.
    width: usize,
    located: Located,
}

impl Header {
    fn of(path: &Path, first: &[Vec<String>], options: &ReadOptions) -> Result<Self, BarFileError> {
        let joined = match first {
            [first, second, third] => join_levels([first, second, third]),
            _ => None,
        };
        let (lines, header) = match (joined, first) {
            (Some(header), _) => (3, header),
            (None, [header, ..]) => (1, header.clone()),
            (None, []) => (1, Vec::new()),
        };
        let mut options = Cow::Borrowed(options);
        if let [header, first, second] = first
            && options.layout.is_none()
            && is_alpha_vantage(header, first, second)
        {
            options.to_mut().layout = Some(Layout::AlphaVantage);
        }
        let located = locate(path, &header, &options)?;
        // Where columns are named by position there may be no header: then its numbers are numbers.
        let is_row = options.columns.is_positional()
            && located
                .stocks
                .iter()
                .flat_map(|stock| stock.numbers)
                .all(|index| {
                    header.get(index).is_some_and(|cell| {
                        [NumberStyle::Point, NumberStyle::Comma]
                            .into_iter()
                            .any(|style| parse_number(cell.trim(), style).is_some())
                    })
                });
        Ok(Self {
            lines: if is_row { 0 } else { lines },
            width: header.len(),
            located,
        })
    }
}

/// How the table writes its numbers and dates: asked of all rows where the first ones leave room for doubt.
fn style(text: &str, separator: u8, header: &Header) -> (NumberStyle, Option<DateOrder>) {
    let located = &header.located;
    let records = || {
        reader(text, separator)
            .into_records()
            .skip(header.lines)
            .map_while(Result::ok)
    };
    let is_doubtful = |record: StringRecord| record.get(located.time).is_some_and(order_matters);
    if separator == b',' && !text.contains('"') && !records().next().is_some_and(is_doubtful) {
        return (NumberStyle::Point, None);
    }
    let (mut numbers, mut order) = (StyleVotes::default(), OrderVotes::default());
    for record in records() {
        let cell = |index: usize| record.get(index).unwrap_or_default().trim();
        order.add(cell(located.time));
        for stock in &located.stocks {
            numbers.add(stock.numbers.map(cell));
        }
    }
    (numbers.style(separator), order.order())
}
