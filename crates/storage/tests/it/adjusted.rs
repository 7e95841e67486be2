use domain::Bar;
use storage::{PgPool, VendorBar, bars_between, upsert_bars};

use crate::{ticker, time};

// Apple's four for one, 31 August 2020.
const BEFORE: &str = "2020-08-28T19:59:00Z";
const EFFECTIVE: &str = "2020-08-31T13:30:00Z";

fn apple(start: &str, close: f64, volume: f64, fetched_at: &str) -> VendorBar {
    VendorBar {
        ticker: ticker("AAPL"),
        bar: Bar::new(time(start), close, close, close, close, volume).unwrap(),
        source: "test",
        fetched_at: time(fetched_at),
    }
}

async fn action(pool: &PgPool, kind: &str, effective_at: &str, ratio: f64) {
    sqlx::query(
        "insert into corporate_actions (ticker, kind, ex_date, effective_at, ratio, source, fetched_at) \
         values ('AAPL', $1, $2::date, $2, $3, 'test', $2)",
    )
    .bind(kind)
    .bind(time(effective_at))
    .bind(ratio)
    .execute(pool)
    .await
    .unwrap();
}

async fn adjusted(pool: &PgPool) -> Vec<(f64, f64)> {
    bars_between(
        pool,
        &ticker("AAPL"),
        time("2000-01-01T00:00:00Z"),
        time("2100-01-01T00:00:00Z"),
    )
    .await
    .unwrap()
    .into_iter()
    .map(|bar| (bar.close.get(), bar.volume))
    .collect()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_bar_gets_the_splits_after_both_itself_and_its_fetch(pool: PgPool) {
    upsert_bars(
        &pool,
        &[
            // Fetched before the split: on the old basis.
            apple(BEFORE, 500.0, 1_000.0, "2020-08-28T20:00:00Z"),
            // Fetched after it, an older bar: the vendor has adjusted it already.
            apple(
                "2020-08-28T19:58:00Z",
                124.5,
                4_400.0,
                "2020-09-01T12:00:00Z",
            ),
            // The first bar on the new basis.
            apple(EFFECTIVE, 127.0, 8_000.0, "2020-08-31T13:31:00Z"),
        ],
    )
    .await
    .unwrap();
    let raw = [(124.5, 4_400.0), (500.0, 1_000.0), (127.0, 8_000.0)];
    assert_eq!(adjusted(&pool).await, raw);

    action(&pool, "split", EFFECTIVE, 4.0).await;
    assert_eq!(
        adjusted(&pool).await,
        [(124.5, 4_400.0), (125.0, 4_000.0), (127.0, 8_000.0)]
    );

    // A reverse split later reaches all three.
    action(&pool, "split", "2021-06-01T13:30:00Z", 0.125).await;
    assert_eq!(
        adjusted(&pool).await,
        [(996.0, 550.0), (1_000.0, 500.0), (1_016.0, 1_000.0)]
    );

    // Raw prices have not moved, and without the actions all is as before.
    sqlx::query("delete from corporate_actions")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(adjusted(&pool).await, raw);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_spin_off_changes_prices_and_not_share_counts(pool: PgPool) {
    upsert_bars(
        &pool,
        &[apple(BEFORE, 500.0, 1_000.0, "2020-08-28T20:00:00Z")],
    )
    .await
    .unwrap();
    action(&pool, "spin_off", EFFECTIVE, 1.25).await;
    assert_eq!(adjusted(&pool).await, [(400.0, 1_000.0)]);
    // On the same day as a split.
    action(&pool, "split", EFFECTIVE, 4.0).await;
    assert_eq!(adjusted(&pool).await, [(100.0, 4_000.0)]);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_is_announced_for_the_future_has_not_happened(pool: PgPool) {
    upsert_bars(
        &pool,
        &[apple(BEFORE, 500.0, 1_000.0, "2020-08-28T20:00:00Z")],
    )
    .await
    .unwrap();
    action(&pool, "split", "2999-01-02T14:30:00Z", 4.0).await;
    assert_eq!(adjusted(&pool).await, [(500.0, 1_000.0)]);
}
