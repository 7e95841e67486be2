//! The simulator, asked as its clients ask it.
#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod actions;
mod client;
mod clock;
mod economy;
mod faults;
mod fixtures;
mod future;
mod generator;
mod news;
mod recorded;
mod replay;
mod stream;
mod windows;

use std::collections::BTreeMap;

use bar_files::{BarFile, CleaningReport};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Bar, Ticker};
use market_sim::{
    Market,
    chart::{self, ChartParameters},
};
use serde_json::Value;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn ticker(text: &str) -> Ticker {
    Ticker::parse(text).unwrap()
}

/// A bar file of one ticker whose bar number n of each session opens at 100 + n, closes at 101 + n, reaches one beyond
/// both, and has a volume of 6000. Minutes in `holes` have no bar.
fn staircase(sessions: &[(&str, &str)], holes: &[&str]) -> BarFile {
    let bars = sessions.iter().flat_map(|(open, close)| {
        let (open, close) = (time(open), time(close));
        (0..(close - open).num_minutes()).map(move |minute| {
            let base = 100.0 + minute as f64;
            Bar::new(
                open + TimeDelta::minutes(minute),
                base,
                base + 2.0,
                base - 1.0,
                base + 1.0,
                6_000.0,
            )
            .unwrap()
        })
    });
    let bars = bars
        .filter(|bar| !holes.iter().any(|hole| time(hole) == bar.start))
        .collect();
    BarFile {
        bars: BTreeMap::from([(ticker("AAPL"), bars)]),
        report: CleaningReport::default(),
    }
}

/// Friday, Monday, Tuesday.
const THREE_DAYS: [(&str, &str); 3] = [
    ("2018-03-23T13:30:00Z", "2018-03-23T20:00:00Z"),
    ("2018-03-26T13:30:00Z", "2018-03-26T20:00:00Z"),
    ("2018-03-27T13:30:00Z", "2018-03-27T20:00:00Z"),
];

fn three_days() -> Market {
    Market::recorded(staircase(&THREE_DAYS, &[]), &[], calendar::nyse()).unwrap()
}

fn parameters(pairs: &[(&str, &str)]) -> ChartParameters {
    let value = |name: &str| {
        pairs
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| (*value).to_owned())
    };
    ChartParameters {
        interval: value("interval"),
        range: value("range"),
        period1: value("period1"),
        period2: value("period2"),
        include_pre_post: value("includePrePost"),
        events: value("events"),
        crumb: None,
    }
}

/// The answer's `result[0]`.
fn ask(market: &Market, symbol: &str, pairs: &[(&str, &str)], now: &str) -> Value {
    let answer = chart::answer(
        market,
        calendar::nyse(),
        symbol,
        &parameters(pairs),
        time(now),
    );
    answer.unwrap()["chart"]["result"][0].take()
}

/// Status and description of the refusal.
fn refusal(market: &Market, symbol: &str, pairs: &[(&str, &str)], now: &str) -> (u16, String) {
    let (status, body) = chart::answer(
        market,
        calendar::nyse(),
        symbol,
        &parameters(pairs),
        time(now),
    )
    .unwrap_err();
    (
        status,
        body["chart"]["error"]["description"]
            .as_str()
            .unwrap()
            .to_owned(),
    )
}

/// The answer's rows: time, then open, high, low, close and volume, where there are any.
fn rows(result: &Value) -> Vec<(DateTime<Utc>, Option<[f64; 5]>)> {
    let Some(times) = result["timestamp"].as_array() else {
        return Vec::new();
    };
    let quote = &result["indicators"]["quote"][0];
    for name in ["open", "high", "low", "close", "volume"] {
        assert_eq!(quote[name].as_array().unwrap().len(), times.len(), "{name}");
    }
    let cell = |name: &str, index: usize| quote[name][index].as_f64();
    times
        .iter()
        .enumerate()
        .map(|(index, seconds)| {
            let values = ["open", "high", "low", "close", "volume"].map(|name| cell(name, index));
            let time = DateTime::from_timestamp(seconds.as_i64().unwrap(), 0).unwrap();
            (
                time,
                values
                    .into_iter()
                    .collect::<Option<Vec<f64>>>()
                    .map(|values| values.try_into().unwrap()),
            )
        })
        .collect()
}
