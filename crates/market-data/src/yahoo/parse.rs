use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{BAR_SECONDS, Bar, Price, ShareChange, Ticker};
use serde_json::Value;

use super::{
    client::MinuteRequest,
    error::{asked, from_message},
};
use crate::{
    FetchedBars, FormingTrade, RejectedEvent, RejectedRow, VendorError, VendorRow,
    new_york::moment,
    text::{excerpt, number},
};

/// Yahoo's name of the one-minute interval.
pub(crate) const MINUTE: &str = "1m";

/// Yahoo's name of the daily interval.
pub(crate) const DAY: &str = "1d";

/// Reads the body of a chart answer as [`YahooClient::minute_bars`](crate::YahooClient::minute_bars) does.
///
/// `is_regular` says whether a moment lies in a regular session.
///
/// # Errors
/// [`VendorError`] when the body holds no one-minute bars.
pub fn parse_minute_chart(
    body: &[u8],
    request: &MinuteRequest,
    is_regular: impl Fn(DateTime<Utc>) -> bool,
) -> Result<FetchedBars, VendorError> {
    let json = serde_json::from_slice(body)
        .map_err(|source| VendorError::from_json(source, asked(&request.ticker)))?;
    let chart = read_chart(&json, &request.ticker, MINUTE)?;
    Ok(bars_of(chart, request.as_of, request.grace, is_regular))
}

/// A chart's rows, not yet judged.
#[derive(Debug)]
pub(crate) struct Chart {
    /// In the vendor's order.
    pub(crate) rows: Vec<VendorRow>,
    /// Closes adjusted for splits and dividends, one for each row; `None` where Yahoo sends none.
    pub(crate) adjusted_closes: Vec<Option<f64>>,
    /// What is told of the shares, and rows without a time.
    pub(crate) events: Events,
    /// When the last trade happened that the answer knows of.
    pub(crate) market_time: Option<DateTime<Utc>>,
}

/// Lines the columns of an answer up to rows. Every field is read by itself: one that is odd costs its own row or event, or
/// what it alone says, and not the prices.
pub(crate) fn read_chart(
    json: &Value,
    ticker: &Ticker,
    interval: &'static str,
) -> Result<Chart, VendorError> {
    let asked = asked(ticker);
    let shape = |detail: &str| VendorError::Shape {
        asked: asked.clone(),
        detail: detail.to_owned(),
    };
    // A 401 sits under `finance`, all else under `chart`.
    let roots = ["chart", "finance", "quoteSummary"];
    let Some(body) = roots
        .iter()
        .map(|root| &json[root])
        .find(|body| body.is_object())
    else {
        return Err(shape("it is no chart"));
    };
    let block = match &body["result"] {
        Value::Null => None,
        Value::Array(blocks) => blocks.first(),
        other => Some(other),
    };
    let Some(block) = block else {
        let error = &body["error"];
        if error.is_null() {
            return Err(VendorError::NoData { asked });
        }
        let word = |name: &str| error[name].as_str().unwrap_or_default();
        return Err(from_message(word("code"), word("description"), asked));
    };
    let meta = &block["meta"];
    if !meta.is_object() {
        return Err(shape("its result is no chart"));
    }
    if meta["currency"].is_null() && meta["instrumentType"] == "MUTUALFUND" {
        return Err(VendorError::UnknownSymbol { asked });
    }
    if meta["dataGranularity"] != interval {
        let found = meta["dataGranularity"].as_str().unwrap_or_default();
        return Err(VendorError::Granularity {
            asked,
            interval,
            found: excerpt(found),
        });
    }
    let times: &[Value] = match &block["timestamp"] {
        Value::Null => &[],
        Value::Array(times) => times,
        _ => return Err(shape("its times are no list")),
    };
    let indicators = &block["indicators"];
    let columns = Columns::of(&indicators["quote"][0], times, ticker)?;
    // Where they do not line up, nobody knows which row each belongs to; the prices do without.
    let adjusted = indicators["adjclose"][0]["adjclose"]
        .as_array()
        .filter(|closes| closes.len() == times.len());
    let mut chart = Chart {
        rows: Vec::with_capacity(times.len()),
        adjusted_closes: Vec::with_capacity(times.len()),
        events: Events::read(&block["events"]),
        market_time: second(&meta["regularMarketTime"]),
    };
    for (place, seconds) in times.iter().enumerate() {
        let Some(time) = second(seconds) else {
            let row = columns.json(seconds, place);
            chart.events.rejected.push(RejectedEvent::without_time(row));
            continue;
        };
        chart.rows.push(columns.row(time, place));
        let adjusted = adjusted.and_then(|closes| number(closes.get(place)?));
        chart.adjusted_closes.push(adjusted.map(as_quoted));
    }
    if chart.rows.is_empty() && !times.is_empty() {
        return Err(shape("not one of its times can be read"));
    }
    if chart.rows.iter().all(VendorRow::is_empty) {
        return Err(VendorError::NoData { asked });
    }
    Ok(chart)
}

