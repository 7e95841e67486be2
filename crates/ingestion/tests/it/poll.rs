use std::time::Duration;

use domain::{CorporateAction, ShareChange};
use ingestion::QualitySettings;
use sqlx::PgPool;
use storage::{Channel, Listener, Notice};

use crate::{
    market::{Market, always, at, count, ticker},
    vendor_server::Answer,
};

const TICKERS: [&str; 3] = ["AAPL", "KO", "MSFT"];

async fn next_notice(listener: &mut Listener) -> Option<Notice> {
    tokio::time::timeout(Duration::from_millis(300), listener.next())
        .await
        .ok()
}

async fn reasons(pool: &PgPool) -> Vec<(String, String, i64)> {
    sqlx::query_as("select ticker, reason, occurrences from quarantine order by ticker, event_time")
        .fetch_all(pool)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_poll_stores_closed_bars_once_wakes_the_readers_once_and_passes_prices_on(pool: PgPool) {
    let market = Market::open(at(26, 13, 40, 5)).await;
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    ingestor.backfill().await.unwrap();
    let mut bars = Listener::connect(&pool, &[Channel::BarCommitted])
        .await
        .unwrap();
    let mut prices = Listener::connect(&pool, &[Channel::FormingPrice])
        .await
        .unwrap();

    market.set_now(at(26, 13, 41, 2));
    let report = ingestor.poll().await.unwrap();
    assert_eq!(
        (report.inserted, report.forming, report.requests),
        (3, 3, 3)
    );
    assert!(report.late.is_empty() && report.failures.is_empty());
    let Some(Notice::BarsCommitted {
        tickers,
        first,
        last,
    }) = next_notice(&mut bars).await
    else {
        panic!("no notice")
    };
    assert_eq!(tickers, Some(TICKERS.map(ticker).to_vec()));
    assert_eq!((first, last), (at(26, 13, 40, 0), at(26, 13, 40, 0)));
    assert_eq!(next_notice(&mut bars).await, None, "one poll, one notice");
    let Some(Notice::FormingPrices(forming)) = next_notice(&mut prices).await else {
        panic!("no prices")
    };
    assert_eq!(forming.len(), 3);
    assert_eq!(forming[0].time, at(26, 13, 41, 2));

    // The same minute again: nothing is new.
    market.set_now(at(26, 13, 41, 20));
    let report = ingestor.poll().await.unwrap();
    assert_eq!((report.inserted, report.revised, report.forming), (0, 0, 0));
    assert_eq!(next_notice(&mut bars).await, None);

    // Yahoo changes a bar of some minutes ago.
    market.set_close("KO", at(26, 13, 38, 0), 100.77);
    let report = ingestor.poll().await.unwrap();
    assert_eq!((report.inserted, report.revised), (0, 1));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn bad_ticks_go_into_quarantine_with_their_reason_and_the_rest_is_stored(pool: PgPool) {
    let market = Market::open(at(26, 13, 40, 5)).await;
    market.set_close("AAPL", at(26, 13, 36, 0), -1.0);
    market.set_close("KO", at(26, 13, 37, 0), 1_000.0);
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    let report = ingestor.backfill().await.unwrap();
    assert_eq!(report.quarantined, 2);
    let found = reasons(&pool).await;
    assert_eq!(
        found[0].1,
        "open: -1 is not a price: expected a finite number above zero"
    );
    assert_eq!(found[1].1, "steps by more than half without a split");
    assert_eq!(count(&pool, "AAPL").await, count(&pool, "MSFT").await - 1);
    assert_eq!(count(&pool, "KO").await, count(&pool, "MSFT").await - 1);
    // Seen again by the next poll: counted, not repeated.
    let report = ingestor.poll().await.unwrap();
    assert_eq!(report.quarantined, 0);
    assert!(
        reasons(&pool)
            .await
            .iter()
            .all(|(_, _, occurrences)| *occurrences == 2)
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_split_is_no_bad_tick(pool: PgPool) {
    let market = Market::open(at(23, 21, 0, 0)).await;
    let mut ingestor = market.ingestor(&pool, &["AAPL"]).await;
    ingestor.backfill().await.unwrap();
    let before = count(&pool, "AAPL").await;
    // The next morning all of Yahoo's prices are a quarter.
    let open = at(26, 13, 30, 0);
    for minute in 0..5 {
        market.set_close("AAPL", open + chrono::TimeDelta::minutes(minute), 25.0);
    }
    market.state.lock().unwrap().splits = format!(
        r#"{{"{0}":{{"date":{0},"numerator":4.0,"denominator":1.0,"splitRatio":"4:1"}}}}"#,
        open.timestamp()
    );
    market.set_now(at(26, 13, 35, 5));
    let report = ingestor.poll().await.unwrap();
    assert_eq!((report.inserted, report.quarantined), (5, 0));
    assert_eq!(count(&pool, "AAPL").await, before + 5);
}

/// Yahoo's prices and splits from the early morning of an ex-date on: its history is on the new basis before the open.
#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_was_restated_before_the_open_is_not_adjusted_again(pool: PgPool) {
    let market = Market::open(at(23, 21, 0, 0)).await;
    let mut ingestor = market.ingestor(&pool, &["AAPL"]).await;
    ingestor.backfill().await.unwrap();
    let (ticker, open) = (ticker("AAPL"), at(26, 13, 30, 0));
    let bars = async || {
        let stored = storage::bars_between(&pool, &ticker, at(1, 0, 0, 0), at(27, 0, 0, 0));
        stored.await.unwrap()
    };
    let old = bars().await;
    // The four for one of Monday is known; it counts from the open on.
    let split = CorporateAction {
        ticker: ticker.clone(),
        ex_date: open.date_naive(),
        effective_at: open,
        change: ShareChange::Split { ratio: 4.0 },
    };
    storage::upsert_corporate_actions(&pool, &[split], "yahoo", at(26, 12, 0, 0))
        .await
        .unwrap();
    assert_eq!(bars().await, old);
    let history = storage::bars_between(&pool, &ticker, at(1, 0, 0, 0), at(27, 0, 0, 0));
    for before in history.await.unwrap() {
        market.set_close("AAPL", before.start, before.close.get() / 4.0);
    }
    market.state.lock().unwrap().splits = format!(
        r#"{{"{0}":{{"date":{0},"numerator":4.0,"denominator":1.0,"splitRatio":"4:1"}}}}"#,
        open.timestamp()
    );
    market.set_now(at(26, 12, 30, 0));
    let report = ingestor.review(&QualitySettings::default()).await.unwrap();
    assert_eq!(report.refetched.quarantined, 0, "{report:?}");
    // The prices only: this market restates no volumes.
    let closes = |bars: &[domain::Bar]| bars.iter().map(|bar| bar.close).collect::<Vec<_>>();
    assert_eq!(
        closes(&bars().await),
        closes(&old),
        "it counts from the open on"
    );
    // After the open all bars are on the new basis anyway.
    market.set_now(at(26, 13, 35, 5));
    let usual = 25.0;
    for minute in 0..5 {
        market.set_close("AAPL", open + chrono::TimeDelta::minutes(minute), usual);
    }
    assert_eq!(ingestor.poll().await.unwrap().inserted, 5);
    let restated = bars().await;
    assert_eq!(restated.len(), old.len() + 5);
    for (before, after) in old.iter().zip(&restated) {
        assert!((after.close.get() * 4.0 / before.close.get() - 1.0).abs() < 1e-6);
    }
    ingestor.review(&QualitySettings::default()).await.unwrap();
    assert_eq!(bars().await, restated);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn one_failing_ticker_does_not_hold_the_others_up(pool: PgPool) {
    let market = Market::open(at(26, 13, 40, 5)).await;
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    ingestor.backfill().await.unwrap();
    market.set_now(at(26, 13, 41, 2));

    market.fault("KO", always(Answer::json("{\"chart\":{\"result\":[{\"me")));
    let report = ingestor.poll().await.unwrap();
    assert_eq!((report.inserted, report.failures.len()), (2, 1));
    assert!(!report.is_outage());
    assert_eq!(report.late, [ticker("KO")]);

    // Its answer takes longer than the others are willing to wait.
    market.set_now(at(26, 13, 42, 2));
    market.heal("KO");
    let slow = Answer {
        delay: Duration::from_millis(700),
        ..Answer::json("{}")
    };
    market.fault("AAPL", always(slow));
    let mut bars = Listener::connect(&pool, &[Channel::BarCommitted])
        .await
        .unwrap();
    let listening = async {
        let asked = std::time::Instant::now();
        let notice = bars.next().await;
        (notice, asked.elapsed())
    };
    let (report, (notice, waited)) = tokio::join!(ingestor.poll(), listening);
    let Notice::BarsCommitted { tickers, .. } = notice else {
        panic!("{notice:?}")
    };
    assert_eq!(tickers, Some(vec![ticker("KO"), ticker("MSFT")]));
    assert!(waited < Duration::from_millis(650), "{waited:?}");
    assert_eq!(report.unwrap().late, [ticker("AAPL")]);

    // What was missed comes with the next poll.
    market.heal("AAPL");
    assert_eq!(
        ingestor
            .poll_only(&[ticker("AAPL")])
            .await
            .unwrap()
            .inserted,
        1
    );
    assert_eq!(count(&pool, "AAPL").await, count(&pool, "KO").await);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_outage_of_the_vendor_is_recognised_and_made_good(pool: PgPool) {
    let market = Market::open(at(26, 13, 40, 5)).await;
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    ingestor.backfill().await.unwrap();
    for ticker in TICKERS {
        market.fault(
            ticker,
            always(Answer::status(502, "text/html", "<html>bad gateway</html>")),
        );
    }
    market.set_now(at(26, 13, 45, 2));
    assert!(ingestor.poll().await.unwrap().is_outage());
    for ticker in TICKERS {
        market.heal(ticker);
    }
    market.set_now(at(26, 14, 45, 2));
    let report = ingestor.poll().await.unwrap();
    assert_eq!(report.inserted, 3 * 65, "the hour and the five minutes");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_outage_of_the_database_loses_no_bar(pool: PgPool) {
    let market = Market::open(at(26, 13, 40, 5)).await;
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    ingestor.backfill().await.unwrap();
    let before = count(&pool, "KO").await;
    sqlx::query("alter table price_data rename to out_of_reach")
        .execute(&pool)
        .await
        .unwrap();
    market.set_now(at(26, 13, 41, 2));
    ingestor.poll().await.unwrap_err();
    sqlx::query("alter table out_of_reach rename to price_data")
        .execute(&pool)
        .await
        .unwrap();
    market.set_now(at(26, 13, 42, 2));
    assert_eq!(ingestor.poll().await.unwrap().inserted, 6);
    assert_eq!(count(&pool, "KO").await, before + 2);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_whole_session_is_looked_at_again_after_its_end(pool: PgPool) {
    let market = Market::open(at(26, 20, 0, 30)).await;
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    ingestor.backfill().await.unwrap();
    market.set_close("MSFT", at(26, 14, 0, 0), 100.5);
    market.set_now(at(26, 20, 15, 1));
    assert_eq!(
        ingestor.poll().await.unwrap().revised,
        0,
        "too long ago for a poll"
    );
    assert_eq!(
        ingestor.refetch(at(26, 13, 30, 0)).await.unwrap().revised,
        1
    );
}
