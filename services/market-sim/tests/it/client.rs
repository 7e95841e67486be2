//! Through the client that the ingestor uses, over TLS; and the program itself.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use chrono::{DateTime, Utc};
use market_data::VendorConnection;
use market_sim::{Certificates, Faults, HOSTS, Market, Server, Simulator};
use reqwest::{Certificate, Client, ClientBuilder, StatusCode, Version};
use serde_json::Value;
use service_kit::Clock;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use yahoo_finance_api::{YahooConnector, YahooConnectorBuilder, YahooError, time::OffsetDateTime};

use crate::{three_days, ticker, time};

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/122.0.0.0 Safari/537.36";

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) authority: String,
    pub(crate) faults: Arc<Faults>,
    shutdown: CancellationToken,
    served: JoinHandle<Result<(), market_sim::ServerError>>,
}

/// Serves a market on a free port at a moment that (almost) stands still.
pub(crate) fn serve(market: Market, now: &str) -> Running {
    run(Simulator::new(market, calendar::nyse(), standing_at(now)))
}

/// A clock that (almost) stands still.
pub(crate) fn standing_at(now: &str) -> Clock {
    Clock::replay(time(now), 1e-9, Utc::now()).unwrap()
}

/// Serves on a free port.
pub(crate) fn run(simulator: Simulator) -> Running {
    let faults = simulator.faults();
    let certificates = Certificates::generate().unwrap();
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), certificates, simulator).unwrap();
    let (address, authority) = (server.address(), server.authority().to_owned());
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(server.run(shutdown.clone()));
    Running {
        address,
        authority,
        faults,
        shutdown,
        served,
    }
}

/// Finds every vendor host at the address, and trusts the authority alone.
fn client(address: SocketAddr, authority: &str) -> ClientBuilder {
    let authority = Certificate::from_pem(authority.as_bytes()).unwrap();
    let builder = Client::builder()
        .no_proxy()
        .user_agent(BROWSER)
        .tls_certs_only([authority]);
    HOSTS
        .into_iter()
        .fold(builder, |builder, host| builder.resolve(host, address))
}

impl Running {
    pub(crate) fn client(&self) -> ClientBuilder {
        client(self.address, &self.authority)
    }

    /// For the project's own clients; the folder holds the certificate.
    pub(crate) fn connection(&self) -> (TempDir, VendorConnection) {
        let folder = tempfile::tempdir().unwrap();
        let certificate = folder.path().join("ca.pem");
        std::fs::write(&certificate, &self.authority).unwrap();
        let connection = VendorConnection {
            address: Some(self.address.to_string()),
            certificate: Some(certificate),
            request_timeout: Duration::from_secs(10),
        };
        (folder, connection)
    }

    fn yahoo(&self) -> YahooConnector {
        YahooConnectorBuilder::build_with_client(self.client().build().unwrap()).unwrap()
    }
}

fn moment(text: &str) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(time(text).timestamp()).unwrap()
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap()
}

#[tokio::test]
async fn minutes_arrive_as_quotes() {
    let running = serve(three_days(), "2018-03-27T13:31:30Z");
    let yahoo = running.yahoo();
    let response = yahoo
        .get_quote_history_interval(
            "AAPL",
            moment("2018-03-26T00:00:00Z"),
            moment("2018-03-28T00:00:00Z"),
            "1m",
        )
        .await
        .unwrap();
    let quotes = response.quotes().unwrap();
    assert_eq!(quotes.len(), 390 + 3);
    let first = &quotes[0];
    assert_eq!(at(first.timestamp), time("2018-03-26T13:30:00Z"));
    assert_eq!(
        (first.open, first.high, first.low, first.close, first.volume),
        (100.0, 102.0, 99.0, 101.0, 6_000)
    );
    let [forming, last] = &quotes[391..] else {
        panic!("{quotes:?}")
    };
    assert_eq!(
        (at(forming.timestamp), forming.volume),
        (time("2018-03-27T13:31:00Z"), 3_000)
    );
    assert_eq!(
        (at(last.timestamp), last.volume, last.open),
        (time("2018-03-27T13:31:30Z"), 0, last.close)
    );

    let meta = response.metadata().unwrap();
    assert_eq!(
        (
            &*meta.symbol,
            &*meta.data_granularity,
            &*meta.exchange_timezone_name
        ),
        ("AAPL", "1m", "America/New_York")
    );
    assert_eq!(meta.regular_market_price, Some(101.5));
    assert_eq!(meta.trading_periods.regular.unwrap()[0].len(), 2);
    assert_eq!(
        i64::from(meta.current_trading_period.regular.end),
        time("2018-03-27T20:00:00Z").timestamp()
    );

    let prepost = yahoo
        .get_quote_period_interval("AAPL", "5d", "1m", true)
        .await
        .unwrap();
    assert_eq!(
        prepost
            .metadata()
            .unwrap()
            .trading_periods
            .pre
            .unwrap()
            .len(),
        3
    );
}

