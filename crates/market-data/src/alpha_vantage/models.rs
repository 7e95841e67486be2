use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// `TIME_SERIES_INTRADAY`. The bars sit under a key that names the interval.
#[derive(Deserialize)]
pub(crate) struct IntradayAnswer {
    #[serde(rename = "Meta Data")]
    pub(crate) meta: Meta,
    #[serde(rename = "Time Series (1min)")]
    pub(crate) bars: Option<BTreeMap<String, Row>>,
}

#[derive(Deserialize)]
pub(crate) struct Meta {
    #[serde(rename = "1. Information", default)]
    pub(crate) information: String,
    #[serde(rename = "4. Interval", default)]
    pub(crate) interval: String,
    #[serde(rename = "6. Time Zone", default)]
    pub(crate) time_zone: String,
}

/// A bar; all numbers are texts.
#[derive(Deserialize)]
pub(crate) struct Row {
    #[serde(rename = "1. open")]
    pub(crate) open: String,
    #[serde(rename = "2. high")]
    pub(crate) high: String,
    #[serde(rename = "3. low")]
    pub(crate) low: String,
    #[serde(rename = "4. close")]
    pub(crate) close: String,
    #[serde(rename = "5. volume")]
    pub(crate) volume: String,
}

/// `NEWS_SENTIMENT`.
#[derive(Deserialize)]
pub(crate) struct NewsAnswer {
    pub(crate) feed: Option<Vec<Value>>,
}

#[derive(Deserialize)]
pub(crate) struct Item {
    pub(crate) title: String,
    pub(crate) url: Option<String>,
    /// `20240722T145714`, UTC.
    pub(crate) time_published: String,
    #[serde(default)]
    pub(crate) summary: String,
    #[serde(default)]
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) ticker_sentiment: Vec<About>,
}

#[derive(Deserialize)]
pub(crate) struct About {
    pub(crate) ticker: String,
}
