use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use chrono::{DateTime, Utc};
use domain::{Bar, Ticker};

use crate::{Layout, TimeFault};

/// A file of bars, cleaned.
#[derive(Clone, Debug, PartialEq)]
pub struct BarFile {
    /// Per ticker its bars, ascending and unique.
    pub bars: BTreeMap<Ticker, Vec<Bar>>,
    /// What was found on the way.
    pub report: CleaningReport,
}

/// What cleaning found. Displays as one line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CleaningReport {
    /// Whose layout the file has, if it is not ours.
    pub layout: Option<Layout>,
    /// Rows in the file, without the header.
    pub rows: usize,
    /// Rows dropped because they repeat another row in every value.
    pub duplicates: usize,
    /// Rows dropped because another row of the same ticker and minute is fuller: it has the larger volume.
    pub overruled: usize,
    /// The minutes of each ticker that have rows of different values, ascending.
    pub twofold: BTreeMap<Ticker, Vec<DateTime<Utc>>>,
    /// Rows that stood after a later minute of their ticker: sorted into place.
    pub out_of_order: usize,
    /// Rows of other stocks than the one that is wanted.
    pub other_stocks: usize,
    /// Rows that are no bars, in file order.
    pub rejected: Vec<RejectedRow>,
    /// Bars outside regular sessions, where those were asked for: how many for which reason.
    pub outside: BTreeMap<LeftOut, usize>,
}

/// Why a row was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOut {
    /// A cell that is needed is empty.
    EmptyCell,
    /// It has fewer or more cells than the header.
    CellCount,
    /// It repeats the header, as files do that were put together.
    RepeatedHeader,
    /// It names no stock.
    NoTicker,
    /// Its time cannot be read.
    NoTime,
    /// Day and month of its time cannot be told apart.
    DayOrMonth,
    /// It names a day only.
    NoTimeOfDay,
    /// Its time states no zone.
    NoZone,
    /// Its time never was, or was twice.
    ClockChange,
    /// Text stands where a number belongs.
    NoNumber,
    /// Its numbers make no bar.
    NotABar,
    /// It begins within a minute.
    OffMinute,
    /// Before the open or after the close of a day of trading.
    ExtendedHours,
    /// At night, on a weekend or a holiday.
    MarketClosed,
    /// The calendar does not reach it.
    BeyondCalendar,
}

impl LeftOut {
    /// The reason that a time gives.
    pub(crate) const fn of_time(fault: TimeFault) -> Self {
        match fault {
            TimeFault::Unreadable => Self::NoTime,
            TimeFault::DayOrMonth => Self::DayOrMonth,
            TimeFault::NoTimeOfDay => Self::NoTimeOfDay,
            TimeFault::NoZone => Self::NoZone,
            TimeFault::Ambiguous | TimeFault::Skipped => Self::ClockChange,
        }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::EmptyCell => "with an empty cell",
            Self::CellCount => "with another number of cells than the header",
            Self::RepeatedHeader => "that repeat the header",
            Self::NoTicker => "without a valid ticker",
            Self::NoTime => "without a readable time",
            Self::DayOrMonth => "with a day and a month that cannot be told apart",
            Self::NoTimeOfDay => "without a time of day",
            Self::NoZone => "without a zone of their time",
            Self::ClockChange => "at a time that a change of the clocks left out or repeated",
            Self::NoNumber => "with text for a number",
            Self::NotABar => "that are not valid bars",
            Self::OffMinute => "that do not begin on the minute",
            Self::ExtendedHours => "in pre-market or after-hours trading",
            Self::MarketClosed => "while the exchange is closed",
            Self::BeyondCalendar => "on dates that the calendar does not cover",
        })
    }
}

/// A row that is no bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    /// Line of a CSV file (the header is line 1) or row of a Parquet file (the first is 1).
    pub row: u64,
    /// Which kind of fault it is.
    pub kind: LeftOut,
    /// What is wrong with it.
    pub reason: String,
}

impl CleaningReport {
    /// Rows that became bars.
    pub fn kept(&self) -> usize {
        self.rows
            - self.duplicates
            - self.overruled
            - self.other_stocks
            - self.rejected.len()
            - self.outside.values().sum::<usize>()
    }

    /// Whether nothing had to be dropped or moved.
    pub fn is_clean(&self) -> bool {
        self.kept() == self.rows && self.out_of_order == 0
    }

    /// How many rows were rejected for which reason.
    pub(crate) fn rejected_by_kind(&self) -> BTreeMap<LeftOut, usize> {
        let mut counts = BTreeMap::new();
        for row in &self.rejected {
            *counts.entry(row.kind).or_default() += 1;
        }
        counts
    }
}

