use std::{
    any::Any,
    borrow::Cow,
    io::Read as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use bar_files::{
    BarFile, BarFileError, Cell, DateOrder, Format, Located, NumberStyle, ReadOptions, RowReader,
    TickerFrom, TimeCell, locate,
};

use crate::{
    TableError,
    parquet::{ParquetFile, Values},
};

/// Reads and cleans a file of one-minute bars that says itself how it is to be read.
///
/// # Errors
/// As [`read_bars_with`].
pub fn read_bars(path: &Path) -> Result<BarFile, TableError> {
    read_bars_with(path, &ReadOptions::default())
}

/// Reads and cleans a file of one-minute bars: text, packed by gzip or not, or Parquet, by the name's ending.
///
/// # Errors
/// As [`bar_files::read_bars_with`], and when a Parquet file is damaged or uses something unknown.
pub fn read_bars_with(path: &Path, options: &ReadOptions) -> Result<BarFile, TableError> {
    match Format::of_bars(path)? {
        Format::Csv | Format::CsvGzip => Ok(bar_files::read_bars_with(path, options)?),
        // The library panics where a file holds what it was not made for: a person wants to know which file.
        Format::Parquet => catch_unwind(AssertUnwindSafe(|| read_parquet(path, options)))
            .unwrap_or_else(|panic| {
                Err(TableError::ParquetPanic {
                    path: path.to_owned(),
                    reason: words_of(&*panic),
                })
            }),
    }
}

fn words_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    text.or(owned)
        .unwrap_or("the reader does not say why")
        .to_owned()
}

fn read_parquet(path: &Path, options: &ReadOptions) -> Result<BarFile, TableError> {
    let parquet_error = |source| TableError::Parquet {
        path: path.to_owned(),
        source,
    };
    let mut bytes = Vec::new();
    bar_files::open(path)?
        .read_to_end(&mut bytes)
        .map_err(|source| BarFileError::Read {
            path: path.to_owned(),
            source,
        })?;
    let file = ParquetFile::new(bytes).map_err(parquet_error)?;
    let located = locate(path, &file.names(), options)?;
    let mut rows = RowReader::new(path, &located, options);
    let mut first_of_group = 1;
    for group in 0..file.groups() {
        let columns = Columns::read(path, &file, group, &located)?;
        if group == 0 {
            let (style, order) = columns.style();
            rows.set_style(style, order);
        }
        for index in 0..columns.time.len() {
            rows.row(
                || first_of_group + index as u64,
                &columns.time(index),
                |column| columns.text(column, index),
                |column| columns.cell(column, index),
            );
        }
        first_of_group += columns.time.len() as u64;
    }
    Ok(rows.finish()?)
}

/// The columns of a row group that are needed; others are not even looked at.
struct Columns {
    time: Values,
    time_of_day: Option<Values>,
    others: Vec<(usize, Values)>,
}

impl Columns {
    fn read(
        path: &Path,
        file: &ParquetFile,
        group: usize,
        located: &Located,
    ) -> Result<Self, TableError> {
        let column = |index: usize| {
            file.column(group, index)
                .map_err(|source| TableError::Parquet {
                    path: path.to_owned(),
                    source,
                })
        };
        let wrong_type = |index: usize, expected| {
            let found = file.type_of(index);
            TableError::from(BarFileError::ColumnType {
                path: path.to_owned(),
                column: file.names().swap_remove(index),
                found,
                expected,
            })
        };
        let time = column(located.time)?;
        match &time {
            Values::Local(_) if located.zone.is_none() => {
                return Err(BarFileError::NoZone {
                    path: path.to_owned(),
                    column: file.names().swap_remove(located.time),
                }
                .into());
            }
            Values::Other(_) => {
                return Err(wrong_type(
                    located.time,
                    "the moments at which bars start, or seconds since 1970",
                ));
            }
            _ => (),
        }
        let mut others = Vec::new();
        for stock in &located.stocks {
            for index in stock.numbers {
                let values = column(index)?;
                if !matches!(
                    values,
                    Values::Numbers(_) | Values::Integers(_) | Values::Text(_)
                ) {
                    return Err(wrong_type(index, "numbers"));
                }
                others.push((index, values));
            }
            if let TickerFrom::Column(index) = stock.ticker {
                let values = match column(index)? {
                    Values::Text(texts) => Values::Text(texts),
                    Values::Integers(numbers) => Values::Text(
                        numbers
                            .into_iter()
                            .map(|number| number.map(|number| number.to_string()))
                            .collect(),
                    ),
                    _ => return Err(wrong_type(index, "symbols such as AAPL")),
                };
                others.push((index, values));
            }
        }
        Ok(Self {
            time,
            time_of_day: located.time_of_day.map(column).transpose()?,
            others,
        })
    }

    /// How numbers and dates are written where they are text.
    fn style(&self) -> (NumberStyle, Option<DateOrder>) {
        fn texts(values: &Values) -> impl Iterator<Item = &str> {
            let texts = match values {
                Values::Text(texts) => texts.as_slice(),
                _ => &[],
            };
            texts.iter().flatten().map(String::as_str)
        }
        let numbers = self.others.iter().flat_map(|(_, values)| texts(values));
        (
            NumberStyle::of(numbers, b','),
            DateOrder::of(texts(&self.time)),
        )
    }

    fn time(&self, index: usize) -> TimeCell<'_> {
        let cell = match &self.time {
            Values::Moments(times) => times.get(index).copied().flatten().map(TimeCell::Moment),
            Values::Local(times) => times.get(index).copied().flatten().map(TimeCell::Local),
            // Counts since 1970, or digits that are a date and a time of day.
            Values::Integers(counts) => counts
                .get(index)
                .copied()
                .flatten()
                .map(|count| TimeCell::Text(Cow::Owned(count.to_string()))),
            Values::Numbers(counts) => counts
                .get(index)
                .copied()
                .flatten()
                .map(|count| TimeCell::Text(Cow::Owned(count.to_string()))),
            Values::Text(texts) => match (texts.get(index), &self.time_of_day) {
                (Some(Some(date)), Some(times)) => times
                    .words(index)
                    .map(|time| TimeCell::Text(Cow::Owned(format!("{date} {time}")))),
                (Some(Some(text)), None) => Some(TimeCell::Text(Cow::Borrowed(text))),
                _ => None,
            },
            Values::Other(_) => None,
        };
        cell.unwrap_or(TimeCell::Empty)
    }

    fn values(&self, column: usize) -> Option<&Values> {
        self.others
            .iter()
            .find(|(index, _)| *index == column)
            .map(|(_, values)| values)
    }

    fn text(&self, column: usize, index: usize) -> Option<&str> {
        match self.values(column)? {
            Values::Text(texts) => texts.get(index)?.as_deref(),
            _ => None,
        }
    }

    fn cell(&self, column: usize, index: usize) -> Cell<'_> {
        let cell = || match self.values(column)? {
            Values::Numbers(numbers) => numbers.get(index)?.map(Cell::Number),
            Values::Integers(numbers) => numbers
                .get(index)?
                .map(|number| Cell::Number(number as f64)),
            Values::Text(texts) => texts
                .get(index)?
                .as_deref()
                .map(str::trim)
                .filter(|text| !text.is_empty())
                .map(Cell::Text),
            Values::Moments(_) | Values::Local(_) | Values::Other(_) => None,
        };
        cell().unwrap_or(Cell::Empty)
    }
}
