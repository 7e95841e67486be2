//! alphavantage.co on its free plan: 25 requests a day. Whatever goes wrong, the status is 200.

mod intraday;
mod news;

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, State},
    http::StatusCode,
    response::Response,
    routing::get,
};
use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::json;

use crate::{
    Simulator,
    answer::{json, unhurried},
    budget::{Budget, Key},
};

pub(crate) fn budget() -> Budget {
    Budget::new(25, TimeDelta::days(1))
}

pub(crate) fn router(simulator: Arc<Simulator>) -> Router {
    Router::new()
        .route("/query", get(query))
        .with_state(simulator)
}

#[derive(Deserialize)]
struct Parameters {
    function: Option<String>,
    apikey: Option<String>,
    symbol: Option<String>,
    interval: Option<String>,
    adjusted: Option<String>,
    extended_hours: Option<String>,
    outputsize: Option<String>,
    month: Option<String>,
    tickers: Option<String>,
    time_from: Option<String>,
    time_to: Option<String>,
    sort: Option<String>,
    limit: Option<usize>,
}

async fn query(
    State(simulator): State<Arc<Simulator>>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let Key::Good(key) = Key::of(parameters.apikey.clone()) else {
        return refused();
    };
    if !simulator
        .alpha_vantage_budget
        .take(&key, simulator.clock.now())
    {
        return limited();
    }
    // A month of minutes takes the generator a while.
    unhurried(move || match parameters.function.as_deref() {
        Some("TIME_SERIES_INTRADAY") => intraday::answer(&simulator, &parameters),
        Some("NEWS_SENTIMENT") => news::answer(&simulator, &parameters),
        other => error(&format!(
            "This API function ({}) does not exist.",
            other.unwrap_or_default()
        )),
    })
    .await
}

pub(crate) fn limited() -> Response {
    let text = "Thank you for using Alpha Vantage! Our standard API rate limit is 25 requests per day. Please subscribe \
        to any of the premium plans at https://www.alphavantage.co/premium/ to instantly remove all daily rate limits.";
    json(StatusCode::OK, &json!({ "Information": text }))
}

pub(crate) fn refused() -> Response {
    error(
        "the parameter apikey is invalid or missing. Please claim your free API key on \
         (https://www.alphavantage.co/support/#api-key). It should take less than 20 seconds.",
    )
}

fn error(text: &str) -> Response {
    json(StatusCode::OK, &json!({ "Error Message": text }))
}
