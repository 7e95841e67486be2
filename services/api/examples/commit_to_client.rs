//! Measures from the commit of a bar to the analysis at the WebSocket clients of a running api.
//!
//! Commits one invented bar for every watched ticker, again and again, as an ingestor would, and prints the median
//! and the 99th percentile in milliseconds as JSON: until the first client has the analyses of all tickers, and until
//! the last one has. `--prepare` fills an empty database with an invented history first, and promotes random networks
//! where there are no champions, so that only PostgreSQL is needed.

#![expect(clippy::print_stdout, reason = "the figures are this program's output")]

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser;
use domain::{Bar, ModelId, ModelKind, Ticker};
use features::{FEATURE_COUNT, WARM_UP_SESSIONS};
use futures_util::StreamExt as _;
use inference::testing::artifact;
use model_registry::{Artifact, ChampionsFile};
use serde_json::{Value, json};
use storage::{DatabaseSettings, PgPool, VendorBar};
use tflite_export::testing::{Random, random_lstm, random_transformer};
use tokio::{sync::mpsc, time::Instant};
use tokio_tungstenite::tungstenite::Message;

/// A round that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Measures from the commit of a bar to the analysis at the WebSocket clients of a running api.
#[derive(Debug, Parser)]
struct Arguments {
    /// Address and port of the api.
    #[arg(long, env = "TANDEM_API_ADDRESS", default_value = "127.0.0.1:8080")]
    api: String,
    /// The database that the api reads: bars are written to it.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// WebSocket clients.
    #[arg(long, default_value_t = 1)]
    clients: usize,
    /// Bars to commit for every ticker.
    #[arg(long, default_value_t = 200)]
    rounds: usize,
    /// Pause between the end of one round and the next commit, milliseconds.
    #[arg(long, default_value_t = 20)]
    pause_ms: u64,
    /// Store an invented history where there are no bars, and promote random networks where there are no champions.
    #[arg(long)]
    prepare: bool,
    /// The api's folder of models, for `--prepare`.
    #[arg(long, env = "TANDEM_MODELS_DIR", default_value = "models")]
    models_dir: PathBuf,
    /// The api's champions' file, for `--prepare`.
    #[arg(
        long,
        env = "TANDEM_MODEL_CONFIG",
        default_value = "config/model_config.json"
    )]
    model_config: PathBuf,
}

/// A client has the analyses of all tickers for a bar.
struct Complete {
    client: usize,
    bar: String,
    at: Instant,
    /// One of the analyses.
    sample: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let pool = storage::connect(&DatabaseSettings::new(
        arguments.database_url.clone().into(),
    ))
    .await?;
    let tickers = watched(&arguments.api).await?;
    if arguments.prepare {
        prepare(&arguments, &pool, &tickers).await?;
    }
    wait_until_analysed(&arguments.api, tickers.len()).await?;
    let (sender, mut receiver) = mpsc::unbounded_channel();
    for client in 0..arguments.clients {
        let url = format!("ws://{}/ws", arguments.api);
        let (socket, _) = tokio_tungstenite::connect_async(&url)
            .await
            .with_context(|| format!("cannot open {url}"))?;
        tokio::spawn(listen(client, socket, tickers.len(), sender.clone()));
    }
    let figures = measure(&arguments, &pool, &tickers, &mut receiver).await?;
    println!("{figures:#}");
    Ok(())
}

async fn watched(api: &str) -> anyhow::Result<Vec<Ticker>> {
    let answer = stocks(api).await?;
    let stocks = answer["stocks"].as_array().context("no list of stocks")?;
    stocks
        .iter()
        .map(|stock| Ok(Ticker::parse(stock["ticker"].as_str().unwrap_or_default())?))
        .collect()
}

async fn stocks(api: &str) -> anyhow::Result<Value> {
    let url = format!("http://{api}/stocks");
    let answer = reqwest::get(&url)
        .await
        .with_context(|| format!("no api answers at {url}: start it"))?;
    Ok(answer.json().await?)
}

