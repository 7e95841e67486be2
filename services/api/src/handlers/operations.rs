use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    body::{ModelsInUseBody, Phase, SetupBody},
    state::AppState,
};

/// A database that takes longer to give a connection is not well.
const DATABASE_PATIENCE: Duration = Duration::from_secs(2);

/// Whether the process lives and how its parts are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Health)]
pub(super) struct HealthBody {
    /// `ok`, or `degraded` when a part is in trouble; the process itself lives either way.
    status: &'static str,
    /// How far the system has come.
    phase: Phase,
    /// The parts.
    parts: PartsBody,
    /// What a first start still compiles; null when nothing is compiled, or all is done.
    setup: Option<SetupBody>,
}

/// How the parts are.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Parts)]
struct PartsBody {
    /// Whether the database gives a connection.
    database: &'static str,
    /// Whether new bars are read and analysed.
    live_path: &'static str,
    /// Whether what lies on disk is in use.
    models: &'static str,
    /// The champions in use.
    champions: ModelsInUseBody,
    /// Tickers with enough bars for the models.
    tickers_ready: usize,
    /// Watched tickers.
    tickers_watched: usize,
}

/// Whether the service can do its work.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ready)]
pub(super) struct ReadyBody {
    /// The database answers and its bars were read.
    ready: bool,
}

/// Liveness, and the state of the parts.
#[utoipa::path(get, path = "/health", tag = "operations", responses((status = 200, body = HealthBody)))]
pub(super) async fn health(State(state): State<AppState>) -> Json<HealthBody> {
    let database = database_answers(&state).await;
    let progress = state.progress.borrow().clone();
    let models_well = state.models.borrow().trouble.is_none();
    let view = state.board.view();
    let well = |well: bool| if well { "ok" } else { "failing" };
    let live_path = progress.loaded && progress.trouble.is_none();
    Json(HealthBody {
        status: if database && live_path && models_well {
            "ok"
        } else {
            "degraded"
        },
        phase: view.status().phase,
        parts: PartsBody {
            database: well(database),
            live_path: well(live_path),
            models: well(models_well),
            champions: view.status().models.clone(),
            tickers_ready: progress.ready,
            tickers_watched: progress.watched,
        },
        setup: view.status().setup.clone(),
    })
}

/// Readiness: 200 when requests will be answered.
#[utoipa::path(
    get, path = "/ready", tag = "operations",
    responses((status = 200, body = ReadyBody), (status = 503, body = ReadyBody)),
)]
pub(super) async fn ready(State(state): State<AppState>) -> (StatusCode, Json<ReadyBody>) {
    let loaded = state.progress.borrow().loaded;
    let ready = loaded && database_answers(&state).await;
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(ReadyBody { ready }))
}

/// Counters and latencies in Prometheus' text format.
#[utoipa::path(
    get, path = "/metrics", tag = "operations",
    responses((status = 200, body = String, content_type = "text/plain")),
)]
pub(super) async fn metrics(State(state): State<AppState>) -> impl IntoResponse {
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        state.metrics.render(),
    )
}

async fn database_answers(state: &AppState) -> bool {
    // A pooled connection is tested before it is handed out.
    matches!(
        tokio::time::timeout(DATABASE_PATIENCE, state.pool.acquire()).await,
        Ok(Ok(_))
    )
}
