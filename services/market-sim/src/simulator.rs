use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use calendar::Calendar;
use serde_json::json;
use service_kit::Clock;
use tokio_util::sync::CancellationToken;

use crate::{
    Economy, Faults, Market, News, alpha_vantage,
    budget::Budget,
    faults::{self, FaultScript},
    finnhub, fred, newsapi,
    vendor::{Asked, Endpoint, Vendor},
    yahoo::{self, Session},
};

/// Everything that is served, and the time at which it is.
pub struct Simulator {
    pub(crate) market: Market,
    pub(crate) calendar: &'static Calendar,
    pub(crate) clock: Clock,
    pub(crate) session: Session,
    pub(crate) faults: Arc<Faults>,
    pub(crate) news: News,
    pub(crate) economy: Economy,
    pub(crate) newsapi_budget: Budget,
    pub(crate) finnhub_budget: Budget,
    pub(crate) alpha_vantage_budget: Budget,
    pub(crate) fred_budget: Budget,
    /// Cancelled when the server ends: streams would go on for ever.
    pub(crate) ending: CancellationToken,
}

impl Simulator {
    /// Prices as of a clock, without faults. To an invented market belong invented headlines and an invented economy, to
    /// recorded prices none: real and invented are not mixed unasked.
    pub fn new(market: Market, calendar: &'static Calendar, clock: Clock) -> Self {
        let (news, economy) = match market.seed() {
            Some(seed) => (News::invented(seed), Economy::invented(seed, calendar)),
            None => (News::default(), Economy::empty()),
        };
        Self {
            market,
            calendar,
            clock,
            session: Session::new(),
            faults: Arc::default(),
            news,
            economy,
            newsapi_budget: newsapi::budget(),
            finnhub_budget: finnhub::budget(),
            alpha_vantage_budget: alpha_vantage::budget(),
            fred_budget: fred::budget(),
            ending: CancellationToken::new(),
        }
    }

    /// With these headlines.
    #[must_use]
    pub fn with_news(self, news: News) -> Self {
        Self { news, ..self }
    }

    /// With these economic series.
    #[must_use]
    pub fn with_economy(self, economy: Economy) -> Self {
        Self { economy, ..self }
    }

    /// The faults, to set them and to read what happened, also while it serves.
    pub fn faults(&self) -> Arc<Faults> {
        Arc::clone(&self.faults)
    }

    /// All of it as one web application, for tests that want no network.
    pub fn into_app(self) -> Router {
        let simulator = Arc::new(self);
        let vendors = Vendors {
            yahoo: yahoo::router(Arc::clone(&simulator)),
            stream: yahoo::stream_router(Arc::clone(&simulator)),
            fred: fred::router(Arc::clone(&simulator)),
            newsapi: newsapi::router(Arc::clone(&simulator)),
            finnhub: finnhub::router(Arc::clone(&simulator)),
            alpha_vantage: alpha_vantage::router(Arc::clone(&simulator)),
            simulator: Arc::clone(&simulator),
        };
        Router::new()
            .route("/health", get(health))
            .route(
                "/_sim/faults",
                get(report).put(set_faults).delete(remove_faults),
            )
            .with_state(simulator)
            .fallback_service(
                Router::new()
                    .fallback(dispatch)
                    .with_state(Arc::new(vendors)),
            )
    }
}

struct Vendors {
    simulator: Arc<Simulator>,
    yahoo: Router,
    stream: Router,
    fred: Router,
    newsapi: Router,
    finnhub: Router,
    alpha_vantage: Router,
}

/// Hands a request to the vendor whose host it names, unless a fault is due.
async fn dispatch(State(vendors): State<Arc<Vendors>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(vendor) = Vendor::of_request(&parts) else {
        return (StatusCode::MISDIRECTED_REQUEST, "no vendor has this host").into_response();
    };
    let asked = Asked::of(vendor, &parts);
    let is_stream = asked
        .as_ref()
        .is_some_and(|asked| asked.endpoint == Endpoint::Stream);
    let router = match vendor {
        Vendor::Yahoo if is_stream => &vendors.stream,
        Vendor::Yahoo => &vendors.yahoo,
        Vendor::Fred => &vendors.fred,
        Vendor::NewsApi => &vendors.newsapi,
        Vendor::Finnhub => &vendors.finnhub,
        Vendor::AlphaVantage => &vendors.alpha_vantage,
    }
    .clone();
    let request = Request::from_parts(parts, body);
    let faults = &vendors.simulator.faults;
    let due = asked.and_then(|asked| {
        let due = faults.draw(&asked, vendors.simulator.clock.now())?;
        Some((asked, due))
    });
    match due {
        None => faults::answer(router, request).await,
        Some((asked, due)) => faults::carry_out(faults, due, &asked, request, router).await,
    }
}

/// No vendor's: tells the local run that the simulator is up, and what it serves.
async fn health(State(simulator): State<Arc<Simulator>>) -> Response {
    let coverage = simulator.market.coverage();
    Json(json!({
        "status": "ok",
        "now": simulator.clock.now(),
        "tickers": simulator.market.tickers(),
        "first": coverage.map(|(first, _)| first),
        "last": coverage.map(|(_, last)| last),
        "planted_effect": simulator.market.planted_effect(),
    }))
    .into_response()
}

/// No vendor's: the faults in force and what happened so far.
async fn report(State(simulator): State<Arc<Simulator>>) -> Response {
    Json(simulator.faults.report()).into_response()
}

/// No vendor's: replaces the script of faults.
async fn set_faults(State(simulator): State<Arc<Simulator>>, body: Bytes) -> Response {
    match FaultScript::from_json(&body) {
        Ok(script) => {
            simulator.faults.set(script);
            Json(simulator.faults.report()).into_response()
        }
        Err(error) => {
            let error = format!("{:#}", anyhow::Error::new(error));
            (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response()
        }
    }
}

/// No vendor's: from now on nothing goes wrong.
async fn remove_faults(State(simulator): State<Arc<Simulator>>) -> Response {
    simulator.faults.set(FaultScript::default());
    Json(simulator.faults.report()).into_response()
}
