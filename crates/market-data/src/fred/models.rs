use chrono::NaiveDate;
use domain::SeriesId;
use serde::Deserialize;
use serde_json::Value;

/// One vintage of one value, as FRED reports it.
#[derive(Clone, Debug, PartialEq)]
pub struct FredObservation {
    /// Which series.
    pub series: SeriesId,
    /// First day of the period that it describes.
    pub period: NaiveDate,
    /// In the series' own unit; `None` where FRED writes "." or nothing.
    pub value: Option<f64>,
    /// First day on which FRED said so, its own date (US Central); `None` where it does not say.
    pub realtime_start: Option<NaiveDate>,
}

/// `/fred/series/observations`.
#[derive(Deserialize)]
pub(crate) struct ObservationsAnswer {
    /// Observations in all, of which an answer holds a part.
    pub(crate) count: usize,
    /// Read one by one: an odd one must not cost the others.
    pub(crate) observations: Vec<Value>,
}

#[derive(Deserialize)]
pub(crate) struct Observation {
    pub(crate) realtime_start: NaiveDate,
    pub(crate) date: NaiveDate,
    /// A number as text, "." where there is none.
    pub(crate) value: Value,
}

/// `/fred/series/vintagedates`.
#[derive(Deserialize)]
pub(crate) struct VintageDatesAnswer {
    pub(crate) count: usize,
    pub(crate) vintage_dates: Vec<NaiveDate>,
}

/// What stands in the body of a refusal.
#[derive(Default, Deserialize)]
pub(crate) struct Refusal {
    #[serde(default)]
    pub(crate) error_message: String,
}
