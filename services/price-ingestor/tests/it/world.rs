//! A market that runs on a clock of the test's, a vendor that serves it, and ingestors that can be killed.

use std::{
    collections::BTreeMap,
    fmt::Write,
    fs::File,
    path::PathBuf,
    process::{Child, Command},
    sync::Arc,
    time::{Duration, Instant},
};

use bar_files::{BarFile, CleaningReport};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{Bar, Ticker};
use market_sim::{Certificates, FaultScript, Faults, Market, Server, Simulator, market::Actions};
use service_kit::{Clock, ReplayClock};
use sqlx::{ConnectOptions, PgPool, Row};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A test that does not get there by then has failed.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) type Bars = BTreeMap<Ticker, Vec<Bar>>;

pub(crate) struct World {
    pub(crate) faults: Arc<Faults>,
    pub(crate) bars: Bars,
    folder: TempDir,
    address: String,
    stop: CancellationToken,
}

pub(crate) fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

pub(crate) fn ticker(text: &str) -> Ticker {
    Ticker::parse(text).unwrap()
}

/// Bars of every minute of the sessions between two dates, which wander as prices do.
pub(crate) fn invented(tickers: &[&str], from: &str, to: &str) -> Bars {
    let date = |text: &str| text.parse::<NaiveDate>().unwrap();
    let sessions = calendar::nyse().sessions(date(from), date(to));
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut dice = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % 1_000
    };
    let bars_of = |first: i64| {
        let mut cents = first;
        let mut bars = Vec::new();
        for session in sessions {
            for minute in 0..session.minutes() {
                let open = cents;
                cents += i64::try_from(dice() % 21).unwrap() - 10;
                let price = |cents: i64| cents as f64 / 100.0;
                let start = session.open + TimeDelta::minutes(i64::from(minute));
                let bar = Bar::new(
                    start,
                    price(open),
                    price(open.max(cents) + 3),
                    price(open.min(cents) - 2),
                    price(cents),
                    (1_000 + dice()) as f64,
                );
                bars.push(bar.unwrap());
            }
        }
        bars
    };
    let mut bars_of = bars_of;
    let first = |place: usize| 10_000 + 5_000 * i64::try_from(place).unwrap();
    tickers
        .iter()
        .enumerate()
        .map(|(place, symbol)| (ticker(symbol), bars_of(first(place))))
        .collect()
}

impl World {
    /// Serves the bars from a market time on, at a speed. The ingestors' clock is the vendor's until it is set apart.
    pub(crate) async fn open(bars: Bars, now: &str, speed: f64) -> Self {
        Self::open_with(bars, &Actions::default(), now, speed).await
    }

    /// As [`World::open`], with splits and dividends.
    pub(crate) async fn open_with(bars: Bars, actions: &Actions, now: &str, speed: f64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut universe = String::from("[universe]\ntickers = [\n");
        for ticker in bars.keys() {
            writeln!(
                universe,
                "{{ ticker = \"{ticker}\", name = \"{ticker}\", sector = \"Technology\" }},"
            )
            .unwrap();
        }
        universe.push_str("]\n");
        std::fs::write(folder.path().join("tandem.toml"), universe).unwrap();
        let mut world = Self {
            faults: Arc::default(),
            bars,
            folder,
            address: String::new(),
            stop: CancellationToken::new(),
        };
        world.set_clock(time(now), speed);
        let file = BarFile {
            bars: world.bars.clone(),
            report: CleaningReport::default(),
        };
        let market = Market::recorded(file, &[], calendar::nyse())
            .unwrap()
            .with_actions(actions, None, calendar::nyse())
            .unwrap();
        let clock = Clock::from_file(world.path("vendor_clock.json")).unwrap();
        let simulator = Simulator::new(market, calendar::nyse(), clock);
        world.faults = simulator.faults();
        let certificates = Certificates::generate().unwrap();
        let local = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(local, certificates, simulator).unwrap();
        std::fs::write(world.path("ca.pem"), server.authority()).unwrap();
        world.address = server.address().to_string();
        tokio::spawn(server.run(world.stop.clone()));
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sets the market's clock, the vendor's and the ingestors' alike.
    pub(crate) fn set_clock(&self, now: DateTime<Utc>, speed: f64) {
        for name in ["vendor_clock.json", "clock.json"] {
            self.write_clock(name, now, speed);
        }
    }

    /// Sets the ingestors' clock alone.
    pub(crate) fn set_own_clock(&self, now: DateTime<Utc>, speed: f64) {
        self.write_clock("clock.json", now, speed);
    }

    fn write_clock(&self, name: &str, origin: DateTime<Utc>, speed: f64) {
        let clock = ReplayClock {
            origin,
            speed,
            started: Some(Utc::now()),
        };
        clock.write(&self.path(name)).unwrap();
    }

    /// The vendor's time.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let clock = ReplayClock::read(&self.path("vendor_clock.json")).unwrap();
        clock.at(Utc::now())
    }

