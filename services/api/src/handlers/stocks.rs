use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::Ticker;
use serde::Deserialize;
use storage::{HistoryRequest, Interval};
use utoipa::IntoParams;

use super::{Path, Query, ask, moment::moment};
use crate::{
    body::{BarBody, HistoryBody, PredictionsBody, StocksBody, StoredPredictionBody},
    error::{ApiError, ErrorBody},
    state::AppState,
};

const DEFAULT_BARS: u32 = 500;
const MOST_BARS: u32 = 20_000;
const DEFAULT_PREDICTIONS: u32 = 100;
const MOST_PREDICTIONS: u32 = 2_000;

/// The year 5138 has so many microseconds; what is longer no answer has given.
const MOST_CURSOR_DIGITS: usize = 17;

/// All watched stocks with their newest price and analysis.
#[utoipa::path(get, path = "/stocks", tag = "stocks", responses((status = 200, body = StocksBody)))]
pub(super) async fn list(State(state): State<AppState>) -> Json<StocksBody> {
    Json(state.board.view().stocks(state.clock.now(), |_| true))
}

/// Which bars are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryQuery {
    /// `1m` (default), `5m`, `15m`, `1h` or `1d`.
    #[param(pattern = "^(1m|5m|15m|1h|1d)$")]
    interval: Option<String>,
    /// Bars that start here or later: a date, which means its first moment in New York, or a time with its zone.
    #[param(schema_with = super::moment::schema)]
    start: Option<String>,
    /// Bars that start before: a date, which means its first moment in New York, or a time with its zone.
    #[param(schema_with = super::moment::schema)]
    end: Option<String>,
    /// Most bars in the answer: 1 to 20000, by default 500; the newest are taken.
    #[param(minimum = 1, maximum = 20000)]
    limit: Option<u32>,
    /// `next_cursor` of the answer to continue, with otherwise the same parameters.
    #[param(pattern = "^[0-9]{1,17}$")]
    cursor: Option<String>,
}

/// Bars of one stock, adjusted for splits, ascending; pages go back in time.
#[utoipa::path(
    get, path = "/stocks/{ticker}/historical", tag = "stocks",
    params(("ticker" = String, Path, description = "Symbol, such as AAPL", max_length = 15), HistoryQuery),
    responses(
        (status = 200, body = HistoryBody),
        (status = 400, body = ErrorBody, description = "`bad_parameter`, `bad_interval` or `bad_cursor`"),
        (status = 404, body = ErrorBody, description = "`unknown_ticker`"),
    ),
)]
pub(super) async fn history(
    State(state): State<AppState>,
    Path(ticker): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Json<HistoryBody>, ApiError> {
    let ticker = watched(&state, &ticker)?;
    let interval = match query.interval {
        None => Interval::OneMinute,
        Some(text) => {
            text.parse()
                .map_err(|error: storage::UnknownInterval| ApiError::BadParameter {
                    code: "bad_interval",
                    message: error.to_string(),
                })?
        }
    };
    let limit = limit(query.limit, DEFAULT_BARS, MOST_BARS)?;
    let time = |name, text: Option<&str>| text.map(|text| moment(name, text)).transpose();
    let start = time("start", query.start.as_deref())?;
    let end = time("end", query.end.as_deref())?;
    // The cursor is where the page before it began, so it lies before `end`.
    let cursor = query.cursor.as_deref().map(cursor).transpose()?;
    let request = HistoryRequest {
        interval,
        start,
        end: cursor.or(end),
        limit,
    };
    let page = ask(storage::history_page(&state.pool, &ticker, &request)).await?;
    Ok(Json(HistoryBody {
        ticker,
        interval: interval.name(),
        bars: page.bars.iter().map(BarBody::from).collect(),
        next_cursor: page.next_end.map(as_cursor),
    }))
}

/// Which analyses are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PredictionsQuery {
    /// Most analyses in the answer: 1 to 2000, by default 100.
    #[param(minimum = 1, maximum = 2000)]
    limit: Option<u32>,
    /// `next_cursor` of the answer to continue.
    #[param(pattern = "^[0-9]{1,17}$")]
    cursor: Option<String>,
}