/// Applies the closing rules (see the crate's page).
pub(crate) fn bars_of(
    chart: Chart,
    as_of: DateTime<Utc>,
    grace: TimeDelta,
    is_regular: impl Fn(DateTime<Utc>) -> bool,
) -> FetchedBars {
    let Chart {
        mut rows,
        events,
        market_time,
        ..
    } = chart;
    let mut fetched = FetchedBars {
        rejected_events: events.rejected,
        ..FetchedBars::default()
    };
    let last_trade = rows.pop_if(|row| is_last_trade(row, market_time));
    let mut closed: BTreeMap<DateTime<Utc>, Bar> = BTreeMap::new();
    for row in rows {
        let end = row.time + TimeDelta::seconds(BAR_SECONDS);
        if row.is_empty() {
            fetched.without_trades += 1;
        } else if !is_regular(row.time) {
            fetched.outside_session += 1;
        } else if end + grace > as_of {
            // What a running minute looks like is nobody's fault; its price is good enough to show.
            let time = market_time
                .filter(|time| (row.time..end).contains(time))
                .unwrap_or(row.time);
            fetched.forming = forming(time, row.close).or(fetched.forming);
        } else {
            match row.to_bar() {
                // Yahoo sometimes repeats a minute: the fuller row is the bar.
                Ok(bar) => {
                    closed
                        .entry(bar.start)
                        .and_modify(|kept| *kept = kept.or_fuller(bar))
                        .or_insert(bar);
                }
                Err(fault) => fetched.rejected.push(RejectedRow { row, fault }),
            }
        }
    }
    fetched.closed = closed.into_values().collect();
    match last_trade {
        Some(row) if is_regular(row.time) => {
            fetched.forming = forming(row.time, row.close).or(fetched.forming);
        }
        Some(_) => fetched.outside_session += 1,
        None => (),
    }
    fetched
}

/// Whether Yahoo's last row is the last trade rather than a bar. Usually it is off the minute grid; a trade in the
/// first second of a minute is on it, and is known by the market's time.
fn is_last_trade(row: &VendorRow, market_time: Option<DateTime<Utc>>) -> bool {
    row.is_single_price()
        && (row.time.timestamp() % BAR_SECONDS != 0 || Some(row.time) == market_time)
}

fn forming(time: DateTime<Utc>, price: Option<f64>) -> Option<FormingTrade> {
    Some(FormingTrade {
        time,
        price: Price::new(price?).ok()?,
    })
}

/// The price as it was quoted. Yahoo keeps prices in single precision and sends them widened: 168.07 arrives as
/// 168.07000732421875. The shortest decimal of the same single is what was meant; other numbers are left as they are.
/// serde_json's reading of a number may be off by its last bit.
pub(crate) fn as_quoted(value: f64) -> f64 {
    let single = value as f32;
    if (f64::from(single) - value).abs() <= 2.0 * f64::EPSILON * value.abs() {
        single.to_string().parse().unwrap_or(value)
    } else {
        value
    }
}

/// What a chart tells of the shares.
#[derive(Debug, Default)]
pub(crate) struct Events {
    /// What happens at the open of which day, UTC, ascending.
    pub(crate) changes: Vec<(DateTime<Utc>, ShareChange)>,
    /// What has no meaning, rows without a time among it.
    pub(crate) rejected: Vec<RejectedEvent>,
}

/// A kind of event: its name in the answer, and how one is read.
type EventKind = (
    &'static str,
    fn(&Value) -> Result<ShareChange, &'static str>,
);

impl Events {
    /// Reads each event by itself: one that makes no sense says nothing about the others, nor about the prices.
    fn read(events: &Value) -> Self {
        let kinds: [EventKind; 2] = [("splits", split), ("dividends", dividend)];
        let mut read = Self::default();
        for (name, change) in kinds {
            for event in members(events.get(name)) {
                match (second(&event["date"]), change(event)) {
                    (Some(time), Ok(change)) => read.changes.push((time, change)),
                    (time, result) => read.rejected.push(RejectedEvent {
                        time,
                        reason: result.err().unwrap_or("an event without a time"),
                        event: event.clone(),
                    }),
                }
            }
        }
        read.changes.sort_by_key(|(time, _)| *time);
        read
    }
}

