//! Yahoo Finance.

pub mod chart;
mod meta;
mod search;
mod session;
mod stream;
pub(crate) mod wire;

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::{Deserialize, Serialize};

use crate::{
    Simulator,
    answer::{json_as, unhurried},
    faults::{self, Due},
    vendor::Endpoint,
};
use chart::ChartParameters;
pub(crate) use session::Session;
pub(crate) use stream::router as stream_router;
use wire::{AssetProfile, QuoteType, Refusal, Summary, SummaryAnswer, SummaryModules};

const JSON: &str = "application/json;charset=utf-8";

pub(crate) fn router(simulator: Arc<Simulator>) -> Router {
    Router::new()
        .route("/", get(session::cookie))
        .route("/v1/test/getcrumb", get(session::crumb))
        .route("/v8/finance/chart/{symbol}", get(chart))
        .route("/v1/finance/search", get(search::search))
        .route("/v10/finance/quoteSummary/{symbol}", get(summary))
        .layer(middleware::from_fn(refuse_programs))
        .with_state(simulator)
}

/// Yahoo turns away what does not look like a browser.
async fn refuse_programs(request: Request, next: Next) -> Response {
    let agent = request
        .headers()
        .get(header::USER_AGENT)
        .and_then(|value| value.to_str().ok());
    if agent.is_some_and(|agent| agent.starts_with("Mozilla/")) {
        next.run(request).await
    } else {
        limited(Endpoint::Chart)
    }
}

/// Too many requests: plain text, which a careless client takes for the crumb.
pub(crate) fn limited(endpoint: Endpoint) -> Response {
    let (kind, text) = match endpoint {
        Endpoint::Crumb => ("text/plain", "Too Many Requests\r\n"),
        _ => ("text/html", "Edge: Too Many Requests"),
    };
    let kind = [(header::CONTENT_TYPE, kind)];
    (StatusCode::TOO_MANY_REQUESTS, kind, text).into_response()
}

pub(crate) fn refused() -> Response {
    Refusal::unauthorized("Invalid Crumb").into_response()
}

pub(crate) fn poisoned_crumb() -> Response {
    let plain = [(header::CONTENT_TYPE, "text/plain;charset=utf-8")];
    (plain, "Too Many Requests\r\n").into_response()
}

async fn chart(
    State(simulator): State<Arc<Simulator>>,
    Path(symbol): Path<String>,
    Query(parameters): Query<ChartParameters>,
    due: Option<Extension<Due>>,
) -> Response {
    if parameters
        .crumb
        .as_ref()
        .is_some_and(|crumb| !simulator.session.is_crumb(crumb))
    {
        return refused();
    }
    let now = simulator.clock.now();
    // Years of daily bars take the generator a while.
    unhurried(move || {
        let mut answer = match chart::chart(
            &simulator.market,
            simulator.calendar,
            &symbol,
            &parameters,
            now,
        ) {
            Ok(answer) => answer,
            Err(refusal) => return refusal.into_response(),
        };
        let [result] = &mut answer.chart.result;
        if let Some(Extension(due)) = due
            && faults::spoil(result, &due, now)
        {
            simulator.faults.happened(&due);
        }
        json_response(StatusCode::OK, &answer)
    })
    .await
}

#[derive(Deserialize)]
struct SummaryParameters {
    crumb: Option<String>,
}

async fn summary(
    State(simulator): State<Arc<Simulator>>,
    Path(symbol): Path<String>,
    Query(parameters): Query<SummaryParameters>,
    headers: HeaderMap,
) -> Response {
    let crumb = parameters.crumb.unwrap_or_default();
    if !simulator.session.is_crumb(&crumb) || !simulator.session.has_cookie(&headers) {
        return refused();
    }
    let Some(stock) = simulator.market.find(&symbol) else {
        return Refusal::no_summary(&symbol).into_response();
    };
    let profile = stock.profile();
    let modules = SummaryModules {
        asset_profile: AssetProfile {
            sector: profile.sector,
            company_officers: [],
            max_age: 86_400,
        },
        quote_type: QuoteType {
            exchange: profile.exchange.code(),
            quote_type: "EQUITY",
            symbol: profile.ticker.to_string(),
            underlying_symbol: profile.ticker.to_string(),
            short_name: profile.name.clone(),
            long_name: profile.name.clone(),
            time_zone_full_name: "America/New_York",
            max_age: 1,
        },
    };
    json_response(
        StatusCode::OK,
        &SummaryAnswer {
            quote_summary: Summary {
                result: [modules],
                error: None,
            },
        },
    )
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        json_response(status, &self.to_json())
    }
}

fn json_response(status: StatusCode, body: &impl Serialize) -> Response {
    json_as(status, JSON, body)
}
