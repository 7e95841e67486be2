use domain::{NewsArticle, NewsSource, Ticker};
use serde::Deserialize;
use serde_json::Value;

use super::error::{asked, from_message};
use crate::{VendorError, new_york::moment, news, text::plain_text};

/// Headlines asked for at a time. Yahoo keeps about ten of a busy stock at hand.
pub(crate) const COUNT: &str = "20";

/// `/v1/finance/search`.
#[derive(Deserialize)]
pub(crate) struct SearchAnswer {
    /// Read one by one: an odd item must not cost the others.
    news: Option<Vec<Value>>,
    finance: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    uuid: String,
    title: String,
    publisher: Option<String>,
    link: Option<String>,
    provider_publish_time: i64,
    related_tickers: Option<Vec<String>>,
}

/// The stories of an answer to a search for `ticker`.
///
/// # Errors
/// [`VendorError::Shape`] when the answer has no list of news, or not one item of it can be read.
pub(crate) fn articles_of(
    answer: SearchAnswer,
    ticker: &Ticker,
) -> Result<Vec<NewsArticle>, VendorError> {
    let asked = asked(ticker);
    if let Some(refusal) = answer.finance {
        let word = |name: &str| {
            refusal["error"][name]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        return Err(from_message(&word("code"), &word("description"), asked));
    }
    news::articles(answer.news, &asked, |item| article_of(item, ticker))
}

fn article_of(item: Item, ticker: &Ticker) -> Option<NewsArticle> {
    let mut tickers: Vec<Ticker> = item
        .related_tickers
        .unwrap_or_default()
        .iter()
        .filter_map(|text| Ticker::parse(text).ok())
        .collect();
    if tickers.is_empty() {
        // Not filed under any: it was found by the ticker.
        tickers.push(ticker.clone());
    }
    Some(NewsArticle {
        source: NewsSource::Yahoo,
        vendor_id: plain_text(&item.uuid)?,
        tickers,
        published_at: moment(item.provider_publish_time)?,
        title: plain_text(&item.title)?,
        summary: None,
        publisher: item.publisher.as_deref().and_then(plain_text),
        url: news::address(item.link),
    })
}
