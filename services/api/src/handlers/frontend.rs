//! The dashboard's static files, for every path that is nobody else's.

use std::path::Path;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    response::{Html, IntoResponse as _, Response},
};
use tower::ServiceExt as _;
use tower_http::{
    compression::CompressionLayer,
    services::{ServeDir, ServeFile},
};

use crate::{error::ApiError, state::AppState};

/// Names under this folder hold a hash of their content.
const HASHED_FILES: &str = "/_next/static/";

/// Shown by a service that was started without the dashboard.
const ABSENT: &str = "<!doctype html><meta charset=\"utf-8\"><title>Tandem</title><p>The api is running; the \
     dashboard's files are not where TANDEM_FRONTEND_DIR points. Build them with <code>npm run build</code> in \
     <code>frontend</code>. <a href=\"/stocks\">/stocks</a>, <a href=\"/openapi.json\">/openapi.json</a>";

/// Serves what no other route does.
pub(crate) fn routes() -> Router<AppState> {
    Router::new().fallback(file).layer(CompressionLayer::new())
}

async fn file(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let path = request.uri().path().to_owned();
    let for_people = wants_html(request.headers());
    let method = request.method().clone();
    if method != Method::GET && method != Method::HEAD {
        return Err(ApiError::UnknownPath { path });
    }
    let files = ServeDir::new(&*state.frontend_dir).html_as_default_extension(true);
    let response = files.oneshot(request).await.into_response();
    if response.status() != StatusCode::NOT_FOUND {
        return Ok(with_caching(&path, response));
    }
    if !for_people {
        return Err(ApiError::UnknownPath { path });
    }
    if path == "/" {
        return Ok((StatusCode::NOT_FOUND, Html(ABSENT)).into_response());
    }
    Ok(not_found_page(&state.frontend_dir).await)
}

async fn not_found_page(frontend_dir: &Path) -> Response {
    let page = ServeFile::new(frontend_dir.join("404.html"))
        .oneshot(Request::<axum::body::Body>::default())
        .await
        .into_response();
    (StatusCode::NOT_FOUND, with_caching("/404.html", page)).into_response()
}

fn with_caching(path: &str, mut response: Response) -> Response {
    let caching = if path.starts_with(HASHED_FILES) {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}

fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}
