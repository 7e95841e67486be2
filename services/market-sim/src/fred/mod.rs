//! The Federal Reserve Bank of St. Louis: FRED's JSON API, which wants a key, and the CSV behind its graphs, which does
//! not.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use chrono_tz::America::{Chicago, New_York};
use domain::SeriesId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    Simulator,
    answer::json_as,
    budget::{Budget, Key},
    economy::{self, Series, Vintage},
};

const JSON: &str = "application/json; charset=UTF-8";

/// Most rows and most vintages that an answer may take in.
const LARGEST_PAGE: usize = 100_000;
const MOST_VINTAGES: usize = 2_000;

/// FRED's first and last days.
const FIRST_DAY: NaiveDate = match NaiveDate::from_ymd_opt(1776, 7, 4) {
    Some(date) => date,
    None => NaiveDate::MIN,
};
const LAST_DAY: NaiveDate = match NaiveDate::from_ymd_opt(9999, 12, 31) {
    Some(date) => date,
    None => NaiveDate::MAX,
};
const FIRST_OBSERVATION: NaiveDate = match NaiveDate::from_ymd_opt(1600, 1, 1) {
    Some(date) => date,
    None => NaiveDate::MIN,
};

pub(crate) fn budget() -> Budget {
    Budget::new(120, TimeDelta::minutes(1))
}

pub(crate) fn router(simulator: Arc<Simulator>) -> Router {
    Router::new()
        .route("/fred/series/observations", get(observations))
        .route("/fred/series/vintagedates", get(vintage_dates))
        .route("/fred/series", get(series))
        .route("/graph/fredgraph.csv", get(graph))
        .with_state(simulator)
}

#[derive(Deserialize)]
struct Parameters {
    series_id: Option<String>,
    api_key: Option<String>,
    file_type: Option<String>,
    realtime_start: Option<NaiveDate>,
    realtime_end: Option<NaiveDate>,
    observation_start: Option<NaiveDate>,
    observation_end: Option<NaiveDate>,
    sort_order: Option<String>,
    limit: Option<usize>,
    offset: Option<usize>,
}

impl Parameters {
    /// The series asked for, unless key or question are wrong.
    fn series<'a>(
        &self,
        simulator: &'a Simulator,
        now: DateTime<Utc>,
    ) -> Result<(&'a SeriesId, &'a Series), Box<Response>> {
        let key = match Key::of(self.api_key.clone()) {
            Key::Missing => return Err(Box::new(missing_key())),
            Key::Wrong => return Err(Box::new(refused())),
            Key::Good(key) => key,
        };
        if !simulator.fred_budget.take(&key, now) {
            return Err(Box::new(limited()));
        }
        if self.file_type.as_deref() != Some("json") {
            let what = "The simulator speaks JSON only: set file_type=json.";
            return Err(Box::new(bad_request(what)));
        }
        let Some(id) = self.series_id.as_deref().filter(|id| !id.is_empty()) else {
            return Err(Box::new(bad_request("Variable series_id is not set.")));
        };
        let series = simulator.economy.series(id);
        series.ok_or_else(|| Box::new(bad_request("The series does not exist.")))
    }
}

async fn observations(
    State(simulator): State<Arc<Simulator>>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let now = simulator.clock.now();
    let (_, series) = match parameters.series(&simulator, now) {
        Ok(series) => series,
        Err(refusal) => return *refusal,
    };
    let today = date_at(now);
    let first = parameters.realtime_start.unwrap_or(today);
    let last = parameters.realtime_end.unwrap_or(today);
    if first > last {
        return bad_request("Variable realtime_start can not be after variable realtime_end.");
    }
    let began = vintage_days(series, now);
    if began
        .iter()
        .filter(|day| (first..=last).contains(day))
        .count()
        > MOST_VINTAGES
    {
        return bad_request(
            "This exceeds the maximum number of vintage dates allowed (2000) in the real-time period.",
        );
    }
    let from = parameters.observation_start.unwrap_or(FIRST_OBSERVATION);
    let to = parameters.observation_end.unwrap_or(LAST_DAY);
    let mut rows: Vec<Value> = spells(series, now)
        .filter(|spell| (from..=to).contains(&spell.vintage.period))
        .filter(|spell| spell.first <= last && first <= spell.last)
        .map(|spell| {
            json!({
                "realtime_start": spell.first.max(first),
                "realtime_end": spell.last.min(last),
                "date": spell.vintage.period,
                "value": value(spell.vintage),
            })
        })
        .collect();
    let is_descending = parameters.sort_order.as_deref() == Some("desc");
    if is_descending {
        rows.reverse();
    }
    let limit = parameters.limit.unwrap_or(LARGEST_PAGE).min(LARGEST_PAGE);
    let offset = parameters.offset.unwrap_or(0);
    let page: Vec<&Value> = rows.iter().skip(offset).take(limit).collect();
    let body = json!({
        "realtime_start": first,
        "realtime_end": last,
        "observation_start": from,
        "observation_end": to,
        "units": "lin",
        "output_type": 1,
        "file_type": "json",
        "order_by": "observation_date",
        "sort_order": if is_descending { "desc" } else { "asc" },
        "count": rows.len(),
        "offset": offset,
        "limit": limit,
        "observations": page,
    });
    json_as(StatusCode::OK, JSON, &body)
}

