use std::time::Duration;

use domain::{NewsArticle, NewsSource, Ticker};
use serde_json::Value;

use super::models::{Item, Refusal};
use crate::{Asked, VendorError, http::Answer, new_york::moment, news, text::plain_text};

/// Finnhub counts requests by the minute.
const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(60);

/// The stories of an answer as they came: the same headline may be there under several ids.
pub(crate) fn articles_of(
    answer: &Answer,
    ticker: &Ticker,
    asked: &Asked,
) -> Result<Vec<NewsArticle>, VendorError> {
    if let Some(refusal) = answer.refusal(asked, "") {
        let said = answer.json::<Refusal>(asked).unwrap_or_default().error;
        return Err(match refusal {
            VendorError::RateLimited { asked, .. } => {
                VendorError::rate_limited(asked, answer.retry_after.or(Some(RATE_LIMIT_PAUSE)))
            }
            other => answer.refusal(asked, &said).unwrap_or(other),
        });
    }
    let items: Value = answer.json(asked)?;
    let items = match items {
        Value::Array(items) => Some(items),
        _ => None,
    };
    news::articles(items, asked, |item| article_of(item, ticker))
}

fn article_of(item: Item, ticker: &Ticker) -> Option<NewsArticle> {
    let mut tickers: Vec<Ticker> = item
        .related
        .split(',')
        .filter_map(|text| Ticker::parse(text.trim()).ok())
        .collect();
    if tickers.is_empty() {
        // Not filed under any: it came as this company's news.
        tickers.push(ticker.clone());
    }
    Some(NewsArticle {
        source: NewsSource::Finnhub,
        vendor_id: item.id.to_string(),
        tickers,
        published_at: moment(item.datetime)?,
        title: plain_text(&item.headline)?,
        summary: plain_text(&item.summary),
        publisher: plain_text(&item.source),
        url: news::address(item.url),
    })
}
