use std::{collections::BTreeMap, time::Duration};

use calendar::Calendar;
use chrono::{DateTime, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use domain::{BAR_SECONDS, Bar, NewsArticle, NewsSource, Price, Ticker};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    client::MonthRequest,
    models::{Item, NewsAnswer},
};
use crate::{
    Asked, FetchedBars, FormingTrade, RejectedEvent, RejectedRow, VendorError, VendorRow,
    http::Answer,
    new_york::{self, is_plausible},
    news,
    text::{excerpt, finite, number, plain_text},
};

/// Alpha Vantage's name of the one-minute interval.
const MINUTE: &str = "1min";

/// A bar's columns in JSON; all numbers are texts.
const COLUMNS: [&str; 5] = ["1. open", "2. high", "3. low", "4. close", "5. volume"];

/// A row with its New York wall clock, not yet known to be a start or an end.
struct Stamped {
    wall: NaiveDateTime,
    /// Open, high, low, close, volume; `None` for what is no number.
    numbers: [Option<f64>; 5],
}

/// Reads one-minute bars, JSON or CSV (`datatype=csv` and the former `TIME_SERIES_INTRADAY_EXTENDED`).
pub(crate) fn bars_of(
    answer: &Answer,
    request: &MonthRequest,
    calendar: &Calendar,
    asked: &Asked,
) -> Result<FetchedBars, VendorError> {
    let body = answer.body.trim_start();
    let is_csv = body.starts_with("time,") || body.starts_with("timestamp,");
    let read = if is_csv && answer.refusal(asked, "").is_none() {
        csv_rows(body)
    } else {
        json_rows(answer, asked)?
    };
    let (mut rows, mut rejected_events) = (Vec::with_capacity(read.len()), Vec::new());
    for row in read {
        match row {
            Ok(row) => rows.push(row),
            Err(row) => rejected_events.push(row),
        }
    }
    if rows.is_empty() {
        let asked = asked.clone();
        return Err(if rejected_events.is_empty() {
            VendorError::NoData { asked }
        } else {
            let detail = "not one of its times can be read".to_owned();
            VendorError::Shape { asked, detail }
        });
    }
    let offset = start_offset(&rows, calendar).ok_or_else(|| VendorError::Stamps {
        asked: asked.clone(),
    })?;
    let starts = rows
        .into_iter()
        .filter_map(|row| Some((new_york::from_wall_clock(row.wall)? - offset, row.numbers)));
    Ok(FetchedBars {
        rejected_events,
        ..closed_bars(starts, request, calendar)
    })
}

/// Each row by itself: an odd one must not cost the others.
fn json_rows(
    answer: &Answer,
    asked: &Asked,
) -> Result<Vec<Result<Stamped, RejectedEvent>>, VendorError> {
    let json: Value = read(answer, asked)?;
    let shape = |detail: String| VendorError::Shape {
        asked: asked.clone(),
        detail,
    };
    let meta = &json["Meta Data"];
    if !meta.is_object() {
        return Err(shape("it has no metadata".to_owned()));
    }
    let word = |name: &str| meta[name].as_str().unwrap_or_default();
    let interval = word("4. Interval");
    if interval != MINUTE {
        let found = if interval.is_empty() {
            word("1. Information")
        } else {
            interval
        };
        return Err(VendorError::Granularity {
            asked: asked.clone(),
            interval: MINUTE,
            found: excerpt(found),
        });
    }
    let zone = word("6. Time Zone");
    if !["US/Eastern", "America/New_York"].contains(&zone) {
        let zone = excerpt(zone);
        return Err(shape(format!("its times are of the zone {zone:?}")));
    }
    // They sit under a key that names the interval; ascending by their times.
    let bars: BTreeMap<&String, &Value> = match &json["Time Series (1min)"] {
        Value::Null => BTreeMap::new(),
        Value::Object(bars) => bars.iter().collect(),
        _ => return Err(shape("its bars are no table".to_owned())),
    };
    let rows = bars.into_iter().map(|(time, row)| match wall_clock(time) {
        Some(wall) => Ok(Stamped {
            wall,
            numbers: COLUMNS.map(|name| number(&row[name])),
        }),
        None => Err(RejectedEvent::without_time(json!({ time: row }))),
    });
    Ok(rows.collect())
}

fn csv_rows(body: &str) -> Vec<Result<Stamped, RejectedEvent>> {
    let rows = body.lines().skip(1).filter(|line| !line.trim().is_empty());
    rows.map(|line| csv_row(line).ok_or_else(|| RejectedEvent::without_time(line.into())))
        .collect()
}

/// Wall clock, open, high, low, close, volume.
fn csv_row(line: &str) -> Option<Stamped> {
    let mut cells = line.split(',');
    let wall = wall_clock(cells.next()?)?;
    let numbers = [(); 5].map(|()| finite(cells.next()?));
    Some(Stamped { wall, numbers })
}

fn wall_clock(text: &str) -> Option<NaiveDateTime> {
    NaiveDateTime::parse_from_str(text.trim(), "%Y-%m-%d %H:%M:%S").ok()
}

