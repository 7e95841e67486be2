use serde::Deserialize;
use serde_json::Value;

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
