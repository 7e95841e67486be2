use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, Query, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use axum_server::{
    Handle,
    accept::NoDelayAcceptor,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use calendar::Calendar;
use domain::Ticker;
use rand::RngExt;
use serde::Deserialize;
use serde_json::json;
use service_kit::Clock;
use tokio_util::sync::CancellationToken;

use crate::{
    Certificates, Market,
    chart::{self, ChartParameters},
    wire::{AssetProfile, QuoteType, Refusal, Summary, SummaryAnswer, SummaryModules},
};

/// How long answers in progress may take after the end was asked for.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

const JSON: &str = "application/json;charset=utf-8";

/// The simulator, listening.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    certificates: Certificates,
    app: Router,
}

/// The simulator cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken or not this machine's.
    #[error("failed to listen on {address}: is another program using the port?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The listener failed while serving.
    #[error("failed to serve on {address}")]
    Serve {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
}

impl Server {
    /// Listens; port 0 takes a free one. Connections are served by [`Server::run`].
    ///
    /// # Errors
    /// [`ServerError::Listen`] when the address cannot be had.
    pub fn bind(
        address: SocketAddr,
        certificates: Certificates,
        market: Market,
        calendar: &'static Calendar,
        clock: Clock,
    ) -> Result<Self, ServerError> {
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) =
            listen().map_err(|source| ServerError::Listen { address, source })?;
        let app = router(Arc::new(Simulator {
            market,
            calendar,
            clock,
            session: Session::new(),
        }));
        Ok(Self {
            listener,
            address,
            certificates,
            app,
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that clients must trust, PEM.
    pub fn authority(&self) -> &str {
        self.certificates.authority()
    }

    /// Serves until the token is cancelled, then lets answers in progress finish.
    ///
    /// # Errors
    /// [`ServerError::Serve`] when the listener fails.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ServerError> {
        let address = self.address;
        let handle = Handle::new();
        let serve = async {
            let config = RustlsConfig::from_config(self.certificates.server());
            // Without it the second answer on a connection waits 40 ms for an acknowledgement.
            let acceptor = RustlsAcceptor::new(config).acceptor(NoDelayAcceptor::new());
            axum_server::from_tcp(self.listener)?
                .acceptor(acceptor)
                .handle(handle.clone())
                .serve(self.app.into_make_service())
                .await
        };
        let stop = async {
            shutdown.cancelled().await;
            handle.graceful_shutdown(Some(LAST_ANSWERS));
            std::future::pending().await // `serve` ends when the last answer is out
        };
        let served: io::Result<()> =
            tokio::select! { served = serve => served, served = stop => served };
        served.map_err(|source| ServerError::Serve { address, source })
    }
}

struct Simulator {
    market: Market,
    calendar: &'static Calendar,
    clock: Clock,
    session: Session,
}

/// The one cookie and crumb of a run.
struct Session {
    cookie: String,
    crumb: String,
}

impl Session {
    fn new() -> Self {
        let mut rng = rand::rng();
        let mut letters = |count| -> String {
            (0..count)
                .map(|_| char::from(rng.random_range(b'a'..=b'z')))
                .collect()
        };
        Self {
            cookie: format!("A3=d={}&S={}", letters(24), letters(12)),
            crumb: letters(11),
        }
    }

    fn has_cookie(&self, headers: &HeaderMap) -> bool {
        let cookies = headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|value| value.to_str().ok());
        cookies
            .flat_map(|value| value.split(';'))
            .any(|cookie| cookie.trim() == self.cookie)
    }
}

fn router(simulator: Arc<Simulator>) -> Router {
    Router::new()
        .route("/", get(cookie))
        .route("/v1/test/getcrumb", get(crumb))
        .route("/v8/finance/chart/{symbol}", get(chart))
        .route("/v10/finance/quoteSummary/{symbol}", get(summary))
        .layer(middleware::from_fn(refuse_programs))
        .route("/health", get(health))
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
        let html = [(header::CONTENT_TYPE, "text/html")];
        (
            StatusCode::TOO_MANY_REQUESTS,
            html,
            "Edge: Too Many Requests",
        )
            .into_response()
    }
}

/// `https://fc.yahoo.com/` sets the cookie and says 404, as the real one does.
async fn cookie(State(simulator): State<Arc<Simulator>>) -> Response {
    let cookie = format!(
        "{}; Max-Age=31557600; Domain=.yahoo.com; Path=/; Secure; HttpOnly",
        simulator.session.cookie
    );
    (StatusCode::NOT_FOUND, [(header::SET_COOKIE, cookie)], "").into_response()
}

async fn crumb(State(simulator): State<Arc<Simulator>>, headers: HeaderMap) -> Response {
    if simulator.session.has_cookie(&headers) {
        (
            [(header::CONTENT_TYPE, "text/plain;charset=utf-8")],
            simulator.session.crumb.clone(),
        )
            .into_response()
    } else {
        Refusal::unauthorized("Invalid Cookie").into_response()
    }
}

async fn chart(
    State(simulator): State<Arc<Simulator>>,
    Path(symbol): Path<String>,
    Query(parameters): Query<ChartParameters>,
) -> Response {
    if parameters
        .crumb
        .as_ref()
        .is_some_and(|crumb| *crumb != simulator.session.crumb)
    {
        return Refusal::unauthorized("Invalid Crumb").into_response();
    }
    let now = simulator.clock.now();
    // Years of daily bars take the generator a while.
    let answered = tokio::task::spawn_blocking(move || {
        chart::chart(
            &simulator.market,
            simulator.calendar,
            &symbol,
            &parameters,
            now,
        )
        .map(|answer| json_response(StatusCode::OK, &answer))
        .unwrap_or_else(IntoResponse::into_response)
    });
    answered
        .await
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

#[derive(Deserialize)]
struct SummaryParameters {
    crumb: Option<String>,
}

/// Needs cookie and crumb, unlike charts.
async fn summary(
    State(simulator): State<Arc<Simulator>>,
    Path(symbol): Path<String>,
    Query(parameters): Query<SummaryParameters>,
    headers: HeaderMap,
) -> Response {
    let session = &simulator.session;
    if parameters.crumb.as_ref() != Some(&session.crumb) || !session.has_cookie(&headers) {
        return Refusal::unauthorized("Invalid Crumb").into_response();
    }
    let ticker = Ticker::parse(&symbol).ok();
    let Some(stock) = ticker.and_then(|ticker| simulator.market.stock(&ticker)) else {
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

/// Not Yahoo's: tells the local run that the simulator is up, and what it serves.
async fn health(State(simulator): State<Arc<Simulator>>) -> Response {
    let coverage = simulator.market.coverage();
    Json(json!({
        "status": "ok",
        "now": simulator.clock.now(),
        "tickers": simulator.market.tickers(),
        "first": coverage.map(|(first, _)| first),
        "last": coverage.map(|(_, last)| last),
    }))
    .into_response()
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        json_response(status, &self.to_json())
    }
}

fn json_response(status: StatusCode, body: &impl serde::Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(text) => (status, [(header::CONTENT_TYPE, JSON)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "failed to write an answer");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
