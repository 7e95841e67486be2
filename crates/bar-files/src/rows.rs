//! Rows of a table to bars, whatever the table was read from.

use std::{borrow::Cow, path::Path};

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use domain::{BAR_SECONDS, Bar, BarFault, Ticker};

use crate::{
    BarFile, BarFileError, DateOrder, Layout, LeftOut, Located, NumberStyle, ReadOptions, Stamps,
    Stock, TickerFrom, TimeFault, TimeParser,
    clean::{Collector, SeriesIndex},
    layout::{NUMBERS, is_header_of_times},
    parse_number,
};

/// So many rows within minutes are no accident.
const ROWS_TO_TELL: usize = 12;

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
                order: options.dates,
            },
            style: NumberStyle::default(),
            stamp: match options.stamps {
                Stamps::Start => TimeDelta::zero(),
                Stamps::End => TimeDelta::seconds(BAR_SECONDS),
            },
            collector,
        }
    }

    /// States how the table writes its numbers and, where that was not given, its dates.
    pub fn set_style(&mut self, style: NumberStyle, order: Option<DateOrder>) {
        self.style = style;
        self.parser.order = self.parser.order.or(order);
    }

    /// Notes a row that is not one of the table's.
    pub fn reject<'c>(
        &mut self,
        row: u64,
        kind: LeftOut,
        reason: String,
        ticker: impl Fn(usize) -> Option<&'c str>,
    ) {
        let series = self.stocks.first().and_then(|stock| {
            let symbol = symbol(&stock.ticker, self.layout, &ticker)?;
            self.collector.series(symbol).ok()
        });
        match series {
            Some(series) if is_other(&self.collector, self.only, series) => {
                self.collector.pass_over();
            }
            _ => self.collector.reject(row, kind, reason),
        }
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
            let series = match row.series(self.layout, &mut self.collector, &ticker) {
                Ok(series) => series,
                Err((kind, reason)) => {
                    self.collector.reject(number(), kind, reason);
                    continue;
                }
            };
            if is_other(&self.collector, self.only, series) {
                self.collector.pass_over();
                continue;
            }
            match row.bar(self.style) {
                Ok(bar) => self.collector.accept(series, bar),
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
    /// [`BarFileError::MostRejected`] when most rows are no bars, and [`BarFileError::OffMinute`] when more than a
    /// tenth begin within a minute: then the file is not what it was taken for.
    pub fn finish(self) -> Result<BarFile, BarFileError> {
        let report = &self.collector.report;
        let wanted = report.rows - report.other_stocks;
        let counts = report.rejected_by_kind();
        let first_of = |kind| report.rejected.iter().find(|row| row.kind == kind);
        let off = counts.get(&LeftOut::OffMinute).copied().unwrap_or_default();
        if off >= ROWS_TO_TELL
            && off * 10 > wanted
            && let Some(first) = first_of(LeftOut::OffMinute)
        {
            return Err(BarFileError::OffMinute {
                path: self.path.to_owned(),
                off,
                rows: wanted,
                first: first.clone(),
            });
        }
        if report.rejected.len() * 2 > wanted {
            let kind = counts.iter().max_by_key(|(_, count)| **count);
            if let Some(first) = kind.and_then(|(kind, _)| first_of(*kind)) {
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

/// Whether a series is not that of the only stock that is wanted.
fn is_other(collector: &Collector, only: Option<&Ticker>, series: SeriesIndex) -> bool {
    only.is_some_and(|only| !collector.is_of(series, only))
}

/// What names a row's stock.
fn symbol<'t, 'c: 't>(
    from: &'t TickerFrom,
    layout: Layout,
    ticker: &impl Fn(usize) -> Option<&'c str>,
) -> Option<&'t str> {
    match from {
        TickerFrom::Fixed(ticker) => Some(ticker.as_str()),
        TickerFrom::Column(column) => {
            let text = ticker(*column)?.trim();
            let without_country = text
                .strip_suffix(".US")
                .or_else(|| text.strip_suffix(".us"))
                .filter(|_| layout == Layout::Stooq);
            Some(without_country.unwrap_or(text)).filter(|text| !text.is_empty())
        }
    }
}

/// What a row says of one stock.
struct Row<'r> {
    stock: &'r Stock,
    start: &'r Result<DateTime<Utc>, (LeftOut, String)>,
    cells: [Cell<'r>; 5],
}

impl Row<'_> {
    /// Whose row it is: asked first, as what is wrong with the row of another stock is nobody's concern.
    fn series<'c>(
        &self,
        layout: Layout,
        collector: &mut Collector,
        ticker: &impl Fn(usize) -> Option<&'c str>,
    ) -> Result<SeriesIndex, (LeftOut, String)> {
        // A header that is repeated names no stock.
        if let Err(fault @ (LeftOut::RepeatedHeader, _)) = self.start {
            return Err(fault.clone());
        }
        let symbol = symbol(&self.stock.ticker, layout, ticker)
            .ok_or_else(|| (LeftOut::EmptyCell, "ticker is empty".to_owned()))?;
        collector
            .series(symbol)
            .map_err(|fault| (LeftOut::NoTicker, fault.to_string()))
    }

    fn bar(&self, style: NumberStyle) -> Result<Bar, (LeftOut, String)> {
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
        let [open, high, low, close, volume] = values;
        Bar::new(start, open, high, low, close, volume).map_err(|fault| {
            let kind = match fault {
                BarFault::OffMinute { .. } => LeftOut::OffMinute,
                _ => LeftOut::NotABar,
            };
            (kind, fault.to_string())
        })
    }
}
