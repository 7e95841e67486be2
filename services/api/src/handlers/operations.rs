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
    body::{ModelsInUseBody, Phase, SetupBody, StaleBody},
    staleness::Silence,
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
    /// The market is open and sends no bars; null when it does.
    stale: Option<StaleBody>,
    /// What an operator must know, a sentence each.
    trouble: Vec<String>,
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
    /// Whether an open market sends bars: `failing` when it does not, `partial` when it sends none of some stocks.
    prices: &'static str,
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
    /// The database answers, its bars were read, and an open market sends new ones.
    ready: bool,
    /// What is missing; null when it is ready.
    reason: Option<String>,
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
    let Silence { stale, some } = state.watcher.silence();
    Json(HealthBody {
        status: if database && live_path && models_well && stale.is_none() {
            "ok"
        } else {
            "degraded"
        },
        phase: view.status().phase,
        parts: PartsBody {
            database: well(database),
            live_path: well(live_path),
            prices: if stale.is_none() && some.is_some() {
                "partial"
            } else {
                well(stale.is_none())
            },
            models: well(models_well),
            champions: view.status().models.clone(),
            tickers_ready: progress.ready,
            tickers_watched: progress.watched,
        },
        stale,
        trouble: view.status().trouble.clone(),
        setup: view.status().setup.clone(),
    })
}

/// Readiness: 200 when requests will be answered, and by prices of now.
#[utoipa::path(
    get, path = "/ready", tag = "operations",
    responses((status = 200, body = ReadyBody), (status = 503, body = ReadyBody)),
)]
pub(super) async fn ready(State(state): State<AppState>) -> (StatusCode, Json<ReadyBody>) {
    let reason = unready(&state).await;
    let status = if reason.is_none() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let ready = reason.is_none();
    (status, Json(ReadyBody { ready, reason }))
}

/// What keeps the service from its work.
async fn unready(state: &AppState) -> Option<String> {
    if !state.progress.borrow().loaded {
        return Some("The stored bars have not been read yet".to_owned());
    }
    if !database_answers(state).await {
        return Some("The database does not answer".to_owned());
    }
    state.watcher.silence().stale.map(|stale| stale.message)
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
