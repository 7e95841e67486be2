//! Connections that fall silent: no reset, no end, nothing any more.

use std::time::{Duration, Instant};

use sqlx::ConnectOptions as _;
use storage::{
    Channel, DatabaseSettings, Listener, Notice, PgPool, connect, newest_bars, upsert_bars,
};
use test_support::HushingProxy;
use tokio::time::timeout;

use crate::{minutes, ticker};

const OPEN: &str = "2018-03-26T13:30:00Z";

/// What works again is back within this time.
const BACK_WITHIN: Duration = Duration::from_secs(60);

/// A way to the database that can fall silent, and a pool that goes it.
async fn through_a_proxy(pool: &PgPool) -> (HushingProxy, PgPool) {
    let url = pool.connect_options().to_url_lossy().to_string();
    let proxy = HushingProxy::start(&url).await.unwrap();
    let settings = DatabaseSettings::new(proxy.through(&url).into());
    let through = connect(&settings).await.unwrap();
    (proxy, through)
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_store_whose_connection_falls_silent_succeeds_within_a_minute(pool: PgPool) {
    let (proxy, through) = through_a_proxy(&pool).await;
    let rows = minutes("AAPL", OPEN, 3);
    // The rows are written and locked, the transaction is open: its notification is what never arrives.
    proxy.hush_at("pg_notify");
    let started = Instant::now();
    let error = timeout(BACK_WITHIN, upsert_bars(&through, &rows))
        .await
        .expect("an answer or an error within a minute")
        .unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    // Whoever comes next: the same service, and another one in its place.
    upsert_bars(&through, &rows).await.unwrap();
    upsert_bars(&pool, &rows).await.unwrap();
    assert!(started.elapsed() < BACK_WITHIN, "{:?}", started.elapsed());
    let stored = newest_bars(&pool, &[ticker("AAPL")], 10).await.unwrap();
    assert_eq!(stored[0].1.len(), 3);
    let orphans: i64 = sqlx::query_scalar(
        "select count(*) from pg_stat_activity \
         where datname = current_database() and state = 'idle in transaction'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(orphans, 0);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn connections_that_fell_silent_while_idle_cost_seconds(pool: PgPool) {
    let (proxy, through) = through_a_proxy(&pool).await;
    // As many as a busy service has.
    let mut held = Vec::new();
    for _ in 0..5 {
        held.push(through.acquire().await.unwrap());
    }
    drop(held);
    while through.num_idle() < 5 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    proxy.hush();
    let started = Instant::now();
    let mut failures = 0;
    while let Err(error) = upsert_bars(&through, &minutes("AAPL", OPEN, 1)).await {
        assert!(error.is_retryable(), "{error:?}");
        failures += 1;
        assert!(
            started.elapsed() < BACK_WITHIN,
            "{failures} failures: {error:?}"
        );
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_listener_whose_connection_falls_silent_hears_again_within_a_minute(pool: PgPool) {
    let (proxy, through) = through_a_proxy(&pool).await;
    let mut listener = Listener::connect(&through, &[Channel::BarCommitted])
        .await
        .unwrap();
    for round in 1..=2 {
        proxy.hush();
        upsert_bars(&pool, &minutes("AAPL", OPEN, 2 * round))
            .await
            .unwrap();
        let heard = timeout(BACK_WITHIN, listener.next()).await;
        assert_eq!(
            heard.expect("it is back"),
            Notice::Reconnected,
            "round {round}"
        );
        upsert_bars(&pool, &minutes("AAPL", OPEN, 2 * round + 1))
            .await
            .unwrap();
        let heard = timeout(BACK_WITHIN, listener.next()).await;
        assert!(matches!(heard, Ok(Notice::BarsCommitted { .. })));
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_notice_of_another_age_is_passed_over(pool: PgPool) {
    let mut listener = Listener::connect(&pool, &[Channel::BarCommitted, Channel::FormingPrice])
        .await
        .unwrap();
    let foreign = [
        (
            "bar_committed",
            r#"{"tickers":null,"first":"2018-03-26T13:30:00Z","last":"+262142-12-31T23:59:59Z"}"#,
        ),
        (
            "bar_committed",
            r#"{"tickers":["AAPL"],"first":"-262143-01-01T00:00:00Z","last":"2018-03-26T13:30:00Z"}"#,
        ),
        (
            "bar_committed",
            r#"{"tickers":null,"first":"2018-03-27T13:30:00Z","last":"2018-03-26T13:30:00Z"}"#,
        ),
        (
            "forming_price",
            r#"[{"ticker":"AAPL","time":"+262142-12-31T23:59:59Z","price":1.0}]"#,
        ),
    ];
    for (channel, payload) in foreign {
        sqlx::query("select pg_notify($1, $2)")
            .bind(channel)
            .bind(payload)
            .execute(&pool)
            .await
            .unwrap();
    }
    upsert_bars(&pool, &minutes("AAPL", OPEN, 1)).await.unwrap();
    assert!(matches!(
        timeout(BACK_WITHIN, listener.next()).await,
        Ok(Notice::BarsCommitted { first, .. }) if first == crate::time(OPEN)
    ));
}