/// What to subtract from a stamp to reach the bar's start. Until 2021 or so Alpha Vantage stamped bars at their end
/// (recorded in 2020: 04:01 to 20:00, the opening minute's volume at 09:31); since then at their start (recorded in 2024:
/// up to 19:55 for five minutes). So the answer itself decides: a stamp at the open of a session is a start, one at the
/// close an end. With extended hours both occur either way, and 04:00 and 20:00 decide. `None` when nothing does.
fn start_offset(rows: &[Stamped], calendar: &Calendar) -> Option<TimeDelta> {
    let clock = |hour| NaiveTime::from_hms_opt(hour, 0, 0);
    let (first, last) = (clock(4)?, clock(20)?);
    let (mut opens, mut closes, mut firsts, mut lasts, mut extended) = (0, 0, 0, 0, false);
    for row in rows {
        let Some((time, session)) =
            new_york::from_wall_clock(row.wall).zip(calendar.session_on(row.wall.date()))
        else {
            continue;
        };
        opens += usize::from(time == session.open);
        closes += usize::from(time == session.close);
        firsts += usize::from(row.wall.time() == first);
        lasts += usize::from(row.wall.time() == last);
        extended |= time < session.open || time > session.close;
    }
    let (starts, ends) = if extended {
        (firsts, lasts)
    } else {
        (opens, closes)
    };
    match starts.cmp(&ends) {
        std::cmp::Ordering::Greater => Some(TimeDelta::zero()),
        std::cmp::Ordering::Less => Some(TimeDelta::seconds(BAR_SECONDS)),
        std::cmp::Ordering::Equal => None,
    }
}

/// Sorts rows by start into closed, forming and rejected, as for any vendor.
fn closed_bars(
    rows: impl Iterator<Item = (DateTime<Utc>, [Option<f64>; 5])>,
    request: &MonthRequest,
    calendar: &Calendar,
) -> FetchedBars {
    let mut fetched = FetchedBars::default();
    let mut closed: BTreeMap<DateTime<Utc>, Bar> = BTreeMap::new();
    for (time, [open, high, low, close, volume]) in rows {
        let row = VendorRow {
            time,
            open,
            high,
            low,
            close,
            volume,
        };
        if calendar.session_at(time).is_none() {
            fetched.outside_session += 1;
        } else if time + TimeDelta::seconds(BAR_SECONDS) + request.grace > request.as_of {
            let price = close.and_then(|close| Price::new(close).ok());
            fetched.forming = price
                .map(|price| FormingTrade { time, price })
                .or(fetched.forming);
        } else {
            match row.to_bar() {
                Ok(bar) => {
                    closed.entry(bar.start).or_insert(bar);
                }
                Err(fault) => fetched.rejected.push(RejectedRow { row, fault }),
            }
        }
    }
    fetched.closed = closed.into_values().collect();
    fetched
}

/// The stories of an answer.
pub(crate) fn articles_of(
    answer: &Answer,
    ticker: &Ticker,
    asked: &Asked,
) -> Result<Vec<NewsArticle>, VendorError> {
    match read::<NewsAnswer>(answer, asked) {
        Ok(read) => news::articles(read.feed, asked, |item| article_of(item, ticker)),
        Err(VendorError::NoData { .. }) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn article_of(item: Item, ticker: &Ticker) -> Option<NewsArticle> {
    // Currencies (`FOREX:USD`) are no tickers.
    let about = item.ticker_sentiment.iter();
    let mut tickers: Vec<Ticker> = about
        .filter_map(|about| Ticker::parse(&about.ticker).ok())
        .collect();
    if tickers.is_empty() {
        tickers.push(ticker.clone());
    }
    let published = NaiveDateTime::parse_from_str(&item.time_published, "%Y%m%dT%H%M%S").ok()?;
    let url = news::address(item.url)?;
    Some(NewsArticle {
        source: NewsSource::AlphaVantage,
        // It has no ids.
        vendor_id: url.clone(),
        tickers,
        published_at: Some(published.and_utc()).filter(is_plausible)?,
        title: plain_text(&item.title)?,
        summary: plain_text(&item.summary),
        publisher: plain_text(&item.source),
        url: Some(url),
    })
}

/// The answer as JSON, unless it is a refusal: those come with status 200 under a few keys.
fn read<T: DeserializeOwned>(answer: &Answer, asked: &Asked) -> Result<T, VendorError> {
    if let Some(refusal) = answer.refusal(asked, "") {
        return Err(refusal);
    }
    let json: Value = answer.json(asked)?;
    for key in ["Note", "Information", "Error Message"] {
        if let Some(words) = json[key].as_str() {
            return Err(refusal(words, asked));
        }
    }
    if let Some(found) = json
        .as_object()
        .filter(|json| !json.contains_key("feed") && !json.contains_key("Meta Data"))
    {
        let names: Vec<&str> = found.keys().take(3).map(String::as_str).collect();
        return Err(VendorError::Shape {
            asked: asked.clone(),
            detail: excerpt(&format!("it holds {names:?}")),
        });
    }
    serde_json::from_value(json).map_err(|source| VendorError::from_json(source, asked.clone()))
}

/// What the words mean. Those about limits are not repeated: one of them holds the key.
fn refusal(words: &str, asked: &Asked) -> VendorError {
    let lower = words.to_ascii_lowercase();
    let says = |part: &str| lower.contains(part);
    let (asked, detail) = (asked.clone(), excerpt(words));
    // Some name two limits: the shorter one is meant.
    if says("per second") {
        VendorError::rate_limited(asked, Some(Duration::from_secs(2)))
    } else if says("per minute") {
        VendorError::rate_limited(asked, Some(Duration::from_secs(60)))
    } else if says("per day") {
        VendorError::BudgetSpent { asked }
    } else if says("premium endpoint") || says("premium feature") {
        let detail = "the plan of this key does not include it".to_owned();
        VendorError::Refused { asked, detail }
    } else if says("no articles found") {
        VendorError::NoData { asked }
    } else if says("apikey") || says("api key") {
        let detail = "it is missing or invalid".to_owned();
        VendorError::KeyRefused { asked, detail }
    } else {
        VendorError::Refused { asked, detail }
    }
}