#[tokio::test]
async fn the_forming_minutes_null_row_is_no_quote() {
    let running = serve(three_days(), "2018-03-26T13:31:01Z");
    let response = running
        .yahoo()
        .get_quote_range("AAPL", "1m", "1d")
        .await
        .unwrap();
    let times: Vec<_> = response
        .quotes()
        .unwrap()
        .iter()
        .map(|quote| at(quote.timestamp))
        .collect();
    assert_eq!(
        times,
        [time("2018-03-26T13:30:00Z"), time("2018-03-26T13:31:01Z")]
    );
}

#[tokio::test]
async fn days_and_dividends_arrive() {
    let market = Market::generated(1, &[ticker("JNJ")], calendar::nyse());
    let running = serve(market, "2026-06-15T15:00:00Z");
    let response = running
        .yahoo()
        .get_quote_range("JNJ", "1d", "1y")
        .await
        .unwrap();
    let quotes = response.quotes().unwrap();
    assert!((245..255).contains(&quotes.len()), "{}", quotes.len());
    assert!(
        quotes
            .iter()
            .all(|quote| quote.low <= quote.close && quote.close <= quote.high && quote.volume > 0)
    );
    assert!(quotes[0].adjclose < quotes[0].close);
    assert_eq!(response.dividends().unwrap().len(), 4);
    assert!(response.splits().unwrap().is_empty());
}

#[tokio::test]
async fn cookie_and_crumb_open_the_summary() {
    let running = serve(three_days(), "2018-03-26T15:00:00Z");
    let mut yahoo = running.yahoo();
    let summary = yahoo.get_ticker_info("AAPL").await.unwrap();
    let modules = summary
        .quote_summary
        .unwrap()
        .result
        .unwrap()
        .pop()
        .unwrap();
    assert_eq!(
        modules.quote_type.unwrap().long_name.as_deref(),
        Some("Apple Inc.")
    );
    assert_eq!(
        modules.asset_profile.unwrap().sector.as_deref(),
        Some("Technology")
    );
    assert!(
        matches!(yahoo.get_ticker_info("GONE").await, Err(YahooError::FetchFailed(text)) if text.contains("404"))
    );

    let plain = running.client().build().unwrap();
    let crumb = plain
        .get("https://query1.finance.yahoo.com/v1/test/getcrumb")
        .send()
        .await
        .unwrap();
    assert_eq!(
        crumb.status(),
        StatusCode::UNAUTHORIZED,
        "no cookie, no crumb"
    );
    for path in ["v8/finance/chart/AAPL", "v10/finance/quoteSummary/AAPL"] {
        let url = format!("https://query2.finance.yahoo.com/{path}?crumb=Too%20Many%20Requests");
        let wrong = plain.get(url).send().await.unwrap();
        assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
        let body: Value = wrong.json().await.unwrap();
        assert_eq!(body["finance"]["error"]["description"], "Invalid Crumb");
    }
}

#[tokio::test]
async fn refusals_arrive_as_the_clients_errors() {
    let running = serve(three_days(), "2018-03-26T15:00:00Z");
    let yahoo = running.yahoo();
    let unknown = yahoo.get_quote_range("GONE", "1m", "1d").await;
    assert!(
        matches!(&unknown, Err(YahooError::FetchFailed(text)) if text.contains("404")),
        "{unknown:?}"
    );
    let (start, end) = (
        moment("2018-03-01T00:00:00Z"),
        moment("2018-03-20T00:00:00Z"),
    );
    let too_long = yahoo
        .get_quote_history_interval("AAPL", start, end, "1m")
        .await;
    let Err(YahooError::ApiError(error)) = &too_long else {
        panic!("{too_long:?}")
    };
    assert_eq!(error.code.as_deref(), Some("Unprocessable Entity"));

    let program = running.client().user_agent("reqwest").build().unwrap();
    let refused = program
        .get("https://query1.finance.yahoo.com/v8/finance/chart/AAPL")
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(refused.text().await.unwrap(), "Edge: Too Many Requests");
}

