//! What Yahoo's chart endpoint would say at a given moment.
//!
//! A market knows its whole day; here everything after `now` is cut off. While a session is open the last rows are the
//! forming minute (all null in its first seconds) and the last trade (off the minute grid, one price, volume 0). After
//! the close one more row stands at the session's end with the closing price and volume 0, until the next open.

use std::ops::Range;

use calendar::{Calendar, Session};
use chrono::{DateTime, Datelike, Months, NaiveTime, TimeDelta, Utc};
use serde::Deserialize;

use super::{
    meta::{Asked, meta},
    wire::{
        AdjustedClose, Chart, ChartAnswer, ChartResult, DividendEvent, Events, Indicators, Quote,
        Refusal, Shares, SplitEvent,
    },
};
use crate::{
    market::{self, DailyBar, Dividend, Market, Split, Stock},
    tape::{Latest, Row, Tape, day_row, extended_hours, minute_rows},
};

/// Longest window of minutes in one answer, and how far back they reach.
const MINUTES_PER_ANSWER: TimeDelta = TimeDelta::days(7);
const MINUTES_REACH: TimeDelta = TimeDelta::days(30);

/// The windows that have names.
pub(crate) const RANGES: [&str; 11] = [
    "1d", "5d", "1mo", "3mo", "6mo", "1y", "2y", "5y", "10y", "ytd", "max",
];

/// The query of a chart request, as it comes.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ChartParameters {
    /// `1m` (the default) or `1d`.
    pub interval: Option<String>,
    /// Window by name, such as `5d`; `1d` is the default. Overruled by `period1`.
    pub range: Option<String>,
    /// First second of the window, since 1970.
    pub period1: Option<String>,
    /// First second after the window; now is the default.
    pub period2: Option<String>,
    /// `true` for bars before the open and after the close too.
    #[serde(rename = "includePrePost")]
    pub include_pre_post: Option<String>,
    /// `div` and `split` among others, separated by `|` or `,`.
    pub events: Option<String>,
    /// The session's crumb; may be absent, but must not be wrong.
    pub crumb: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interval {
    Minute,
    Day,
}

/// Yahoo's answer as JSON, or its refusal: status and JSON.
///
/// # Errors
/// Status and body of Yahoo's refusal: unknown symbol, or a window or interval that it does not serve.
pub fn answer(
    market: &Market,
    calendar: &Calendar,
    symbol: &str,
    parameters: &ChartParameters,
    now: DateTime<Utc>,
) -> Result<serde_json::Value, (u16, serde_json::Value)> {
    chart(market, calendar, symbol, parameters, now)
        .map(|answer| serde_json::to_value(answer).unwrap_or_default())
        .map_err(|refusal| (refusal.status, refusal.to_json()))
}

pub(crate) fn chart(
    market: &Market,
    calendar: &Calendar,
    symbol: &str,
    parameters: &ChartParameters,
    now: DateTime<Utc>,
) -> Result<ChartAnswer, Refusal> {
    let interval = match parameters.interval.as_deref() {
        None | Some("1m") => Interval::Minute,
        Some("1d") => Interval::Day,
        Some(other) => {
            let description = format!(
                "Invalid input - interval={other} is not supported. Valid intervals: [1m, 1d]"
            );
            return Err(Refusal::bad_request(description));
        }
    };
    let stock = market
        .find(symbol)
        .ok_or_else(Refusal::unknown_symbol)?
        .as_of(now);
    let latest = Latest::at(stock, now).ok_or_else(Refusal::unknown_symbol)?;
    let window = window(stock, parameters, interval, now)?;
    let extended =
        interval == Interval::Minute && parameters.include_pre_post.as_deref() == Some("true");

    let sessions = sessions_within(stock, &window, now, interval, extended);
    let mut traded = Vec::new();
    let mut rows = Vec::new();
    for index in sessions {
        match interval {
            Interval::Minute => {
                let Some(tape) = Tape::at(stock, index, now, extended)
                    .filter(|tape| tape.last_trade().is_some())
                else {
                    continue;
                };
                rows.extend(minute_rows(&tape, index == latest.session));
                traded.push(tape.session);
            }
            Interval::Day => rows.extend(day_row(stock, index, now)),
        }
    }
    rows.retain(|row| window.contains(&row.time));
    let events = events_within(stock, &window, parameters, now);
    let adjusted = (interval == Interval::Day).then(|| {
        let adjclose = (!rows.is_empty()).then(|| adjusted_closes(stock, &rows, now));
        [AdjustedClose { adjclose }]
    });
    let asked = Asked {
        minutes: interval == Interval::Minute,
        start: window.start,
        range: parameters
            .period1
            .is_none()
            .then(|| range_name(parameters).to_owned()),
        extended,
    };
    let meta = meta(stock, calendar, &latest, &traded, asked, now);
    let result = ChartResult {
        meta,
        timestamp: (!rows.is_empty())
            .then(|| rows.iter().map(|row| row.time.timestamp()).collect()),
        events,
        indicators: Indicators {
            quote: [quote(&rows)],
            adjclose: adjusted,
        },
    };
    Ok(ChartAnswer {
        chart: Chart {
            result: [result],
            error: None,
        },
    })
}