impl fmt::Display for CleaningReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} rows read, {} kept", self.rows, self.kept())?;
        let counts = self.rejected_by_kind();
        let reasons = counts.iter().chain(&self.outside);
        let mut parts: Vec<String> = reasons
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        for (count, reason) in [
            (self.duplicates, "duplicates"),
            (
                self.overruled,
                "overruled by a fuller row of the same minute",
            ),
            (self.other_stocks, "of other stocks"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {reason}"));
            }
        }
        if !parts.is_empty() {
            write!(formatter, "; left out: {}", parts.join(", "))?;
        }
        if self.out_of_order > 0 {
            write!(formatter, "; {} sorted into place", self.out_of_order)?;
        }
        match self.rejected.first() {
            Some(first) => write!(formatter, " (first: row {}, {})", first.row, first.reason),
            None => Ok(()),
        }
    }
}

/// Gathers rows into a [`BarFile`].
#[derive(Debug, Default)]
pub(crate) struct Collector {
    indexes: HashMap<String, usize>,
    series: Vec<Series>,
    pub(crate) report: CleaningReport,
}

#[derive(Debug)]
struct Series {
    ticker: Ticker,
    bars: Vec<Bar>,
    latest: DateTime<Utc>,
}

/// Where a ticker's bars are gathered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SeriesIndex(usize);

impl Collector {
    /// Finds the ticker's place, or makes one.
    ///
    /// # Errors
    /// When the text is no ticker.
    pub(crate) fn series(&mut self, text: &str) -> Result<SeriesIndex, domain::InvalidTicker> {
        if let Some(&index) = self.indexes.get(text) {
            return Ok(SeriesIndex(index));
        }
        let ticker = Ticker::parse(text)?;
        // Two spellings ("aapl", "AAPL") are one ticker.
        let index = self
            .series
            .iter()
            .position(|series| series.ticker == ticker)
            .unwrap_or_else(|| {
                self.series.push(Series {
                    ticker,
                    bars: Vec::new(),
                    latest: DateTime::<Utc>::MIN_UTC,
                });
                self.series.len() - 1
            });
        self.indexes.insert(text.to_owned(), index);
        Ok(SeriesIndex(index))
    }

    /// Whether a place is that of a ticker.
    pub(crate) fn is_of(&self, SeriesIndex(index): SeriesIndex, ticker: &Ticker) -> bool {
        self.series
            .get(index)
            .is_some_and(|series| series.ticker == *ticker)
    }

    /// Adds a row.
    pub(crate) fn accept(&mut self, SeriesIndex(index): SeriesIndex, bar: Bar) {
        self.report.rows += 1;
        let Some(series) = self.series.get_mut(index) else {
            return;
        };
        if bar.start < series.latest {
            self.report.out_of_order += 1;
        } else {
            series.latest = bar.start;
        }
        series.bars.push(bar);
    }

    /// Counts a row of another stock than the one that is wanted.
    pub(crate) const fn pass_over(&mut self) {
        self.report.rows += 1;
        self.report.other_stocks += 1;
    }

    /// Notes a row that is no bar.
    pub(crate) fn reject(&mut self, row: u64, kind: LeftOut, reason: String) {
        self.report.rows += 1;
        self.report.rejected.push(RejectedRow { row, kind, reason });
    }

    /// Sorts and removes repetitions.
    pub(crate) fn finish(mut self) -> BarFile {
        let mut bars = BTreeMap::new();
        for mut series in self.series {
            if !series.bars.is_sorted_by_key(|bar| bar.start) {
                series.bars.sort_by_key(|bar| bar.start); // stable: rows of one minute stay in file order
            }
            let report = &mut self.report;
            let mut twofold: Vec<DateTime<Utc>> = Vec::new();
            // `dedup_by` hands over the later row first and drops it when told so. Of two rows of a minute the fuller
            // one is the bar, as in a vendor's answer.
            series.bars.dedup_by(|later, kept| {
                if later.start != kept.start {
                    return false;
                }
                if later == kept {
                    report.duplicates += 1;
                } else {
                    report.overruled += 1;
                    if twofold.last() != Some(&kept.start) {
                        twofold.push(kept.start);
                    }
                    *kept = kept.or_fuller(*later);
                }
                true
            });
            if !twofold.is_empty() {
                report.twofold.insert(series.ticker.clone(), twofold);
            }
            if !series.bars.is_empty() {
                bars.insert(series.ticker, series.bars);
            }
        }
        BarFile {
            bars,
            report: self.report,
        }
    }
}
