//! Windows, refusals and the shapes of nothing.

use chrono::TimeDelta;
use market_sim::Market;
use serde_json::{Value, json};

use crate::{ask, refusal, rows, three_days, ticker, time};

const NOW: &str = "2018-03-27T15:00:00Z";

/// `period1` and `period2` of two moments.
fn period(start: &str, end: &str) -> [String; 2] {
    [start, end].map(|text| time(text).timestamp().to_string())
}

#[test]
fn a_period_begins_at_its_first_second_and_ends_before_its_last() {
    let [start, end] = period("2018-03-26T14:00:00Z", "2018-03-26T14:05:00Z");
    let result = ask(
        &three_days(),
        "AAPL",
        &[("period1", &start), ("period2", &end)],
        NOW,
    );
    let starts: Vec<_> = rows(&result).into_iter().map(|(start, _)| start).collect();
    let expected: Vec<_> = (0..5)
        .map(|minute| time("2018-03-26T14:00:00Z") + TimeDelta::minutes(minute))
        .collect();
    assert_eq!(starts, expected);
    assert_eq!(result["meta"]["range"], "");
}

#[test]
fn several_days_come_with_a_trading_period_each() {
    let result = ask(&three_days(), "AAPL", &[("range", "5d")], NOW);
    assert_eq!(rows(&result).len(), 390 + 390 + 90 + 1);
    assert_eq!(
        result["meta"]["tradingPeriods"].as_array().unwrap().len(),
        3
    );
    assert_eq!(result["meta"]["range"], "5d");
    assert_eq!(result["meta"]["dataGranularity"], "1m");
}

#[test]
fn a_weekend_has_neither_rows_nor_columns() {
    let [start, end] = period("2018-03-24T00:00:00Z", "2018-03-25T00:00:00Z");
    let request = [("period1", start.as_str()), ("period2", end.as_str())];
    let result = ask(&three_days(), "AAPL", &request, NOW);
    assert_eq!(result.get("timestamp"), None);
    assert_eq!(result["indicators"], json!({ "quote": [{}] }));
    assert_eq!(result["meta"].get("tradingPeriods"), None);
    assert_eq!(result["meta"]["chartPreviousClose"], 490.0);

    let days = [request.as_slice(), &[("interval", "1d")]].concat();
    assert_eq!(
        ask(&three_days(), "AAPL", &days, NOW)["indicators"],
        json!({ "quote": [{}], "adjclose": [{}] })
    );
}

#[test]
fn refusals_are_in_yahoos_words() {
    let market = three_days();
    let refused = |symbol: &str, pairs: &[(&str, &str)]| refusal(&market, symbol, pairs, NOW);
    let unknown = (404, "No data found, symbol may be delisted".to_owned());
    assert_eq!(refused("MSFT", &[]), unknown);
    assert_eq!(refused("no ticker", &[]), unknown);
    assert_eq!(
        refused("AAPL", &[("interval", "7d")]),
        (
            400,
            "Invalid input - interval=7d is not supported. Valid intervals: [1m, 1d]".to_owned()
        )
    );
    let [start, end] = period("2018-03-20T00:00:00Z", "2018-03-27T00:00:01Z");
    assert_eq!(
        refused("AAPL", &[("period1", &start), ("period2", &end)]),
        (
            422,
            format!(
                "1m data not available for startTime={start} and endTime={end}. Only 7 days worth of 1m granularity \
                 data are allowed to be fetched per request."
            )
        )
    );
    let [start, end] = period("2018-02-25T14:59:59Z", "2018-02-26T15:00:00Z");
    assert_eq!(
        refused("AAPL", &[("period1", &start), ("period2", &end)]),
        (
            422,
            format!(
                "1m data not available for startTime={start} and endTime={end}. The requested range must be within \
                 the last 30 days."
            )
        )
    );
    assert_eq!(refused("AAPL", &[("range", "1mo")]).0, 422);
    assert_eq!(refused("AAPL", &[("range", "7x")]).0, 400);
    assert_eq!(refused("AAPL", &[("period1", "yesterday")]).0, 400);
    assert_eq!(
        refused("AAPL", &[("period1", &end), ("period2", &start)]).0,
        400
    );
    // Before the first day there is no such stock yet.
    assert_eq!(
        refusal(&market, "AAPL", &[], "2018-03-01T15:00:00Z"),
        unknown
    );
}

#[test]
fn dividends_are_told_from_their_ex_date_on_and_lower_earlier_adjusted_closes() {
    let market = Market::generated(3, &[ticker("JNJ")], calendar::nyse());
    let request = [
        ("interval", "1d"),
        ("range", "1y"),
        ("events", "div|split|capitalGains"),
    ];
    let result = ask(&market, "JNJ", &request, "2026-06-15T21:00:00Z");
    let dividends = result["events"]["dividends"].as_object().unwrap();
    assert_eq!(dividends.len(), 4, "{dividends:?}");
    let rows = rows(&result);
    let adjusted = result["indicators"]["adjclose"][0]["adjclose"]
        .as_array()
        .unwrap();
    let adjusted: Vec<f64> = adjusted
        .iter()
        .map(|value| value.as_f64().unwrap())
        .collect();
    let close = |row: usize| rows[row].1.unwrap()[3];
    for (key, event) in dividends {
        assert_eq!(*key, event["date"].to_string());
        let ex_date = rows
            .iter()
            .position(|(start, _)| start.timestamp() == event["date"].as_i64().unwrap())
            .unwrap();
        let step = 1.0 - event["amount"].as_f64().unwrap() / close(ex_date - 1);
        let found =
            (adjusted[ex_date - 1] / close(ex_date - 1)) / (adjusted[ex_date] / close(ex_date));
        assert!((found - step).abs() < 1e-6, "{found} {step}");
    }
    assert_eq!(adjusted.last(), Some(&close(rows.len() - 1)));

    // A day earlier the next one is not known.
    let first = dividends.values().next().unwrap()["date"].as_i64().unwrap();
    let before = chrono::DateTime::from_timestamp(first - 3_600, 0)
        .unwrap()
        .to_rfc3339();
    let earlier = ask(&market, "JNJ", &request, &before);
    assert!(
        earlier["events"]["dividends"]
            .as_object()
            .unwrap()
            .values()
            .all(|event| event["date"] != first)
    );
    // Not asked for, not told.
    assert_eq!(
        ask(&market, "JNJ", &request[..2], "2026-06-15T21:00:00Z").get("events"),
        None::<&Value>
    );
}
