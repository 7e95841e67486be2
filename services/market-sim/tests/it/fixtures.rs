//! The shape of answers, field by field, beside recorded ones.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use market_sim::Market;
use serde_json::Value;

use crate::{ask, future, refusal, three_days, ticker, time};

fn fixture(name: &str) -> Option<Value> {
    let path = test_support::shared(&format!("data/api_fixtures/{name}"))?;
    Some(serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
}

fn recorded(name: &str) -> Option<Value> {
    let mut fixture = fixture(&format!("yahoo/{name}"))?;
    let body = if fixture.get("chart").is_some() {
        &mut fixture
    } else {
        &mut fixture["response"]["bodyJson"]
    };
    Some(body["chart"]["result"][0].take())
}

/// Every path to a leaf with the leaf's type; positions in lists and dates as keys do not count.
fn shape(value: &Value) -> BTreeSet<String> {
    fn walk(value: &Value, path: &str, leaves: &mut BTreeSet<String>) {
        match value {
            Value::Object(fields) => {
                for (name, field) in fields {
                    let is_time = NaiveDateTime::parse_from_str(name, "%Y-%m-%d %H:%M:%S").is_ok();
                    let name = if is_time || name.parse::<i64>().is_ok() {
                        "<time>"
                    } else {
                        name
                    };
                    walk(field, &format!("{path}.{name}"), leaves);
                }
            }
            Value::Array(items) => {
                for item in items {
                    walk(item, &format!("{path}[]"), leaves);
                }
            }
            Value::Null => (), // a cell without a value
            Value::Bool(_) => _ = leaves.insert(format!("{path}: bool")),
            Value::Number(_) => _ = leaves.insert(format!("{path}: number")),
            Value::String(_) => _ = leaves.insert(format!("{path}: text")),
        }
    }
    let mut leaves = BTreeSet::new();
    walk(value, "", &mut leaves);
    leaves
}

/// Fields that recorded answers of some years have and others lack, see the remarks.
fn difference(found: &Value, recorded: &Value) -> Vec<String> {
    const OPTIONAL: [&str; 12] = [
        // Added by Yahoo after 2021.
        ".meta.fullExchangeName",
        ".meta.hasPrePostMarketData",
        ".meta.longName",
        ".meta.shortName",
        ".meta.fiftyTwoWeek",
        ".meta.regularMarketDay",
        ".meta.regularMarketVolume",
        // Added by Yahoo in 2026 and in no earlier recording.
        ".meta.regularMarketChangePercent",
        ".meta.fullday",
        // Cut by the project that recorded it.
        ".meta.validRanges",
        // Not every stock splits.
        ".events.splits",
        ".meta.tradingPeriods.pre",
    ];
    shape(found)
        .symmetric_difference(&shape(recorded))
        .filter(|leaf| !OPTIONAL.iter().any(|optional| leaf.starts_with(optional)))
        .cloned()
        .collect()
}

#[test]
fn minutes_of_an_open_session_have_the_recorded_shape() {
    let result = ask(
        &three_days(),
        "AAPL",
        &[("range", "1d")],
        "2018-03-26T15:00:02Z",
    );
    for name in [
        "chart_1m/AAPL_1m_2021-01-11_live_ok.json",
        "chart_intraday/AAPL_5m_2026-10-05_live_last_tick.json",
    ] {
        let Some(recorded) = recorded(name) else {
            return;
        };
        assert_eq!(
            difference(&result, &recorded),
            Vec::<String>::new(),
            "{name}"
        );
    }
}

#[test]
fn minutes_of_a_closed_session_have_the_recorded_shape() {
    let Some(recorded) = recorded("chart_intraday/NVDA_1h_2024-05-03_closing_tick.json") else {
        return;
    };
    let result = ask(
        &three_days(),
        "AAPL",
        &[("range", "1d")],
        "2018-03-26T20:10:00Z",
    );
    assert_eq!(difference(&result, &recorded), Vec::<String>::new());
    for field in [
        "currency",
        "exchangeName",
        "fullExchangeName",
        "instrumentType",
        "exchangeTimezoneName",
        "scale",
    ] {
        assert_eq!(result["meta"][field], recorded["meta"][field], "{field}");
    }
    assert_eq!(
        result["meta"]["validRanges"],
        recorded["meta"]["validRanges"]
    );
    assert_eq!(result["meta"]["timezone"], recorded["meta"]["timezone"]);
    assert_eq!(result["meta"]["gmtoffset"], recorded["meta"]["gmtoffset"]);
}

#[test]
fn an_empty_window_of_minutes_has_the_recorded_shape() {
    let name = "chart/chart-AAPL-2025-02-01-to-2025-02-02-includePrePost-false-interval-1m.json";
    let Some(recorded) = recorded(name) else {
        return;
    };
    // The weekend, asked for later.
    let request = [
        ("period1", "1521849600"),
        ("period2", "1521936000"),
        ("includePrePost", "false"),
    ];
    let result = ask(&three_days(), "AAPL", &request, "2018-03-27T15:00:00Z");
    assert_eq!(difference(&result, &recorded), Vec::<String>::new());
    assert_eq!(result["indicators"], recorded["indicators"]);
}

#[test]
fn days_and_events_have_the_recorded_shape() {
    let market = Market::generated(1, &[ticker("AAPL")], calendar::nyse());
    let request = [
        ("interval", "1d"),
        ("events", "div|split"),
        ("period1", "1749945600"),
        ("period2", "1781481600"),
    ];
    let result = ask(&market, "AAPL", &request, "2026-06-15T15:00:00Z");
    let Some(stocks_own) = recorded("chart/chart-AAPL-2020-08-31-to-2020-11-07.json") else {
        return;
    };
    assert_eq!(difference(&result, &stocks_own), Vec::<String>::new());
    let forming = ask(
        &market,
        "AAPL",
        &[("interval", "1d"), ("range", "5d")],
        "2026-06-15T15:00:00Z",
    );
    let Some(recorded) = recorded("chart/AAPL_1d_5d_2026-07-24_forming_day.json") else {
        return;
    };
    assert_eq!(difference(&forming, &recorded), Vec::<String>::new());
}

#[test]
fn refusals_have_the_recorded_bodies() {
    let body = |name: &str| {
        let fixture = fixture(&format!("yahoo/{name}"))?;
        let body: Value = serde_json::from_str(fixture["body"].as_str().unwrap()).unwrap();
        let description = body["chart"]["error"]["description"]
            .as_str()
            .unwrap()
            .to_owned();
        Some((
            u16::try_from(fixture["http_status"].as_u64().unwrap()).unwrap(),
            description,
        ))
    };
    let market = three_days();
    let now = "2018-03-27T15:00:00Z";
    let Some(expected) = body("errors/404_not_found.json") else {
        return;
    };
    assert_eq!(refusal(&market, "GONE", &[], now), expected);

    // The recorded requests, at a time when they were too long or too old.
    let market = Market::generated(1, &[ticker("AAPL")], calendar::nyse());
    let expected = body("errors/422_1m_more_than_7_days.json").unwrap();
    let request = [("period1", "1676577600"), ("period2", "1678996800")];
    assert_eq!(
        refusal(&market, "AAPL", &request, "2023-03-17T15:00:00Z"),
        expected
    );
    let expected = body("errors/422_1m_older_than_30_days.json").unwrap();
    let request = [("period1", "1592110800"), ("period2", "1592715600")];
    assert_eq!(
        refusal(&market, "AAPL", &request, "2020-08-17T15:00:00Z"),
        expected
    );
}

/// Leaves that the recorded answer has and ours lacks, unless their path begins as one that may be absent. What ours has
/// beyond the recorded one fails at once.
async fn lacking(question: &str, recorded: &Value, optional: &[&str]) -> Vec<String> {
    let simulator = future::simulator(time("2018-03-27T20:00:00Z"), false);
    let (status, body) = future::ask(simulator, question).await;
    assert_eq!(status, 200, "{body}");
    let found = shape(&serde_json::from_str(&body).unwrap());
    let recorded = shape(recorded);
    let beyond: Vec<_> = found.difference(&recorded).collect();
    assert!(beyond.is_empty(), "{question}: {beyond:?}");
    let lacking = recorded.difference(&found);
    lacking
        .filter(|leaf| !optional.iter().any(|optional| leaf.starts_with(optional)))
        .cloned()
        .collect()
}

#[tokio::test]
async fn answers_of_all_vendors_have_the_recorded_shape() {
    let cases: [(&str, &str, &[&str]); 7] = [
        (
            "https://query1.finance.yahoo.com/v1/finance/search?q=AAPL",
            "yahoo/other/search-AAPL.json",
            // Pictures, industries and what is no share.
            &[
                ".news[].thumbnail",
                ".quotes[].industry",
                ".quotes[].dispSecIndFlag",
                ".quotes[].name",
                ".quotes[].permalink",
            ],
        ),
        (
            "https://newsapi.org/v2/everything?q=news&apiKey=k",
            "newsapi/everything_2020-05.json",
            &[
                ".articles[].author",
                ".articles[].content",
                ".articles[].description",
                ".articles[].source.id",
                ".articles[].urlToImage",
            ],
        ),
        (
            "https://finnhub.io/api/v1/company-news?symbol=AAPL&from=2018-03-01&to=2018-04-01&token=k",
            "finnhub/company_news_AAPL_2020-12-08.json",
            &[],
        ),
        (
            "https://www.alphavantage.co/query?function=NEWS_SENTIMENT&tickers=AAPL&apikey=k",
            "alphavantage/news_sentiment_AAPL_2024-07.json",
            &[".feed[].authors", ".feed[].banner_image"],
        ),
        (
            "https://www.alphavantage.co/query?function=TIME_SERIES_INTRADAY&symbol=AAPL&interval=1min&apikey=k",
            "alphavantage/time_series_intraday_1min_MSFT_2017-12-18.json",
            &[],
        ),
        (
            "https://api.stlouisfed.org/fred/series/observations?series_id=RATE&file_type=json&api_key=k",
            "fred/series_observations_GDP_2024-10-30.json",
            &[],
        ),
        (
            "https://api.stlouisfed.org/fred/series?series_id=RATE&file_type=json&api_key=k",
            "fred/series_GDP.json",
            &[],
        ),
    ];
    for (question, name, optional) in cases {
        let Some(mut recorded) = fixture(name) else {
            return;
        };
        if name.starts_with("yahoo") {
            recorded = recorded["response"]["bodyJson"].take();
        }
        assert_eq!(
            lacking(question, &recorded, optional).await,
            Vec::<String>::new(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn errors_of_all_vendors_have_the_recorded_words() {
    for (name, question) in [
        (
            "newsapi/errors/401_apiKeyMissing.json",
            "https://newsapi.org/v2/everything?q=news",
        ),
        (
            "fred/errors/400_api_key_not_registered.json",
            "https://api.stlouisfed.org/fred/series?series_id=RATE&file_type=json&api_key=bad",
        ),
    ] {
        let Some(recorded) = fixture(name) else {
            return;
        };
        let simulator = future::simulator(time("2018-03-27T20:00:00Z"), false);
        let (status, body) = future::ask(simulator, question).await;
        assert_eq!(u64::from(status), recorded["http_status"], "{name}");
        let found: Value = serde_json::from_str(&body).unwrap();
        let expected: Value = serde_json::from_str(recorded["body"].as_str().unwrap()).unwrap();
        assert_eq!(found, expected, "{name}");
    }
}
