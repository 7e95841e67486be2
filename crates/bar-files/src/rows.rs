//! Rows of a table to bars, whatever the table was read from.

use std::{borrow::Cow, path::Path};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use domain::{BAR_SECONDS, Bar, Ticker};

use crate::{
    BarFile, BarFileError, DateOrder, Layout, LeftOut, Located, NumberStyle, ReadOptions, Stamps,
    Stock, TickerFrom, TimeFault, TimeParser,
    clean::Collector,
    layout::{NUMBERS, is_header_of_times},
    parse_number,
};

/// A time as a table has it.
#[derive(Clone, Debug, PartialEq)]
pub enum TimeCell<'a> {
    /// Nothing.
    Empty,
    /// In words.
    Text(Cow<'a, str>),
    /// A moment.
    Moment(DateTime<Utc>),
    /// A wall clock's time, its zone unknown.
    Local(NaiveDateTime),
}

/// A number as a table has it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// Nothing.
    Empty,
    /// In words.
    Text(&'a str),
    /// As it is.
    Number(f64),
}

/// Makes bars of rows, and counts the rows that are none by reason.
#[derive(Debug)]
pub struct RowReader<'a> {
    path: &'a Path,
    stocks: Vec<Stock>,
    layout: Layout,
    only: Option<&'a Ticker>,
    parser: TimeParser,
    style: NumberStyle,
    stamp: TimeDelta,
    collector: Collector,
}

impl<'a> RowReader<'a> {
    /// Begins to read the rows of a table whose columns have been found.
    pub fn new(path: &'a Path, located: &Located, options: &'a ReadOptions) -> Self {
        let mut collector = Collector::default();
        collector.report.layout = (located.layout != Layout::Tandem).then_some(located.layout);
        Self {
            path,
            stocks: located.stocks.clone(),
            layout: located.layout,
            only: options.ticker.as_ref(),
            parser: TimeParser {
                zone: located.zone,
                order: None,
            },
            style: NumberStyle::default(),
            stamp: match options.stamps {
                Stamps::Start => TimeDelta::zero(),
                Stamps::End => TimeDelta::seconds(BAR_SECONDS),
            },
            collector,
        }
    }

    /// States how the table writes its numbers and dates.
    pub const fn set_style(&mut self, style: NumberStyle, order: Option<DateOrder>) {
        self.style = style;
        self.parser.order = order;
    }

    /// Notes a row that is not one of the table's.
    pub fn reject(&mut self, row: u64, kind: LeftOut, reason: String) {
        self.collector.reject(row, kind, reason);
    }