/// The events of one kind: by their times, as Yahoo writes them, or as a list. What is neither is one that makes no sense.
fn members(kind: Option<&Value>) -> Vec<&Value> {
    match kind {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Object(events)) => events.values().collect(),
        Some(Value::Array(events)) => events.iter().collect(),
        Some(other) => vec![other],
    }
}

/// A moment of Unix seconds; a float's fraction of a second is none of anybody's intentions.
fn second(value: &Value) -> Option<DateTime<Utc>> {
    moment(number(value)? as i64)
}

fn dividend(event: &Value) -> Result<ShareChange, &'static str> {
    event
        .get("amount")
        .and_then(number)
        .filter(|amount| *amount > 0.0)
        .map(|amount| ShareChange::Dividend { amount })
        .ok_or("a dividend without an amount above zero")
}

/// A split by its two numbers or, where one of them is odd, by the ratio that Yahoo writes beside them (`4:1`).
fn split(event: &Value) -> Result<ShareChange, &'static str> {
    let part = |name| event.get(name).and_then(number);
    let declared = || {
        let text = event.get("splitRatio")?.as_str()?;
        let (numerator, denominator) = text.split_once([':', '/'])?;
        let part = |text: &str| text.trim().parse::<f64>().ok();
        part(numerator).zip(part(denominator))
    };
    let is_meant = |(numerator, denominator): &(f64, f64)| {
        let ratio = numerator / denominator;
        [*numerator, *denominator, ratio]
            .iter()
            .all(|value| value.is_finite() && *value > 0.0)
    };
    part("numerator")
        .zip(part("denominator"))
        .filter(is_meant)
        .or_else(|| declared().filter(is_meant))
        .map(|(numerator, denominator)| share_change(numerator, denominator))
        .ok_or("a split without a ratio above zero")
}

/// Yahoo tells spin-offs as splits. Companies split by simple fractions (3:2, 20:1, 1:8, 21:20), and what a spun-off part
/// was worth is no such fraction (1281:1000, 1324:1000). A few new shares for many old ones (103:100, 1037:1000) are a
/// dividend paid in shares: from a quarter on (ASC 505-20) it would be called a split and be a simple fraction. Below
/// that the ratio alone cannot tell it from a small spin-off; what is declared in whole shares is believed, and costs a
/// few percent of the volumes before it where that is wrong, while prices are the same. No spin-off raises the price.
fn share_change(numerator: f64, denominator: f64) -> ShareChange {
    /// Largest denominator of a split in the wild: a stock dividend of 5 %.
    const LARGEST: u32 = 20;
    /// Smallest ratio that is no stock dividend.
    const NO_STOCK_DIVIDEND: f64 = 1.25;
    let ratio = numerator / denominator;
    let is_simple = (1..=LARGEST).any(|denominator| {
        let numerator = ratio * f64::from(denominator);
        (numerator - numerator.round()).abs() < 1e-6 * numerator
    });
    let is_stock_dividend =
        ratio < NO_STOCK_DIVIDEND && numerator.fract() == 0.0 && denominator.fract() == 0.0;
    if ratio < 1.0 || is_simple || is_stock_dividend {
        ShareChange::Split { ratio }
    } else {
        ShareChange::SpinOff { ratio }
    }
}

/// Names of the columns.
const COLUMNS: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// The columns of a chart, as long as its times. Yahoo mixes whole and broken numbers in them and at times writes "NaN".
struct Columns<'a>([Option<&'a Vec<Value>>; 5]);

impl<'a> Columns<'a> {
    /// Columns that are absent altogether are empty; one of another length means that values are missing somewhere, and
    /// nobody knows where.
    fn of(quote: &'a Value, times: &[Value], ticker: &Ticker) -> Result<Self, VendorError> {
        let columns = COLUMNS.map(|name| quote[name].as_array());
        let is_ragged = |column: &&Vec<Value>| column.len() != times.len();
        if times.is_empty() || !columns.iter().flatten().any(is_ragged) {
            return Ok(Self(columns));
        }
        let mut lengths = format!("{} times", times.len());
        for (name, column) in COLUMNS.iter().zip(columns) {
            lengths += &format!(", {} {name}", column.map_or(0, Vec::len));
        }
        Err(VendorError::Ragged {
            asked: asked(ticker),
            lengths,
        })
    }

