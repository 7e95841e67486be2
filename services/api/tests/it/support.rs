//! A service on a random port, an invented market and tiny random models.

use std::{net::SocketAddr, path::Path, time::Duration};

use alerts::{AlertSettings, Alerts};
use api::{App, Settings, Source, Timing};
use axum::Router;
use chrono::{DateTime, NaiveDate, Utc};
use domain::{Bar, Listing, ModelId, ModelKind, Ticker, Universe};
use futures_util::{SinkExt as _, StreamExt as _};
use inference::testing::{artifact, promote_random_champions, random_weights};
use model_registry::{Artifact, ChampionsFile, artifact_dir, write_artifact};
use serde_json::Value;
use service_kit::Clock;
use storage::{PgPool, VendorBar};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, tungstenite::Message};
use tokio_util::sync::CancellationToken;

/// Nothing in these tests takes this long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Looks at the models often, and so rarely for unannounced bars that no test is saved by it.
pub(crate) const TIMING: Timing = Timing {
    ping_seconds: 20.0,
    client_timeout_seconds: 60.0,
    safety_seconds: 3_600.0,
    reload_seconds: 0.05,
    status_seconds: 5.0,
};

pub(crate) fn ticker(symbol: &str) -> Ticker {
    Ticker::parse(symbol).unwrap()
}

pub(crate) fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Starts of all minutes of the last `sessions` sessions up to and including a New York date.
pub(crate) fn minutes(sessions: usize, last: NaiveDate) -> Vec<DateTime<Utc>> {
    let known = calendar::nyse().sessions(last - chrono::TimeDelta::days(60), last);
    let wanted = &known[known.len() - sessions..];
    wanted
        .iter()
        .flat_map(|session| {
            (0..session.minutes())
                .map(|minute| session.open + chrono::TimeDelta::minutes(minute.into()))
        })
        .collect()
}

/// A random walk over these minutes, the same for the same seed.
pub(crate) fn walk(seed: u64, starts: &[DateTime<Utc>]) -> Vec<Bar> {
    let mut random = tflite_export::testing::Random::new(seed);
    let mut price = 100.0 + seed as f64;
    starts
        .iter()
        .map(|start| {
            let open = price;
            // Hundredths, as quoted: they come back from JSON as they were.
            price = cents(price * (1.0 + f64::from(random.next(0.002))));
            let wick = cents(f64::from(random.next(0.05).abs()));
            let volume = (5_000.0 + f64::from(random.next(4_000.0))).round();
            let (high, low) = (cents(open.max(price) + wick), cents(open.min(price) - wick));
            Bar::new(*start, open, high, low, price, volume).unwrap()
        })
        .collect()
}

fn cents(price: f64) -> f64 {
    (price * 100.0).round() / 100.0
}

pub(crate) async fn commit(pool: &PgPool, symbol: &str, bars: &[Bar]) {
    commit_all(pool, &[(symbol, bars)]).await;
}

/// Stores bars of several tickers in one transaction, fetched after whatever was stored before.
pub(crate) async fn commit_all(pool: &PgPool, bars: &[(&str, &[Bar])]) {
    let rows: Vec<VendorBar> = bars
        .iter()
        .flat_map(|(symbol, bars)| {
            bars.iter().map(|bar| VendorBar {
                ticker: ticker(symbol),
                bar: *bar,
                source: "test",
                fetched_at: Utc::now(),
            })
        })
        .collect();
    storage::upsert_bars(pool, &rows).await.unwrap();
}

/// A running service with a folder of its own.
pub(crate) struct Service {
    pub(crate) folder: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) router: Router,
    pub(crate) client: reqwest::Client,
    pub(crate) shutdown: CancellationToken,
    serving: JoinHandle<anyhow::Result<()>>,
}

