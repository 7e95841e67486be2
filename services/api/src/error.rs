use std::time::Duration;

use axum::{
    Json,
    extract::rejection::{PathRejection, QueryRejection},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use storage::StorageError;
use utoipa::ToSchema;

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ApiError {
    /// The ticker is not watched.
    #[error("{ticker:?} is not a watched ticker: GET /stocks lists them")]
    UnknownTicker { ticker: String },
    /// There is no such model.
    #[error("there is no model {id:?}: GET /models lists the champions")]
    UnknownModel { id: String },
    /// No value of this economic series is known.
    #[error("no value of the series {series:?} is known: GET /macro lists the series")]
    UnknownSeries { series: String },
    /// There is nothing at this path.
    #[error("there is nothing at {path}: GET /openapi.json describes what there is")]
    UnknownPath { path: String },
    /// The path is right and the method is not.
    #[error("{path} cannot be asked by {method}: GET /openapi.json describes what there is")]
    WrongMethod { method: String, path: String },
    /// A parameter cannot be used.
    #[error("{message}")]
    BadParameter { code: &'static str, message: String },
    /// The database did not answer in time.
    #[error("no answer from the database within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The database failed.
    #[error("the database failed")]
    Storage(#[from] StorageError),
    /// Anything else.
    #[error("{0:#}")]
    Internal(anyhow::Error),
}

/// The envelope of every error.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody {
    error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Serialize, ToSchema)]
struct ErrorDetail {
    /// Stable, for programs.
    code: &'static str,
    /// For people.
    message: String,
}

impl ErrorBody {
    pub(crate) fn new(code: &'static str, message: String) -> Self {
        Self {
            error: ErrorDetail { code, message },
        }
    }
}

impl ApiError {
    pub(crate) fn bad_parameter(name: &str, problem: impl std::fmt::Display) -> Self {
        Self::BadParameter {
            code: "bad_parameter",
            message: format!("{name}: {problem}"),
        }
    }

    fn status(&self) -> (StatusCode, &'static str) {
        match self {
            Self::UnknownTicker { .. } => (StatusCode::NOT_FOUND, "unknown_ticker"),
            Self::UnknownModel { .. } => (StatusCode::NOT_FOUND, "unknown_model"),
            Self::UnknownSeries { .. } => (StatusCode::NOT_FOUND, "unknown_series"),
            Self::UnknownPath { .. } => (StatusCode::NOT_FOUND, "not_found"),
            Self::WrongMethod { .. } => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::BadParameter { code, .. } => (StatusCode::BAD_REQUEST, code),
            Self::Timeout(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Storage(error) if error.is_retryable() => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
            Self::Storage(_) | Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.status();
        let message = if status.is_server_error() {
            // The one place where a failed request is logged; the client learns nothing of the inside.
            let error = anyhow::Error::new(self);
            tracing::error!(
                http.status = status.as_u16(),
                error = format!("{error:#}"),
                "a request failed"
            );
            match status {
                StatusCode::SERVICE_UNAVAILABLE => {
                    "the database does not answer; try again in a moment"
                }
                _ => "something went wrong inside; the log says what",
            }
            .to_owned()
        } else {
            self.to_string()
        };
        (status, Json(ErrorBody::new(code, message))).into_response()
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::BadParameter {
            code: "bad_parameter",
            message: rejection.body_text(),
        }
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::BadParameter {
            code: "bad_parameter",
            message: rejection.body_text(),
        }
    }
}

impl From<anyhow::Error> for ApiError {
    fn from(error: anyhow::Error) -> Self {
        Self::Internal(error)
    }
}
