//! finnhub.io on its free plan: 60 requests a minute.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};
use chrono::{NaiveDate, TimeDelta};
use domain::Ticker;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Simulator,
    answer::{json, unhurried},
    budget::{Budget, Key},
    news::Story,
};

/// One story in so many comes three times, each under an id and address of its own.
const REPEATED: u64 = 8;

pub(crate) fn budget() -> Budget {
    Budget::new(60, TimeDelta::minutes(1))
}

pub(crate) fn router(simulator: Arc<Simulator>) -> Router {
    Router::new()
        .route("/api/v1/company-news", get(company_news))
        .with_state(simulator)
}

#[derive(Deserialize)]
struct Parameters {
    symbol: Option<String>,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    token: Option<String>,
}

async fn company_news(
    State(simulator): State<Arc<Simulator>>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    let header = headers
        .get("x-finnhub-token")
        .and_then(|value| value.to_str().ok());
    let key = match Key::of(parameters.token.or(header.map(str::to_owned))) {
        Key::Missing => return error(StatusCode::UNAUTHORIZED, "Please use an API key."),
        Key::Wrong => return refused(),
        Key::Good(key) => key,
    };
    let now = simulator.clock.now();
    if !simulator.finnhub_budget.take(&key, now) {
        return limited();
    }
    let (Some(symbol), Some(from), Some(to)) = (parameters.symbol, parameters.from, parameters.to)
    else {
        let message = "Wrong date format. Please use 2018-06-18 format.";
        return error(StatusCode::UNPROCESSABLE_ENTITY, message);
    };
    let Ok(ticker) = Ticker::parse(&symbol) else {
        return json(StatusCode::OK, &json!([]));
    };
    unhurried(move || {
        let items: Vec<Value> = simulator
            .news
            .of(&simulator.market, &ticker, from, now)
            .iter()
            .filter(|story| story.published_at.date_naive() <= to)
            .flat_map(|story| items(story, &ticker))
            .collect();
        json(StatusCode::OK, &items)
    })
    .await
}

fn items(story: &Story, ticker: &Ticker) -> Vec<Value> {
    let number = story.number();
    let copies = if number.is_multiple_of(REPEATED) {
        3
    } else {
        1
    };
    let item = |copy: u64| {
        // Ids have eight to nine digits.
        let id = 10_000_000 + number % 800_000_000 + copy;
        let url = match copy {
            0 => story.url.clone(),
            _ => format!("https://finnhub.io/api/news?id={:016x}{copy}", number),
        };
        json!({
            "category": "company",
            "datetime": story.published_at.timestamp(),
            "headline": story.title,
            "id": id,
            "image": "",
            "related": ticker,
            "source": story.publisher,
            "summary": story.summary.as_deref().unwrap_or_default(),
            "url": url,
        })
    };
    (0..copies).map(item).collect()
}

pub(crate) fn limited() -> Response {
    let message = "API limit reached. Please try again later. Remaining Limit: 0";
    error(StatusCode::TOO_MANY_REQUESTS, message)
}

pub(crate) fn refused() -> Response {
    error(StatusCode::UNAUTHORIZED, "Invalid API key")
}

fn error(status: StatusCode, message: &str) -> Response {
    json(status, &json!({ "error": message }))
}
