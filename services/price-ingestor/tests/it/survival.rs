//! After each of these the database holds exactly what the vendor has.

use std::{
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use chrono::TimeDelta;
use sqlx::{ConnectOptions as _, PgPool};
use test_support::HushingProxy;

use crate::world::{World, invented, time};

const TICKERS: [&str; 3] = ["AAPL", "KO", "MSFT"];

/// Two whole sessions before, and the day of the test: Thursday to Monday. The session ends at 20:00 UTC.
async fn monday(now: &str, speed: f64) -> World {
    let bars = invented(&TICKERS, "2018-03-22", "2018-03-26");
    World::open(bars, &format!("2018-03-26T{now}Z"), speed).await
}

/// Every kind of bad answer, a third of all answers together.
const ALL_FAULTS: &str = r#"{"seed": 5, "rules": [
    {"fault": "too_many_requests", "endpoint": "chart", "share": 0.02},
    {"fault": "unauthorized", "endpoint": "chart", "share": 0.03},
    {"fault": "server_error", "endpoint": "chart", "share": 0.03},
    {"fault": "timeout", "endpoint": "chart", "share": 0.005, "seconds": 5},
    {"fault": "cut_connection", "endpoint": "chart", "share": 0.03},
    {"fault": "truncated", "endpoint": "chart", "share": 0.03},
    {"fault": "html", "endpoint": "chart", "share": 0.03},
    {"fault": "empty_no_timestamp", "endpoint": "chart", "share": 0.03},
    {"fault": "empty_arrays", "endpoint": "chart", "share": 0.03},
    {"fault": "empty_nulls", "endpoint": "chart", "share": 0.03},
    {"fault": "coarser_interval", "endpoint": "chart", "share": 0.03},
    {"fault": "ragged", "endpoint": "chart", "share": 0.03},
    {"fault": "poisoned_crumb", "endpoint": "chart", "share": 0.02},
    {"fault": "late_bars", "endpoint": "chart", "share": 0.03},
    {"fault": "revised_bars", "endpoint": "chart", "share": 0.03},
    {"fault": "bad_ticks", "endpoint": "chart", "share": 0.03}
]}"#;

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn killed_in_the_middle_of_a_batch_again_and_again(pool: PgPool) {
    let world = monday("19:00:00", 300.0).await;
    // From outside: whether the ingestor is within a transaction.
    let is_writing = || async {
        sqlx::query_scalar::<_, bool>(
            "select exists (select from pg_stat_activity where datname = current_database() \
             and application_name = 'tandem' and xact_start is not null and query ilike '%insert into price_data%')",
        )
        .fetch_one(&pool)
        .await
        .unwrap()
    };
    let mut hits = 0;
    for _ in 0..6 {
        let ingestor = world.ingestor(&pool);
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(2) {
            if is_writing().await {
                hits += 1;
                break;
            }
        }
        ingestor.kill();
    }
    assert!(hits >= 2, "only {hits} of the kills met a transaction");
    let _ingestor = world.ingestor(&pool);
    world.until(time("2018-03-26T20:17:00Z")).await;
    world.until_equal(&pool).await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn two_ingestors_at_once(pool: PgPool) {
    let world = monday("18:30:00", 1200.0).await;
    let (mut first, mut second) = (world.ingestor(&pool), world.ingestor(&pool));
    world.until(time("2018-03-26T20:17:00Z")).await;
    world.until_equal(&pool).await;
    assert!(first.is_running() && second.is_running());
    let revisions: i64 = sqlx::query_scalar("select count(*) from price_revision")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(revisions, 0, "the same bar from both is no revision");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_vendor_is_away_for_an_hour(pool: PgPool) {
    let world = monday("16:30:00", 1500.0).await;
    world.set_faults(
        r#"{"rules": [{"fault": "unavailable", "from": "2018-03-26T18:00:00Z", "until": "2018-03-26T19:00:00Z"}]}"#,
    );
    let mut ingestor = world.ingestor(&pool);
    world.until(time("2018-03-26T18:55:00Z")).await;
    let newest: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select max(bar_start) from price_data")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert!(newest < time("2018-03-26T18:00:00Z"), "{newest}");
    world.until(time("2018-03-26T20:17:00Z")).await;
    world.until_equal(&pool).await;
    assert!(ingestor.is_running());
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_third_of_the_answers_is_bad(pool: PgPool) {
    let world = monday("18:30:00", 900.0).await;
    world.set_faults(ALL_FAULTS);
    let mut ingestor = world.ingestor(&pool);
    world.until(time("2018-03-26T20:17:00Z")).await;
    world.until_equal(&pool).await;
    assert!(ingestor.is_running());
    let report = world.faults.report();
    assert!(report.served.len() >= 12, "{:?}", report.served);
    let revisions: i64 = sqlx::query_scalar("select count(*) from price_revision")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(
        revisions > 0,
        "provisional bars were replaced, and are kept"
    );
    let refused: i64 = sqlx::query_scalar("select count(*) from quarantine")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(refused > 0, "bad ticks are in quarantine");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_clock_jumps_forward_and_back(pool: PgPool) {
    let bars = invented(&TICKERS, "2018-03-22", "2018-03-27");
    let world = World::open(bars, "2018-03-26T18:30:00Z", 600.0).await;
    let mut ingestor = world.ingestor(&pool);
    // Three hours ahead, past the close; then an hour behind; then right again.
    world.until(time("2018-03-26T18:50:00Z")).await;
    world.set_own_clock(world.now() + TimeDelta::hours(3), 600.0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.set_own_clock(world.now() - TimeDelta::hours(1), 600.0);
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.set_own_clock(world.now(), 600.0);
    world.until(time("2018-03-26T20:17:00Z")).await;
    // The night is skipped, half of the next session with it.
    world.set_clock(time("2018-03-27T18:30:00Z"), 1200.0);
    world.until(time("2018-03-27T20:17:00Z")).await;
    world.until_equal(&pool).await;
    assert!(ingestor.is_running());
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_second_source_stands_in_while_the_vendor_is_away_and_the_vendor_has_the_last_word(
    pool: PgPool,
) {
    let world = monday("17:00:00", 1200.0).await;
    world.set_faults(
        r#"{"rules": [{"vendor": "yahoo", "fault": "unavailable", "from": "2018-03-26T18:30:00Z"}]}"#,
    );
    let mut ingestor = world.ingestor_with_key(&pool);
    let of_second_source = || async {
        sqlx::query_as::<_, (i64, i64)>(
            "select count(*) filter (where fetched_at = bar_start + interval '1 minute'), count(*) from price_data              where source = 'alpha_vantage'",
        )
        .fetch_one(&pool)
        .await
        .unwrap()
    };
    world.until(time("2018-03-26T19:50:00Z")).await;
    assert!(of_second_source().await.1 > 0, "within the session");
    world.until(time("2018-03-26T20:17:00Z")).await;
    world.until_equal(&pool).await;
    let (raw, all) = of_second_source().await;
    assert!(
        raw == all && all > 200,
        "later splits must still apply: {raw} of {all}"
    );
    let spent: i32 =
        sqlx::query_scalar("select max(requests) from vendor_usage where vendor = 'alpha_vantage'")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert!((3..=25).contains(&spent), "{spent} requests of a day's 25");
    // What Yahoo says when it is back goes before.
    sqlx::query("update price_data set close = close + 0.01, high = high + 0.01 where source = 'alpha_vantage'")
        .execute(&pool)
        .await
        .unwrap();
    world.set_faults(r#"{"rules": []}"#);
    world.until_equal(&pool).await;
    assert_eq!(of_second_source().await.1, 0);
    assert!(ingestor.is_running());
}

/// A server of the test's own, to be stopped and started; none where the project's PostgreSQL is not installed.
struct OwnServer {
    data: tempfile::TempDir,
}

impl OwnServer {
    fn script() -> PathBuf {
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
        PathBuf::from(manifest).join("../../scripts/postgres")
    }

    fn new() -> Option<Self> {
        let installed = Self::script().with_file_name("../.local/tools/postgres/installed");
        if !installed.exists() {
            eprintln!(
                "skipped: {} is absent: run scripts/postgres install",
                installed.display()
            );
            return None;
        }
        let data = tempfile::tempdir().unwrap();
        Some(Self { data })
    }

    fn run(&self, arguments: &[&str]) -> String {
        let data = self.data.path().join("data");
        let mut command = Command::new(Self::script());
        command.arg(arguments[0]).arg(data).args(&arguments[1..]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn start(&self) -> String {
        self.run(&["start", "0", "--throwaway"])
    }

    fn stop(&self) {
        self.run(&["stop"]);
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        let data = self.data.path().join("data");
        let _ = Command::new(Self::script()).arg("stop").arg(data).output();
    }
}

// The vendor goes on while the server stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_is_restarted_during_a_session() {
    let Some(server) = OwnServer::new() else {
        return;
    };
    let url = server.start();
    let world = monday("18:30:00", 600.0).await;
    let mut ingestor = world.ingestor_at(&url);
    world.until(time("2018-03-26T18:50:00Z")).await;
    server.stop();
    world.until(time("2018-03-26T19:20:00Z")).await;
    let again = server.start();
    assert_eq!(again, url, "the same port");
    world.until(time("2018-03-26T20:17:00Z")).await;
    let pool = PgPool::connect(&url).await.unwrap();
    world.until_equal(&pool).await;
    assert!(ingestor.is_running());
    pool.close().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_connection_that_falls_silent_in_mid_store(pool: PgPool) {
    // A minute of this market is a second, and half a session is left.
    let world = monday("16:30:00", 60.0).await;
    let url = pool.connect_options().to_url_lossy().to_string();
    let proxy = HushingProxy::start(&url).await.unwrap();
    let mut ingestor = world.ingestor_at(&proxy.through(&url));
    world.until(time("2018-03-26T16:35:00Z")).await;
    world.until_equal(&pool).await;
    // All is written and locked, and the commit never arrives.
    proxy.hush_at("COMMIT");
    while proxy.is_waiting() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let silent_since = Instant::now();
    world.until(world.now() + TimeDelta::minutes(5)).await;
    world.until_equal(&pool).await;
    assert!(
        silent_since.elapsed() < Duration::from_secs(60),
        "{:?}",
        silent_since.elapsed()
    );
    assert!(ingestor.is_running());

    // Whoever is started in its place is not held up by what it leaves behind.
    proxy.hush_at("COMMIT");
    while proxy.is_waiting() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    ingestor.kill();
    let _next = world.ingestor(&pool);
    let started = Instant::now();
    world.until(world.now() + TimeDelta::minutes(5)).await;
    world.until_equal(&pool).await;
    assert!(
        started.elapsed() < Duration::from_secs(60),
        "{:?}",
        started.elapsed()
    );
}