#[tokio::test]
async fn a_client_that_does_not_trust_the_authority_is_not_served() {
    let running = serve(three_days(), "2018-03-26T15:00:00Z");
    let other = Certificates::generate().unwrap();
    let client = client(running.address, other.authority()).build().unwrap();
    assert!(
        client
            .get("https://localhost/health")
            .send()
            .await
            .unwrap_err()
            .is_connect()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_clients_at_once_are_served_and_let_go() {
    let running = serve(
        Market::generated(1, &[], calendar::nyse()),
        "2026-06-15T15:00:00Z",
    );
    let request = |symbol: &str| {
        format!("https://query1.finance.yahoo.com/v8/finance/chart/{symbol}?interval=1m&range=5d")
    };
    let client = running.client().build().unwrap();
    for range in ["1d", "5d"] {
        let url = format!(
            "https://query1.finance.yahoo.com/v8/finance/chart/AAPL?interval=1m&range={range}"
        );
        let times: Vec<Duration> = {
            let mut times = Vec::new();
            for _ in 0..50 {
                let started = std::time::Instant::now();
                client
                    .get(&url)
                    .send()
                    .await
                    .unwrap()
                    .bytes()
                    .await
                    .unwrap();
                times.push(started.elapsed());
            }
            times.sort();
            times
        };
        eprintln!("{range} of minutes: median {:?}", times[25]);
    }
    let started = std::time::Instant::now();
    let clients: Vec<_> = market_sim::market::DEFAULT_TICKERS
        .into_iter()
        .map(|symbol| {
            let (client, url) = (running.client().build().unwrap(), request(symbol));
            tokio::spawn(async move {
                for _ in 0..10 {
                    let response = client.get(&url).send().await.unwrap();
                    assert_eq!(
                        (response.status(), response.version()),
                        (StatusCode::OK, Version::HTTP_2)
                    );
                    assert!(response.bytes().await.unwrap().len() > 100_000);
                }
            })
        })
        .collect();
    for client in clients {
        client.await.unwrap();
    }
    eprintln!(
        "20 clients, 10 answers of 5 days each, in {:?}",
        started.elapsed()
    );
    running.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(5), running.served)
        .await
        .unwrap()
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let certificates = Certificates::generate().unwrap();
    let error = Server::bind(
        address,
        certificates,
        Simulator::new(three_days(), calendar::nyse(), Clock::system()),
    )
    .err()
    .unwrap();
    assert_eq!(
        error.to_string(),
        format!("failed to listen on {address}: is another program using the port?")
    );
}

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

fn program(arguments: &[&str], authority: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_market-sim"));
    for name in [
        "TANDEM_CLOCK",
        "TANDEM_VENDOR_ADDRESS",
        "TANDEM_VENDOR_CA",
        "RUST_LOG",
        "TANDEM_LOG_FORMAT",
    ] {
        command.env_remove(name);
    }
    command
        .args(arguments)
        .arg("--ca-out")
        .arg(authority)
        .stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn the_program_serves_and_ends_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("ca.pem");
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let arguments = [
        "--listen",
        &address.to_string(),
        "--seed",
        "5",
        "--ticker",
        "AAPL",
        "--ticker",
        "XYZ",
    ];
    let mut program = Program(program(&arguments, &authority).spawn().unwrap());
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !authority.exists() {
        assert!(
            std::time::Instant::now() < deadline,
            "no certificate appeared"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let client = client(address, &std::fs::read_to_string(&authority).unwrap())
        .build()
        .unwrap();
    let health = client
        .get(format!("https://localhost:{}/health", address.port()))
        .send()
        .await
        .unwrap();
    let health: Value = health.json().await.unwrap();
    assert_eq!(health["status"], "ok");
    assert_eq!(health["tickers"], serde_json::json!(["AAPL", "XYZ"]));
    assert!(
        health["planted_effect"]
            .as_str()
            .unwrap()
            .contains("planted")
    );

    let killed = Command::new("kill")
        .arg(program.0.id().to_string())
        .status()
        .unwrap();
    assert!(killed.success());
    let ended = tokio::task::spawn_blocking(move || program.0.wait().unwrap());
    assert!(
        tokio::time::timeout(Duration::from_secs(10), ended)
            .await
            .unwrap()
            .unwrap()
            .success()
    );
}

#[test]
fn the_program_names_what_is_wrong_with_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let bars = folder.path().join("bars.csv");
    std::fs::write(&bars, "date,ToD,open,high,low,close,volume\n").unwrap();
    let output = program(
        &["--bars", bars.to_str().unwrap()],
        &folder.path().join("ca.pem"),
    )
    .output()
    .unwrap();
    assert!(!output.status.success());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("bars.csv has no column ticker: found date, ToD"),
        "{text}"
    );

    std::fs::write(
        &bars,
        "ticker,ts,open,high,low,close,volume\nFB,2018-03-26T13:30:00Z,160,161,159,160,1000\n",
    )
    .unwrap();
    let arguments = ["--bars", bars.to_str().unwrap(), "--ticker", "META"];
    let output = program(&arguments, &folder.path().join("ca.pem"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        text.contains("the file has no bars of META: it has FB"),
        "{text}"
    );
}
