use std::{fmt, str::FromStr, sync::Arc};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

/// The series that Tandem follows whatever the settings add, and that features are made of, as FRED spells them: the
/// volatility index, ten-year yield, yield curve, policy rate, unemployment, consumer prices and gross domestic product.
pub const MACRO_SERIES: [&str; 7] = [
    "VIXCLS", "DGS10", "T10Y2Y", "FEDFUNDS", "UNRATE", "CPIAUCSL", "GDP",
];

/// The id of an economic series as FRED spells it, such as `CPIAUCSL`.
///
/// Cloning is cheap: the text is shared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SeriesId(Arc<str>);

/// The text is no id of a series.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a series of FRED: expected 1 to 25 of A-Z, 0-9 and '_', such as CPIAUCSL")]
pub struct InvalidSeriesId {
    text: String,
}

impl SeriesId {
    /// Reads an id; lower case is accepted and stored in upper case.
    ///
    /// # Errors
    /// [`InvalidSeriesId`] when the text is empty, too long or has other characters.
    pub fn parse(text: &str) -> Result<Self, InvalidSeriesId> {
        let upper = text.to_ascii_uppercase();
        let valid = (1..=25).contains(&upper.len())
            && upper
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        if valid {
            Ok(Self(upper.into()))
        } else {
            Err(InvalidSeriesId {
                text: text.to_owned(),
            })
        }
    }

    /// The id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SeriesId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for SeriesId {
    type Err = InvalidSeriesId;

    fn from_str(text: &str) -> Result<Self, InvalidSeriesId> {
        Self::parse(text)
    }
}

impl TryFrom<String> for SeriesId {
    type Error = InvalidSeriesId;

    fn try_from(text: String) -> Result<Self, InvalidSeriesId> {
        Self::parse(&text)
    }
}

impl From<SeriesId> for String {
    fn from(series: SeriesId) -> Self {
        series.0.to_string()
    }
}

/// One vintage of one value of an economic series: what was said about a period, and since when it could be known.
///
/// A later revision of the same period is another observation with a later `available_at`.
#[derive(Clone, Debug, PartialEq)]
pub struct MacroObservation {
    /// Which series.
    pub series: SeriesId,
    /// First day of the period that it describes: the day, month or quarter.
    pub period: NaiveDate,
    /// The value in the series' own unit (FRED's units, such as percent); `None` where FRED writes ".": it was due
    /// and does not exist.
    pub value: Option<f64>,
    /// When it could be known, UTC: its release, or when Tandem first saw it.
    pub available_at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_are_fred_s() {
        assert!(
            MACRO_SERIES
                .iter()
                .all(|series| SeriesId::parse(series).is_ok())
        );
    }

    #[test]
    fn ids_are_fred_s() {
        assert_eq!(SeriesId::parse("dgs10").unwrap().as_str(), "DGS10");
        for text in ["", "T10 Y2Y", "DGS10;", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"] {
            let error = SeriesId::parse(text).unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")));
        }
    }
}
