use chrono::{DateTime, TimeDelta, Utc};
use ingestion::QualitySettings;
use market_data::AlphaVantageClient;
use sqlx::PgPool;
use storage::{Finding, Gap, GapOutcome, GapReason, gaps_between};

use crate::{
    market::{Market, always, at, count, ticker},
    vendor_server::Answer,
};

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
    // However old: what was found on a session is looked at again with it.
    let found = [finding(12), finding(28)];
    storage::store_findings(&pool, &found).await.unwrap();
    let settings = QualitySettings::default();
    assert_eq!(ingestor.check_quality(&settings).await.unwrap(), 0);
    let (from, to) = (at(1, 0, 0, 0).date_naive(), at(29, 0, 0, 0).date_naive());
    let standing = storage::findings_between(&pool, None, from, to);
    assert_eq!(standing.await.unwrap(), []);
}

/// The findings on the market as a whole.
async fn findings_of_all(pool: &PgPool) -> Vec<Finding> {
    let (from, to) = (at(1, 0, 0, 0).date_naive(), at(31, 0, 0, 0).date_naive());
    storage::findings_between(pool, Some(&Finding::market()), from, to)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_day_on_which_nobody_traded_is_one_finding_and_no_gap(pool: PgPool) {
    let market = Market::open(evening(8)).await;
    // A closed Friday, and a Monday that ends at 13:00 New York: 17:00 UTC in summer time.
    let closed = [
        (at(9, 0, 0, 0), at(10, 0, 0, 0)),
        (at(12, 17, 0, 0), at(12, 20, 0, 0)),
    ];
    let holes = TICKERS.map(|ticker| closed.map(|(from, to)| (ticker, from, to)));
    market.set_holes(holes.as_flattened());
    let quality = QualitySettings::default();
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    for day in [8, 9, 12, 13, 14] {
        market.set_now(evening(day));
        ingestor.backfill().await.unwrap();
        ingestor.review(&quality).await.unwrap();
    }
    assert_eq!(gaps(&pool).await, []);
    let found = findings_of_all(&pool).await;
    let details: Vec<&str> = found
        .iter()
        .map(|finding| finding.detail.as_str())
        .collect();
    assert_eq!(details.len(), 2, "{details:?}");
    assert!(
        details[0].contains("nobody traded on 2018-03-09: a closure")
            && details[0].contains("closures in section [calendar]"),
        "{details:?}"
    );
    assert!(
        details[1].contains("nobody traded on 2018-03-12 from 13:00 New York on")
            && details[1].contains("early_closes in section [calendar]"),
        "{details:?}"
    );
    assert_eq!((found[1].observed, found[1].expected), (210.0, 390.0));

    // It was the vendor that had lost the bars.
    market.set_holes(&[]);
    market.set_now(evening(15));
    ingestor.review(&quality).await.unwrap();
    assert_eq!(findings_of_all(&pool).await, []);
    assert_eq!(gaps(&pool).await, []);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn gaps_that_were_opened_on_a_closed_day_are_not_asked_for_again(pool: PgPool) {
    let market = Market::open(evening(22)).await;
    let day = (at(22, 13, 30, 0), at(22, 20, 0, 0));
    let holes = TICKERS.map(|ticker| (ticker, day.0, day.1));
    market.set_holes(&holes);
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    ingestor.backfill().await.unwrap();
    let gap = |ticker| {
        Gap::found(
            ticker,
            day.0,
            day.1,
            GapReason::MissingSession,
            390,
            evening(22),
        )
    };
    let known = TICKERS.map(ticker).map(gap);
    storage::record_gaps(&pool, &known, evening(22))
        .await
        .unwrap();
    let quality = QualitySettings::default();
    let report = ingestor.review(&quality).await.unwrap();
    assert_eq!(report.gaps.open, 0);
    let closed = gaps(&pool).await;
    assert_eq!(closed.len(), 3);
    assert!(
        closed
            .iter()
            .all(|gap| (gap.attempts, gap.outcome) == (0, Some(GapOutcome::Superseded))),
        "{closed:?}"
    );
    assert_eq!(findings_of_all(&pool).await.len(), 1);

    // Somebody traded after all: what the others miss was not given up, and is asked for.
    market.set_holes(&holes[1..]);
    market.set_now(evening(23));
    let report = ingestor.review(&quality).await.unwrap();
    assert_eq!(report.gaps.open, 2);
    let tries: Vec<u32> = gaps(&pool).await.iter().map(|gap| gap.attempts).collect();
    assert_eq!(tries, [0, 1, 1]);
    assert_eq!(findings_of_all(&pool).await, []);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_day_before_the_week_that_is_asked_for_again_is_no_closure(pool: PgPool) {
    let market = Market::open(evening(22)).await;
    // Something is wrong with the vendor: three times it has nothing of that week.
    market.set_holes(&TICKERS.map(|ticker| (ticker, at(7, 0, 0, 0), at(14, 0, 0, 0))));
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    let report = ingestor.backfill().await.unwrap();
    assert!(report.unfinished.is_empty());
    market.set_holes(&[]);
    let quality = QualitySettings::default();
    let report = ingestor.review(&quality).await.unwrap();
    assert_eq!(findings_of_all(&pool).await, []);
    assert_eq!((report.gaps.filled, report.gaps.open), (3 * 5, 0));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn thin_stocks_that_rest_before_the_close_are_no_early_close(pool: PgPool) {
    let market = Market::open(evening(22)).await;
    // From the 19th on a bar every six minutes, and none in the last half hour of the 22nd.
    let mut rests = vec![
        (at(1, 0, 0, 0) - TimeDelta::days(30), at(19, 0, 0, 0)),
        (at(22, 19, 30, 0), at(22, 20, 0, 0)),
    ];
    for day in 19..=22 {
        let open = at(day, 13, 30, 0);
        rests.extend((0..65).map(|bar| {
            let from = open + TimeDelta::minutes(6 * bar);
            (from, from + TimeDelta::minutes(5))
        }));
    }
    let rests_of = |ticker| rests.iter().map(move |(from, to)| (ticker, *from, *to));
    let holes: Vec<_> = TICKERS.into_iter().flat_map(rests_of).collect();
    market.set_holes(&holes);
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    ingestor.backfill().await.unwrap();
    ingestor.review(&QualitySettings::default()).await.unwrap();
    assert_eq!(count(&pool, "KO").await, 4 * 65 - 5);
    assert_eq!(findings_of_all(&pool).await, []);
    assert_eq!(gaps(&pool).await, []);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_stock_that_the_vendor_does_not_answer_for_tells_of_no_closure(pool: PgPool) {
    let market = Market::open(evening(21)).await;
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    ingestor.backfill().await.unwrap();
    market.set_holes(&TICKERS.map(|ticker| (ticker, at(22, 0, 0, 0), at(23, 0, 0, 0))));
    market.fault(
        "AAPL",
        always(Answer::json("{\"chart\":{\"result\":[{\"me")),
    );
    let quality = QualitySettings::default();
    let mut reviewed = Vec::new();
    for hours in [0, 1] {
        market.set_now(evening(22) + TimeDelta::hours(hours));
        let report = ingestor.review(&quality).await.unwrap();
        reviewed.push((report.gaps.open, findings_of_all(&pool).await.len()));
        market.heal("AAPL");
    }
    assert_eq!(
        reviewed,
        [(3, 0), (0, 1)],
        "two are too few, three are enough"
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_vendor_that_is_away_is_no_closure(pool: PgPool) {
    let market = Market::open(evening(21)).await;
    let mut ingestor = market.ingestor(&pool, &TICKERS).await;
    ingestor.backfill().await.unwrap();
    market.set_now(evening(22));
    for ticker in TICKERS {
        market.fault(ticker, always(Answer::status(503, "text/plain", "busy")));
    }
    let report = ingestor.review(&QualitySettings::default()).await.unwrap();
    assert_eq!((report.gaps.found, report.gaps.open), (3, 3));
    assert_eq!(findings_of_all(&pool).await, []);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_second_source_keeps_most_of_its_day_for_hours_in_which_the_first_is_away(
    pool: PgPool,
) {
    const STOCKS: [&str; 8] = ["AAPL", "BA", "CVX", "JPM", "KO", "MSFT", "PG", "WMT"];
    const HOST: &str = "www.alphavantage.co";
    let market = Market::open(at(22, 14, 0, 30)).await;
    // As the vendor says that it has nothing.
    let nothing = Answer {
        content_type: "text/csv",
        ..Answer::json("timestamp,open,high,low,close,volume\n")
    };
    market.fault(HOST, always(nothing));
    let old = STOCKS.map(|ticker| (ticker, at(20, 15, 0, 0), at(20, 15, 10, 0)));
    market.set_holes(&old);
    let client = AlphaVantageClient::new(&market.server.connection, "sesame".into()).unwrap();
    let mut ingestor = market
        .ingestor(&pool, &STOCKS)
        .await
        .with_second_source(client);
    ingestor.backfill().await.unwrap();
    market.take_calls();
    let asked = || {
        let calls = market.take_calls().into_iter();
        calls.filter(|call| call.host == HOST).count()
    };
    assert_eq!(ingestor.mend_gaps().await.unwrap().open, 8);
    assert_eq!(asked(), 5, "a fifth of 25");

    for ticker in STOCKS {
        market.fault(ticker, always(Answer::status(503, "text/plain", "busy")));
    }
    let mut now = at(22, 15, 0, 30);
    while now < at(22, 20, 0, 0) {
        market.set_now(now);
        assert!(ingestor.poll().await.unwrap().is_outage());
        ingestor.stand_in().await.unwrap();
        now += TimeDelta::minutes(2);
    }
    let in_session = asked();
    assert!(
        (10..=12).contains(&in_session),
        "{in_session} of the 20 left, less one for each stock"
    );
    market.set_now(evening(22));
    ingestor.poll().await.unwrap();
    ingestor.mend_gaps().await.unwrap();
    assert_eq!(asked(), 8, "each stock after the close");
}
