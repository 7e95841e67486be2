use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{BAR_SECONDS, Bar, Price, ShareChange, Ticker};
use serde::Deserialize;
use serde_json::Value;

use super::{
    client::MinuteRequest,
    error::{asked, from_message},
};
use crate::{
    FetchedBars, FormingTrade, RejectedRow, Split, VendorError, VendorRow, new_york::moment,
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
    let chart = read_chart(json, &request.ticker, MINUTE)?;
    Ok(bars_of(chart, request.as_of, request.grace, is_regular))
}

/// A chart's rows, not yet judged.
#[derive(Debug)]
pub(crate) struct Chart {
    /// In the vendor's order.
    pub(crate) rows: Vec<VendorRow>,
    /// Closes adjusted for splits and dividends, one for each row; empty where Yahoo sends none.
    pub(crate) adjusted_closes: Vec<Option<f64>>,
    /// Ascending.
    pub(crate) splits: Vec<Split>,
    /// What happened at the open of which day, UTC, ascending.
    pub(crate) changes: Vec<(DateTime<Utc>, ShareChange)>,
    /// When the last trade happened that the answer knows of.
    pub(crate) market_time: Option<DateTime<Utc>>,
}

/// Lines the columns of an answer up to rows.
pub(crate) fn read_chart(
    json: Value,
    ticker: &Ticker,
    interval: &'static str,
) -> Result<Chart, VendorError> {
    let asked = asked(ticker);
    let envelope: Envelope = serde_json::from_value(json)
        .map_err(|source| VendorError::from_json(source, asked.clone()))?;
    // A 401 sits under `finance`, all else under `chart`.
    let Some(body) = envelope.chart.or(envelope.finance).or(envelope.summary) else {
        let detail = "it is no chart".to_owned();
        return Err(VendorError::Shape { asked, detail });
    };
    let block = body.result.and_then(|blocks| blocks.into_iter().next());
    let Some(block) = block else {
        return Err(match body.error {
            Some(error) => from_message(&error.code, &error.description, asked),
            None => VendorError::NoData { asked },
        });
    };
    let meta = block.meta;
    if meta.currency.is_none() && meta.instrument_type.as_deref() == Some("MUTUALFUND") {
        return Err(VendorError::UnknownSymbol { asked });
    }
    if meta.data_granularity.as_deref() != Some(interval) {
        let found = crate::text::excerpt(&meta.data_granularity.unwrap_or_default());
        return Err(VendorError::Granularity {
            asked,
            interval,
            found,
        });
    }
    let times = block.timestamp.unwrap_or_default();
    let Indicators { quote, adjclose } = block.indicators;
    let rows = quote
        .into_iter()
        .next()
        .unwrap_or_default()
        .rows(&times, ticker)?;
    if rows.iter().all(VendorRow::is_empty) {
        return Err(VendorError::NoData { asked });
    }
    let adjusted_closes: Vec<Option<f64>> = adjclose
        .and_then(|columns| columns.into_iter().next())
        .and_then(|column| column.adjclose)
        .unwrap_or_default()
        .iter()
        .map(|value| value.as_f64().map(as_quoted))
        .collect();
    if !adjusted_closes.is_empty() && adjusted_closes.len() != times.len() {
        let lengths = format!("{} times, {} adjclose", times.len(), adjusted_closes.len());
        return Err(VendorError::Ragged { asked, lengths });
    }
    let (splits, changes) = block.events.unwrap_or_default().read();
    let market_time = meta.regular_market_time.and_then(moment);
    Ok(Chart {
        rows,
        adjusted_closes,
        splits,
        changes,
        market_time,
    })
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
        splits,
        market_time,
        ..
    } = chart;
    let mut fetched = FetchedBars {
        splits,
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
                    let kept = closed.entry(bar.start).or_insert(bar);
                    if bar.volume > kept.volume {
                        *kept = bar;
                    }
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

#[derive(Deserialize)]
struct Envelope {
    chart: Option<Body>,
    finance: Option<Body>,
    #[serde(rename = "quoteSummary")]
    summary: Option<Body>,
}

#[derive(Default, Deserialize)]
struct Body {
    result: Option<Vec<Block>>,
    error: Option<Message>,
}

#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    code: String,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
struct Block {
    meta: Meta,
    timestamp: Option<Vec<i64>>,
    events: Option<Events>,
    #[serde(default)]
    indicators: Indicators,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta {
    currency: Option<String>,
    instrument_type: Option<String>,
    regular_market_time: Option<i64>,
    data_granularity: Option<String>,
}

#[derive(Default, Deserialize)]
struct Events {
    splits: Option<BTreeMap<String, SplitEvent>>,
    dividends: Option<BTreeMap<String, DividendEvent>>,
}

#[derive(Deserialize)]
struct SplitEvent {
    date: i64,
    numerator: f64,
    denominator: f64,
}

#[derive(Deserialize)]
struct DividendEvent {
    date: i64,
    amount: f64,
}

impl Events {
    /// The splits as changes of the share count, and all events as changes of the shares; both ascending. Events without
    /// a meaning (a ratio or amount that is not above zero) are left out.
    fn read(self) -> (Vec<Split>, Vec<(DateTime<Utc>, ShareChange)>) {
        let is_positive = |value: f64| value.is_finite() && value > 0.0;
        let mut splits: Vec<Split> = self
            .splits
            .unwrap_or_default()
            .into_values()
            .filter_map(|split| {
                let ratio = split.numerator / split.denominator;
                let effective = moment(split.date)?;
                is_positive(ratio).then_some(Split { effective, ratio })
            })
            .collect();
        splits.sort_by_key(|split| split.effective);
        let dividends = self.dividends.unwrap_or_default().into_values();
        let dividends = dividends.filter_map(|dividend| {
            let amount = dividend.amount;
            let effective = moment(dividend.date)?;
            is_positive(amount).then_some((effective, ShareChange::Dividend { amount }))
        });
        let mut changes: Vec<_> = splits
            .iter()
            .map(|split| (split.effective, share_change(split.ratio)))
            .chain(dividends)
            .collect();
        changes.sort_by_key(|(effective, _)| *effective);
        (splits, changes)
    }
}

/// Yahoo reports spin-offs as splits. Companies split by simple fractions (3:2, 20:1, 1:8, 21:20); what a spun-off part
/// was worth is no such fraction (1.281, 1.324).
fn share_change(ratio: f64) -> ShareChange {
    /// Largest denominator of a split in the wild: a stock dividend of 5 %.
    const LARGEST: u32 = 20;
    let times = if ratio < 1.0 { 1.0 / ratio } else { ratio };
    let is_simple = (1..=LARGEST).any(|denominator| {
        let numerator = times * f64::from(denominator);
        (numerator - numerator.round()).abs() < 1e-6 * numerator
    });
    if is_simple {
        ShareChange::Split { ratio }
    } else {
        ShareChange::SpinOff { ratio }
    }
}

#[derive(Default, Deserialize)]
struct Indicators {
    #[serde(default)]
    quote: Vec<Quote>,
    adjclose: Option<Vec<AdjustedCloses>>,
}

#[derive(Deserialize)]
struct AdjustedCloses {
    adjclose: Option<Vec<Value>>,
}

/// The columns. Values are kept as they came: Yahoo mixes whole and broken numbers and at times writes "NaN".
#[derive(Default, Deserialize)]
struct Quote {
    open: Option<Vec<Value>>,
    high: Option<Vec<Value>>,
    low: Option<Vec<Value>>,
    close: Option<Vec<Value>>,
    volume: Option<Vec<Value>>,
}

impl Quote {
    /// One row for each time. Columns that are absent altogether are empty; a column of another length means that values
    /// are missing somewhere, and nobody knows where.
    fn rows(self, times: &[i64], ticker: &Ticker) -> Result<Vec<VendorRow>, VendorError> {
        if times.is_empty() {
            return Ok(Vec::new());
        }
        let columns = [self.open, self.high, self.low, self.close, self.volume];
        if columns
            .iter()
            .flatten()
            .any(|column| column.len() != times.len())
        {
            let names = ["open", "high", "low", "close", "volume"];
            let mut lengths = format!("{} times", times.len());
            for (name, column) in names.iter().zip(&columns) {
                lengths += &format!(", {} {name}", column.as_ref().map_or(0, Vec::len));
            }
            return Err(VendorError::Ragged {
                asked: asked(ticker),
                lengths,
            });
        }
        let [open, high, low, close, volume] = &columns;
        let value = |column: &Option<Vec<Value>>, row: usize| column.as_ref()?.get(row)?.as_f64();
        let price = |column, row| value(column, row).map(as_quoted);
        let rows = times.iter().enumerate().filter_map(|(row, seconds)| {
            Some(VendorRow {
                time: moment(*seconds)?,
                open: price(open, row),
                high: price(high, row),
                low: price(low, row),
                close: price(close, row),
                volume: value(volume, row),
            })
        });
        Ok(rows.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spin_offs_are_told_from_splits() {
        for ratio in [
            2.0,
            3.0,
            1.5,
            4.0 / 3.0,
            1.333_333_33,
            1.25,
            1.05,
            20.0,
            0.125,
            1.0 / 30.0,
        ] {
            assert_eq!(share_change(ratio), ShareChange::Split { ratio });
        }
        for ratio in [1.281, 1.253, 1.324, 1.046, 1.998] {
            assert_eq!(share_change(ratio), ShareChange::SpinOff { ratio });
        }
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
