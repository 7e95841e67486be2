use axum::{Json, extract::State};
use chrono::{DateTime, NaiveDate, Utc};
use domain::{ModelId, ModelKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::ValidationReport;
use utoipa::{IntoParams, ToSchema};

use super::{Query, ask, stocks::limit};
use crate::{
    champions::Places,
    error::{ApiError, ErrorBody},
    state::AppState,
};

const DEFAULT_REPORTS: u32 = 20;
const MOST_REPORTS: u32 = 500;

/// How challengers did beside the champions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Validations)]
pub(super) struct ValidationsBody {
    /// The comparisons, newest first.
    reports: Vec<ValidationBody>,
}

/// A comparison of a challenger with the champion of its kind, on sessions that neither has seen.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Validation)]
struct ValidationBody {
    /// The night's run that it belongs to; null when a person asked for it.
    run_id: Option<i64>,
    /// Session that the night follows, New York date.
    night: NaiveDate,
    /// `lstm` or `transformer`.
    #[schema(value_type = String)]
    kind: ModelKind,
    /// The model in service; null for none.
    #[schema(value_type = Option<String>)]
    champion: Option<ModelId>,
    /// The model that wanted its place.
    #[schema(value_type = String)]
    challenger: ModelId,
    /// `first`, `wins`, `does_not_win`, `cannot_tell` or `refused`.
    verdict: &'static str,
    /// What was found, in a sentence.
    statement: String,
    /// Whether nothing was changed by it, whatever the verdict.
    dry_run: bool,
    /// When it was made, market clock.
    created_at: DateTime<Utc>,
}

impl ValidationBody {
    fn new(report: ValidationReport, places: &Places) -> Self {
        let statement = report.report.get("statement").and_then(Value::as_str);
        let dry_run = report.report.get("dry_run").and_then(Value::as_bool);
        Self {
            run_id: report.run_id,
            night: report.night,
            kind: report.kind,
            champion: report.champion,
            challenger: report.challenger,
            verdict: report.verdict.name(),
            statement: places.without_folders(statement.unwrap_or_default()),
            dry_run: dry_run.unwrap_or_default(),
            created_at: report.created_at,
        }
    }
}

/// Which comparisons are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ValidationsQuery {
    /// `lstm` or `transformer`; by default both.
    #[param(value_type = Option<String>, pattern = "^(lstm|transformer)$")]
    kind: Option<ModelKind>,
    /// Most comparisons in the answer: 1 to 500, by default 20.
    #[param(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// How challengers did beside the champions, and what was decided.
#[utoipa::path(
    get, path = "/validation", tag = "models",
    params(ValidationsQuery),
    responses(
        (status = 200, body = ValidationsBody),
        (status = 400, body = ErrorBody, description = "`bad_parameter`"),
    ),
)]
pub(super) async fn reports(
    State(state): State<AppState>,
    Query(query): Query<ValidationsQuery>,
) -> Result<Json<ValidationsBody>, ApiError> {
    let limit = limit(query.limit, DEFAULT_REPORTS, MOST_REPORTS)?;
    let reports = storage::recent_validation_reports(&state.pool, query.kind, limit);
    Ok(Json(ValidationsBody {
        reports: ask(reports)
            .await?
            .into_iter()
            .map(|report| ValidationBody::new(report, &state.places))
            .collect(),
    }))
}
