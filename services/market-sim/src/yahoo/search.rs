//! `/v1/finance/search`: symbols and headlines.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    http::StatusCode,
    response::Response,
};
use domain::Ticker;
use serde::Deserialize;
use serde_json::{Value, json};

use super::json_response;
use crate::{Market, Simulator, answer::unhurried, news::Story, random};

/// Yahoo keeps so many headlines of a stock at hand, however many are asked for.
const HEADLINES: usize = 10;

const QUOTES: usize = 7;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Parameters {
    #[serde(default)]
    q: String,
    news_count: Option<usize>,
    quotes_count: Option<usize>,
}

pub(super) async fn search(
    State(simulator): State<Arc<Simulator>>,
    Query(parameters): Query<Parameters>,
) -> Response {
    unhurried(move || answer(&simulator, &parameters)).await
}

fn answer(simulator: &Simulator, parameters: &Parameters) -> Response {
    let market = &simulator.market;
    let symbols = matches(market, &parameters.q);
    let count = parameters.news_count.unwrap_or(HEADLINES).min(HEADLINES);
    // Headlines may be about stocks that the market does not have.
    let about = symbols
        .first()
        .cloned()
        .or_else(|| Ticker::parse(&parameters.q).ok());
    let stories = about.map_or_else(Vec::new, |ticker| {
        simulator
            .news
            .newest(market, &ticker, count, simulator.clock.now())
    });
    let news: Vec<Value> = stories.iter().map(item).collect();
    let quotes: Vec<Value> = symbols
        .iter()
        .take(parameters.quotes_count.unwrap_or(QUOTES))
        .filter_map(|ticker| quote(market, ticker))
        .collect();
    let body = json!({
        "explains": [],
        "count": quotes.len() + news.len(),
        "quotes": quotes,
        "news": news,
        "nav": [],
        "lists": [],
        "researchReports": [],
        "screenerFieldResults": [],
        "totalTime": 83,
        "timeTakenForQuotes": 426,
        "timeTakenForNews": 700,
        "timeTakenForAlgowatchlist": 400,
        "timeTakenForPredefinedScreener": 400,
        "timeTakenForCrunchbase": 400,
        "timeTakenForNav": 400,
        "timeTakenForResearchReports": 0,
        "timeTakenForScreenerField": 0,
        "timeTakenForCulturalAssets": 0,
        "timeTakenForSearchLists": 0,
    });
    json_response(StatusCode::OK, &body)
}

/// The market's stocks that a search means: the symbol itself first, then names that hold the words.
fn matches(market: &Market, words: &str) -> Vec<Ticker> {
    let words = words.trim().to_lowercase();
    if words.is_empty() {
        return Vec::new();
    }
    let is_symbol = |ticker: &Ticker| ticker.as_str().to_lowercase() == words;
    let is_named = |ticker: &Ticker| {
        let stock = market.stock(ticker);
        stock.is_some_and(|stock| stock.profile().name.to_lowercase().contains(&words))
    };
    let tickers = market.tickers();
    let symbols = tickers.iter().filter(|ticker| is_symbol(ticker));
    let named = tickers
        .iter()
        .filter(|ticker| !is_symbol(ticker) && is_named(ticker));
    symbols
        .chain(named)
        .map(|ticker| (*ticker).clone())
        .collect()
}

fn quote(market: &Market, ticker: &Ticker) -> Option<Value> {
    let stock = market.stock(ticker)?;
    let profile = stock.profile();
    Some(json!({
        "exchange": profile.exchange.code(),
        "shortname": profile.name,
        "quoteType": "EQUITY",
        "symbol": profile.ticker,
        "index": "quotes",
        "score": 20_000.0,
        "typeDisp": "Equity",
        "longname": profile.name,
        "exchDisp": profile.exchange.name(),
        "sector": profile.sector,
        "sectorDisp": profile.sector,
        "isYahooFinance": true,
    }))
}

fn item(story: &Story) -> Value {
    json!({
        "uuid": uuid(&story.url),
        "title": story.title,
        "publisher": story.publisher,
        "link": story.url,
        "providerPublishTime": story.published_at.timestamp(),
        "type": "STORY",
        "relatedTickers": story.tickers,
    })
}

/// The same for the same page, whatever its title says today.
fn uuid(url: &str) -> String {
    let (high, low) = (random::hash(url), random::hash(&format!("{url}#")));
    format!(
        "{:08x}-{:04x}-3{:03x}-8{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff
    )
}
