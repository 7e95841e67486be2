use std::collections::BTreeMap;

use axum::{Json, extract::State};
use chrono::{DateTime, NaiveDate, Utc};
use domain::{MacroObservation, SeriesId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Query, ask, stocks::limit};
use crate::{
    error::{ApiError, ErrorBody},
    state::AppState,
};

/// The newest period of a series and the one before it.
const PERIODS: u32 = 2;

/// A century of a daily series.
const MOST_VINTAGES: u32 = 40_000;

/// Economic series as they are known now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Macro)]
pub(super) struct MacroBody {
    /// Market time of the answer: nothing in it was published later.
    as_of: DateTime<Utc>,
    /// By name.
    series: Vec<SeriesBody>,
}

/// The newest figure of a series. Values are in the series' own unit, see fred.stlouisfed.org.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Series)]
struct SeriesBody {
    /// Its id at FRED.
    #[schema(value_type = String)]
    series: SeriesId,
    /// First day of the newest period with a value: a day, month or quarter.
    period: NaiveDate,
    /// Its value as known now.
    value: f64,
    /// Since when this value could be known.
    available_at: DateTime<Utc>,
    /// The period before it with a value, as known now.
    previous_period: Option<NaiveDate>,
    /// `value` less that of the period before it.
    change: Option<f64>,
    /// As many of the newest vintages as were asked for, by the time since when they could be known.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<Vec<VintageBody>>,
}

/// What was said of a period, until the next vintage of that period.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Vintage)]
struct VintageBody {
    /// First day of the period: a day, month or quarter.
    period: NaiveDate,
    /// Its value; null where it was due and does not exist.
    value: Option<f64>,
    /// Since when it could be known.
    available_at: DateTime<Utc>,
}

/// Which series are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MacroQuery {
    /// Only this series, such as `CPIAUCSL`.
    #[param(max_length = 25)]
    series: Option<String>,
    /// So many of the newest vintages of each series, revisions included: 1 to 40000; by default none.
    #[param(minimum = 1, maximum = 40000)]
    history: Option<u32>,
}

/// The state of the economy, as it is known now.
#[utoipa::path(
    get, path = "/macro", tag = "macro",
    params(MacroQuery),
    responses(
        (status = 200, body = MacroBody),
        (status = 400, body = ErrorBody, description = "`bad_parameter`"),
        (status = 404, body = ErrorBody, description = "`unknown_series`"),
    ),
)]
pub(super) async fn list(
    State(state): State<AppState>,
    Query(query): Query<MacroQuery>,
) -> Result<Json<MacroBody>, ApiError> {
    let vintages = query
        .history
        .map(|wanted| limit(Some(wanted), 1, MOST_VINTAGES))
        .transpose()?;
    let wanted = query.series.as_deref().map(known_series).transpose()?;
    let as_of = state.clock.now();
    let newest = ask(storage::recent_observations(&state.pool, as_of, PERIODS)).await?;
    let mut series = series_of(newest);
    if let Some(wanted) = wanted {
        series.retain(|body| body.series == wanted);
        if series.is_empty() {
            return Err(ApiError::UnknownSeries {
                series: wanted.to_string(),
            });
        }
    }
    if let Some(vintages) = vintages {
        for body in &mut series {
            let name = std::slice::from_ref(&body.series);
            let history = ask(storage::macro_observations(&state.pool, name, as_of)).await?;
            body.history = Some(newest_vintages(history, vintages as usize));
        }
    }
    Ok(Json(MacroBody { as_of, series }))
}

fn known_series(text: &str) -> Result<SeriesId, ApiError> {
    SeriesId::parse(text).map_err(|_| ApiError::UnknownSeries {
        series: text.to_owned(),
    })
}

/// From the newest periods of each series, the newest first.
fn series_of(observations: Vec<MacroObservation>) -> Vec<SeriesBody> {
    let mut bodies: Vec<SeriesBody> = Vec::new();
    for observation in observations {
        let Some(value) = observation.value else {
            continue;
        };
        match bodies
            .last_mut()
            .filter(|body| body.series == observation.series)
        {
            None => bodies.push(SeriesBody {
                series: observation.series,
                period: observation.period,
                value,
                available_at: observation.available_at,
                previous_period: None,
                change: None,
                history: None,
            }),
            Some(body) => {
                body.previous_period = Some(observation.period);
                body.change = Some(rounded(body.value - value));
            }
        }
    }
    bodies
}

/// FRED's figures have at most four decimals: hides the noise of binary subtraction.
fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

/// The last `wanted` of the vintages, ascending. A value seen again, first without and then with its release day, is one
/// vintage.
fn newest_vintages(observations: Vec<MacroObservation>, wanted: usize) -> Vec<VintageBody> {
    let mut known: BTreeMap<NaiveDate, Option<f64>> = BTreeMap::new();
    let mut vintages: Vec<VintageBody> = observations
        .into_iter()
        .filter(|row| known.insert(row.period, row.value) != Some(row.value))
        .map(|row| VintageBody {
            period: row.period,
            value: row.value,
            available_at: row.available_at,
        })
        .collect();
    vintages.drain(..vintages.len().saturating_sub(wanted));
    vintages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observation(period: &str, value: Option<f64>, available_at: &str) -> MacroObservation {
        MacroObservation {
            series: SeriesId::parse("UNRATE").unwrap(),
            period: period.parse().unwrap(),
            value,
            available_at: available_at.parse().unwrap(),
        }
    }

    #[test]
    fn a_value_seen_twice_is_one_vintage() {
        let observations = vec![
            observation("2025-10-01", None, "2025-11-07T05:00:00Z"),
            observation("2025-11-01", Some(4.6), "2025-12-17T05:00:00Z"),
            observation("2025-11-01", Some(4.6), "2025-12-20T12:00:00Z"),
            observation("2025-11-01", Some(4.5), "2026-01-10T05:00:00Z"),
            observation("2025-11-01", Some(4.6), "2026-02-10T05:00:00Z"),
        ];
        let vintages = newest_vintages(observations.clone(), 10);
        let values: Vec<_> = vintages.iter().map(|vintage| vintage.value).collect();
        assert_eq!(values, [None, Some(4.6), Some(4.5), Some(4.6)]);
        assert_eq!(newest_vintages(observations, 1), vintages[3..]);
    }
}
