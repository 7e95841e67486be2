use chrono::TimeDelta;
use domain::Bar;
use storage::{
    PgPool, StorageError, UpsertCounts, bar_range, bars_between, last_bar_starts, last_closes,
    newest_bars, upsert_bars,
};

use crate::{bar, minutes, ticker, time, vendor_bar};

const OPEN: &str = "2018-03-26T13:30:00Z";

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn storing_twice_is_storing_once(pool: PgPool) {
    // More than one batch.
    let bars = minutes("AAPL", OPEN, 5_001);
    let counts = upsert_bars(&pool, &bars).await.unwrap();
    assert_eq!(
        counts,
        UpsertCounts {
            inserted: 5_001,
            revised: 0,
            unchanged: 0
        }
    );
    let counts = upsert_bars(&pool, &bars).await.unwrap();
    assert_eq!(
        counts,
        UpsertCounts {
            inserted: 0,
            revised: 0,
            unchanged: 5_001
        }
    );

    let stored = bars_between(
        &pool,
        &ticker("AAPL"),
        time(OPEN),
        time("2019-01-01T00:00:00Z"),
    )
    .await
    .unwrap();
    assert_eq!(stored, bars.iter().map(|row| row.bar).collect::<Vec<Bar>>());
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_later_fetch_revises_and_an_earlier_one_does_not(pool: PgPool) {
    let first = vendor_bar("AAPL", bar(time(OPEN), 100.0));
    upsert_bars(&pool, std::slice::from_ref(&first))
        .await
        .unwrap();

    let mut later = vendor_bar("AAPL", bar(time(OPEN), 101.0));
    later.fetched_at += TimeDelta::minutes(1);
    let fresh = vendor_bar("AAPL", bar(time(OPEN) + TimeDelta::minutes(1), 102.0));
    let counts = upsert_bars(&pool, &[later.clone(), fresh.clone()])
        .await
        .unwrap();
    assert_eq!(
        counts,
        UpsertCounts {
            inserted: 1,
            revised: 1,
            unchanged: 0
        }
    );

    let counts = upsert_bars(&pool, &[first]).await.unwrap();
    assert_eq!(
        counts,
        UpsertCounts {
            inserted: 0,
            revised: 0,
            unchanged: 1
        }
    );
    let stored = newest_bars(&pool, &[ticker("AAPL")], 10).await.unwrap();
    assert_eq!(stored, [(ticker("AAPL"), vec![later.bar, fresh.bar])]);

    let revision: i32 =
        sqlx::query_scalar("select revision from price_data order by bar_start limit 1")
            .fetch_one(&pool)
            .await
            .unwrap();
    assert_eq!(revision, 1);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_bar_given_twice_in_one_call_is_stored_once(pool: PgPool) {
    let bars = [
        vendor_bar("AAPL", bar(time(OPEN), 100.0)),
        vendor_bar("AAPL", bar(time(OPEN), 101.0)),
    ];
    let counts = upsert_bars(&pool, &bars).await.unwrap();
    assert_eq!(
        counts,
        UpsertCounts {
            inserted: 1,
            revised: 0,
            unchanged: 1
        }
    );
    let stored = newest_bars(&pool, &[ticker("AAPL")], 10).await.unwrap();
    assert_eq!(stored[0].1[0].close.get(), 101.0);
    assert_eq!(
        upsert_bars(&pool, &[]).await.unwrap(),
        UpsertCounts::default()
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn newest_bars_are_ascending_and_in_the_order_asked_for(pool: PgPool) {
    let mut bars = minutes("MSFT", OPEN, 300);
    bars.extend(minutes("AAPL", OPEN, 5));
    upsert_bars(&pool, &bars).await.unwrap();

    let asked = [ticker("MSFT"), ticker("NONE"), ticker("AAPL")];
    let newest = newest_bars(&pool, &asked, 200).await.unwrap();
    assert_eq!(
        newest
            .iter()
            .map(|(ticker, _)| ticker.clone())
            .collect::<Vec<_>>(),
        asked
    );
    assert_eq!(
        newest[0].1,
        bars[100..300].iter().map(|row| row.bar).collect::<Vec<_>>()
    );
    assert!(newest[1].1.is_empty());
    assert_eq!(
        newest[2].1,
        bars[300..].iter().map(|row| row.bar).collect::<Vec<_>>()
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn ranges_and_previous_closes(pool: PgPool) {
    assert_eq!(bar_range(&pool).await.unwrap(), None);
    assert_eq!(last_bar_starts(&pool).await.unwrap(), []);

    let mut bars = minutes("AAPL", "2018-03-23T13:30:00Z", 390);
    bars.extend(minutes("AAPL", OPEN, 10));
    bars.extend(minutes("MSFT", OPEN, 20));
    upsert_bars(&pool, &bars).await.unwrap();
    assert_eq!(
        bar_range(&pool).await.unwrap(),
        Some((time("2018-03-23T13:30:00Z"), time("2018-03-26T13:49:00Z")))
    );
    assert_eq!(
        last_bar_starts(&pool).await.unwrap(),
        [
            (ticker("AAPL"), time("2018-03-26T13:39:00Z")),
            (ticker("MSFT"), time("2018-03-26T13:49:00Z")),
        ]
    );
    let closes = last_closes(
        &pool,
        &[ticker("MSFT"), ticker("AAPL")],
        time("2018-03-23T13:30:00Z"),
        time("2018-03-23T20:00:00Z"),
    )
    .await
    .unwrap();
    assert_eq!(closes.len(), 1, "MSFT has no bar on that day");
    assert_eq!(closes[0].ticker, ticker("AAPL"));
    assert_eq!(closes[0].bar_start, time("2018-03-23T19:59:00Z"));
    assert_eq!(closes[0].close.get(), 489.0);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_row_that_is_no_bar_is_refused_and_nothing_of_its_call_is_stored(pool: PgPool) {
    let mut bars = minutes("AAPL", OPEN, 3);
    let bar = &mut bars[1].bar;
    std::mem::swap(&mut bar.low, &mut bar.high);
    let error = upsert_bars(&pool, &bars).await.unwrap_err();
    assert!(
        matches!(&error, StorageError::Constraint { constraint, .. } if constraint == "price_data_is_a_bar"),
        "{error:?}"
    );
    assert!(!error.is_retryable());
    assert_eq!(bar_range(&pool).await.unwrap(), None);
}
