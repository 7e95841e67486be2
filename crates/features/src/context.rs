use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{MacroObservation, SeriesId, Ticker};

/// Stories that became available longer before a bar's close change nothing: three days reach over a weekend.
pub const NEWS_HORIZON: TimeDelta = TimeDelta::hours(72);

/// Vintages that became available longer before a stretch of bars, or whose period began longer before they became
/// available, need not be pushed: the newest periods and those of a year before are always younger, and be it the GDP
/// of a year ago that was revised since.
pub const MACRO_HORIZON: TimeDelta = TimeDelta::days(2 * 365);

/// A story about a ticker: when it could be used, and how it sounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NewsEvent {
    /// When its score could be used, UTC: never the time that the publisher claims.
    pub available_at: DateTime<Utc>,
    /// -1 bad news, 1 good news.
    pub score: f32,
}

/// One vintage of one value of an economic series.
#[derive(Clone, Debug, PartialEq)]
pub struct MacroEvent {
    /// When this vintage could be known, UTC: its release, not the period it describes.
    pub available_at: DateTime<Utc>,
    /// Which series.
    pub series: SeriesId,
    /// First day of the period that it describes.
    pub period: NaiveDate,
    /// The value in FRED's unit.
    pub value: f64,
}

impl MacroEvent {
    /// The event of an observation; none of one without a value, and of a period too long ago to be looked at
    /// ([`MACRO_HORIZON`]; history that arrives in bulk is full of them).
    pub fn from_observation(observation: &MacroObservation) -> Option<Self> {
        let event = Self {
            available_at: observation.available_at,
            series: observation.series.clone(),
            period: observation.period,
            value: observation.value?,
        };
        let age = event
            .available_at
            .date_naive()
            .signed_duration_since(event.period);
        (age <= MACRO_HORIZON).then_some(event)
    }
}

/// What is known beside bars, of any number of tickers, with when it could be known.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context {
    /// Stories of each ticker, in any order.
    pub news: BTreeMap<Ticker, Vec<NewsEvent>>,
    /// Vintages of economic series, in any order: the same for all tickers.
    pub economy: Vec<MacroEvent>,
}

/// What is known beside the bars of one ticker. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TickerContext<'a> {
    /// Its stories, in any order.
    pub news: &'a [NewsEvent],
    /// Vintages of economic series, in any order.
    pub economy: &'a [MacroEvent],
}

impl Context {
    /// What concerns one ticker.
    pub fn of(&self, ticker: &Ticker) -> TickerContext<'_> {
        TickerContext {
            news: self.news.get(ticker).map_or(&[], Vec::as_slice),
            economy: &self.economy,
        }
    }
}
