//! `NEWS_SENTIMENT`.

use axum::{http::StatusCode, response::Response};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use domain::Ticker;
use serde_json::{Value, json};

use super::{Parameters, error};
use crate::{
    Simulator,
    answer::json,
    news::{Story, sentiment},
};

const USUAL_LIMIT: usize = 50;
const LARGEST_LIMIT: usize = 1_000;

pub(super) fn answer(simulator: &Simulator, parameters: &Parameters) -> Response {
    let invalid = || {
        error(
            "Invalid inputs. Please refer to the API documentation https://www.alphavantage.co/documentation#newsapi \
             and try again.",
        )
    };
    let asked: Result<Vec<Ticker>, _> = parameters
        .tickers
        .as_deref()
        .unwrap_or_default()
        .split(',')
        .filter(|text| !text.is_empty())
        .map(Ticker::parse)
        .collect();
    let (Ok(tickers), Some(from), Some(to)) = (
        asked,
        moment(parameters.time_from.as_deref(), DateTime::<Utc>::MIN_UTC),
        moment(parameters.time_to.as_deref(), DateTime::<Utc>::MAX_UTC),
    ) else {
        return invalid();
    };
    let now = simulator.clock.now();
    let since = from.date_naive().max(NaiveDate::MIN);
    let mut stories = match tickers.first() {
        Some(ticker) => simulator.news.of(&simulator.market, ticker, since, now),
        None => simulator.news.all(&simulator.market, since, now),
    };
    // Several tickers: about all of them at once.
    stories.retain(|story| {
        (from..=to).contains(&story.published_at)
            && tickers.iter().all(|ticker| story.tickers.contains(ticker))
    });
    stories.sort_by_key(|story| std::cmp::Reverse(story.published_at));
    if parameters.sort.as_deref() == Some("EARLIEST") {
        stories.reverse();
    }
    let limit = parameters.limit.unwrap_or(USUAL_LIMIT).min(LARGEST_LIMIT);
    let feed: Vec<Value> = stories.iter().take(limit).map(item).collect();
    let body = json!({
        "items": feed.len().to_string(),
        "sentiment_score_definition": "x <= -0.35: Bearish; -0.35 < x <= -0.15: Somewhat-Bearish; -0.15 < x < 0.15: \
            Neutral; 0.15 <= x < 0.35: Somewhat_Bullish; x >= 0.35: Bullish",
        "relevance_score_definition": "0 < x <= 1, with a higher score indicating higher relevance.",
        "feed": feed,
    });
    json(StatusCode::OK, &body)
}

/// `20240722T1457`, UTC; None when it is not.
fn moment(text: Option<&str>, usual: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let Some(text) = text else { return Some(usual) };
    let minute = NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M");
    let moment = minute.or_else(|_| NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S"));
    moment.ok().map(|moment| moment.and_utc())
}

fn item(story: &Story) -> Value {
    let score = sentiment::score(&story.title);
    let label = sentiment::label(score);
    let about: Vec<Value> = story
        .tickers
        .iter()
        .map(|ticker| {
            json!({
                "ticker": ticker,
                "relevance_score": "0.500000",
                "ticker_sentiment_score": format!("{score:.6}"),
                "ticker_sentiment_label": label,
            })
        })
        .collect();
    let domain = story.url.split('/').nth(2).unwrap_or_default();
    json!({
        "title": story.title,
        "url": story.url,
        "time_published": story.published_at.format("%Y%m%dT%H%M%S").to_string(),
        "authors": [],
        "summary": story.summary.as_deref().unwrap_or_default(),
        "banner_image": null,
        "source": story.publisher,
        "category_within_source": "n/a",
        "source_domain": domain,
        "topics": [{ "topic": "Financial Markets", "relevance_score": "0.5" }],
        "overall_sentiment_score": score,
        "overall_sentiment_label": label,
        "ticker_sentiment": about,
    })
}