/// What was said of one stock, newest first, as it was decided at the time.
#[utoipa::path(
    get, path = "/stocks/{ticker}/predictions", tag = "stocks",
    params(("ticker" = String, Path, description = "Symbol, such as AAPL", max_length = 15), PredictionsQuery),
    responses(
        (status = 200, body = PredictionsBody),
        (status = 400, body = ErrorBody, description = "`bad_parameter` or `bad_cursor`"),
        (status = 404, body = ErrorBody, description = "`unknown_ticker`"),
    ),
)]
pub(super) async fn predictions(
    State(state): State<AppState>,
    Path(ticker): Path<String>,
    Query(query): Query<PredictionsQuery>,
) -> Result<Json<PredictionsBody>, ApiError> {
    let ticker = watched(&state, &ticker)?;
    let limit = limit(query.limit, DEFAULT_PREDICTIONS, MOST_PREDICTIONS)?;
    let before = query.cursor.as_deref().map(cursor).transpose()?;
    let page = ask(storage::predictions_page(
        &state.pool,
        &ticker,
        before,
        limit,
    ))
    .await?;
    let full = page.len() == limit as usize;
    let oldest = page.last().map(|oldest| oldest.recommendation.bar_start);
    Ok(Json(PredictionsBody {
        ticker,
        predictions: page.into_iter().map(StoredPredictionBody::from).collect(),
        next_cursor: oldest.filter(|_| full).map(as_cursor),
    }))
}

pub(super) fn watched(state: &AppState, text: &str) -> Result<Ticker, ApiError> {
    let ticker = Ticker::parse(text)
        .ok()
        .filter(|ticker| state.board.place(ticker).is_some());
    ticker.ok_or_else(|| ApiError::UnknownTicker {
        ticker: text.to_owned(),
    })
}

pub(super) fn limit(asked: Option<u32>, default: u32, most: u32) -> Result<u32, ApiError> {
    let limit = asked.unwrap_or(default);
    if (1..=most).contains(&limit) {
        Ok(limit)
    } else {
        Err(ApiError::bad_parameter(
            "limit",
            format!("{limit} is not between 1 and {most}"),
        ))
    }
}

/// A cursor is a moment: page by key, so that new bars do not shift pages.
pub(super) fn as_cursor(time: DateTime<Utc>) -> String {
    time.timestamp_micros().to_string()
}

pub(super) fn cursor(text: &str) -> Result<DateTime<Utc>, ApiError> {
    let micros = digits(text, MOST_CURSOR_DIGITS);
    let time = micros.and_then(DateTime::from_timestamp_micros);
    time.ok_or_else(|| bad_cursor(text))
}

/// A number of so many digits at most, and nothing else.
pub(super) fn digits(text: &str, most: usize) -> Option<i64> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() <= most;
    text.parse().ok().filter(|_| is_number)
}

pub(super) fn bad_cursor(text: &str) -> ApiError {
    let shown: String = text.chars().take(60).collect();
    ApiError::BadParameter {
        code: "bad_cursor",
        message: format!("cursor: {shown:?} is no next_cursor of an earlier answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let time: DateTime<Utc> = "2018-03-26T13:30:00.000001Z".parse().unwrap();
        assert_eq!(cursor(&as_cursor(time)).unwrap(), time);
        assert!(cursor("yesterday").is_err());
        for bad in [
            "",
            "-1",
            "+1",
            "9223372036854775807",
            "8210266876799999999",
            "-8334601228800000000",
            "184467440737095516150",
        ] {
            assert!(cursor(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_limit_has_bounds() {
        assert_eq!(limit(None, 5, 10).unwrap(), 5);
        assert!(limit(Some(0), 5, 10).is_err());
        assert!(limit(Some(11), 5, 10).is_err());
    }
}
