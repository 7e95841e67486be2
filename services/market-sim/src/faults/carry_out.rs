//! Faults of the connection and of whole answers.

use std::{convert::Infallible, io, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::Request,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use tower::ServiceExt;

use super::{Due, Fault, Faults};
use crate::{
    alpha_vantage, finnhub, fred, newsapi,
    vendor::{Asked, Endpoint, Vendor},
    yahoo,
};

/// Marks an answer in whose stead the connection ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HangUp;

const PAGE: &str = "<!DOCTYPE html><html><head><title>Please wait</title></head><body><p>Our engineers are working \
     quickly to resolve the issue.</p></body></html>";

/// Lets a fault happen. Faults in bars are left to the vendor's own answer.
pub(crate) async fn carry_out(
    faults: &Faults,
    due: Due,
    asked: &Asked,
    mut request: Request,
    vendor: Router,
) -> Response {
    let response = match due.fault {
        Fault::TooManyRequests => limited(asked),
        Fault::Unauthorized => refused(asked.vendor),
        Fault::ServerError => page(StatusCode::SERVICE_UNAVAILABLE),
        Fault::Html => page(StatusCode::OK),
        Fault::Unavailable => hang_up(),
        Fault::PoisonedCrumb if asked.endpoint == Endpoint::Crumb => yahoo::poisoned_crumb(),
        Fault::PoisonedCrumb => yahoo::refused(),
        Fault::Timeout => {
            faults.happened(&due);
            tokio::time::sleep(Duration::from_secs_f64(due.seconds)).await;
            return hang_up();
        }
        Fault::Truncated => half(answer(vendor, request).await, true).await,
        Fault::CutConnection if asked.endpoint != Endpoint::Stream => {
            half(answer(vendor, request).await, false).await
        }
        Fault::CutConnection
        | Fault::EmptyNoTimestamp
        | Fault::EmptyArrays
        | Fault::EmptyNulls
        | Fault::CoarserInterval
        | Fault::Ragged
        | Fault::LateBars
        | Fault::RevisedBars
        | Fault::BadTicks => {
            request.extensions_mut().insert(due);
            return answer(vendor, request).await;
        }
    };
    faults.happened(&due);
    response
}

/// What is said when nothing goes wrong.
pub(crate) async fn answer(vendor: Router, request: Request) -> Response {
    let answered: Result<Response, Infallible> = vendor.oneshot(request).await;
    match answered {
        Ok(response) => response,
    }
}

fn limited(asked: &Asked) -> Response {
    match asked.vendor {
        Vendor::Yahoo => yahoo::limited(asked.endpoint),
        Vendor::Fred => fred::limited(),
        Vendor::NewsApi => newsapi::limited(),
        Vendor::Finnhub => finnhub::limited(),
        Vendor::AlphaVantage => alpha_vantage::limited(),
    }
}

fn refused(vendor: Vendor) -> Response {
    match vendor {
        Vendor::Yahoo => yahoo::refused(),
        Vendor::Fred => fred::refused(),
        Vendor::NewsApi => newsapi::refused(),
        Vendor::Finnhub => finnhub::refused(),
        Vendor::AlphaVantage => alpha_vantage::refused(),
    }
}

fn page(status: StatusCode) -> Response {
    let html = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    (status, html, PAGE).into_response()
}

fn hang_up() -> Response {
    let mut response = StatusCode::SERVICE_UNAVAILABLE.into_response();
    response.extensions_mut().insert(HangUp);
    response
}

/// The first half of an answer: as if that were all of it, or with the connection's end in the middle.
async fn half(response: Response, whole: bool) -> Response {
    let (mut parts, body) = response.into_parts();
    // The simulator's own bodies are in memory: reading them cannot fail.
    let body = axum::body::to_bytes(body, usize::MAX)
        .await
        .unwrap_or_default();
    let first = body.slice(..body.len() / 2);
    parts.headers.remove(header::CONTENT_LENGTH);
    if whole {
        return Response::from_parts(parts, Body::from(first));
    }
    parts
        .headers
        .insert(header::CONTENT_LENGTH, body.len().into());
    let pieces: [io::Result<Bytes>; 2] = [Ok(first), Err(io::ErrorKind::ConnectionReset.into())];
    Response::from_parts(parts, Body::from_stream(stream::iter(pieces)))
}
