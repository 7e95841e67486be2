use std::sync::Arc;

use sqlx::PgPool;

use crate::{
    market::{Market, always, at, count, ticker},
    vendor_server::Answer,
};

/// The sessions of 2018-02-26 to 03-23, and the first half hour of 03-26.
const BARS: i64 = 20 * 390 + 30;

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_empty_database_gets_all_that_the_vendor_has_within_its_limits(pool: PgPool) {
    let market = Market::open(at(26, 14, 0, 20)).await;
    let mut ingestor = market.ingestor(&pool, &["AAPL", "MSFT"]).await;
    let report = ingestor.backfill().await.unwrap();
    assert_eq!((report.inserted, report.requests), (2 * BARS as u64, 10));
    assert!(report.unfinished.is_empty() && report.unknown.is_empty());
    assert_eq!(count(&pool, "MSFT").await, BARS);

    let calls = market.take_calls();
    let oldest = at(26, 14, 0, 20).timestamp() - 30 * 86_400;
    assert!(
        calls
            .iter()
            .all(|call| call.period.0 >= oldest && call.period.1 - call.period.0 <= 7 * 86_400)
    );

    // Twice is the same as once, also after a restart.
    assert_eq!(
        market
            .ingestor(&pool, &["AAPL", "MSFT"])
            .await
            .backfill()
            .await
            .unwrap()
            .inserted,
        0
    );
    market.set_now(at(26, 21, 0, 0));
    let again = market
        .ingestor(&pool, &["AAPL", "MSFT"])
        .await
        .backfill()
        .await
        .unwrap();
    assert_eq!(again.inserted, 2 * 360, "the rest of the day");
    market.take_calls();
    assert_eq!(
        market
            .ingestor(&pool, &["AAPL", "MSFT"])
            .await
            .backfill()
            .await
            .unwrap()
            .requests,
        0
    );
    assert!(
        market.take_calls().is_empty(),
        "nothing is missing, nobody is asked"
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_an_outage_cut_off_goes_on_at_the_last_bar(pool: PgPool) {
    let market = Market::open(at(26, 14, 0, 20)).await;
    // From the third week on the vendor answers for MSFT with errors.
    let cut = at(12, 0, 0, 0).timestamp();
    let down = Answer::status(503, "text/plain", "down");
    market.fault(
        "MSFT",
        Arc::new(move |call| (call.period.0 > cut).then(|| down.clone())),
    );
    let mut ingestor = market.ingestor(&pool, &["AAPL", "MSFT"]).await;
    let report = ingestor.backfill().await.unwrap();
    assert_eq!(report.unfinished, [ticker("MSFT")]);
    assert_eq!(
        count(&pool, "AAPL").await,
        BARS,
        "the others are not held up"
    );
    assert_eq!(count(&pool, "MSFT").await, 10 * 390);

    market.heal("MSFT");
    market.take_calls();
    ingestor.poll().await.unwrap();
    assert!(
        market.take_calls().iter().all(|call| call.ticker == "AAPL"),
        "bars of today would hide the hole"
    );
    let report = ingestor.backfill().await.unwrap();
    assert!(report.unfinished.is_empty());
    assert_eq!(count(&pool, "MSFT").await, BARS);
    let calls = market.take_calls();
    assert_eq!(
        calls.iter().filter(|call| call.ticker == "MSFT").count(),
        3,
        "the two weeks stored are not asked for"
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_backfill_that_is_killed_leaves_no_hole(pool: PgPool) {
    let market = Market::open(at(26, 14, 0, 20)).await;
    for ticker in ["AAPL", "MSFT", "KO"] {
        let slow = std::time::Duration::from_millis(100);
        let hold = std::sync::Mutex::new(0);
        // The first two weeks come at once, then the vendor hangs.
        market.fault(
            ticker,
            Arc::new(move |_| {
                *hold.lock().unwrap() += 1;
                (*hold.lock().unwrap() > 2).then(|| Answer {
                    delay: slow * 600,
                    ..Answer::json("{}")
                })
            }),
        );
    }
    let mut ingestor = market.ingestor(&pool, &["AAPL", "MSFT", "KO"]).await;
    let killed = tokio::time::timeout(std::time::Duration::from_secs(2), ingestor.backfill()).await;
    assert!(killed.is_err());
    drop(ingestor);
    for ticker in ["AAPL", "MSFT", "KO"] {
        assert_eq!(count(&pool, ticker).await, 10 * 390);
        market.heal(ticker);
    }
    market
        .ingestor(&pool, &["AAPL", "MSFT", "KO"])
        .await
        .backfill()
        .await
        .unwrap();
    for ticker in ["AAPL", "MSFT", "KO"] {
        assert_eq!(count(&pool, ticker).await, BARS);
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_wrong_ticker_is_reported_and_stops_nobody(pool: PgPool) {
    let market = Market::open(at(26, 14, 0, 20)).await;
    let not_found = r#"{"chart":{"result":null,"error":{"code":"Not Found","description":"No data found, symbol may be delisted"}}}"#;
    market.fault(
        "APPL",
        always(Answer::status(404, "application/json", not_found)),
    );
    let mut ingestor = market.ingestor(&pool, &["APPL", "MSFT"]).await;
    let report = ingestor.backfill().await.unwrap();
    assert_eq!(report.unknown, [ticker("APPL")]);
    assert!(report.unfinished.is_empty());
    assert_eq!(count(&pool, "MSFT").await, BARS);
    assert_eq!(
        market
            .take_calls()
            .iter()
            .filter(|call| call.ticker == "APPL")
            .count(),
        1
    );
    ingestor.poll().await.unwrap();
    assert!(
        market.take_calls().iter().all(|call| call.ticker == "MSFT"),
        "it is left alone"
    );
    market.set_now(at(26, 15, 5, 0));
    ingestor.backfill().await.unwrap();
    assert!(
        market.take_calls().iter().any(|call| call.ticker == "APPL"),
        "and asked for again, history first, after an hour"
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_rate_limit_pauses_all_and_loses_nothing(pool: PgPool) {
    let market = Market::open(at(26, 14, 0, 20)).await;
    let left = std::sync::Mutex::new(3);
    let limit = Answer::status(429, "text/html", "Edge: Too Many Requests");
    market.fault(
        "AAPL",
        Arc::new(move |_| {
            let mut left = left.lock().unwrap();
            *left -= 1;
            (*left >= 0).then(|| limit.clone())
        }),
    );
    let report = market
        .ingestor(&pool, &["AAPL", "MSFT"])
        .await
        .backfill()
        .await
        .unwrap();
    assert!(report.unfinished.is_empty(), "{report:?}");
    assert_eq!(
        (count(&pool, "AAPL").await, count(&pool, "MSFT").await),
        (BARS, BARS)
    );
}
