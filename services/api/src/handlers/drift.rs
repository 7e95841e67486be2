use axum::{Json, extract::State};
use chrono::{DateTime, NaiveDate, Utc};
use domain::{ModelId, ModelKind};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::{DriftEpisode, DriftReport};
use utoipa::{IntoParams, ToSchema};

use super::{Query, ask, stocks::limit};
use crate::{
    error::{ApiError, ErrorBody},
    state::AppState,
};

const DEFAULT_LOOKS: u32 = 50;
const MOST_LOOKS: u32 = 2_000;

/// How far the market has moved from what the champions know, and how they do.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Drift)]
pub(super) struct DriftBody {
    /// Market time of the answer.
    as_of: DateTime<Utc>,
    /// The recurrent network.
    lstm: KindDriftBody,
    /// The attention network.
    transformer: KindDriftBody,
}

/// The champion of one kind.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KindDrift)]
struct KindDriftBody {
    /// The newest look; null before the first.
    newest: Option<LookBody>,
    /// All figures of the newest look: what was found, prices, inputs, confidence, outcomes, earlier champions tried.
    #[schema(value_type = Object)]
    report: Value,
    /// The newest stretch of critical drift; null if there was none.
    episode: Option<EpisodeBody>,
    /// Looks, newest first.
    history: Vec<LookBody>,
}

/// A look at a champion.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DriftLook)]
struct LookBody {
    /// Which model was looked at.
    #[schema(value_type = String)]
    model_id: ModelId,
    /// When: nothing known later was used.
    as_of: DateTime<Utc>,
    /// The session looked at, New York date.
    session: NaiveDate,
    /// `healthy`, `degraded` or `critical`, after hysteresis.
    state: &'static str,
    /// What was done about it; empty for nothing.
    action: String,
}

/// A stretch of critical drift.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DriftEpisode)]
struct EpisodeBody {
    /// The champion when it began.
    #[schema(value_type = String)]
    model_id: ModelId,
    /// When the drift became critical.
    began_at: DateTime<Utc>,
    /// When it was over; null while it lasts.
    ended_at: Option<DateTime<Utc>>,
    /// `rolled_back`, `retraining_requested`, or null for nothing.
    action: Option<&'static str>,
    /// When that was done.
    acted_at: Option<DateTime<Utc>>,
    /// When a night had carried out the training that was asked for; null while the request is open.
    retrained_at: Option<DateTime<Utc>>,
}

impl From<&DriftReport> for LookBody {
    fn from(report: &DriftReport) -> Self {
        Self {
            model_id: report.model_id.clone(),
            as_of: report.as_of,
            session: report.session,
            state: report.state.name(),
            action: report.action.clone(),
        }
    }
}

impl From<DriftEpisode> for EpisodeBody {
    fn from(episode: DriftEpisode) -> Self {
        Self {
            model_id: episode.model_id,
            began_at: episode.began_at,
            ended_at: episode.ended_at,
            action: episode.action.map(|(action, _)| action.name()),
            acted_at: episode.action.map(|(_, at)| at),
            retrained_at: episode.retrained_at,
        }
    }
}

/// Which looks are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DriftQuery {
    /// Most looks of each kind: 1 to 2000, by default 50.
    #[param(minimum = 1, maximum = 2000)]
    limit: Option<u32>,
}

/// How the champions do, by what was measured last and before.
#[utoipa::path(
    get, path = "/drift", tag = "models",
    params(DriftQuery),
    responses(
        (status = 200, body = DriftBody),
        (status = 400, body = ErrorBody, description = "`bad_parameter`"),
    ),
)]
pub(super) async fn report(
    State(state): State<AppState>,
    Query(query): Query<DriftQuery>,
) -> Result<Json<DriftBody>, ApiError> {
    let limit = limit(query.limit, DEFAULT_LOOKS, MOST_LOOKS)?;
    Ok(Json(DriftBody {
        as_of: state.clock.now(),
        lstm: of_kind(&state, ModelKind::Lstm, limit).await?,
        transformer: of_kind(&state, ModelKind::Transformer, limit).await?,
    }))
}

async fn of_kind(state: &AppState, kind: ModelKind, limit: u32) -> Result<KindDriftBody, ApiError> {
    let pool = &state.pool;
    let looks = ask(storage::recent_drift_reports(pool, Some(kind), None, limit)).await?;
    let episode = ask(storage::newest_drift_episode(pool, kind)).await?;
    Ok(KindDriftBody {
        newest: looks.first().map(LookBody::from),
        history: looks.iter().map(LookBody::from).collect(),
        report: looks
            .into_iter()
            .next()
            .map_or(Value::Null, |newest| newest.report),
        episode: episode.map(EpisodeBody::from),
    })
}
