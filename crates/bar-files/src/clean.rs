use std::{
    collections::{BTreeMap, HashMap},
    fmt,
};

use chrono::{DateTime, Utc};
use domain::{Bar, Ticker};

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
    /// Rows in the file, without the header.
    pub rows: usize,
    /// Rows dropped because they repeat an earlier row in every value.
    pub duplicates: usize,
    /// Rows dropped because a later row gives other values for the same ticker and minute: the later one counts.
    pub overruled: usize,
    /// Rows that stood after a later minute of their ticker: sorted into place.
    pub out_of_order: usize,
    /// Rows that are no bars, in file order.
    pub rejected: Vec<RejectedRow>,
}

/// A row that is no bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RejectedRow {
    /// Line of a CSV file (the header is line 1) or row of a Parquet file (the first is 1).
    pub row: u64,
    /// What is wrong with it.
    pub reason: String,
}

impl CleaningReport {
    /// Rows that became bars.
    pub fn kept(&self) -> usize {
        self.rows - self.duplicates - self.overruled - self.rejected.len()
    }

    /// Whether nothing had to be dropped or moved.
    pub fn is_clean(&self) -> bool {
        self.kept() == self.rows && self.out_of_order == 0
    }
}

impl fmt::Display for CleaningReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} rows, {} kept; {} duplicates and {} overruled dropped, {} out of order sorted, {} rejected",
            self.rows,
            self.kept(),
            self.duplicates,
            self.overruled,
            self.out_of_order,
            self.rejected.len()
        )?;
        match self.rejected.first() {
            Some(first) => write!(formatter, " (first: row {}, {})", first.row, first.reason),
            None => Ok(()),
        }
    }
}

/// Gathers rows into a [`BarFile`].
#[derive(Debug, Default)]
pub struct Collector {
    indexes: HashMap<String, usize>,
    series: Vec<Series>,
    report: CleaningReport,
}

#[derive(Debug)]
struct Series {
    ticker: Ticker,
    bars: Vec<Bar>,
    latest: DateTime<Utc>,
}

/// Where a ticker's bars are gathered.
#[derive(Clone, Copy, Debug)]
pub struct SeriesIndex(usize);

impl Collector {
    /// Finds the ticker's place, or makes one.
    ///
    /// # Errors
    /// When the text is no ticker.
    pub fn series(&mut self, text: &str) -> Result<SeriesIndex, domain::InvalidTicker> {
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

    /// Adds a row.
    pub fn accept(&mut self, SeriesIndex(index): SeriesIndex, bar: Bar) {
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

    /// Notes a row that is no bar.
    pub fn reject(&mut self, row: u64, reason: String) {
        self.report.rows += 1;
        self.report.rejected.push(RejectedRow { row, reason });
    }

    /// Sorts and removes repetitions.
    pub fn finish(mut self) -> BarFile {
        let mut bars = BTreeMap::new();
        for mut series in self.series {
            if !series.bars.is_sorted_by_key(|bar| bar.start) {
                series.bars.sort_by_key(|bar| bar.start); // stable: rows of one minute stay in file order
            }
            let report = &mut self.report;
            // `dedup_by` hands over the later row first and drops it when told so: move its values to the earlier.
            series.bars.dedup_by(|later, kept| {
                if later.start != kept.start {
                    return false;
                }
                if later == kept {
                    report.duplicates += 1;
                } else {
                    report.overruled += 1;
                    *kept = *later;
                }
                true
            });
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
