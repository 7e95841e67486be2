use std::{
    any::Any,
    borrow::Cow,
    io::Read as _,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use bar_files::{
    BarFile, BarFileError, Cell, Format, Located, OrderVotes, ReadOptions, RowReader, StyleVotes,
    TickerFrom, TimeCell, join_date_and_time, locate,
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
    // Text says by all of its rows how it writes numbers and dates.
    let (mut numbers, mut order) = (StyleVotes::default(), OrderVotes::default());
    for group in 0..file.groups() {
        let columns = Columns::read(path, &file, group, &located)?;
        if !columns.has_text(&located) {
            break;
        }
        columns.vote(&located, &mut numbers, &mut order);
    }
    rows.set_style(numbers.style(b','), order.order());
    let mut first_of_group = 1;
    for group in 0..file.groups() {
        let columns = Columns::read(path, &file, group, &located)?;
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
        let time_of_day = located.time_of_day.map(column).transpose()?;
        match (&time, &time_of_day) {
            (Values::Local(_), None) if located.zone.is_none() => {
                return Err(BarFileError::NoZone {
                    path: path.to_owned(),
                    column: file.names().swap_remove(located.time),
                }
                .into());
            }
            (Values::Dates(_) | Values::TimesOfDay(_) | Values::Other(_), None) => {
                return Err(wrong_type(
                    located.time,
                    "the moments at which bars start, or seconds since 1970",
                ));
            }
            (Values::TimesOfDay(_) | Values::Other(_), Some(_)) => {
                return Err(wrong_type(located.time, "days such as 2018-02-20"));
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
            time_of_day,
            others,
        })
    }

    /// Whether times or numbers are text.
    fn has_text(&self, located: &Located) -> bool {
        let mut numbers = located.stocks.iter().flat_map(|stock| stock.numbers);
        let is_text = |values: &Values| matches!(values, Values::Text(_));
        is_text(&self.time) || numbers.any(|column| self.values(column).is_some_and(is_text))
    }

    /// Takes in how the text of all rows is written.
    fn vote(&self, located: &Located, numbers: &mut StyleVotes, order: &mut OrderVotes) {
        for index in 0..self.time.len() {
            if let Values::Text(times) = &self.time {
                order.add(
                    times
                        .get(index)
                        .and_then(Option::as_deref)
                        .unwrap_or_default(),
                );
            }
            for stock in &located.stocks {
                let text = |column| self.text(column, index).unwrap_or_default().trim();
                numbers.add(stock.numbers.map(text));
            }
        }
    }

    fn time(&self, index: usize) -> TimeCell<'_> {
        let cell = || match (&self.time, &self.time_of_day) {
            (Values::Moments(times), _) => times.get(index)?.map(TimeCell::Moment),
            (dates, Some(times)) => {
                let (date, time) = (dates.words(index)?, times.words(index)?);
                Some(TimeCell::Text(Cow::Owned(join_date_and_time(&date, &time))))
            }
            (Values::Local(times), None) => times.get(index)?.map(TimeCell::Local),
            (Values::Text(texts), None) => {
                let text = texts.get(index)?.as_deref();
                text.map(|text| TimeCell::Text(Cow::Borrowed(text)))
            }
            // Counts since 1970, or digits that are a date and a time of day.
            (counts, None) => {
                let count = counts.words(index);
                count.map(|count| TimeCell::Text(Cow::Owned(count)))
            }
        };
        cell().unwrap_or(TimeCell::Empty)
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
            Values::Moments(_)
            | Values::Local(_)
            | Values::Dates(_)
            | Values::TimesOfDay(_)
            | Values::Other(_) => None,
        };
        cell().unwrap_or(Cell::Empty)
    }
}
