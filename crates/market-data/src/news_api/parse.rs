use domain::{NewsArticle, NewsSource, Ticker};

use super::models::{Article, EverythingAnswer};
use crate::{
    Asked, VendorError,
    http::Answer,
    new_york::is_plausible,
    news,
    text::{excerpt, plain_text},
};

/// What stands in place of a story that its publisher withdrew.
const REMOVED: &str = "[Removed]";

/// The stories of an answer, filed under the ticker that they were searched for.
pub(crate) fn articles_of(
    answer: &Answer,
    ticker: &Ticker,
    asked: &Asked,
) -> Result<Vec<NewsArticle>, VendorError> {
    let read = match answer.json::<EverythingAnswer>(asked) {
        Ok(read) => read,
        // A gateway's page instead of NewsAPI's own words.
        Err(error) => return Err(answer.refusal(asked, "").unwrap_or(error)),
    };
    if read.status != "ok" {
        return Err(refusal(answer, &read, asked));
    }
    news::articles(read.articles, asked, |item| article_of(item, ticker))
}

/// NewsAPI says what is wrong by a code in the body.
fn refusal(answer: &Answer, read: &EverythingAnswer, asked: &Asked) -> VendorError {
    let message = read.message.as_deref().unwrap_or_default();
    let (asked, detail) = (asked.clone(), excerpt(message));
    match read.code.as_deref().unwrap_or_default() {
        "apiKeyMissing" | "apiKeyInvalid" | "apiKeyDisabled" => {
            VendorError::KeyRefused { asked, detail }
        }
        // The free plan counts by the day, and says so only in the message of `rateLimited`.
        "apiKeyExhausted" | "rateLimited" => VendorError::BudgetSpent { asked },
        "parameterInvalid" if message.contains("too far in the past") => {
            VendorError::Period { asked, detail }
        }
        "unexpectedError" => VendorError::Server { asked, detail },
        code => {
            let detail = excerpt(&format!("{code}: {message}"));
            answer
                .refusal(&asked, &detail)
                .unwrap_or(VendorError::Refused { asked, detail })
        }
    }
}

fn article_of(item: Article, ticker: &Ticker) -> Option<NewsArticle> {
    let title = plain_text(&item.title?)?;
    let url = news::address(item.url)?;
    (title != REMOVED && is_plausible(&item.published_at)).then(|| NewsArticle {
        source: NewsSource::NewsApi,
        // It has no ids.
        vendor_id: url.clone(),
        tickers: vec![ticker.clone()],
        published_at: item.published_at,
        title,
        summary: item.description.as_deref().and_then(plain_text),
        publisher: item
            .source
            .and_then(|source| source.name)
            .as_deref()
            .and_then(plain_text),
        url: Some(url),
    })
}