    fn row(&self, time: DateTime<Utc>, place: usize) -> VendorRow {
        let value = |column: Option<&Vec<Value>>| number(column?.get(place)?);
        let [open, high, low, close, volume] = self.0.map(value);
        VendorRow {
            time,
            open: open.map(as_quoted),
            high: high.map(as_quoted),
            low: low.map(as_quoted),
            close: close.map(as_quoted),
            volume,
        }
    }

    /// A row as it came.
    fn json(&self, time: &Value, place: usize) -> Value {
        let value = |column: Option<&Vec<Value>>| column?.get(place).cloned();
        let cells = COLUMNS.into_iter().zip(self.0.map(value));
        let cells = cells.map(|(name, value)| (name, value.unwrap_or_default()));
        std::iter::once(("timestamp", time.clone()))
            .chain(cells)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spin_offs_are_told_from_splits_and_stock_dividends() {
        for (numerator, denominator) in [
            (2.0, 1.0),
            (3.0, 2.0),
            (4.0, 3.0),
            (1.333_333_33, 1.0),
            (1.25, 1.0),
            (21.0, 20.0),
            (1.0, 8.0),
            (1.0, 30.0),
            (2.0, 61.0),
            // Dividends paid in shares.
            (103.0, 100.0),
            (1_037.0, 1_000.0),
            (1_049.0, 1_000.0),
        ] {
            let ratio = numerator / denominator;
            assert_eq!(
                share_change(numerator, denominator),
                ShareChange::Split { ratio }
            );
        }
        for (numerator, denominator) in [
            (1_281.0, 1_000.0),
            (1_253.0, 1_000.0),
            (1_324.0, 1_000.0),
            (1_998.0, 1_000.0),
            (1.046, 1.0),
        ] {
            let ratio = numerator / denominator;
            assert_eq!(
                share_change(numerator, denominator),
                ShareChange::SpinOff { ratio }
            );
        }
    }

    #[test]
    fn an_odd_event_is_left_out_and_the_others_are_read() {
        let events = serde_json::json!({
            "splits": {
                "1": { "date": 1_519_655_400, "numerator": 4, "denominator": 1, "splitRatio": "4:1" },
                "2": { "date": 1_519_655_400, "numerator": null, "denominator": 1, "splitRatio": null },
                "3": { "date": 1_519_741_800, "numerator": null, "denominator": 1, "splitRatio": "3:2" },
                "4": { "date": 1_519_655_400, "numerator": 4, "denominator": 0, "splitRatio": "4:0" },
                "5": { "date": null, "numerator": 4, "denominator": 1, "splitRatio": "4:1" },
                "6": null,
            },
            "dividends": [
                { "date": 1_519_655_400, "amount": "0.25" },
                { "date": 1_519_655_400, "amount": "NaN" },
                { "date": "1519655400", "amount": -0.25 },
                { "date": 1e300, "amount": 0.25 },
            ],
            "capitalGains": { "1": { "date": 1_519_655_400, "amount": 1.0 } },
        });
        let Events { changes, rejected } = Events::read(&events);
        let time = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        let first = time(1_519_655_400);
        assert_eq!(
            changes,
            [
                (first, ShareChange::Split { ratio: 4.0 }),
                (first, ShareChange::Dividend { amount: 0.25 }),
                (time(1_519_741_800), ShareChange::Split { ratio: 1.5 }),
            ]
        );
        let reasons: Vec<_> = rejected.iter().map(|event| event.reason).collect();
        assert_eq!(
            reasons,
            [
                "a split without a ratio above zero",
                "a split without a ratio above zero",
                "an event without a time",
                "a split without a ratio above zero",
                "a dividend without an amount above zero",
                "a dividend without an amount above zero",
                "an event without a time",
            ]
        );
        for nothing in ["null", "[]", "{}", "7", r#"{"splits":null,"dividends":[]}"#] {
            let events = serde_json::from_str(nothing).unwrap();
            let Events { changes, rejected } = Events::read(&events);
            assert!(changes.is_empty() && rejected.is_empty(), "{nothing}");
        }
        let odd = Events::read(&serde_json::json!({ "splits": "4:1" }));
        assert_eq!(odd.rejected.len(), 1);
    }

    #[test]
    fn widened_prices_are_narrowed_and_others_kept() {
        for quoted in [168.07, 1458.055, 45.6401, 0.0001, 92_000.5] {
            assert_eq!(as_quoted(f64::from(quoted as f32)), quoted);
        }
        assert_eq!(as_quoted(168.070_000_1), 168.070_000_1);
        assert!(as_quoted(f64::NAN).is_nan());
    }
}
