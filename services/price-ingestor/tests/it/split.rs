//! The day of a split, as a replay shows it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use market_sim::market::Actions;
use sqlx::PgPool;
use storage::{HistoryRequest, Interval};

use crate::world::{World, ticker, time};

/// More than any minute of this stock moves, and far less than its split of four for one.
const LARGEST_STEP: f64 = 1.1;

/// The largest factor between the close of a bar and a price of the next, and between a bar's own prices, in all
/// intervals; with the number of minutes that were seen.
async fn largest_step(pool: &PgPool, from: DateTime<Utc>) -> (f64, usize) {
    let mut largest = 1.0_f64;
    let mut minutes = 0;
    for interval in Interval::ALL {
        let request = HistoryRequest {
            interval,
            start: Some(from),
            end: None,
            limit: 10_000,
        };
        let page = storage::history_page(pool, &ticker("NVDA"), &request).await;
        let bars = page.unwrap().bars;
        for bar in &bars {
            largest = largest.max(bar.high.get() / bar.low.get());
        }
        for pair in bars.windows(2) {
            let step = pair[1].open.get() / pair[0].close.get();
            largest = largest.max(step).max(1.0 / step);
        }
        if interval == Interval::OneMinute {
            minutes = bars.len();
        }
    }
    (largest, minutes)
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn prices_are_continuous_in_every_interval_at_every_moment(pool: PgPool) {
    let (Some(bars), Some(actions)) = (
        test_support::shared("faults/inputs/replay_split_one_stock.csv.gz"),
        test_support::shared("faults/inputs/replay_split_one_stock_actions.csv"),
    ) else {
        return;
    };
    let bars = bar_files::read_bars(&bars).unwrap().bars;
    let actions = Actions::read(&[actions]).unwrap();
    let world = World::open_with(bars, &actions, "2018-03-07T20:40:00Z", 240.0).await;
    let _ingestor = world.ingestor(&pool);
    world.until_logged("history fetched", 0).await;
    world.until(time("2018-03-07T21:02:00Z")).await;

    // The four for one of Thursday counts from 14:30 on.
    let open = time("2018-03-08T14:30:00Z");
    world.set_clock(time("2018-03-08T14:27:00Z"), 120.0);
    let from = time("2018-03-05T00:00:00Z");
    let mut looks = 0;
    while world.now() < time("2018-03-08T15:01:00Z") {
        let (step, minutes) = largest_step(&pool, from).await;
        assert!(
            step < LARGEST_STEP,
            "{step} at {}, with {minutes} minutes:\n{}",
            world.now(),
            world.log()
        );
        looks += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(looks > 20, "{looks}");
    let day = storage::bars_between(&pool, &ticker("NVDA"), open, time("2018-03-09T00:00:00Z"))
        .await
        .unwrap();
    assert!(day.len() > 25, "{} bars", day.len());
    assert!(day[0].close.get() < 110.0, "{:?}", day[0]);
    let stored = storage::corporate_actions(&pool, &ticker("NVDA"))
        .await
        .unwrap();
    assert_eq!(stored.len(), 1);

    // The looks over the session and the week leave it so.
    let reviews = world.log().matches("sessions reviewed").count();
    world.set_clock(time("2018-03-08T20:57:00Z"), 240.0);
    world.until_logged("sessions reviewed", reviews).await;
    let (step, _) = largest_step(&pool, from).await;
    assert!(step < LARGEST_STEP, "{step}");
    let findings: Vec<String> = sqlx::query_scalar(
        "select check_name || ' ' || detail from data_quality_finding where withdrawn_at is null",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(findings, Vec::<String>::new());
}
