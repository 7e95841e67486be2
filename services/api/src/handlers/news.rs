use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{NewsSource, Sentiment, Ticker};
use serde::{Deserialize, Serialize};
use storage::StoredArticle;
use utoipa::{IntoParams, ToSchema};

use super::{
    Path, Query, ask,
    stocks::{as_cursor, bad_cursor, cursor, digits, limit, watched},
};
use crate::{
    error::{ApiError, ErrorBody},
    state::AppState,
};

const DEFAULT_STORIES: u32 = 50;
const MOST_STORIES: u32 = 500;

/// Stories about one stock.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = News)]
pub(super) struct NewsBody {
    /// Whose.
    #[schema(value_type = String)]
    ticker: Ticker,
    /// Those first seen last come first.
    news: Vec<StoryBody>,
    /// Continues with older ones; null when there are none.
    next_cursor: Option<String>,
}

/// One story, whoever told it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Story)]
struct StoryBody {
    /// Headline.
    title: String,
    /// The first sentences, where a source sent them.
    summary: Option<String>,
    /// Name of the publisher.
    publisher: Option<String>,
    /// Address of the story.
    url: Option<String>,
    /// When the publisher says it appeared; publishers err.
    published_at: DateTime<Utc>,
    /// When Tandem first saw it under this stock.
    first_seen_at: DateTime<Utc>,
    /// Since when the models may know of it; null before it was read.
    available_at: Option<DateTime<Utc>>,
    /// Where it was seen: `yahoo`, `news_api`, `finnhub`, `alpha_vantage`.
    #[schema(value_type = Vec<String>)]
    sources: Vec<NewsSource>,
    /// All watched stocks that it is filed under.
    #[schema(value_type = Vec<String>)]
    tickers: Vec<Ticker>,
    /// How it sounds; null before it was read.
    sentiment: Option<SentimentBody>,
}

/// How a headline sounds to an investor: three probabilities that add up to 1.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Sentiment)]
struct SentimentBody {
    /// Which model read it.
    model: String,
    /// It is bad news.
    negative: f32,
    /// It is neither.
    neutral: f32,
    /// It is good news.
    positive: f32,
    /// `positive` less `negative`: -1 to 1.
    score: f32,
}

impl SentimentBody {
    fn new((model, sentiment): (String, Sentiment)) -> Self {
        Self {
            model,
            negative: sentiment.negative(),
            neutral: sentiment.neutral(),
            positive: sentiment.positive(),
            score: sentiment.score(),
        }
    }
}

impl From<StoredArticle> for StoryBody {
    fn from(stored: StoredArticle) -> Self {
        Self {
            title: stored.title,
            summary: stored.summary,
            publisher: stored.publisher,
            url: stored.url,
            published_at: stored.published_at,
            first_seen_at: stored.first_seen_at,
            available_at: stored.available_at,
            sources: stored.sources,
            tickers: stored.tickers,
            sentiment: stored.sentiment.map(SentimentBody::new),
        }
    }
}

/// Which stories are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct NewsQuery {
    /// Most stories in the answer: 1 to 500, by default 50.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
    /// `next_cursor` of the answer to continue.
    #[param(pattern = "^[0-9]{1,17}-[0-9]{1,18}$")]
    cursor: Option<String>,
}

/// What was written about one stock, newest first, and how it sounds.
#[utoipa::path(
    get, path = "/stocks/{ticker}/news", tag = "stocks",
    params(("ticker" = String, Path, description = "Symbol, such as AAPL", max_length = 15), NewsQuery),
    responses(
        (status = 200, body = NewsBody),
        (status = 400, body = ErrorBody, description = "`bad_parameter` or `bad_cursor`"),
        (status = 404, body = ErrorBody, description = "`unknown_ticker`"),
    ),
)]
pub(super) async fn list(
    State(state): State<AppState>,
    Path(ticker): Path<String>,
    Query(query): Query<NewsQuery>,
) -> Result<Json<NewsBody>, ApiError> {
    let ticker = watched(&state, &ticker)?;
    let limit = limit(query.limit, DEFAULT_STORIES, MOST_STORIES)?;
    let before = query.cursor.as_deref().map(place).transpose()?;
    let page = ask(storage::news_page(&state.pool, &ticker, before, limit)).await?;
    let full = page.len() == limit as usize;
    let oldest = page
        .last()
        .map(|oldest| as_place(oldest.first_seen_at, oldest.article_id));
    Ok(Json(NewsBody {
        ticker,
        news: page.into_iter().map(StoryBody::from).collect(),
        next_cursor: oldest.filter(|_| full),
    }))
}

/// The largest number that the database counts to has more digits; no table gets near it.
const MOST_ID_DIGITS: usize = 18;

/// Many stories come with one answer, at one moment: the story's number tells them apart.
fn as_place(time: DateTime<Utc>, article_id: i64) -> String {
    format!("{}-{article_id}", as_cursor(time))
}

fn place(text: &str) -> Result<(DateTime<Utc>, i64), ApiError> {
    let (time, article_id) = text.split_once('-').ok_or_else(|| bad_cursor(text))?;
    let article_id = digits(article_id, MOST_ID_DIGITS).ok_or_else(|| bad_cursor(text))?;
    Ok((cursor(time).map_err(|_| bad_cursor(text))?, article_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_comes_back_as_it_was() {
        let time: DateTime<Utc> = "2026-03-26T13:30:00.000001Z".parse().unwrap();
        assert_eq!(place(&as_place(time, 17)).unwrap(), (time, 17));
        for bad in [
            "",
            "-",
            "17",
            "yesterday-17",
            "17-x",
            "17--1",
            "17-9999999999999999999",
        ] {
            assert!(
                place(bad)
                    .unwrap_err()
                    .to_string()
                    .contains(&format!("{bad:?}"))
            );
        }
    }
}
