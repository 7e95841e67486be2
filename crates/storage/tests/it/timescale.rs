//! Tests with TimescaleDB: `TANDEM_TIMESCALE_URL` names a server that has it loaded, in either edition, and on which
//! databases may be created. Without it they say that they are skipped.

use std::{
    fs::File,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::Bar;
use flate2::read::GzDecoder;
use secrecy::SecretString;
use storage::{
    DatabaseSettings, HistoryRequest, Interval, PgPool, RetentionSettings, TimescaleState,
    VendorBar, apply_retention, bar_range, bars_between, connect, convert_to_hypertables,
    drop_database, ensure_database, history_page, last_bar_starts, migrate, newest_bars,
    timescale_state, upsert_bars,
};

use crate::{
    history::{put_together, shape},
    minutes, ticker, time, vendor_bar,
};

/// A new database on the server with TimescaleDB, without tables.
struct Timescale {
    pool: PgPool,
    server: DatabaseSettings,
    name: String,
}

impl Timescale {
    async fn empty(test: &str) -> Option<Self> {
        let Ok(url) = std::env::var("TANDEM_TIMESCALE_URL") else {
            eprintln!("skipped: TANDEM_TIMESCALE_URL names no server with TimescaleDB");
            return None;
        };
        let server = DatabaseSettings::new(SecretString::from(url));
        let name = format!("tandem_test_{test}_{}", std::process::id());
        drop_database(&server, &name).await.unwrap();
        let url = ensure_database(&server, &name).await.unwrap();
        let pool = connect(&DatabaseSettings::new(url.into())).await.unwrap();
        Some(Self { pool, server, name })
    }

    async fn new(test: &str) -> Option<Self> {
        let database = Self::empty(test).await?;
        migrate(&database.pool).await.unwrap();
        Some(database)
    }

    /// Whether the edition has compression and continuous aggregates.
    async fn is_complete(&self) -> bool {
        let licence: String = sqlx::query_scalar("select current_setting('timescaledb.license')")
            .fetch_one(&self.pool)
            .await
            .unwrap();
        licence == "timescale"
    }

    async fn run(&self, statement: &'static str) {
        sqlx::raw_sql(statement).execute(&self.pool).await.unwrap();
    }

    async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement)
            .fetch_one(&self.pool)
            .await
            .unwrap()
    }

    /// What a job does in its time; nothing in the Apache edition.
    async fn refresh(&self) {
        if !self.is_complete().await {
            return;
        }
        loop {
            let refreshed = sqlx::raw_sql("call refresh_price_rollups()")
                .execute(&self.pool)
                .await;
            // lock_not_available: the job is at it.
            if let Err(sqlx::Error::Database(error)) = &refreshed
                && error.code().as_deref() == Some("55P03")
            {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            }
            refreshed.unwrap();
            return;
        }
    }

    async fn compress(&self) {
        if self.is_complete().await {
            self.run("select compress_chunk(chunk, true) from show_chunks('price_data') as chunk")
                .await;
        }
    }

    async fn drop(self) {
        self.pool.close().await;
        drop_database(&self.server, &self.name).await.unwrap();
    }
}

fn all(interval: Interval) -> HistoryRequest {
    HistoryRequest {
        interval,
        start: None,
        end: None,
        limit: 200_000,
    }
}

/// Twenty stocks of 2018 where the recorded bars are at hand, else two made up ones.
fn bars_of_2018() -> Vec<VendorBar> {
    let Some(path) = test_support::shared("data/bars_1m/us20_2018-02-16_2018-03-29.csv.gz") else {
        return ["AAPL", "MSFT"]
            .into_iter()
            .flat_map(|symbol| {
                [
                    "2018-03-08T14:30:00Z",
                    "2018-03-09T14:30:00Z",
                    "2018-03-12T13:30:00Z",
                ]
                .into_iter()
                .flat_map(move |open| minutes(symbol, open, 390))
            })
            .collect();
    };
    csv::Reader::from_reader(GzDecoder::new(File::open(path).unwrap()))
        .deserialize()
        .map(|row| {
            let (symbol, start, open, high, low, close, volume): (
                String,
                DateTime<Utc>,
                f64,
                f64,
                f64,
                f64,
                f64,
            ) = row.unwrap();
            vendor_bar(
                &symbol,
                Bar::new(start, open, high, low, close, volume).unwrap(),
            )
        })
        .collect()
}

