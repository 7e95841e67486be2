use std::{collections::BTreeMap, path::Path};

use chrono::NaiveDate;
use domain::Ticker;
use serde::Deserialize;

use super::DailyBar;
use crate::table::{self, TableError};

/// Official daily bars of a file: with the auctions, which one-minute bars leave out.
#[derive(Clone, Debug, Default)]
pub struct OfficialDays(BTreeMap<Ticker, Vec<(NaiveDate, DailyBar)>>);

#[derive(Deserialize)]
struct Row {
    ticker: Ticker,
    date: NaiveDate,
    open: f64,
    high: f64,
    low: f64,
    close: f64,
    volume: f64,
}

impl OfficialDays {
    /// Reads a CSV file (gzipped too) with `ticker, date, open, high, low, close, volume`, dates of New York, all of
    /// it split-adjusted; other columns do not count.
    ///
    /// # Errors
    /// [`TableError`] when the file is missing or has other columns.
    pub fn read(path: &Path) -> Result<Self, TableError> {
        let mut days: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for row in table::read::<Row>(path, "ticker,date,open,high,low,close,volume")? {
            let day = DailyBar {
                open: row.open,
                high: row.high,
                low: row.low,
                close: row.close,
                volume: row.volume.max(0.0),
            };
            days.entry(row.ticker).or_default().push((row.date, day));
        }
        Ok(Self(days))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Ticker, &Vec<(NaiveDate, DailyBar)>)> {
        self.0.iter()
    }
}
