//! REST: each handler reads its parameters, asks one layer below and shapes the answer.

mod actions;
mod data_quality;
mod drift;
mod economy;
mod frontend;
mod models;
mod moment;
mod news;
mod openapi;
mod operations;
mod pipeline;
mod stocks;
mod track_record;
mod validation;

use std::time::{Duration, Instant};

use axum::{
    Router,
    extract::{FromRequestParts, Request, State},
    http::{HeaderValue, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::get,
};
use storage::StorageError;
use tower_http::compression::CompressionLayer;

use crate::{error::ApiError, socket, state::AppState};

/// A client that waits longer has left.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a path and of each of its parts: no file system has longer names, and nothing here is called so.
const MOST_PATH_BYTES: usize = 2_048;
const MOST_PART_BYTES: usize = 255;

/// All routes.
pub(crate) fn router(state: AppState) -> Router {
    let answers = Router::new()
        .route("/stocks", get(stocks::list))
        .route("/stocks/{ticker}/historical", get(stocks::history))
        .route("/stocks/{ticker}/predictions", get(stocks::predictions))
        .route("/stocks/{ticker}/news", get(news::list))
        .route("/stocks/{ticker}/actions", get(actions::list))
        .route("/macro", get(economy::list))
        .route("/data-quality", get(data_quality::report))
        .route("/pipeline/runs", get(pipeline::runs))
        .route("/models", get(models::list))
        .route("/models/{id}", get(models::one))
        .route("/validation", get(validation::reports))
        .route("/drift", get(drift::report))
        .route("/track-record", get(track_record::report))
        .route("/health", get(operations::health))
        .route("/ready", get(operations::ready))
        .route("/metrics", get(operations::metrics))
        .route("/openapi.json", get(openapi::document))
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::map_response(never_cached))
        .layer(CompressionLayer::new());
    answers
        .route("/ws", get(socket::connect))
        .merge(frontend::routes())
        .layer(middleware::from_fn(bound_path))
        .layer(middleware::from_fn_with_state(state.clone(), count))
        .with_state(state)
}

async fn wrong_method(request: Request) -> ApiError {
    ApiError::WrongMethod {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
    }
}

/// Refuses paths that could name nothing, before a file or a table is looked for.
async fn bound_path(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let problem = if path.len() > MOST_PATH_BYTES {
        format!(
            "it has {} bytes: expected {MOST_PATH_BYTES} at most",
            path.len()
        )
    } else if let Some(part) = path.split('/').find(|part| part.len() > MOST_PART_BYTES) {
        format!(
            "one of its parts has {} bytes: expected {MOST_PART_BYTES} at most",
            part.len()
        )
    } else if path.contains("%00") {
        "it holds a zero byte, which no name does".to_owned()
    } else {
        return next.run(request).await;
    };
    ApiError::bad_parameter("path", problem).into_response()
}

/// Prices are old within a minute.
async fn never_cached(mut response: Response) -> Response {
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn count(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let response = next.run(request).await;
    state
        .metrics
        .response(response.status().as_u16(), started.elapsed());
    response
}

/// The query string; errors come in the envelope.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
struct Query<T>(T);

/// Parts of the path; errors come in the envelope.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
struct Path<T>(T);

/// Asks the database, but not for ever.
async fn ask<T>(question: impl Future<Output = Result<T, StorageError>>) -> Result<T, ApiError> {
    match tokio::time::timeout(DATABASE_TIMEOUT, question).await {
        Ok(answer) => Ok(answer?),
        Err(_elapsed) => Err(ApiError::Timeout(DATABASE_TIMEOUT)),
    }
}