/// The window asked for.
fn window(
    stock: Stock<'_>,
    parameters: &ChartParameters,
    interval: Interval,
    now: DateTime<Utc>,
) -> Result<Range<DateTime<Utc>>, Refusal> {
    if parameters.period1.is_none() {
        return named_window(stock, range_name(parameters), interval, now);
    }
    let time = |name: &str, value: Option<&str>| match value {
        None => Ok(now),
        Some(text) => text
            .parse()
            .ok()
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0))
            .ok_or_else(|| {
                Refusal::bad_request(format!("Invalid input - {name}={text} is not a valid time"))
            }),
    };
    let start = time("period1", parameters.period1.as_deref())?;
    let end = time("period2", parameters.period2.as_deref())?;
    if start > end {
        return Err(Refusal::bad_request(format!(
            "Invalid input - start date cannot be after end date. startDate = {}, endDate = {}",
            start.timestamp(),
            end.timestamp()
        )));
    }
    if interval == Interval::Minute {
        if end - start > MINUTES_PER_ANSWER {
            return Err(too_many_minutes(start, end));
        }
        if start < now - MINUTES_REACH {
            return Err(Refusal::unprocessable(format!(
                "1m data not available for startTime={} and endTime={}. The requested range must be within the last \
                 30 days.",
                start.timestamp(),
                end.timestamp()
            )));
        }
    }
    Ok(start..end)
}

fn too_many_minutes(start: DateTime<Utc>, end: DateTime<Utc>) -> Refusal {
    Refusal::unprocessable(format!(
        "1m data not available for startTime={} and endTime={}. Only 7 days worth of 1m granularity data are allowed \
         to be fetched per request.",
        start.timestamp(),
        end.timestamp()
    ))
}

fn range_name(parameters: &ChartParameters) -> &str {
    parameters.range.as_deref().unwrap_or("1d")
}

/// `1d` and `5d` count sessions, the others look back from now.
fn named_window(
    stock: Stock<'_>,
    range: &str,
    interval: Interval,
    now: DateTime<Utc>,
) -> Result<Range<DateTime<Utc>>, Refusal> {
    let sessions = stock.sessions();
    let open = |back: usize| {
        let opened = sessions.partition_point(|session| session.open <= now);
        sessions
            .get(opened.saturating_sub(back))
            .map(|session| session.open)
    };
    let months = |count| now.checked_sub_months(Months::new(count));
    let start = match range {
        "1d" => open(1),
        "5d" => open(5),
        "1mo" => months(1),
        "3mo" => months(3),
        "6mo" => months(6),
        "1y" => months(12),
        "2y" => months(24),
        "5y" => months(60),
        "10y" => months(120),
        "ytd" => now
            .date_naive()
            .with_ordinal(1)
            .map(|day| day.and_time(NaiveTime::MIN).and_utc()),
        "max" => sessions.first().map(|session| session.open),
        other => {
            let ranges = RANGES.join(", ");
            let description =
                format!("Invalid input - range={other} is not supported. Valid ranges: [{ranges}]");
            return Err(Refusal::bad_request(description));
        }
    };
    let end = now + TimeDelta::seconds(1);
    let start = start.unwrap_or(end);
    if interval == Interval::Minute && !matches!(range, "1d" | "5d") {
        return Err(too_many_minutes(start, end));
    }
    Ok(start..end)
}

