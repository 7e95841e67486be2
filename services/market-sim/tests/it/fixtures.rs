//! The shape of answers, field by field, beside recorded ones.

use std::{collections::BTreeSet, path::PathBuf};

use market_sim::Market;
use serde_json::Value;

use crate::{ask, refusal, three_days, ticker};

fn fixture(name: &str) -> Option<Value> {
    let root = std::env::var_os("TANDEM_SHARED_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
        PathBuf::from,
    );
    let path = root.join("data/api_fixtures/yahoo").join(name);
    let Ok(text) = std::fs::read(&path) else {
        eprintln!("skipped: no {}", path.display());
        return None;
    };
    Some(serde_json::from_slice(&text).unwrap())
}

fn recorded(name: &str) -> Option<Value> {
    let mut fixture = fixture(name)?;
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
                    let name = if name.parse::<i64>().is_ok() {
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
        // The simulator has none.
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
        let fixture = fixture(name)?;
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