async fn vintage_dates(
    State(simulator): State<Arc<Simulator>>,
    Query(parameters): Query<Parameters>,
) -> Response {
    const LARGEST: usize = 10_000;
    let now = simulator.clock.now();
    let (_, series) = match parameters.series(&simulator, now) {
        Ok(series) => series,
        Err(refusal) => return *refusal,
    };
    let first = parameters.realtime_start.unwrap_or(FIRST_DAY);
    let last = parameters.realtime_end.unwrap_or(LAST_DAY);
    let mut dates = vintage_days(series, now);
    dates.retain(|day| (first..=last).contains(day));
    let limit = parameters.limit.unwrap_or(LARGEST).min(LARGEST);
    let offset = parameters.offset.unwrap_or(0);
    let page: Vec<&NaiveDate> = dates.iter().skip(offset).take(limit).collect();
    let body = json!({
        "realtime_start": first,
        "realtime_end": last,
        "order_by": "vintage_date",
        "sort_order": "asc",
        "count": dates.len(),
        "offset": offset,
        "limit": limit,
        "vintage_dates": page,
    });
    json_as(StatusCode::OK, JSON, &body)
}

async fn series(
    State(simulator): State<Arc<Simulator>>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let now = simulator.clock.now();
    let (id, series) = match parameters.series(&simulator, now) {
        Ok(series) => series,
        Err(refusal) => return *refusal,
    };
    let today = date_at(now);
    let (title, units) = economy::description(id);
    let (frequency, short) = series.frequency.names();
    let periods = || series.known(now).map(|vintage| vintage.period);
    let updated = series.known(now).map(|vintage| vintage.released_at).max();
    let updated = updated.map(|time| {
        let local = time.with_timezone(&Chicago);
        // FRED cuts the minutes of the zone.
        let text = local.format("%Y-%m-%d %H:%M:%S%:z").to_string();
        text.trim_end_matches(":00").to_owned()
    });
    let body = json!({
        "realtime_start": today,
        "realtime_end": today,
        "seriess": [{
            "id": id,
            "realtime_start": today,
            "realtime_end": today,
            "title": title,
            "observation_start": periods().min(),
            "observation_end": periods().max(),
            "frequency": frequency,
            "frequency_short": short,
            "units": units,
            "units_short": units,
            "seasonal_adjustment": "Not Seasonally Adjusted",
            "seasonal_adjustment_short": "NSA",
            "last_updated": updated,
            "popularity": 50,
            "notes": "",
        }],
    });
    json_as(StatusCode::OK, JSON, &body)
}

#[derive(Deserialize)]
struct GraphParameters {
    #[serde(default)]
    id: String,
    cosd: Option<NaiveDate>,
    coed: Option<NaiveDate>,
}

/// The newest vintage of every period, and nothing about releases.
async fn graph(
    State(simulator): State<Arc<Simulator>>,
    Query(parameters): Query<GraphParameters>,
) -> Response {
    let Some((id, series)) = simulator.economy.series(&parameters.id) else {
        let html = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
        let page = "<!DOCTYPE html><html><head><title>Error - St. Louis Fed</title></head></html>";
        return (StatusCode::NOT_FOUND, html, page).into_response();
    };
    let from = parameters.cosd.unwrap_or(FIRST_OBSERVATION);
    let to = parameters.coed.unwrap_or(LAST_DAY);
    let newest: BTreeMap<NaiveDate, &Vintage> = series
        .known(simulator.clock.now())
        .filter(|vintage| (from..=to).contains(&vintage.period))
        .map(|vintage| (vintage.period, vintage))
        .collect();
    let mut text = format!("observation_date,{id}\n");
    for (period, vintage) in newest {
        let value = vintage
            .value
            .map_or_else(String::new, |value| value.to_string());
        text.push_str(&format!("{period},{value}\n"));
    }
    ([(header::CONTENT_TYPE, "application/csv")], text).into_response()
}

/// What was said about a period from one day to another, FRED's way: whole days, the last open.
struct Spell<'a> {
    vintage: &'a Vintage,
    first: NaiveDate,
    last: NaiveDate,
}

fn spells(series: &Series, now: DateTime<Utc>) -> impl Iterator<Item = Spell<'_>> {
    let mut known = series.known(now).peekable();
    std::iter::from_fn(move || {
        let vintage = known.next()?;
        let next = known.peek().filter(|next| next.period == vintage.period);
        let last = next.and_then(|next| date_at(next.released_at).pred_opt());
        Some(Spell {
            vintage,
            first: date_at(vintage.released_at),
            last: last.unwrap_or(LAST_DAY),
        })
    })
}

/// The days on which something new was said, ascending.
fn vintage_days(series: &Series, now: DateTime<Utc>) -> Vec<NaiveDate> {
    let mut days: Vec<NaiveDate> = series
        .known(now)
        .map(|vintage| date_at(vintage.released_at))
        .collect();
    days.sort_unstable();
    days.dedup();
    days
}

/// The day of a release. FRED's own days are Chicago's; all releases fall into hours when New York has the same day.
fn date_at(time: DateTime<Utc>) -> NaiveDate {
    time.with_timezone(&New_York).date_naive()
}

fn value(vintage: &Vintage) -> String {
    vintage
        .value
        .map_or_else(|| ".".to_owned(), |value| value.to_string())
}

fn missing_key() -> Response {
    bad_request(
        "Variable api_key is not set.  Read https://fred.stlouisfed.org/docs/api/api_key.html for more information.",
    )
}

pub(crate) fn limited() -> Response {
    error(
        StatusCode::TOO_MANY_REQUESTS,
        "Too Many Requests.  Exceeded Rate Limit",
    )
}

pub(crate) fn refused() -> Response {
    bad_request(
        "The value for variable api_key is not registered.  Read \
         https://fred.stlouisfed.org/docs/api/api_key.html for more information.",
    )
}

fn bad_request(what: &str) -> Response {
    error(StatusCode::BAD_REQUEST, &format!("Bad Request.  {what}"))
}

fn error(status: StatusCode, message: &str) -> Response {
    let body = json!({ "error_code": status.as_u16(), "error_message": message });
    json_as(status, JSON, &body)
}
