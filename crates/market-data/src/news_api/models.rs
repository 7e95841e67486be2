use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

/// `/v2/everything`, be it an answer or a refusal.
#[derive(Deserialize)]
pub(crate) struct EverythingAnswer {
    pub(crate) status: String,
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
    pub(crate) articles: Option<Vec<Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Article {
    pub(crate) source: Option<Source>,
    pub(crate) title: Option<String>,
    pub(crate) description: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) published_at: DateTime<Utc>,
}

#[derive(Deserialize)]
pub(crate) struct Source {
    pub(crate) name: Option<String>,
}
