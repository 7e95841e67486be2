//! newsapi.org on its free plan: stories 24 hours late, a month back, 100 requests a day.

use std::sync::Arc;

use axum::{
    Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::get,
};
use chrono::{DateTime, Months, NaiveDate, NaiveDateTime, SecondsFormat, TimeDelta, Utc};
use domain::Ticker;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Market, Simulator,
    answer::{json, unhurried},
    budget::{Budget, Key},
    news::Story,
};

const DELAY: TimeDelta = TimeDelta::hours(24);
const REACH: Months = Months::new(1);
const LARGEST_PAGE: usize = 100;

pub(crate) fn budget() -> Budget {
    Budget::new(100, TimeDelta::days(1))
}

pub(crate) fn router(simulator: Arc<Simulator>) -> Router {
    Router::new()
        .route("/v2/everything", get(everything))
        .with_state(simulator)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters {
    q: Option<String>,
    from: Option<String>,
    to: Option<String>,
    page_size: Option<usize>,
    page: Option<usize>,
    api_key: Option<String>,
}

async fn everything(
    State(simulator): State<Arc<Simulator>>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
) -> Response {
    let header = headers
        .get("x-api-key")
        .and_then(|value| value.to_str().ok());
    let key = match Key::of(parameters.api_key.or(header.map(str::to_owned))) {
        Key::Missing => return missing_key(),
        Key::Wrong => return refused(),
        Key::Good(key) => key,
    };
    let now = simulator.clock.now();
    if !simulator.newsapi_budget.take(&key, now) {
        return limited();
    }
    let Some(words) = parameters.q.filter(|words| !words.trim().is_empty()) else {
        let message = "Required parameters are missing, the scope of your search is too broad. Please set any of the \
            following required parameters and try again: q, qInTitle, sources, domains.";
        return error(StatusCode::BAD_REQUEST, "parametersMissing", message);
    };
    let earliest = now.date_naive() - REACH;
    let [from, to] = match [parameters.from, parameters.to].map(|text| moment(text.as_deref())) {
        [Ok(from), Ok(to)] => [from, to],
        _ => {
            let message = "The from or to parameter is not a date in ISO 8601 format.";
            return error(StatusCode::BAD_REQUEST, "parameterInvalid", message);
        }
    };
    if let Some(from) = from.filter(|from| from.date_naive() < earliest) {
        let message = format!(
            "You are trying to request results too far in the past. Your plan permits you to request articles as far \
             back as {earliest}, but you have requested {}. You may need to upgrade to a paid plan.",
            from.date_naive()
        );
        return error(StatusCode::UPGRADE_REQUIRED, "parameterInvalid", &message);
    }
    let size = parameters
        .page_size
        .unwrap_or(LARGEST_PAGE)
        .clamp(1, LARGEST_PAGE);
    let page = parameters.page.unwrap_or(1);
    unhurried(move || {
        let terms = terms(&words);
        let stories = simulator.news.all(&simulator.market, earliest, now - DELAY);
        let found: Vec<Story> = stories
            .into_iter()
            .filter(|story| from.is_none_or(|from| from <= story.published_at))
            .filter(|story| to.is_none_or(|to| story.published_at <= to))
            .filter(|story| {
                terms.iter().all(|any| {
                    any.iter()
                        .any(|term| mentions(&simulator.market, story, term))
                })
            })
            .collect();
        let skipped = page.saturating_sub(1).saturating_mul(size);
        let articles: Vec<Value> = found.iter().skip(skipped).take(size).map(article).collect();
        let body = json!({ "status": "ok", "totalResults": found.len(), "articles": articles });
        json(StatusCode::OK, &body)
    })
    .await
}

/// A day or a moment, UTC.
fn moment(text: Option<&str>) -> Result<Option<DateTime<Utc>>, chrono::ParseError> {
    let Some(text) = text else { return Ok(None) };
    let moment = DateTime::parse_from_rfc3339(text)
        .map(|time| time.to_utc())
        .or_else(|_| text.parse::<NaiveDateTime>().map(|time| time.and_utc()))
        .or_else(|_| {
            let day: NaiveDate = text.parse()?;
            Ok(day.and_time(chrono::NaiveTime::MIN).and_utc())
        })?;
    Ok(Some(moment))
}

/// What a search wants all of, and the alternatives of each: `"Apple" AND (stock OR shares)` wants two things, the second
/// of which has two.
fn terms(words: &str) -> Vec<Vec<String>> {
    let alternatives = |words: &str| -> Vec<String> {
        let terms = words.split(" OR ").map(plain);
        terms.filter(|term| !term.trim().is_empty()).collect()
    };
    words.split(" AND ").map(alternatives).collect()
}

/// Words in lower case with a blank on both sides of each.
fn plain(text: &str) -> String {
    let words = text.split(|letter: char| !letter.is_alphanumeric());
    words
        .filter(|word| !word.is_empty())
        .fold(" ".to_owned(), |plain, word| {
            plain + &word.to_lowercase() + " "
        })
}

/// Whether a story has the words, or is about a company that has them in its name or symbol.
fn mentions(market: &Market, story: &Story, term: &str) -> bool {
    let has = |text: &str| plain(text).contains(term);
    let company = |ticker: &Ticker| {
        let stock = market.stock(ticker);
        has(ticker.as_str()) || stock.is_some_and(|stock| has(&stock.profile().name))
    };
    has(&story.title)
        || story.summary.as_deref().is_some_and(has)
        || story.tickers.iter().any(company)
}

fn article(story: &Story) -> Value {
    json!({
        "source": { "id": null, "name": story.publisher },
        "author": null,
        "title": story.title,
        "description": story.summary,
        "url": story.url,
        "urlToImage": null,
        "publishedAt": story.published_at.to_rfc3339_opts(SecondsFormat::Secs, true),
        "content": story.summary,
    })
}

fn missing_key() -> Response {
    let message = "Your API key is missing. Append this to the URL with the apiKey param, or use the x-api-key HTTP \
        header.";
    error(StatusCode::UNAUTHORIZED, "apiKeyMissing", message)
}

pub(crate) fn limited() -> Response {
    let message = "You have made too many requests recently. Developer accounts are limited to 100 requests over a 24 \
        hour period (50 requests available every 12 hours). Please upgrade to a paid plan if you need more requests.";
    error(StatusCode::TOO_MANY_REQUESTS, "rateLimited", message)
}

pub(crate) fn refused() -> Response {
    let message = "Your API key is invalid or incorrect. Check your key, or go to https://newsapi.org to create a free \
        API key.";
    error(StatusCode::UNAUTHORIZED, "apiKeyInvalid", message)
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    json(
        status,
        &json!({ "status": "error", "code": code, "message": message }),
    )
}