impl Service {
    pub(crate) async fn start(pool: &PgPool, symbols: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), pool, symbols).await
    }

    pub(crate) async fn start_in(folder: TempDir, pool: &PgPool, symbols: &[&str]) -> Self {
        Self::start_with(folder, pool, symbols, TIMING).await
    }

    pub(crate) async fn start_with(
        folder: TempDir,
        pool: &PgPool,
        symbols: &[&str],
        timing: Timing,
    ) -> Self {
        let nobody = Alerts::new(AlertSettings::default()).unwrap();
        Self::start_at(folder, pool, symbols, timing, Clock::system(), nobody).await
    }

    pub(crate) async fn start_at(
        folder: TempDir,
        pool: &PgPool,
        symbols: &[&str],
        timing: Timing,
        clock: Clock,
        alerts: Alerts,
    ) -> Self {
        let tickers = symbols.iter().map(|symbol| Listing {
            ticker: ticker(symbol),
            name: format!("{symbol} Inc."),
            sector: "Technology".to_owned(),
        });
        let settings = Settings {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            frontend_dir: folder.path().join("frontend"),
            models_dir: folder.path().join("models"),
            model_config: model_config(folder.path()),
            source: Source::Simulated,
            build_file: Some(build_file(folder.path())),
            alerts,
            universe: Universe {
                tickers: tickers.collect(),
            },
            policy: domain::Policy::default(),
            timing,
        };
        let shutdown = CancellationToken::new();
        let listener = api::bind(settings.address).unwrap();
        let address = listener.local_addr().unwrap();
        let app = App::start(settings, pool.clone(), clock, shutdown.clone())
            .await
            .unwrap();
        let router = app.router();
        let serving = tokio::spawn(app.serve(listener));
        let service = Self {
            folder,
            address,
            router,
            client: reqwest::Client::new(),
            shutdown,
            serving,
        };
        // Not readiness: during a session of today these bars are old.
        service
            .wait_for("/health", |answer| answer["parts"]["live_path"] == "ok")
            .await;
        service
    }

    /// Ends the service and gives its folder back.
    pub(crate) async fn stop(self) -> TempDir {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.serving)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
        self.folder
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Status and JSON of an answer.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.client.get(self.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// Asks until the answer is as wanted.
    pub(crate) async fn wait_for(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let (_, answer) = self.get(path).await;
            if wanted(&answer) {
                return answer;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{path} never came to be as wanted: {answer}"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// A WebSocket client that has its snapshot.
    pub(crate) async fn socket(&self) -> (Socket, Value) {
        let url = format!("ws://{}/ws", self.address);
        let (stream, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let mut socket = Socket {
            stream,
            last_sequence: 0,
        };
        let snapshot = socket.next().await;
        assert_eq!(snapshot["type"], "snapshot");
        (socket, snapshot)
    }
}

pub(crate) struct Socket {
    pub(crate) stream: WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>,
    last_sequence: u64,
}

impl Socket {
    /// The next message; its sequence number is the last one's successor.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.stream.next())
                .await
                .expect("a message");
            if let Message::Text(text) = message.unwrap().unwrap() {
                let value: Value = serde_json::from_str(&text).unwrap();
                let sequence = value["seq"].as_u64().unwrap();
                assert_eq!(sequence, self.last_sequence + 1);
                self.last_sequence = sequence;
                return value;
            }
        }
    }

    /// The next message of a type about a ticker.
    pub(crate) async fn next_of(&mut self, kind: &str, symbol: &str) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == kind && message["ticker"] == symbol {
                return message;
            }
        }
    }

    /// The next status that is as wanted.
    pub(crate) async fn next_status(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.next().await;
            if message["type"] == "status" && wanted(&message["status"]) {
                return message["status"].clone();
            }
        }
    }

    pub(crate) async fn send(&mut self, text: &str) {
        self.stream.send(Message::text(text)).await.unwrap();
    }
}

/// Where a first start's compilation tells how far it is.
pub(crate) fn build_file(folder: &Path) -> std::path::PathBuf {
    folder.join("build.json")
}

pub(crate) fn model_config(folder: &Path) -> std::path::PathBuf {
    folder.join("config/model_config.json")
}

/// Writes a pair of tiny random models and makes them champions.
pub(crate) fn promote_random_models(folder: &Path, seed: u64) -> [ModelId; 2] {
    let file = ChampionsFile::new(model_config(folder));
    promote_random_champions(&folder.join("models"), &file, seed).unwrap();
    let champions = file.read().unwrap();
    ModelKind::ALL.map(|kind| champions.of(kind).unwrap().champion.clone())
}

pub(crate) fn write_random_model(folder: &Path, kind: ModelKind, seed: u64) -> ModelId {
    let Artifact { manifest, tflite } = artifact(&random_weights(kind, seed), seed).unwrap();
    let model_id = manifest.model_id.clone();
    write_artifact(&folder.join("models"), manifest, &tflite).unwrap();
    model_id
}

/// Cuts a model's network in half.
pub(crate) fn truncate_network(folder: &Path, kind: ModelKind, id: &ModelId) {
    let path = artifact_dir(&folder.join("models"), kind, id).join("model.tflite");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}