    /// Reads a row: its number in the file, its time, and what stands in its other columns.
    pub fn row<'c>(
        &mut self,
        mut number: impl FnMut() -> u64,
        time: &TimeCell<'_>,
        ticker: impl Fn(usize) -> Option<&'c str>,
        cell: impl Fn(usize) -> Cell<'c>,
    ) {
        let start = self.start(time);
        let side_by_side = self.stocks.len() > 1;
        for stock in &self.stocks {
            let cells = stock.numbers.map(&cell);
            // Of stocks side by side, not each has traded in each minute.
            if side_by_side && cells.iter().all(|cell| *cell == Cell::Empty) {
                continue;
            }
            let row = Row {
                stock,
                start: &start,
                cells,
            };
            match row.read(self.layout, self.style, &mut self.collector, &ticker) {
                Ok((series, _))
                    if self
                        .only
                        .is_some_and(|only| !self.collector.is_of(series, only)) =>
                {
                    self.collector.report.rows += 1;
                    self.collector.report.other_stocks += 1;
                }
                Ok((series, bar)) => self.collector.accept(series, bar),
                Err((kind, reason)) => self.collector.reject(number(), kind, reason),
            }
        }
    }

    /// Start of the row's bar.
    fn start(&self, time: &TimeCell<'_>) -> Result<DateTime<Utc>, (LeftOut, String)> {
        let words = || match time {
            TimeCell::Empty => String::new(),
            TimeCell::Text(text) => format!("{text:?}"),
            TimeCell::Moment(time) => time.to_string(),
            TimeCell::Local(time) => time.to_string(),
        };
        let parsed = match time {
            TimeCell::Empty => return Err((LeftOut::EmptyCell, "ts is empty".to_owned())),
            TimeCell::Text(text) => self.parser.parse(text),
            TimeCell::Moment(time) => Ok(*time),
            TimeCell::Local(local) => self.parser.local(*local),
        };
        match (parsed, time) {
            (Ok(time), _) => Ok(time - self.stamp),
            (Err(TimeFault::Unreadable), TimeCell::Text(text)) if is_header_of_times(text) => {
                Err((LeftOut::RepeatedHeader, "it repeats the header".to_owned()))
            }
            (Err(fault), _) => Err((
                LeftOut::of_time(fault),
                format!("ts is {}, {fault}", words()),
            )),
        }
    }

    /// Sorts the bars and removes repetitions.
    ///
    /// # Errors
    /// [`BarFileError::MostRejected`] when most rows are no bars: then the file is not what it was taken for.
    pub fn finish(self) -> Result<BarFile, BarFileError> {
        let report = &self.collector.report;
        let wanted = report.rows - report.other_stocks;
        if report.rejected.len() * 2 > wanted {
            let counts = report.rejected_by_kind();
            let kind = counts.iter().max_by_key(|(_, count)| **count);
            let first =
                kind.and_then(|(kind, _)| report.rejected.iter().find(|row| row.kind == *kind));
            if let Some(first) = first {
                return Err(BarFileError::MostRejected {
                    path: self.path.to_owned(),
                    rejected: report.rejected.len(),
                    rows: wanted,
                    first: first.clone(),
                });
            }
        }
        Ok(self.collector.finish())
    }
}

/// What a row says of one stock.
struct Row<'r> {
    stock: &'r Stock,
    start: &'r Result<DateTime<Utc>, (LeftOut, String)>,
    cells: [Cell<'r>; 5],
}

impl Row<'_> {
    fn read<'c>(
        &self,
        layout: Layout,
        style: NumberStyle,
        collector: &mut Collector,
        ticker: &impl Fn(usize) -> Option<&'c str>,
    ) -> Result<(crate::clean::SeriesIndex, Bar), (LeftOut, String)> {
        let ticker = match &self.stock.ticker {
            TickerFrom::Fixed(ticker) => ticker.as_str(),
            TickerFrom::Column(column) => match ticker(*column).map(str::trim) {
                None | Some("") => {
                    return Err((LeftOut::EmptyCell, "ticker is empty".to_owned()));
                }
                Some(text) if layout == Layout::Stooq => text
                    .strip_suffix(".US")
                    .or_else(|| text.strip_suffix(".us"))
                    .unwrap_or(text),
                Some(text) => text,
            },
        };
        let start = self.start.clone()?;
        let mut values = [0.0; 5];
        for ((value, cell), column) in values.iter_mut().zip(self.cells).zip(NUMBERS) {
            *value = match cell {
                Cell::Number(number) => number,
                Cell::Text(text) => parse_number(text, style).ok_or_else(|| {
                    let reason = format!("{column} is {text:?}, not a number");
                    (LeftOut::NoNumber, reason)
                })?,
                Cell::Empty => {
                    return Err((LeftOut::EmptyCell, format!("{column} is empty")));
                }
            };
        }
        let series = collector
            .series(ticker)
            .map_err(|fault| (LeftOut::NoTicker, fault.to_string()))?;
        let [open, high, low, close, volume] = values;
        let bar = Bar::new(start, open, high, low, close, volume)
            .map_err(|fault| (LeftOut::NotABar, fault.to_string()))?;
        Ok((series, bar))
    }
}
