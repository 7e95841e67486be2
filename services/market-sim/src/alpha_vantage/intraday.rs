//! `TIME_SERIES_INTRADAY`: minutes that are over, stamped at their start by New York's wall clock, as since about 2021
//! (before, at their end).

use axum::{http::StatusCode, response::Response};
use chrono::{DateTime, Datelike, NaiveDate, TimeDelta, Utc};
use chrono_tz::America::New_York;
use domain::Bar;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{Parameters, error};
use crate::{Simulator, answer::json, market::Stock, tape::Tape};

/// What there is without a month: this long back, or so many of the newest.
const FULL: TimeDelta = TimeDelta::days(30);
const COMPACT: usize = 100;

pub(super) fn answer(simulator: &Simulator, parameters: &Parameters) -> Response {
    if parameters.interval.as_deref() != Some("1min") {
        return invalid();
    }
    let symbol = parameters.symbol.as_deref().unwrap_or_default();
    let Some(stock) = simulator.market.find(symbol) else {
        return invalid();
    };
    let now = simulator.clock.now();
    let is_adjusted = parameters.adjusted.as_deref() != Some("false");
    let stock = if is_adjusted {
        stock.as_of(now)
    } else {
        stock.raw()
    };
    let is_full = parameters.outputsize.as_deref() == Some("full");
    let wanted = match parameters.month.as_deref().map(month) {
        None => Period::Since(now - FULL),
        Some(Some(first)) => Period::Month(first),
        Some(None) => return invalid(),
    };
    let is_extended = parameters.extended_hours.as_deref() != Some("false");
    let bars = closed_bars(stock, &wanted, is_extended, now);
    let Some(newest) = bars.last() else {
        return invalid();
    };
    let from = if is_full {
        0
    } else {
        bars.len().saturating_sub(COMPACT)
    };
    let newest_first = bars.iter().skip(from).rev().map(row).collect();
    let size = if is_full { "Full size" } else { "Compact" };
    let meta = json!({
        "1. Information": "Intraday (1min) open, high, low, close prices and volume",
        "2. Symbol": stock.profile().ticker,
        "3. Last Refreshed": stamp(newest.start),
        "4. Interval": "1min",
        "5. Output Size": size,
        "6. Time Zone": "US/Eastern",
    });
    let body = Body {
        meta,
        series: Series(newest_first),
    };
    json(StatusCode::OK, &body)
}

#[derive(Serialize)]
struct Body {
    #[serde(rename = "Meta Data")]
    meta: Value,
    #[serde(rename = "Time Series (1min)")]
    series: Series,
}

/// A map in its own order.
struct Series(Vec<(String, Value)>);

impl Serialize for Series {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(time, row)| (time, row)))
    }
}

/// The words for whatever is wrong with the question.
fn invalid() -> Response {
    error(
        "Invalid API call. Please retry or visit the documentation (https://www.alphavantage.co/documentation/) for \
         TIME_SERIES_INTRADAY.",
    )
}

enum Period {
    Since(DateTime<Utc>),
    /// By its first day.
    Month(NaiveDate),
}

fn month(text: &str) -> Option<NaiveDate> {
    format!("{text}-01").parse().ok()
}

fn closed_bars(
    stock: Stock<'_>,
    wanted: &Period,
    is_extended: bool,
    now: DateTime<Utc>,
) -> Vec<Bar> {
    let sessions = stock.sessions().iter().enumerate();
    let wanted = sessions.filter(|(_, session)| match wanted {
        Period::Since(start) => session.close >= *start,
        Period::Month(first) => {
            (session.date.year(), session.date.month()) == (first.year(), first.month())
        }
    });
    wanted
        .filter_map(|(index, _)| Tape::at(stock, index, now, is_extended))
        .flat_map(|tape| tape.closed().to_vec())
        .collect()
}

fn row(bar: &Bar) -> (String, Value) {
    let price = |price: domain::Price| format!("{:.4}", price.get());
    let row = json!({
        "1. open": price(bar.open),
        "2. high": price(bar.high),
        "3. low": price(bar.low),
        "4. close": price(bar.close),
        "5. volume": bar.volume.to_string(),
    });
    (stamp(bar.start), row)
}

fn stamp(time: DateTime<Utc>) -> String {
    let local = time.with_timezone(&New_York);
    local.format("%Y-%m-%d %H:%M:%S").to_string()
}
