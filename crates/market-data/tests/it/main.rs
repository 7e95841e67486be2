//! Answers of the vendors: recorded ones, and over the wire.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/vendor_server.rs"]
mod vendor_server;

mod answers;
mod fixtures;
mod keyed;
mod recordings;
mod stream;
mod vintages;

use chrono::{DateTime, TimeDelta, Utc};
use domain::Ticker;
use market_data::MinuteRequest;

/// A recorded answer of Yahoo, or `None` when the recordings are not on this machine.
fn recording(name: &str) -> Option<String> {
    let path = test_support::shared("data/api_fixtures/yahoo")?.join(name);
    Some(std::fs::read_to_string(path).unwrap())
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

/// A request for a day up to `as_of` (Unix seconds), with a second of grace.
fn request(ticker: &str, as_of: i64) -> MinuteRequest {
    MinuteRequest {
        ticker: Ticker::parse(ticker).unwrap(),
        start: at(as_of - 86_400),
        end: at(as_of + 60),
        as_of: at(as_of),
        grace: TimeDelta::seconds(1),
    }
}
