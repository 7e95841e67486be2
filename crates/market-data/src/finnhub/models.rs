use serde::Deserialize;

/// An item of `/api/v1/company-news`, whose answer is a bare list.
#[derive(Deserialize)]
pub(crate) struct Item {
    pub(crate) id: u64,
    /// Unix seconds.
    pub(crate) datetime: i64,
    pub(crate) headline: String,
    /// Comma-separated tickers, often none.
    #[serde(default)]
    pub(crate) related: String,
    #[serde(default)]
    pub(crate) source: String,
    #[serde(default)]
    pub(crate) summary: String,
    pub(crate) url: Option<String>,
}

/// What stands in the body of a refusal.
#[derive(Default, Deserialize)]
pub(crate) struct Refusal {
    #[serde(default)]
    pub(crate) error: String,
}
