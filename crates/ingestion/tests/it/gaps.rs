use chrono::{DateTime, TimeDelta, Utc};
use ingestion::QualitySettings;
use sqlx::PgPool;
use storage::{Gap, GapOutcome, GapReason, gaps_between};

use crate::market::{Market, at, count, ticker};

const TICKERS: [&str; 3] = ["AAPL", "KO", "MSFT"];

/// Three quarters of an hour after the close of a day in March 2018.
fn evening(day: u32) -> DateTime<Utc> {
    at(day, 20, 45, 0)
}

async fn gaps(pool: &PgPool) -> Vec<Gap> {
    gaps_between(pool, None, at(1, 0, 0, 0), at(31, 0, 0, 0))
        .await
        .unwrap()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_gap_survives_a_restart_and_is_closed_when_its_bars_come(pool: PgPool) {
    let market = Market::open(evening(22)).await;
    market.set_holes(&[("KO", at(22, 15, 0, 0), at(22, 15, 10, 0))]);
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    ingestor.backfill().await.unwrap();
    let report = ingestor.mend_gaps().await.unwrap();
    assert_eq!((report.found, report.filled, report.open), (1, 0, 1));
    let [gap] = &gaps(&pool).await[..] else {
        panic!("one gap")
    };
    assert_eq!((gap.start, gap.end), (at(22, 15, 0, 0), at(22, 15, 10, 0)));
    assert_eq!(gap.reason, GapReason::MissingMinutes);
    assert_eq!((gap.expected_bars, gap.attempts), (10, 1));

    // The same evening nobody is asked again.
    market.take_calls();
    drop(ingestor);
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    let report = ingestor.mend_gaps().await.unwrap();
    assert_eq!((report.found, report.open), (0, 1));
    assert!(market.take_calls().is_empty());

    market.set_holes(&[]);
    market.set_now(evening(22) + TimeDelta::hours(13));
    let report = ingestor.mend_gaps().await.unwrap();
    assert_eq!((report.filled, report.open), (1, 0));
    assert_eq!(gaps(&pool).await[0].outcome, Some(GapOutcome::Filled));
    let calls = market.take_calls();
    assert_eq!(calls.len(), 1, "one request for the ticker concerned");
    assert_eq!(count(&pool, "KO").await, count(&pool, "AAPL").await);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_gap_that_nobody_can_fill_is_given_up_and_stays_listed(pool: PgPool) {
    let market = Market::open(evening(20)).await;
    market.set_holes(&[("KO", at(20, 13, 30, 0), at(20, 20, 0, 0))]);
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    ingestor.backfill().await.unwrap();
    for (day, open) in [(20, 1), (21, 1), (22, 0), (23, 0)] {
        market.set_now(evening(day));
        ingestor.backfill().await.unwrap();
        let report = ingestor.mend_gaps().await.unwrap();
        assert_eq!(report.open, open, "on the {day}th");
    }
    let [gap] = &gaps(&pool).await[..] else {
        panic!("one gap")
    };
    assert_eq!(gap.reason, GapReason::MissingSession);
    assert_eq!((gap.attempts, gap.outcome), (3, Some(GapOutcome::NoData)));
    // It comes after all.
    market.set_holes(&[]);
    ingestor.refetch(at(20, 0, 0, 0)).await.unwrap();
    assert_eq!(ingestor.mend_gaps().await.unwrap().filled, 1);
    assert_eq!(gaps(&pool).await[0].outcome, Some(GapOutcome::Filled));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_ticker_that_stopped_is_one_gap(pool: PgPool) {
    let market = Market::open(evening(19)).await;
    market.set_holes(&[("KO", at(20, 13, 30, 0), at(31, 0, 0, 0))]);
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    for day in [19, 20, 21, 22, 23, 26, 27] {
        market.set_now(evening(day));
        ingestor.backfill().await.unwrap();
        ingestor.mend_gaps().await.unwrap();
    }
    let stops: Vec<Gap> = gaps(&pool)
        .await
        .into_iter()
        .filter(|gap| gap.outcome != Some(GapOutcome::Superseded))
        .collect();
    let [stop] = &stops[..] else {
        panic!("{stops:?}")
    };
    assert_eq!(stop.reason, GapReason::Stopped);
    assert_eq!(
        (stop.start, stop.end),
        (at(20, 13, 30, 0), at(22, 20, 0, 0))
    );
    assert_eq!(stop.outcome, Some(GapOutcome::NoData));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_review_takes_in_a_week_of_revisions_with_the_old_values_kept(pool: PgPool) {
    let market = Market::open(evening(20)).await;
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    ingestor.backfill().await.unwrap();
    market.set_close("MSFT", at(19, 15, 0, 0), 100.5);
    market.set_now(at(20, 21, 0, 0));
    let quality = QualitySettings::default();
    let report = ingestor.review(&quality).await.unwrap();
    assert_eq!(report.refetched.revised, 1);
    assert!(report.is_complete());
    assert_eq!(report.findings, 0);
    let revisions = storage::bar_revisions(
        &pool,
        &crate::market::ticker("MSFT"),
        at(19, 0, 0, 0),
        at(20, 0, 0, 0),
    )
    .await
    .unwrap();
    assert_eq!(revisions.len(), 1);
    assert_ne!(revisions[0].old.close.get(), 100.5);
    assert_eq!(
        ingestor.review(&quality).await.unwrap().refetched.revised,
        0
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_a_check_found_before_bars_were_revised_is_withdrawn(pool: PgPool) {
    let market = Market::open(at(29, 21, 0, 0)).await;
    let mut ingestor = market.ingestor(&pool, &["AAPL"]).await;
    ingestor.backfill().await.unwrap();
    let finding = |day: u32| storage::Finding {
        ticker: ticker("AAPL"),
        session: at(day, 0, 0, 0).date_naive(),
        check: "zero_volume_minutes".to_owned(),
        observed: 0.5,
        expected: 0.02,
        detail: "195 of 390 bars have no volume".to_owned(),
        found_at: at(day, 20, 30, 0),
    };
    // Bars of the week before last come from nowhere any more.
    let found = [finding(12), finding(28)];
    storage::store_findings(&pool, &found).await.unwrap();
    let settings = QualitySettings::default();
    assert_eq!(ingestor.check_quality(&settings).await.unwrap(), 0);
    let (from, to) = (at(1, 0, 0, 0).date_naive(), at(29, 0, 0, 0).date_naive());
    let standing = storage::findings_between(&pool, None, from, to);
    assert_eq!(standing.await.unwrap(), found[..1]);
}