async fn wait_until_analysed(api: &str, tickers: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = stocks(api).await?;
        let stocks = answer["stocks"].as_array().context("no list of stocks")?;
        let analysed = stocks
            .iter()
            .filter(|stock| !stock["analysis"].is_null())
            .count();
        if analysed == tickers {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "only {analysed} of {tickers} tickers are analysed: the api lacks bars or champions (see --prepare)"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn listen(
    client: usize,
    mut socket: impl futures_util::Stream<Item = Result<Message, tokio_tungstenite::tungstenite::Error>>
    + Unpin,
    tickers: usize,
    complete: mpsc::UnboundedSender<Complete>,
) {
    let (mut bar, mut count) = (String::new(), 0);
    while let Some(Ok(message)) = socket.next().await {
        // Parsing JSON for two hundred clients would be measured along: the text is enough.
        let Message::Text(text) = message else {
            continue;
        };
        let Some(of) = analysed_bar(&text) else {
            continue;
        };
        if of != bar {
            (bar, count) = (of.to_owned(), 0);
        }
        count += 1;
        if count == tickers {
            let at = Instant::now();
            let done = Complete {
                client,
                bar: bar.clone(),
                at,
                sample: text.to_string(),
            };
            if complete.send(done).is_err() {
                return;
            }
        }
    }
}

/// Start of the bar that an analysis is about, if the message is one.
fn analysed_bar(text: &str) -> Option<&str> {
    text.strip_prefix(r#"{"type":"analysis""#)?;
    let (_, rest) = text.split_once(r#""bar":{"time":""#)?;
    rest.split_once('"').map(|(time, _)| time)
}

async fn measure(
    arguments: &Arguments,
    pool: &PgPool,
    tickers: &[Ticker],
    complete: &mut mpsc::UnboundedReceiver<Complete>,
) -> anyhow::Result<Value> {
    let mut random = Random::new(1);
    let mut prices = last_closes(pool, tickers).await?;
    let newest = storage::bar_range(pool)
        .await?
        .context("there are no bars (see --prepare)")?
        .1;
    let mut figures: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for start in minutes_after(newest).take(arguments.rounds) {
        tokio::time::sleep(Duration::from_millis(arguments.pause_ms)).await;
        let rows = tickers
            .iter()
            .zip(&mut prices)
            .map(|(ticker, price)| row(ticker, next_bar(&mut random, price, start)?))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let called = Instant::now();
        storage::upsert_bars(pool, &rows).await?;
        let committed = Instant::now();
        let bar = start.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        let mut arrivals = Vec::with_capacity(arguments.clients);
        while arrivals.len() < arguments.clients {
            let done = tokio::time::timeout(PATIENCE, complete.recv()).await;
            let Ok(Some(done)) = done else {
                bail!(
                    "after {bar} only {} of {} clients had all analyses",
                    arrivals.len(),
                    arguments.clients
                );
            };
            if done.bar != bar {
                continue;
            }
            if done.client == 0 {
                let sample: Value = serde_json::from_str(&done.sample)?;
                for part in ["wake_ms", "features_ms", "inference_ms", "total_ms"] {
                    figures
                        .entry(part)
                        .or_default()
                        .push(sample["timing"][part].as_f64().unwrap_or(f64::NAN));
                }
            }
            arrivals.push(done.at);
        }
        arrivals.sort();
        // The notice may overtake the answer to the commit.
        let since =
            |moment: Instant, at: Instant| at.saturating_duration_since(moment).as_secs_f64() * 1e3;
        for (name, at) in [
            ("commit_to_first_client_ms", arrivals.first()),
            ("commit_to_last_client_ms", arrivals.last()),
        ] {
            figures
                .entry(name)
                .or_default()
                .extend(at.map(|at| since(committed, *at)));
        }
        figures
            .entry("store_to_last_client_ms")
            .or_default()
            .extend(arrivals.last().map(|at| since(called, *at)));
    }
    let mut report = json!({
        "tickers": tickers.len(), "clients": arguments.clients, "rounds": arguments.rounds,
    });
    for (name, mut values) in figures {
        values.sort_by(f64::total_cmp);
        report[name] = json!({ "median": quantile(&values, 0.5), "p99": quantile(&values, 0.99) });
    }
    Ok(report)
}

fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted
        .get((last as f64 * part).round() as usize)
        .map(|value| (value * 1e3).round() / 1e3)
}

async fn last_closes(pool: &PgPool, tickers: &[Ticker]) -> anyhow::Result<Vec<f64>> {
    let newest = storage::newest_bars(pool, tickers, 1).await?;
    Ok(newest
        .iter()
        .map(|(_, bars)| bars.last().map_or(100.0, |bar| bar.close.get()))
        .collect())
}

/// Minutes of regular sessions after a moment.
fn minutes_after(time: DateTime<Utc>) -> impl Iterator<Item = DateTime<Utc>> {
    let calendar = calendar::nyse();
    let sessions = calendar.sessions(time.date_naive(), *calendar.coverage().end());
    sessions
        .iter()
        .flat_map(|session| {
            (0..session.minutes()).map(|minute| session.open + TimeDelta::minutes(minute.into()))
        })
        .filter(move |start| *start > time)
}

fn next_bar(random: &mut Random, price: &mut f64, start: DateTime<Utc>) -> anyhow::Result<Bar> {
    let open = *price;
    *price *= 1.0 + f64::from(random.next(0.001));
    let volume = (5_000.0 + f64::from(random.next(4_000.0))).round();
    Ok(Bar::new(
        start,
        open,
        open.max(*price),
        open.min(*price),
        *price,
        volume,
    )?)
}

fn row(ticker: &Ticker, bar: Bar) -> anyhow::Result<VendorBar> {
    Ok(VendorBar {
        ticker: ticker.clone(),
        bar,
        source: "invented",
        fetched_at: Utc::now(),
    })
}

async fn prepare(arguments: &Arguments, pool: &PgPool, tickers: &[Ticker]) -> anyhow::Result<()> {
    if storage::bar_range(pool).await?.is_none() {
        let from = "2018-02-01T00:00:00Z".parse()?;
        let starts: Vec<_> = minutes_after(from)
            .take((WARM_UP_SESSIONS + 4) * 390 + 60)
            .collect();
        for (seed, ticker) in tickers.iter().enumerate() {
            let mut random = Random::new(seed as u64);
            let mut price = 50.0 + 10.0 * seed as f64;
            let rows = starts
                .iter()
                .map(|start| row(ticker, next_bar(&mut random, &mut price, *start)?))
                .collect::<anyhow::Result<Vec<_>>>()?;
            storage::upsert_bars(pool, &rows).await?;
        }
    }
    let file = ChampionsFile::new(&arguments.model_config);
    let champions = file.read()?;
    for kind in ModelKind::ALL {
        if champions.of(kind).is_none() {
            let id = write_random_model(arguments, kind)?;
            file.promote(kind, id, Utc::now(), "to measure the latency")?;
        }
    }
    Ok(())
}

/// A network of the usual size that has learnt nothing.
fn write_random_model(arguments: &Arguments, kind: ModelKind) -> anyhow::Result<ModelId> {
    let weights = match kind {
        ModelKind::Lstm => random_lstm(FEATURE_COUNT, 64, 1, 1),
        ModelKind::Transformer => random_transformer(FEATURE_COUNT, 32, 4, 2, 1),
    };
    let Artifact {
        mut manifest,
        tflite,
    } = artifact(&weights, 1)?;
    manifest.model_id = ModelId::parse(&format!("{kind}-random-{}", Utc::now().timestamp()))?;
    let model_id = manifest.model_id.clone();
    model_registry::write_artifact(&arguments.models_dir, manifest, &tflite)?;
    Ok(model_id)
}
