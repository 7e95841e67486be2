//! Economic series: recorded or invented, every value known from its release on.

mod invented;
mod recorded;
mod release;

use std::{collections::BTreeMap, path::PathBuf};

use calendar::Calendar;
use chrono::{DateTime, NaiveDate, Utc};
use domain::SeriesId;

use crate::table::TableError;
pub(crate) use release::Frequency;

/// The series that are served.
#[derive(Clone, Debug, Default)]
pub struct Economy(BTreeMap<SeriesId, Series>);

/// One series with all that was ever said about it, past and future.
#[derive(Clone, Debug)]
pub(crate) struct Series {
    pub(crate) frequency: Frequency,
    /// By period, and within a period by release.
    pub(crate) vintages: Vec<Vintage>,
}

/// What was said about a period from a moment on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Vintage {
    /// First day of the period.
    pub(crate) period: NaiveDate,
    /// None where FRED writes ".".
    pub(crate) value: Option<f64>,
    /// When it was published, UTC.
    pub(crate) released_at: DateTime<Utc>,
}

/// Series that are known of even when there is no data: titles and units as FRED has them.
const KNOWN: [(&str, &str, &str, Frequency); 9] = [
    (
        "FEDFUNDS",
        "Federal Funds Effective Rate",
        "Percent",
        Frequency::Monthly,
    ),
    (
        "DGS10",
        "Market Yield on U.S. Treasury Securities at 10-Year Constant Maturity",
        "Percent",
        Frequency::Daily,
    ),
    (
        "DGS2",
        "Market Yield on U.S. Treasury Securities at 2-Year Constant Maturity",
        "Percent",
        Frequency::Daily,
    ),
    (
        "T10Y2Y",
        "10-Year Treasury Constant Maturity Minus 2-Year Treasury Constant Maturity",
        "Percent",
        Frequency::Daily,
    ),
    (
        "CPIAUCSL",
        "Consumer Price Index for All Urban Consumers: All Items in U.S. City Average",
        "Index 1982-1984=100",
        Frequency::Monthly,
    ),
    ("UNRATE", "Unemployment Rate", "Percent", Frequency::Monthly),
    (
        "VIXCLS",
        "CBOE Volatility Index: VIX",
        "Index",
        Frequency::Daily,
    ),
    (
        "GDP",
        "Gross Domestic Product",
        "Billions of Dollars",
        Frequency::Quarterly,
    ),
    (
        "GDPC1",
        "Real Gross Domestic Product",
        "Billions of Chained 2017 Dollars",
        Frequency::Quarterly,
    ),
];

impl Economy {
    /// No values at all; the best-known series exist and are empty.
    pub fn empty() -> Self {
        let series = KNOWN.into_iter().filter_map(|(id, _, _, frequency)| {
            let series = Series {
                frequency,
                vintages: Vec::new(),
            };
            Some((SeriesId::parse(id).ok()?, series))
        });
        Self(series.collect())
    }

    /// The series of CSV files (gzipped too) with `series, date, value`: latest vintages, published with a plausible
    /// lag after their period (see the README). A file with columns such as `value_seen_2026_01_03` instead of `value`
    /// says what was seen on those days: the first value is published with the lag, another one on the day it was seen.
    ///
    /// # Errors
    /// [`TableError`] when a file is missing or has other columns.
    pub fn recorded(paths: &[PathBuf], calendar: &Calendar) -> Result<Self, TableError> {
        recorded::read(paths, calendar).map(Self)
    }

    /// An invented economy from 2005 to the calendar's end, with revisions. The same seed gives the same values.
    pub fn invented(seed: u64, calendar: &Calendar) -> Self {
        Self(invented::economy(seed, calendar))
    }

    /// The same without what is not published yet.
    #[must_use]
    pub fn until(mut self, now: DateTime<Utc>) -> Self {
        for series in self.0.values_mut() {
            series.vintages.retain(|vintage| vintage.released_at <= now);
        }
        self
    }

    pub(crate) fn series(&self, id: &str) -> Option<(&SeriesId, &Series)> {
        self.0.get_key_value(&SeriesId::parse(id).ok()?)
    }
}

impl Series {
    /// What has been said by now, by period and release.
    pub(crate) fn known(&self, now: DateTime<Utc>) -> impl Iterator<Item = &Vintage> {
        let vintages = self.vintages.iter();
        vintages.filter(move |vintage| vintage.released_at <= now)
    }
}

/// Title and unit of a series.
pub(crate) fn description(id: &SeriesId) -> (&'static str, &'static str) {
    let known = KNOWN.into_iter().find(|(known, ..)| *known == id.as_str());
    known.map_or(("A series", "Units"), |(_, title, unit, _)| (title, unit))
}