async fn split(pool: &PgPool, symbol: &str, effective_at: &str, ratio: f64) {
    sqlx::query(
        "insert into corporate_actions (ticker, kind, ex_date, effective_at, ratio, source, fetched_at) \
         values ($1, 'split', $2::date, $2, $3, 'test', $2)",
    )
    .bind(symbol)
    .bind(time(effective_at))
    .bind(ratio)
    .execute(pool)
    .await
    .unwrap();
}

/// Both give the same pages, whole and in parts.
async fn assert_same_answers(plain: &PgPool, timescale: &PgPool, symbols: &[&str], when: &str) {
    let session = TimeDelta::minutes(390);
    for symbol in symbols {
        let ticker = ticker(symbol);
        for interval in Interval::ALL {
            let whole = history_page(plain, &ticker, &all(interval)).await.unwrap();
            assert!(!whole.bars.is_empty());
            let middle = whole.bars[whole.bars.len() / 2].start;
            for (start, end, limit) in [
                (None, None, 200_000),
                (None, None, 7),
                (None, Some(middle), 31),
                (
                    Some(middle - session),
                    Some(middle + TimeDelta::minutes(17)),
                    100,
                ),
                (Some(middle), Some(middle + session), 3),
            ] {
                let request = HistoryRequest {
                    interval,
                    start,
                    end,
                    limit,
                };
                let expected = history_page(plain, &ticker, &request).await.unwrap();
                let found = history_page(timescale, &ticker, &request).await.unwrap();
                assert_eq!(found, expected, "{when}: {symbol} {request:?}");
            }
        }
        assert_eq!(
            newest_bars(timescale, std::slice::from_ref(&ticker), 200)
                .await
                .unwrap(),
            newest_bars(plain, std::slice::from_ref(&ticker), 200)
                .await
                .unwrap(),
            "{when}"
        );
    }
    assert_eq!(
        last_bar_starts(timescale).await.unwrap(),
        last_bar_starts(plain).await.unwrap(),
        "{when}"
    );
    assert_eq!(
        bar_range(timescale).await.unwrap(),
        bar_range(plain).await.unwrap(),
        "{when}"
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn answers_are_those_of_plain_postgresql_whatever_happens_to_the_bars(plain: PgPool) {
    let Some(timescale) = Timescale::new("answers").await else {
        return;
    };
    let both = [&plain, &timescale.pool];
    let bars = bars_of_2018();
    // Some minutes arrive later, and the last session is still going on.
    let last = bars.iter().map(|row| row.bar.start).max().unwrap();
    let late = |row: &VendorBar| row.bar.start.timestamp() / 60 % 7 == 3;
    let tonight = last - TimeDelta::hours(3);
    let symbols = ["AAPL", "MSFT"];
    let upsert = async |rows: Vec<VendorBar>| {
        for pool in both {
            let counts = upsert_bars(pool, &rows).await.unwrap();
            assert_eq!(counts.inserted + counts.revised, rows.len() as u64);
        }
    };
    let same = async |when| assert_same_answers(&plain, &timescale.pool, &symbols, when).await;

    upsert(
        bars.iter()
            .filter(|row| !late(row) && row.bar.start < tonight)
            .cloned()
            .collect(),
    )
    .await;
    same("before the first refresh").await;
    timescale.refresh().await;
    same("refreshed").await;

    upsert(
        bars.iter()
            .filter(|row| row.bar.start >= tonight)
            .cloned()
            .collect(),
    )
    .await;
    same("with the newest bars").await;

    timescale.refresh().await;
    timescale.compress().await;
    same("compressed").await;
    upsert(
        bars.iter()
            .filter(|row| late(row) && row.bar.start < tonight)
            .cloned()
            .collect(),
    )
    .await;
    same("filled up in compressed chunks").await;

    // More than TimescaleDB decompresses in a transaction unless it is told to.
    timescale.compress().await;
    let again: Vec<_> = bars
        .iter()
        .cloned()
        .map(|row| VendorBar {
            fetched_at: row.fetched_at + TimeDelta::hours(1),
            ..row
        })
        .collect();
    let counts = upsert_bars(&timescale.pool, &again).await.unwrap();
    assert_eq!(counts.unchanged, bars.len() as u64);
    same("backfilled again").await;

    timescale.refresh().await;

    // A split is stored long after the aggregates were refreshed; then the vendor revises some bars on the new basis.
    let effective = "2018-03-28T13:30:00Z";
    for pool in both {
        split(pool, "AAPL", effective, 4.0).await;
    }
    same("after a split").await;
    let revised = bars
        .iter()
        .filter(|row| row.bar.start.timestamp() / 60 % 13 == 5);
    upsert(
        revised
            .map(|row| VendorBar {
                bar: Bar::new(
                    row.bar.start,
                    row.bar.open.get() / 4.0,
                    row.bar.high.get() / 4.0,
                    row.bar.low.get() / 4.0,
                    row.bar.close.get() / 4.0,
                    row.bar.volume * 4.0,
                )
                .unwrap(),
                fetched_at: time("2018-03-30T01:00:00Z"),
                ..row.clone()
            })
            .collect(),
    )
    .await;
    same("revised on another basis").await;
    timescale.refresh().await;
    same("revised and refreshed").await;
    for pool in both {
        split(pool, "AAPL", "2020-08-31T13:30:00Z", 0.125).await;
        split(pool, "MSFT", "2019-08-30T13:30:00Z", 1.998).await;
    }
    same("after more splits").await;
    for pool in both {
        sqlx::query(
            "delete from price_data where bar_start::date = '2018-03-12' or bar_start >= $1",
        )
        .bind(last - TimeDelta::minutes(7))
        .execute(pool)
        .await
        .unwrap();
    }
    same("after a deletion").await;
    timescale.refresh().await;
    same("deleted and refreshed").await;
    if timescale.is_complete().await {
        assert_eq!(
            timescale
                .count("select count(*) from price_rollup_stale")
                .await,
            0
        );
        assert_eq!(
            timescale
                .count("select count(*) from price_1d where ticker = 'AAPL'")
                .await,
            timescale
                .count(
                    "select count(distinct (bar_start::date, share_basis(bar_start, fetched_at))) \
                     from price_data where ticker = 'AAPL'"
                )
                .await,
            "the aggregates hold it all"
        );
    }
    timescale.drop().await;
}

/// Whatever is committed in the meantime: at every moment the longer bars are those of the minutes.
#[tokio::test]
async fn longer_bars_hold_their_minutes_while_these_change() {
    let Some(timescale) = Timescale::new("change").await else {
        return;
    };
    let pool = &timescale.pool;
    let apple = ticker("AAPL");
    let sessions = [
        "2018-03-08T14:30:00Z",
        "2018-03-09T14:30:00Z",
        "2018-03-12T13:30:00Z",
    ];
    let first: Vec<_> = sessions
        .iter()
        .flat_map(|open| minutes("AAPL", open, 300))
        .collect();
    upsert_bars(pool, &first).await.unwrap();
    timescale.refresh().await;

    let done = AtomicBool::new(false);
    let write = async {
        let started = Instant::now();
        let mut round = 0;
        while started.elapsed() < Duration::from_secs(4) {
            round += 1;
            let rows: Vec<_> = sessions
                .iter()
                .flat_map(|open| minutes("AAPL", open, 330))
                .filter(|row| row.bar.start.timestamp() / 60 % 17 == round % 17)
                .map(|mut row| {
                    row.bar.close = row.bar.high;
                    row.bar.volume += round as f64;
                    row.fetched_at += TimeDelta::hours(round);
                    row
                })
                .collect();
            upsert_bars(pool, &rows).await.unwrap();
        }
        done.store(true, Ordering::Relaxed);
    };
    let refresh = async {
        while !done.load(Ordering::Relaxed) {
            timescale.refresh().await;
        }
    };
    let read = async {
        let mut reads = 0;
        while !done.load(Ordering::Relaxed) {
            let mut snapshot = pool.begin().await.unwrap();
            sqlx::query("set transaction isolation level repeatable read")
                .execute(&mut *snapshot)
                .await
                .unwrap();
            let minutes = history_page(&mut *snapshot, &apple, &all(Interval::OneMinute))
                .await
                .unwrap();
            for interval in [Interval::FiveMinutes, Interval::OneHour, Interval::OneDay] {
                let page = history_page(&mut *snapshot, &apple, &all(interval))
                    .await
                    .unwrap();
                let found: Vec<_> = page.bars.iter().map(shape).collect();
                assert_eq!(found, put_together(&minutes.bars, interval), "{interval}");
            }
            reads += 1;
        }
        assert!(reads > 10, "only {reads} reads");
    };
    tokio::join!(write, refresh, read);
    timescale.drop().await;
}

#[tokio::test]
async fn both_editions_are_set_up_with_what_they_offer() {
    let Some(timescale) = Timescale::empty("editions").await else {
        return;
    };
    let pool = &timescale.pool;
    assert_eq!(timescale_state(pool).await.unwrap(), TimescaleState::Absent);
    // Services start together, and again.
    let (first, second) = tokio::join!(migrate(pool), migrate(pool));
    first.unwrap();
    second.unwrap();
    migrate(pool).await.unwrap();
    let (expected, compressed) = if timescale.is_complete().await {
        (TimescaleState::Complete, 3)
    } else {
        (TimescaleState::Hypertables, 0)
    };
    assert_eq!(timescale_state(pool).await.unwrap(), expected);
    assert_eq!(
        timescale
            .count(
                "select count(*) from timescaledb_information.hypertables where compression_enabled"
            )
            .await,
        compressed
    );
    timescale.drop().await;
}

/// A database that was in use before TimescaleDB was: few rows are converted at the next start, many on demand.
#[tokio::test]
async fn a_full_table_is_converted_and_loses_nothing() {
    let Some(timescale) = Timescale::empty("convert").await else {
        return;
    };
    let pool = &timescale.pool;
    storage::MIGRATOR.run(pool).await.unwrap();
    timescale
        .run(
            "insert into price_data (ticker, bar_start, open, high, low, close, volume, source, fetched_at) \
             select 'T' || number, start, 10, 12, 9, 11, 100, 'test', start + interval '1 minute' \
             from generate_series(1, 10) as number, \
             generate_series('2018-01-01T00:00:00Z'::timestamptz, '2018-01-01T00:00:00Z'::timestamptz \
             + interval '100000 minutes', interval '1 minute') as start",
        )
        .await;
    let rows = timescale.count("select count(*) from price_data").await;
    let (from, to) = (time("2018-02-01T14:00:00Z"), time("2018-02-01T15:00:00Z"));
    let before = bars_between(pool, &ticker("T7"), from, to).await.unwrap();
    let days = history_page(pool, &ticker("T7"), &all(Interval::OneDay))
        .await
        .unwrap();

    migrate(pool).await.unwrap();
    assert_eq!(
        timescale_state(pool).await.unwrap(),
        TimescaleState::Waiting {
            tables: vec!["price_data".to_owned()]
        }
    );
    assert_eq!(
        history_page(pool, &ticker("T7"), &all(Interval::OneDay))
            .await
            .unwrap(),
        days
    );

    // An ingestor that goes on writing waits and then succeeds.
    let row = minutes("T7", "2018-04-01T14:30:00Z", 5);
    let (converted, written) = tokio::join!(convert_to_hypertables(pool), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        upsert_bars(pool, &row).await
    });
    converted.unwrap();
    assert_eq!(written.unwrap().inserted, 5);
    assert_ne!(
        timescale_state(pool).await.unwrap(),
        TimescaleState::Waiting {
            tables: vec!["price_data".to_owned()]
        }
    );
    timescale.refresh().await;
    assert_eq!(
        timescale.count("select count(*) from price_data").await,
        rows + 5
    );
    assert_eq!(
        bars_between(pool, &ticker("T7"), from, to).await.unwrap(),
        before
    );
    let mut after = history_page(pool, &ticker("T7"), &all(Interval::OneDay))
        .await
        .unwrap();
    after.bars.pop();
    assert_eq!(after.bars, days.bars);
    timescale.drop().await;
}

#[tokio::test]
async fn retention_drops_old_chunks_and_what_was_made_of_them() {
    let Some(timescale) = Timescale::new("retention").await else {
        return;
    };
    let pool = &timescale.pool;
    let months: Vec<_> = (1..=9)
        .map(|month| format!("2018-{month:02}-08T14:30:00Z"))
        .collect();
    for open in &months {
        upsert_bars(pool, &minutes("AAPL", open, 60)).await.unwrap();
    }
    timescale.refresh().await;
    timescale.compress().await;
    let days = async || {
        history_page(pool, &ticker("AAPL"), &all(Interval::OneDay))
            .await
            .unwrap()
            .bars
            .len()
    };
    let now = time("2018-09-09T00:00:00Z");
    apply_retention(pool, &RetentionSettings::default(), now)
        .await
        .unwrap();
    assert_eq!(days().await, 9);

    let settings = RetentionSettings {
        price_days: Some(100),
        ..RetentionSettings::default()
    };
    apply_retention(pool, &settings, now).await.unwrap();
    let kept = days().await;
    // The chunk that holds the limit stays.
    assert!((3..=5).contains(&kept), "{kept} days");
    timescale.refresh().await;
    assert_eq!(days().await, kept);
    apply_retention(pool, &settings, now).await.unwrap();
    assert_eq!(days().await, kept);
    timescale.drop().await;
}

/// A database that was set up while volumes were whole numbers: compressed chunks and continuous aggregates are no
/// obstacle, and nothing is lost.
#[tokio::test]
async fn compressed_tables_migrate_to_fractional_volumes() {
    let Some(timescale) = Timescale::empty("fractions").await else {
        return;
    };
    let pool = &timescale.pool;
    for migration in storage::MIGRATOR.iter().take(10) {
        sqlx::raw_sql(migration.sql.clone())
            .execute(pool)
            .await
            .unwrap();
    }
    // What that version set up.
    let set_up = include_str!("../../src/timescale.sql")
        .replace("volume double precision", "volume bigint")
        .replace("sum(volume)", "sum(volume)::bigint")
        .replace("sum(price_data.volume)", "sum(price_data.volume)::bigint");
    sqlx::raw_sql(sqlx::AssertSqlSafe(set_up))
        .execute(pool)
        .await
        .unwrap();
    timescale
        .run(
            "insert into price_data (ticker, bar_start, open, high, low, close, volume, source, fetched_at) \
             select 'T' || number, start, 10, 12, 9, 11, 9007199254740 + number, 'test', start + interval '1 minute' \
             from generate_series(1, 3) as number, \
             generate_series('2018-01-02T14:30:00Z'::timestamptz, '2018-03-02T20:59:00Z', interval '7 minutes') as start",
        )
        .await;
    timescale.refresh().await;
    timescale.compress().await;
    let state = timescale_state(pool).await.unwrap();
    let rows = timescale.count("select count(*) from price_data").await;
    let sum = "select sum(volume)::bigint from price_data";
    let before = timescale.count(sum).await;

    for migration in storage::MIGRATOR.iter().skip(10) {
        sqlx::raw_sql(migration.sql.clone())
            .execute(pool)
            .await
            .unwrap();
    }
    sqlx::raw_sql(include_str!("../../src/timescale.sql"))
        .execute(pool)
        .await
        .unwrap();
    assert_eq!(timescale_state(pool).await.unwrap(), state);
    assert_eq!(
        timescale.count("select count(*) from price_data").await,
        rows
    );
    assert_eq!(timescale.count(sum).await, before);
    let mut bars = minutes("T1", "2018-03-05T14:30:00Z", 2);
    bars[0].bar.volume = 0.25;
    upsert_bars(pool, &bars).await.unwrap();
    for refreshed in [false, true] {
        if refreshed {
            timescale.refresh().await;
            timescale.compress().await;
        }
        let page = history_page(pool, &ticker("T1"), &all(Interval::OneDay))
            .await
            .unwrap();
        assert_eq!(page.bars.last().unwrap().volume, 100.25);
    }
    timescale.drop().await;
}
