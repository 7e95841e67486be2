use std::time::Duration;

use chrono::{TimeDelta, Utc};
use domain::Price;
use storage::{
    Channel, FormingPrice, Listener, Notice, PgPool, newest_bars, notify_forming_prices,
    upsert_bars,
};
use tokio::time::timeout;

use crate::{bar, minutes, ticker, time, vendor_bar};

const OPEN: &str = "2018-03-26T13:30:00Z";
const BOTH: [Channel; 2] = [Channel::BarCommitted, Channel::FormingPrice];

async fn next(listener: &mut Listener) -> Notice {
    timeout(Duration::from_secs(10), listener.next())
        .await
        .expect("no notice within 10 s")
}

async fn nothing(listener: &mut Listener) {
    let heard = timeout(Duration::from_millis(200), listener.next()).await;
    assert!(heard.is_err(), "unexpected {heard:?}");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn bars_can_be_read_when_their_notice_arrives(pool: PgPool) {
    let mut listener = Listener::connect(&pool, &BOTH).await.unwrap();
    let mut bars = minutes("MSFT", OPEN, 2);
    bars.extend(minutes("AAPL", OPEN, 3));

    // Not before the commit.
    let mut other = pool.begin().await.unwrap();
    sqlx::query("lock table price_data in access exclusive mode")
        .execute(&mut *other)
        .await
        .unwrap();
    let writer = tokio::spawn({
        let (pool, bars) = (pool.clone(), bars.clone());
        async move { upsert_bars(&pool, &bars).await }
    });
    nothing(&mut listener).await;
    other.rollback().await.unwrap();

    assert_eq!(
        next(&mut listener).await,
        Notice::BarsCommitted {
            tickers: Some(vec![ticker("AAPL"), ticker("MSFT")]),
            first: time(OPEN),
            last: time("2018-03-26T13:32:00Z"),
        }
    );
    let stored = newest_bars(&pool, &[ticker("AAPL")], 10).await.unwrap();
    assert_eq!(stored[0].1.len(), 3);
    writer.await.unwrap().unwrap();

    // Only of what changed, and not at all when nothing did.
    upsert_bars(&pool, &bars).await.unwrap();
    nothing(&mut listener).await;
    let mut revised = vendor_bar("AAPL", bar(time(OPEN), 7.0));
    revised.fetched_at += TimeDelta::days(1);
    bars[2] = revised;
    upsert_bars(&pool, &bars).await.unwrap();
    assert_eq!(
        next(&mut listener).await,
        Notice::BarsCommitted {
            tickers: Some(vec![ticker("AAPL")]),
            first: time(OPEN),
            last: time(OPEN),
        }
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn more_tickers_than_a_notification_holds_are_left_out(pool: PgPool) {
    let mut listener = Listener::connect(&pool, &BOTH).await.unwrap();
    let bars: Vec<_> = (0..2_000)
        .map(|number| vendor_bar(&format!("T{number}"), bar(time(OPEN), 100.0)))
        .collect();
    upsert_bars(&pool, &bars).await.unwrap();
    assert!(matches!(
        next(&mut listener).await,
        Notice::BarsCommitted { tickers: None, .. }
    ));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn forming_prices_arrive_whole_however_many(pool: PgPool) {
    let mut listener = Listener::connect(&pool, &BOTH).await.unwrap();
    let prices: Vec<_> = (0..500)
        .map(|number| FormingPrice {
            ticker: ticker(&format!("T{number}")),
            time: time(OPEN) + TimeDelta::seconds(17),
            price: Price::new(100.0 + f64::from(number)).unwrap(),
        })
        .collect();
    notify_forming_prices(&pool, &prices).await.unwrap();
    notify_forming_prices(&pool, &[]).await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < prices.len() {
        match next(&mut listener).await {
            Notice::FormingPrices(part) => heard.extend(part),
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(heard, prices);
    nothing(&mut listener).await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_foreign_notification_is_passed_over(pool: PgPool) {
    let mut listener = Listener::connect(&pool, &BOTH).await.unwrap();
    sqlx::query("select pg_notify('bar_committed', 'hello')")
        .execute(&pool)
        .await
        .unwrap();
    upsert_bars(&pool, &minutes("AAPL", OPEN, 1)).await.unwrap();
    assert!(matches!(
        next(&mut listener).await,
        Notice::BarsCommitted { .. }
    ));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_lost_connection_is_replaced_and_announced(pool: PgPool) {
    let mut listener = Listener::connect(&pool, &BOTH).await.unwrap();
    for round in 1..=3 {
        let ended: i64 = sqlx::query_scalar(
            "select count(*) filter (where pg_terminate_backend(pid)) from pg_stat_activity \
             where datname = current_database() and query like 'LISTEN%'",
        )
        .fetch_one(&pool)
        .await
        .unwrap();
        assert_eq!(ended, 1, "round {round}");
        assert_eq!(next(&mut listener).await, Notice::Reconnected);
        upsert_bars(&pool, &minutes("AAPL", OPEN, round))
            .await
            .unwrap();
        assert!(matches!(
            next(&mut listener).await,
            Notice::BarsCommitted { .. }
        ));
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn dropping_a_wait_loses_nothing(pool: PgPool) {
    let mut listener = Listener::connect(&pool, &BOTH).await.unwrap();
    let writer = tokio::spawn({
        let pool = pool.clone();
        async move {
            for row in minutes("AAPL", OPEN, 50) {
                upsert_bars(&pool, &[row]).await.unwrap();
            }
        }
    });
    let started = Utc::now();
    let mut heard = 0;
    while heard < 50 {
        assert!(
            Utc::now() - started < TimeDelta::seconds(20),
            "heard {heard} of 50"
        );
        if timeout(Duration::from_micros(200), listener.next())
            .await
            .is_ok()
        {
            heard += 1;
        }
    }
    writer.await.unwrap();
}
