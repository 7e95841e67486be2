//! How fast prices are taken in, as one line of JSON:
//!
//! ```text
//! DATABASE_URL=postgres://... ingest_throughput BARS.csv.gz [MINUTES]
//! ```
//!
//! `backfill_*`: the file's bars from market-sim over HTTPS through parsing and validation into an empty table, in two
//! requests' reach of 30 days. `upsert_*`: the same bars straight into the table, new and once more unchanged.
//! `poll_20_*` and `poll_500_*`: one poll after a minute's close of an invented market, from the request to the commit.
//! `resident_*`: memory of a `price-ingestor` process (beside this program, in the folder above) over so many minutes of
//! the market (default 60) at 60 times its speed.
#![expect(clippy::print_stdout, reason = "the result is what the program prints")]

use std::{
    collections::BTreeMap,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context;
use bar_files::BarFile;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Bar, Ticker};
use ingestion::{IngestSettings, Ingestor, MarketTime};
use market_data::{VendorConnection, YahooClient};
use market_sim::{Certificates, Market, Server, Simulator};
use service_kit::{Clock, ReplayClock};
use storage::{DatabaseSettings, PgPool, VendorBar};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

const DATABASE: &str = "tandem_ingest_throughput";

/// A poll of 500 is slower than 20: so many rounds of each.
const POLLS: usize = 15;

/// The speed of the market while the resident memory is watched.
const SPEED: f64 = 60.0;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments
        .next()
        .context("usage: ingest_throughput BARS.csv.gz [MINUTES]")?;
    let minutes: i64 = arguments.next().map_or(Ok(60), |text| text.parse())?;
    let server = DatabaseSettings::new(service_kit::database_url()?.into());

    let bars = bar_files::read_bars(Path::new(&path))?.bars;
    let backfill = backfill(&server, &bars).await?;
    let upsert = upsert(&server, &bars).await?;
    let poll_20 = polls(&server, 20).await?;
    let poll_500 = polls(&server, 500).await?;
    let resident = resident(&server, minutes).await?;
    storage::drop_database(&server, DATABASE).await?;
    println!(
        "{}",
        serde_json::json!({
            "bars": bars.values().map(Vec::len).sum::<usize>(),
            "backfill_bars": backfill.0,
            "backfill_s": round(backfill.1),
            "upsert_new_rows_per_s": upsert.0.round(),
            "upsert_unchanged_rows_per_s": upsert.1.round(),
            "poll_20_ms": poll_20,
            "poll_500_ms": poll_500,
            "resident_mib": resident,
        })
    );
    Ok(())
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

async fn fresh_database(server: &DatabaseSettings) -> anyhow::Result<(PgPool, String)> {
    storage::drop_database(server, DATABASE).await?;
    let url = storage::ensure_database(server, DATABASE).await?;
    let pool = storage::open(url.clone()).await?;
    Ok((pool, url))
}

/// A vendor with a clock of its own.
struct Vendor {
    folder: TempDir,
    address: String,
    stop: CancellationToken,
}

