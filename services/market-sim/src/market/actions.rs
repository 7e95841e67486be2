use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use calendar::Calendar;
use chrono::{DateTime, Days, NaiveDate, Utc};
use domain::Ticker;
use serde::Deserialize;

use crate::table::{self, TableError};

/// A split, or a spin-off that is told as one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Split {
    /// Open of the ex-date, UTC: from here on prices are on the new basis.
    pub effective: DateTime<Utc>,
    /// Shares after for each share before.
    pub ratio: f64,
}

/// A cash dividend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dividend {
    /// Open of the ex-date, UTC: from here on the stock trades without it.
    pub effective: DateTime<Utc>,
    /// US dollars per share.
    pub amount: f64,
}

/// What recorded prices mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Basis {
    /// As they traded on their day.
    Raw,
    /// Divided by all splits that came later.
    Adjusted,
}

/// Splits and dividends of a file.
#[derive(Clone, Debug, Default)]
pub struct Actions {
    splits: BTreeMap<Ticker, BTreeMap<NaiveDate, f64>>,
    dividends: BTreeMap<Ticker, BTreeMap<NaiveDate, f64>>,
}

const COLUMNS: &str = "ticker,date,ratio for splits or ticker,date,amount for dividends";

#[derive(Deserialize)]
struct Row {
    ticker: Ticker,
    date: NaiveDate,
    #[serde(default)]
    ratio: Option<f64>,
    #[serde(default)]
    amount: Option<f64>,
}

impl Actions {
    /// Reads CSV files (gzipped too) with `ticker, date, ratio` or `ticker, date, amount`; dates are ex-dates in New
    /// York, amounts US dollars per share of today, that is after all later splits.
    ///
    /// # Errors
    /// [`TableError`] when a file is missing or has other columns.
    pub fn read(paths: &[PathBuf]) -> Result<Self, TableError> {
        let mut actions = Self::default();
        for path in paths {
            actions.add(path)?;
        }
        Ok(actions)
    }

    fn add(&mut self, path: &Path) -> Result<(), TableError> {
        for row in table::read::<Row>(path, COLUMNS)? {
            let positive = |value: f64| value.is_finite() && value > 0.0;
            let (kind, value) = match (row.ratio, row.amount) {
                (Some(ratio), _) if positive(ratio) => (&mut self.splits, ratio),
                (None, Some(amount)) if positive(amount) => (&mut self.dividends, amount),
                _ => {
                    return Err(TableError::Columns {
                        path: path.to_owned(),
                        expected: COLUMNS,
                    });
                }
            };
            kind.entry(row.ticker).or_default().insert(row.date, value);
        }
        Ok(())
    }

    /// What a file of that moment would hold: without what has not happened yet, dividends in the shares of then.
    #[must_use]
    pub fn until(mut self, now: DateTime<Utc>, calendar: &Calendar) -> Self {
        let has_happened =
            |date: &NaiveDate| open_of(*date, calendar).is_some_and(|open| open <= now);
        for (ticker, splits) in &mut self.splits {
            let to_come = splits.iter().filter(|(date, _)| !has_happened(date));
            let factor: f64 = to_come.map(|(_, ratio)| ratio).product();
            for amount in self
                .dividends
                .get_mut(ticker)
                .into_iter()
                .flat_map(BTreeMap::values_mut)
            {
                *amount *= factor;
            }
            splits.retain(|date, _| has_happened(date));
        }
        for dividends in self.dividends.values_mut() {
            dividends.retain(|date, _| has_happened(date));
        }
        self
    }

    pub(super) fn splits(&self, ticker: &Ticker, calendar: &Calendar) -> Vec<Split> {
        dated(&self.splits, ticker, calendar)
            .map(|(effective, ratio)| Split { effective, ratio })
            .collect()
    }

    pub(super) fn dividends(&self, ticker: &Ticker, calendar: &Calendar) -> Vec<Dividend> {
        dated(&self.dividends, ticker, calendar)
            .map(|(effective, amount)| Dividend { effective, amount })
            .collect()
    }
}

fn dated(
    kind: &BTreeMap<Ticker, BTreeMap<NaiveDate, f64>>,
    ticker: &Ticker,
    calendar: &Calendar,
) -> impl Iterator<Item = (DateTime<Utc>, f64)> {
    let dates = kind.get(ticker).into_iter().flatten();
    dates.filter_map(|(date, value)| Some((open_of(*date, calendar)?, *value)))
}

/// The open of the session of a date, of the next one when there is none; None outside the calendar.
fn open_of(date: NaiveDate, calendar: &Calendar) -> Option<DateTime<Utc>> {
    if !calendar.coverage().contains(&date) {
        return None;
    }
    let soon = date.checked_add_days(Days::new(7))?;
    Some(calendar.sessions(date, soon).first()?.open)
}

/// The whole numbers that Yahoo would write for a ratio: 3 and 2 for 1.5, but 1281 and 1000 for a spin-off's 1.281.
pub(crate) fn fraction(ratio: f64) -> (f64, f64) {
    let denominators = (1..=20).chain([1_000, 10_000, 100_000, 1_000_000]);
    for denominator in denominators.map(f64::from) {
        let numerator = (ratio * denominator).round();
        if (ratio * denominator - numerator).abs() < 1e-6 * denominator.max(ratio)
            && numerator > 0.0
        {
            return (numerator, denominator);
        }
    }
    (ratio, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_written_as_fractions() {
        for (ratio, expected) in [
            (4.0, (4.0, 1.0)),
            (1.5, (3.0, 2.0)),
            (0.125, (1.0, 8.0)),
            (1.281, (1_281.0, 1_000.0)),
            (1.998, (1_998.0, 1_000.0)),
        ] {
            assert_eq!(fraction(ratio), expected);
        }
    }
}
