//! What goes wrong around the live path, and that analyses go on.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use alerts::{AlertSettings, Alerts};
use api::Timing;
use chrono::{DateTime, TimeDelta, Utc};
use domain::Bar;
use service_kit::{Clock, ReplayClock};
use storage::PgPool;
use tempfile::TempDir;
use tflite_export::testing::Random;
use tokio::time::Instant;

use crate::{
    live::{WARM, day},
    support::{
        Service, Socket, TIMING, commit, commit_all, minutes, promote_random_models, ticker, time,
        walk,
    },
};

/// Analyses are back within this time.
const BACK_WITHIN: Duration = Duration::from_secs(5);

/// Looks for missed bars often.
const ATTENTIVE: Timing = Timing {
    safety_seconds: 0.2,
    ..TIMING
};

/// Bars with full history: those before 14:05 UTC on the last day, and those of the hour after.
fn bars(seed: u64) -> (Vec<Bar>, Vec<Bar>) {
    let mut known = walk(seed, &minutes(WARM, day(26)));
    known.retain(|bar| bar.start < time("2018-03-26T15:05:00Z"));
    let next = known.split_off(known.len() - 60);
    (known, next)
}

/// Has the market's clock go on from a moment.
fn set_clock(folder: &TempDir, now: DateTime<Utc>) -> PathBuf {
    let path = folder.path().join("clock.json");
    let clock = ReplayClock {
        origin: now,
        speed: 1.0,
        started: Some(Utc::now()),
    };
    clock.write(&path).unwrap();
    path
}

async fn start(folder: TempDir, pool: &PgPool, symbols: &[&str], now: DateTime<Utc>) -> Service {
    let nobody = Alerts::new(AlertSettings::default()).unwrap();
    let clock = Clock::from_file(set_clock(&folder, now)).unwrap();
    Service::start_at(folder, pool, symbols, ATTENTIVE, clock, nobody).await
}

async fn analysis_of(socket: &mut Socket, bar: &Bar) -> Duration {
    let started = Instant::now();
    let wanted = crate::live::text(bar.start);
    loop {
        let analysis = socket.next_of("analysis", "AAPL").await;
        if analysis["bar"]["time"] == wanted {
            return started.elapsed();
        }
    }
}

/// Whether what was stored of each bar since a moment is late, by bar.
async fn stored(
    pool: &PgPool,
    symbol: &str,
    since: DateTime<Utc>,
) -> BTreeMap<DateTime<Utc>, bool> {
    sqlx::query_as(
        "select bar_start, coalesce(late, false) from recommendation where ticker = $1 and bar_start >= $2",
    )
    .bind(symbol)
    .bind(since)
    .fetch_all(pool)
    .await
    .unwrap()
    .into_iter()
    .collect()
}