impl Vendor {
    async fn open(market: Market, now: DateTime<Utc>, speed: f64) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut vendor = Self {
            folder,
            address: String::new(),
            stop: CancellationToken::new(),
        };
        vendor.set_clock(now, speed)?;
        let clock = Clock::from_file(vendor.clock())?;
        let simulator = Simulator::new(market, calendar::nyse(), clock);
        let server = Server::bind("127.0.0.1:0".parse()?, Certificates::generate()?, simulator)?;
        std::fs::write(vendor.folder.path().join("ca.pem"), server.authority())?;
        vendor.address = server.address().to_string();
        tokio::spawn(server.run(vendor.stop.clone()));
        Ok(vendor)
    }

    fn clock(&self) -> std::path::PathBuf {
        self.folder.path().join("clock.json")
    }

    fn set_clock(&self, origin: DateTime<Utc>, speed: f64) -> anyhow::Result<()> {
        let started = Some(Utc::now());
        let clock = ReplayClock {
            origin,
            speed,
            started,
        };
        clock.write(&self.clock())?;
        Ok(())
    }

    /// An ingestor that is not held back by any politeness.
    async fn ingestor(
        &self,
        pool: &PgPool,
        tickers: &[Ticker],
        backfill_days: u32,
    ) -> anyhow::Result<Ingestor> {
        let settings = IngestSettings {
            requests_per_second: 10_000.0,
            concurrency: 20,
            backfill_days,
            ..IngestSettings::default()
        };
        let connection = VendorConnection {
            address: Some(self.address.clone()),
            certificate: Some(self.folder.path().join("ca.pem")),
            request_timeout: settings.request_timeout(),
        };
        let clock = self.clock();
        let now = move || {
            ReplayClock::read(&clock).map_or_else(|_| Utc::now(), |clock| clock.at(Utc::now()))
        };
        let time = MarketTime::new(now, || 1.0);
        let client = YahooClient::new(&connection)?;
        Ok(Ingestor::new(
            client,
            pool.clone(),
            calendar::nyse(),
            time,
            settings,
            tickers,
        )
        .await?)
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn vendor_bars(bars: &BTreeMap<Ticker, Vec<Bar>>, fetched_at: DateTime<Utc>) -> Vec<VendorBar> {
    bars.iter()
        .flat_map(|(ticker, bars)| {
            bars.iter().map(move |bar| VendorBar {
                ticker: ticker.clone(),
                bar: *bar,
                source: "yahoo",
                fetched_at,
            })
        })
        .collect()
}

/// Bars stored, and the seconds it took.
async fn backfill(
    server: &DatabaseSettings,
    bars: &BTreeMap<Ticker, Vec<Bar>>,
) -> anyhow::Result<(u64, f64)> {
    let (pool, _) = fresh_database(server).await?;
    let tickers: Vec<Ticker> = bars.keys().cloned().collect();
    let first = bars.values().flatten().map(|bar| bar.start).min();
    let last = bars.values().flatten().map(|bar| bar.start).max();
    let (first, last) = first.zip(last).context("the file holds no bars")?;
    let file = BarFile {
        bars: bars.clone(),
        report: bar_files::CleaningReport::default(),
    };
    let market = Market::recorded(file, &[], calendar::nyse())?;
    let mut now = (first + TimeDelta::days(29)).min(last + TimeDelta::hours(1));
    let vendor = Vendor::open(market, now, 1.0).await?;
    let (mut inserted, mut seconds) = (0, 0.0);
    loop {
        vendor.set_clock(now, 1.0)?;
        // The vendor looks at its clock ten times a second.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut ingestor = vendor.ingestor(&pool, &tickers, 30).await?;
        let begin = Instant::now();
        inserted += ingestor.backfill().await?.inserted;
        seconds += begin.elapsed().as_secs_f64();
        if now > last {
            return Ok((inserted, seconds));
        }
        now = (now + TimeDelta::days(29)).min(last + TimeDelta::hours(1));
    }
}

/// Rows a second: new ones, and the same again.
async fn upsert(
    server: &DatabaseSettings,
    bars: &BTreeMap<Ticker, Vec<Bar>>,
) -> anyhow::Result<(f64, f64)> {
    let (pool, _) = fresh_database(server).await?;
    let rows = vendor_bars(bars, Utc::now());
    let mut rates = Vec::new();
    for _ in 0..2 {
        let begin = Instant::now();
        for batch in rows.chunks(5_000) {
            storage::upsert_bars(&pool, batch).await?;
        }
        rates.push(rows.len() as f64 / begin.elapsed().as_secs_f64());
    }
    let rate = |place: usize| rates.get(place).copied().unwrap_or_default();
    Ok((rate(0), rate(1)))
}

/// Median and slowest of polls just after a minute's close, milliseconds.
async fn polls(server: &DatabaseSettings, tickers: usize) -> anyhow::Result<serde_json::Value> {
    let (pool, _) = fresh_database(server).await?;
    let tickers: Vec<Ticker> = (0..tickers)
        .map(|number| Ticker::parse(&format!("T{number}")))
        .collect::<Result<_, _>>()?;
    let mut now: DateTime<Utc> = "2018-03-26T14:30:02Z".parse()?;
    let market = Market::generated(1, &tickers, calendar::nyse());
    let vendor = Vendor::open(market, now, 1.0).await?;
    let mut ingestor = vendor.ingestor(&pool, &tickers, 1).await?;
    ingestor.backfill().await?;
    let mut milliseconds = Vec::new();
    for _ in 0..POLLS {
        now += TimeDelta::minutes(1);
        vendor.set_clock(now, 1.0)?;
        tokio::time::sleep(Duration::from_millis(300)).await;
        let begin = Instant::now();
        let report = ingestor.poll().await?;
        milliseconds.push(begin.elapsed().as_secs_f64() * 1_000.0);
        anyhow::ensure!(
            report.inserted == tickers.len() as u64,
            "{} of {} bars came: {:?}",
            report.inserted,
            tickers.len(),
            report.failures.first()
        );
    }
    milliseconds.sort_by(f64::total_cmp);
    let at = |place: usize| milliseconds.get(place).copied().map(round);
    Ok(serde_json::json!({ "median": at(POLLS / 2), "slowest": at(POLLS - 1) }))
}

/// Resident memory of the real process, MiB, at every sixth of the time.
async fn resident(server: &DatabaseSettings, minutes: i64) -> anyhow::Result<Vec<f64>> {
    let (_, url) = fresh_database(server).await?;
    let program = std::env::current_exe()?;
    let program = program
        .parent()
        .and_then(Path::parent)
        .context("this program lies in no folder")?
        .join("price-ingestor");
    anyhow::ensure!(
        program.exists(),
        "{} is not built: cargo build -p price-ingestor",
        program.display()
    );
    let now: DateTime<Utc> = "2018-03-26T14:30:00Z".parse()?;
    let vendor = Vendor::open(Market::generated(1, &[], calendar::nyse()), now, SPEED).await?;
    let config = vendor.folder.path().join("tandem.toml");
    let stocks = market_sim::market::DEFAULT_TICKERS.map(|ticker| {
        format!("{{ ticker = \"{ticker}\", name = \"{ticker}\", sector = \"Technology\" }}")
    });
    std::fs::write(
        &config,
        format!("[universe]\ntickers = [{}]\n", stocks.join(",")),
    )?;
    let child = Command::new(program)
        .env("DATABASE_URL", url)
        .env("TANDEM_CONFIG", config)
        .env("TANDEM_CLOCK", vendor.clock())
        .env("TANDEM_VENDOR_ADDRESS", &vendor.address)
        .env("TANDEM_VENDOR_CA", vendor.folder.path().join("ca.pem"))
        .stderr(Stdio::null())
        .spawn()
        .context("failed to start price-ingestor")?;
    let running = Running(child);
    let mut resident = Vec::new();
    for _ in 0..6 {
        let real = minutes as f64 * 60.0 / SPEED / 6.0;
        tokio::time::sleep(Duration::from_secs_f64(real)).await;
        resident.push(running.resident_mib()?);
    }
    Ok(resident)
}

/// Ends with the measurement.
struct Running(Child);

impl Running {
    fn resident_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("price-ingestor has ended")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok((kib / 1024.0 * 10.0).round() / 10.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
