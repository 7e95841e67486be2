use chrono::TimeDelta;
use storage::{
    BarRevision, PgPool, VendorBar, bar_revisions, bar_starts_between, newest_bars, upsert_bars,
};

use crate::{bar, minutes, ticker, time, vendor_bar};

const OPEN: &str = "2018-03-26T13:30:00Z";

fn fetched(close: f64, minutes_later: i64) -> VendorBar {
    let mut row = vendor_bar("AAPL", bar(time(OPEN), close));
    row.fetched_at += TimeDelta::minutes(minutes_later);
    row
}

async fn revisions(pool: &PgPool) -> Vec<BarRevision> {
    bar_revisions(
        pool,
        &ticker("AAPL"),
        time(OPEN),
        time(OPEN) + TimeDelta::days(1),
    )
    .await
    .unwrap()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_a_revised_bar_held_before_is_kept(pool: PgPool) {
    let rows = [fetched(100.0, 0), fetched(101.0, 5), fetched(102.0, 9)];
    for row in &rows {
        upsert_bars(&pool, std::slice::from_ref(row)).await.unwrap();
        // The same again, and an earlier fetch, replace nothing.
        upsert_bars(&pool, std::slice::from_ref(row)).await.unwrap();
        upsert_bars(&pool, &rows[..1]).await.unwrap();
    }
    let old = |place: usize| BarRevision {
        ticker: ticker("AAPL"),
        old: rows[place].bar,
        source: "test".to_owned(),
        fetched_at: rows[place].fetched_at,
        replaced_at: rows[place + 1].fetched_at,
        revision: place as u32,
    };
    assert_eq!(revisions(&pool).await, [old(0), old(1)]);
    let newest = newest_bars(&pool, &[ticker("AAPL")], 2).await.unwrap();
    assert_eq!(newest[0].1, [rows[2].bar]);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_revision_that_is_not_committed_leaves_no_trace(pool: PgPool) {
    upsert_bars(&pool, &[fetched(100.0, 0)]).await.unwrap();
    let mut wrong = vendor_bar("AAPL", bar(time(OPEN) + TimeDelta::minutes(1), 7.0));
    std::mem::swap(&mut wrong.bar.low, &mut wrong.bar.high);
    upsert_bars(&pool, &[fetched(101.0, 1), wrong])
        .await
        .unwrap_err();
    assert_eq!(revisions(&pool).await, []);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn of_two_writers_at_once_each_keeps_what_it_replaces(pool: PgPool) {
    // Whoever comes first: the chain of old values has no hole, and no value is lost.
    let writers: Vec<_> = (0..8)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move {
                upsert_bars(&pool, &[fetched(100.0 + f64::from(number), 0)])
                    .await
                    .unwrap()
            })
        })
        .collect();
    let (mut inserted, mut revised) = (0, 0);
    for writer in writers {
        let counts = writer.await.unwrap();
        inserted += counts.inserted;
        revised += counts.revised;
    }
    assert_eq!((inserted, revised), (1, 7));
    let kept = revisions(&pool).await;
    assert_eq!(
        kept.iter().map(|row| row.revision).collect::<Vec<_>>(),
        (0..7).collect::<Vec<_>>()
    );
    let newest = newest_bars(&pool, &[ticker("AAPL")], 1).await.unwrap();
    let mut closes: Vec<f64> = kept.iter().map(|row| row.old.close.get()).collect();
    closes.push(newest[0].1[0].close.get());
    closes.sort_by(f64::total_cmp);
    assert_eq!(
        closes,
        (100..108).map(f64::from).collect::<Vec<_>>(),
        "all eight values are there"
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_starts_of_bars_are_those_of_the_stretch(pool: PgPool) {
    let mut bars = minutes("AAPL", OPEN, 10);
    bars.remove(4);
    bars.extend(minutes("MSFT", OPEN, 10));
    upsert_bars(&pool, &bars).await.unwrap();
    let from = time(OPEN) + TimeDelta::minutes(2);
    let starts = bar_starts_between(
        &pool,
        &ticker("AAPL"),
        from,
        time(OPEN) + TimeDelta::minutes(6),
    )
    .await
    .unwrap();
    assert_eq!(
        starts,
        [0, 1, 3].map(|minute| from + TimeDelta::minutes(minute))
    );
}
