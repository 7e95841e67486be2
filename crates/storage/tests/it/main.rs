//! Tests on a real PostgreSQL: `DATABASE_URL` names a server on which databases may be created.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed"
)]

mod adjusted;
mod analyses;
mod bars;
mod connect;
mod corporate_actions;
mod drift;
mod economy;
mod history;
mod listener;
mod migrations;
mod news;
mod operations;
mod outcomes;
mod pipeline;
mod quality;
mod revisions;
mod silence;
mod timescale;
mod validation;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{Bar, Ticker};
use storage::VendorBar;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn ticker(text: &str) -> Ticker {
    Ticker::parse(text).unwrap()
}

fn bar(start: DateTime<Utc>, close: f64) -> Bar {
    Bar::new(start, close, close + 1.0, close - 1.0, close, 100.0).unwrap()
}

fn vendor_bar(symbol: &str, bar: Bar) -> VendorBar {
    VendorBar {
        ticker: ticker(symbol),
        bar,
        source: "test",
        fetched_at: bar.close_time(),
    }
}

/// One bar a minute from `first` on, closes 100, 101 and so on.
fn minutes(symbol: &str, first: &str, count: i64) -> Vec<VendorBar> {
    (0..count)
        .map(|minute| {
            let start = time(first) + TimeDelta::minutes(minute);
            vendor_bar(symbol, bar(start, 100.0 + minute as f64))
        })
        .collect()
}