/// Numbers of the sessions that have begun and of which something lies in the window: any of its minutes, or its open
/// for days.
fn sessions_within(
    stock: Stock<'_>,
    window: &Range<DateTime<Utc>>,
    now: DateTime<Utc>,
    interval: Interval,
    extended: bool,
) -> Range<usize> {
    let sessions = stock.sessions();
    let hours = |session: &Session| {
        if extended {
            extended_hours(session)
        } else {
            session.open..session.close
        }
    };
    let first = match interval {
        // `<`: the closing row stands at the end itself.
        Interval::Minute => sessions.partition_point(|session| hours(session).end < window.start),
        Interval::Day => sessions.partition_point(|session| session.open < window.start),
    };
    let end = sessions.partition_point(|session| {
        hours(session).start < window.end && hours(session).start <= now
    });
    first.min(end)..end
}

fn quote(rows: &[Row]) -> Quote {
    if rows.is_empty() {
        return Quote::default();
    }
    let prices = |price: fn(&DailyBar) -> f64| {
        Some(
            rows.iter()
                .map(|row| row.values.as_ref().map(|values| single(price(values))))
                .collect(),
        )
    };
    Quote {
        open: prices(|values| values.open),
        high: prices(|values| values.high),
        low: prices(|values| values.low),
        close: prices(|values| values.close),
        volume: Some(
            rows.iter()
                .map(|row| row.values.map(|values| Shares(values.volume)))
                .collect(),
        ),
    }
}

/// Yahoo keeps prices in single precision and writes them in double: 168.07 goes out as 168.07000732421875.
fn single(price: f64) -> f64 {
    f64::from(price as f32)
}

/// What has been done to the shares within the window, as far as asked for; none of nothing.
fn events_within(
    stock: Stock<'_>,
    window: &Range<DateTime<Utc>>,
    parameters: &ChartParameters,
    now: DateTime<Utc>,
) -> Option<Events> {
    let asked = |kind| {
        let kinds = parameters.events.as_deref().unwrap_or_default();
        kinds.split(['|', ',']).any(|asked| asked == kind)
    };
    let happened = |effective: DateTime<Utc>| window.contains(&effective) && effective <= now;
    let dividend = |dividend: Dividend| {
        let date = dividend.effective.timestamp();
        let amount = dividend.amount;
        (date, DividendEvent { amount, date })
    };
    let split = |split: &Split| {
        let date = split.effective.timestamp();
        let (numerator, denominator) = market::fraction(split.ratio);
        let event = SplitEvent {
            date,
            numerator,
            denominator,
            split_ratio: format!("{numerator}:{denominator}"),
        };
        (date, event)
    };
    let dividends = stock.dividends();
    let dividends = dividends.filter(|dividend| asked("div") && happened(dividend.effective));
    let splits = stock.splits().iter();
    let splits = splits.filter(|split| asked("split") && happened(split.effective));
    let events = Events {
        dividends: dividends.map(dividend).collect(),
        splits: splits.map(split).collect(),
    };
    (!events.dividends.is_empty() || !events.splits.is_empty()).then_some(events)
}

/// Closes of daily rows less the dividends that have been paid since: each lowers all prices before its ex-date by
/// `1 - D/C`, C being the close of the session before.
fn adjusted_closes(stock: Stock<'_>, rows: &[Row], now: DateTime<Utc>) -> Vec<f64> {
    let Some(first_row) = rows.first() else {
        return Vec::new();
    };
    let sessions = stock.sessions();
    let paid = stock
        .dividends()
        .filter(|dividend| first_row.time < dividend.effective && dividend.effective <= now);
    let mut steps: Vec<(DateTime<Utc>, f64)> = paid
        .filter_map(|dividend| {
            let session = sessions.partition_point(|session| session.open < dividend.effective);
            let close = stock.daily(session.checked_sub(1)?)?.close;
            Some((dividend.effective, 1.0 - dividend.amount / close))
        })
        .collect();
    let mut factor = 1.0;
    let mut adjusted: Vec<f64> = rows
        .iter()
        .rev()
        .map(|row| {
            while let Some((_, step)) = steps.pop_if(|(ex_date, _)| *ex_date > row.time) {
                factor *= step;
            }
            single(row.values.map_or(0.0, |values| values.close) * factor)
        })
        .collect();
    adjusted.reverse();
    adjusted
}