    pub(crate) fn set_faults(&self, json: &str) {
        self.faults
            .set(FaultScript::from_json(json.as_bytes()).unwrap());
    }

    /// Starts an ingestor.
    pub(crate) fn ingestor(&self, pool: &PgPool) -> Ingestor {
        self.ingestor_at(pool.connect_options().to_url_lossy().as_ref())
    }

    pub(crate) fn ingestor_at(&self, database_url: &str) -> Ingestor {
        Ingestor(self.command(database_url).spawn().unwrap())
    }

    /// As [`World::ingestor`], with a key for the second source.
    pub(crate) fn ingestor_with_key(&self, pool: &PgPool) -> Ingestor {
        let mut command = self.command(pool.connect_options().to_url_lossy().as_ref());
        command.env("ALPHA_VANTAGE_API_KEY", "sesame");
        Ingestor(command.spawn().unwrap())
    }

    /// As [`World::ingestor`], with no polls for the price of the running minute.
    pub(crate) fn ingestor_without_price_polls(&self, pool: &PgPool) -> Ingestor {
        let mut command = self.command(pool.connect_options().to_url_lossy().as_ref());
        command.env("TANDEM__INGEST__FORMING_INTERVAL_S", "0");
        Ingestor(command.spawn().unwrap())
    }

    /// The exit code of a night's step `gaps`.
    pub(crate) async fn fill_gaps(&self, pool: &PgPool, run_id: i64) -> Option<i32> {
        let mut command = self.command(pool.connect_options().to_url_lossy().as_ref());
        command
            .args(["--once", "--review"])
            .env("TANDEM_RUN_ID", run_id.to_string());
        let ended = tokio::task::spawn_blocking(move || command.status().unwrap());
        ended.await.unwrap().code()
    }

    fn command(&self, database_url: &str) -> Command {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_price-ingestor"));
        command
            .env("DATABASE_URL", database_url)
            .env("TANDEM_CONFIG", self.path("tandem.toml"))
            .env("TANDEM_CLOCK", self.path("clock.json"))
            .env("TANDEM_VENDOR_ADDRESS", &self.address)
            .env("TANDEM_VENDOR_CA", self.path("ca.pem"))
            .env("RUST_LOG", "info")
            .env_remove("ALPHA_VANTAGE_API_KEY")
            .stderr(log);
        command
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Waits until the log holds a text more than `times` times.
    pub(crate) async fn until_logged(&self, text: &str, times: usize) {
        let begin = Instant::now();
        while self.log().matches(text).count() <= times {
            assert!(
                begin.elapsed() < PATIENCE,
                "no {text:?} in\n{}",
                self.tail()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the vendor's time.
    pub(crate) async fn until(&self, time: DateTime<Utc>) {
        while self.now() < time {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until what is stored is what the vendor has, bar for bar.
    pub(crate) async fn until_equal(&self, pool: &PgPool) {
        let begin = Instant::now();
        loop {
            let difference = self.difference(pool).await;
            if difference.is_empty() {
                return;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "at {}:\n{difference}\n{}",
                self.now(),
                self.tail()
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// How what is stored differs from what the vendor has by now.
    pub(crate) async fn difference(&self, pool: &PgPool) -> String {
        let closed = self.now() - TimeDelta::minutes(1);
        let rows = sqlx::query(
            "select ticker, bar_start, open, high, low, close, volume from price_data \
             order by ticker, bar_start",
        )
        .fetch_all(pool)
        .await
        .unwrap();
        let mut stored: BTreeMap<(String, DateTime<Utc>), ([f64; 4], f64)> = rows
            .iter()
            .map(|row| {
                let prices = [row.get(2), row.get(3), row.get(4), row.get(5)];
                ((row.get(0), row.get(1)), (prices, row.get(6)))
            })
            .collect();
        let mut difference = String::new();
        for (ticker, bars) in &self.bars {
            for bar in bars {
                let found = stored.remove(&(ticker.to_string(), bar.start));
                let prices = [bar.open, bar.high, bar.low, bar.close].map(|price| price.get());
                let expected = (prices, bar.volume);
                let is_due = bar.close_time() <= closed;
                if found.map_or(is_due, |found| found != expected) && difference.len() < 1_000 {
                    writeln!(
                        difference,
                        "{ticker} {}: {found:?}, not {expected:?}",
                        bar.start
                    )
                    .unwrap();
                }
            }
        }
        for (ticker, start) in stored.keys().take(5) {
            writeln!(difference, "{ticker} {start}: nobody sent it").unwrap();
        }
        difference
    }

    fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().rev().take(40).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// A running ingestor; killed when dropped.
pub(crate) struct Ingestor(Child);

impl Ingestor {
    /// As `kill -9`.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Ingestor {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