/// Waits until so many analyses are stored.
async fn until_stored(
    pool: &PgPool,
    symbol: &str,
    since: DateTime<Utc>,
    count: usize,
) -> BTreeMap<DateTime<Utc>, bool> {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let stored = stored(pool, symbol, since).await;
        if stored.len() >= count {
            return stored;
        }
        assert!(
            Instant::now() < patience,
            "{} of {count} analyses are stored: {stored:?}",
            stored.len()
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn whichever_task_panics_analyses_are_back_within_seconds(pool: PgPool) {
    let (known, next) = bars(1);
    commit(&pool, "AAPL", &known).await;
    let folder = tempfile::tempdir().unwrap();
    promote_random_models(folder.path(), 1);
    let now = known.last().unwrap().close_time() + TimeDelta::seconds(5);
    let service = start(folder, &pool, &["AAPL"], now).await;
    service
        .wait_for("/stocks", |answer| {
            !answer["stocks"][0]["analysis"].is_null()
        })
        .await;
    let (mut socket, _) = service.socket().await;
    let tasks = [
        "notices of the database",
        "recorder",
        "models",
        "thresholds",
        "standings",
        "live path",
        "missed bars",
        "alerts",
        "status",
    ];
    for (task, bar) in tasks.into_iter().zip(&next) {
        assert!(api::testing::panic_in(task) > 0, "{task}");
        // It panics before the bar comes, or while it is worked on.
        commit(&pool, "AAPL", &[*bar]).await;
        let took = analysis_of(&mut socket, bar).await;
        assert!(took < BACK_WITHIN, "{task}: {took:?}");
        until_stored(&pool, "AAPL", bar.start, 1).await;
    }
    // The others do their work too: new models are taken, and the status tells of them.
    let ids = promote_random_models(service.folder.path(), 2);
    service
        .wait_for("/health", |health| {
            health["parts"]["champions"]["lstm"] == ids[0].as_str()
        })
        .await;
    socket
        .next_status(|status| status["models"]["lstm"] == ids[0].as_str())
        .await;
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn no_notice_stops_the_live_path(pool: PgPool) {
    let (known, next) = bars(2);
    commit(&pool, "AAPL", &known).await;
    let folder = tempfile::tempdir().unwrap();
    promote_random_models(folder.path(), 2);
    let now = known.last().unwrap().close_time() + TimeDelta::seconds(5);
    let service = start(folder, &pool, &["AAPL"], now).await;
    let (mut socket, _) = service.socket().await;
    let times = [
        "2018-03-26T14:05:00Z",
        "1969-12-31T23:59:59Z",
        "+262142-12-31T23:59:59Z",
        "-262143-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "1900-01-01T00:00:00Z",
        "2199-12-31T23:59:59Z",
        "yesterday",
    ];
    let symbols = ["null", "[]", r#"["AAPL"]"#, r#"["NOPE","AAPL"]"#, "7"];
    let prices = ["1.0", "1e300", "-1", "0", "NaN", "\"2\""];
    let mut random = Random::new(7);
    let mut pick = |of: &[&str]| {
        let share = f64::from(random.next(0.5) + 0.5);
        of[((share * of.len() as f64) as usize).min(of.len() - 1)].to_owned()
    };
    for _ in 0..500 {
        let (first, last, tickers) = (pick(&times), pick(&times), pick(&symbols));
        let (channel, payload) = match pick(&["bars", "price", "action", "news", "macro"]).as_str()
        {
            "bars" => (
                "bar_committed",
                format!(r#"{{"tickers":{tickers},"first":"{first}","last":"{last}"}}"#),
            ),
            "price" => (
                "forming_price",
                format!(
                    r#"[{{"ticker":"AAPL","time":"{first}","price":{}}}]"#,
                    pick(&prices)
                ),
            ),
            "action" => ("corporate_action", format!(r#"{{"tickers":{tickers}}}"#)),
            "news" => ("news_scored", format!(r#"{{"tickers":{tickers}}}"#)),
            _ => ("macro_released", pick(&symbols)),
        };
        sqlx::query("select pg_notify($1, $2)")
            .bind(channel)
            .bind(payload)
            .execute(&pool)
            .await
            .unwrap();
    }
    commit(&pool, "AAPL", &next[..1]).await;
    let took = analysis_of(&mut socket, &next[0]).await;
    assert!(took < BACK_WITHIN, "{took:?}");
    let (_, health) = service.get("/health").await;
    assert_eq!(health["parts"]["live_path"], "ok", "{health}");
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn every_bar_is_analysed_in_time_or_marked_as_late(pool: PgPool) {
    let symbols = ["AAPL", "MSFT"];
    let [(known, next), (known_msft, next_msft)] = [bars(3), bars(4)];
    commit_all(&pool, &[("AAPL", &known), ("MSFT", &known_msft)]).await;
    let mut folder = tempfile::tempdir().unwrap();
    let ids = promote_random_models(folder.path(), 3);
    let open = next[0].start;
    let service = start(folder, &pool, &symbols, open + TimeDelta::seconds(1)).await;
    until_stored(&pool, "AAPL", known.last().unwrap().start, 1).await;
    folder = service.stop().await;

    // Twenty minutes without the service, then bars that come one by one.
    commit_all(&pool, &[("AAPL", &next[..20]), ("MSFT", &next_msft[..20])]).await;
    let now = next[19].close_time() + TimeDelta::seconds(5);
    let service = start(folder, &pool, &symbols, now).await;
    let aapl = until_stored(&pool, "AAPL", open, 20).await;
    let late = |bars: &BTreeMap<DateTime<Utc>, bool>| {
        let late = bars.iter().filter(|(_, late)| **late);
        late.map(|(start, _)| *start).collect::<Vec<_>>()
    };
    let starts: Vec<DateTime<Utc>> = next.iter().map(|bar| bar.start).collect();
    assert_eq!(late(&aapl), &starts[..19]);
    until_stored(&pool, "MSFT", open, 20).await;
    for bar in [&next[20], &next[21]] {
        commit(&pool, "AAPL", &[*bar]).await;
        until_stored(&pool, "AAPL", bar.start, 1).await;
    }
    // Five at once: the newest is in time.
    set_clock(
        &service.folder,
        next[26].close_time() + TimeDelta::seconds(5),
    );
    commit(&pool, "AAPL", &next[22..27]).await;
    let aapl = until_stored(&pool, "AAPL", open, 27).await;
    let expected: Vec<DateTime<Utc>> = [&starts[..19], &starts[22..26]].concat();
    assert_eq!(late(&aapl), expected);

    // Late is what was said, not what was known: the same as if it had been said in time.
    let model_ids: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
    for place in [0, 7, 18, 24] {
        let so_far = [&known[..], &next[..=place]].concat();
        let expected = crate::live::batch(service.folder.path(), &ids, &so_far);
        for (model_id, expected) in model_ids.iter().zip(expected) {
            let (down, neutral, up, late): (f32, f32, f32, bool) = sqlx::query_as(
                "select down, neutral, up, late from prediction \
                 where ticker = 'AAPL' and bar_start = $1 and model_id = $2",
            )
            .bind(starts[place])
            .bind(model_id)
            .fetch_one(&pool)
            .await
            .unwrap();
            assert!(late);
            for (found, expected) in [down, neutral, up].into_iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "bar {place}");
            }
        }
    }
    // Nobody is shown them as news.
    let (_, stocks) = service.get("/stocks").await;
    assert_eq!(
        stocks["stocks"][0]["analysis"]["bar"]["time"],
        crate::live::text(starts[26])
    );
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_is_late_is_in_no_track_record(pool: PgPool) {
    let (known, next) = bars(5);
    commit(&pool, "AAPL", &known).await;
    commit(&pool, "AAPL", &next).await;
    let folder = tempfile::tempdir().unwrap();
    promote_random_models(folder.path(), 5);
    let open = next[0].start;
    // The service was away for the first half hour.
    let since = open - TimeDelta::minutes(5);
    let now = next[29].close_time() + TimeDelta::seconds(5);
    sqlx::query("delete from price_data where bar_start > $1")
        .bind(next[29].start)
        .execute(&pool)
        .await
        .unwrap();
    let service = start(folder, &pool, &["AAPL"], now).await;
    let stored = until_stored(&pool, "AAPL", since, 35).await;
    assert_eq!(stored.values().filter(|late| !**late).count(), 1);
    let settings = "of-a-test";
    let outcomes: Vec<storage::Outcome> = stored
        .keys()
        .map(|bar_start| storage::Outcome {
            ticker: ticker("AAPL"),
            bar_start: *bar_start,
            label: domain::Class::Up,
            gross_return: 0.001,
            first_touch: *bar_start + TimeDelta::minutes(40),
        })
        .collect();
    storage::store_outcomes(&pool, &outcomes, settings, now + TimeDelta::hours(3))
        .await
        .unwrap();
    let judged = storage::resolved_predictions(&pool, None, settings, since, now)
        .await
        .unwrap();
    let bars: Vec<DateTime<Utc>> = judged.iter().map(|row| row.outcome.bar_start).collect();
    assert_eq!(bars, [next[29].start; 2]);
    let record = storage::track_record(&pool, settings, since, now)
        .await
        .unwrap();
    let counted = record.iter().flat_map(|model| &model.bins);
    assert_eq!(counted.map(|bin| bin.predictions).sum::<u64>(), 2);
    service.stop().await;
}

/// Lets the database refuse analyses with these codes, one after the other, and then no more.
async fn refuse_analyses(pool: &PgPool, codes: &[&str]) {
    let statement = format!(
        "create sequence refusals;
         create function refuse() returns trigger language plpgsql as $$
         declare
             codes text[] := '{{{}}}';
             number integer := nextval('refusals');
         begin
             if number <= array_length(codes, 1) then
                 raise exception 'for a test' using errcode = codes[number];
             end if;
             return null;
         end $$;
         create trigger refuse before insert on recommendation for each statement execute function refuse();",
        codes.join(",")
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(pool)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_the_database_refuses_for_a_while_is_stored_in_order(pool: PgPool) {
    let (known, next) = bars(6);
    commit(&pool, "AAPL", &known).await;
    let folder = tempfile::tempdir().unwrap();
    promote_random_models(folder.path(), 6);
    let open = next[0].start;
    let service = start(folder, &pool, &["AAPL"], open + TimeDelta::seconds(1)).await;
    until_stored(&pool, "AAPL", known.last().unwrap().start, 1).await;
    let (mut socket, _) = service.socket().await;
    refuse_analyses(&pool, &["57014", "53200", "25006", "40001", "53100"]).await;
    for bar in &next[..4] {
        commit(&pool, "AAPL", &[*bar]).await;
        analysis_of(&mut socket, bar).await;
    }
    let stored = until_stored(&pool, "AAPL", open, 4).await;
    assert!(stored.values().all(|late| !late), "{stored:?}");
    // In the order in which they were said: rows of a heap that nobody has changed lie as they came.
    let order: Vec<DateTime<Utc>> = sqlx::query_scalar(
        "select bar_start from recommendation where bar_start >= $1 order by ctid",
    )
    .bind(open)
    .fetch_all(&pool)
    .await
    .unwrap();
    let expected: Vec<DateTime<Utc>> = next[..4].iter().map(|bar| bar.start).collect();
    assert_eq!(order, expected);
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn of_a_pass_only_what_the_database_refuses_for_good_is_lost(pool: PgPool) {
    let [(known, next), (known_msft, next_msft)] = [bars(7), bars(8)];
    commit_all(&pool, &[("AAPL", &known), ("MSFT", &known_msft)]).await;
    sqlx::query(
        "alter table recommendation add constraint no_msft check (ticker <> 'MSFT') not valid",
    )
    .execute(&pool)
    .await
    .unwrap();
    let folder = tempfile::tempdir().unwrap();
    promote_random_models(folder.path(), 7);
    let now = next[0].close_time() + TimeDelta::seconds(1);
    let service = start(folder, &pool, &["AAPL", "MSFT"], now).await;
    commit_all(&pool, &[("AAPL", &next[..1]), ("MSFT", &next_msft[..1])]).await;
    until_stored(&pool, "AAPL", next[0].start, 1).await;
    assert_eq!(stored(&pool, "MSFT", next[0].start).await.len(), 0);
    service.stop().await;
}
