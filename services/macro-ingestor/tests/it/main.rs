//! The service against a simulated FRED and a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../../../news-ingestor/tests/support/vendors.rs"]
mod vendors;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{MacroObservation, SeriesId};
use macro_ingestor::{EconomySettings, MacroIngestor};
use market_data::VendorKeys;
use market_sim::{Economy, Endpoint, Fault, FaultRule, FaultScript, Market, Simulator, Vendor};
use service_kit::Clock;
use sqlx::PgPool;

use crate::vendors::{PATIENCE, Vendors};

/// The month that never came out is missing in one series and "." in the other.
const SERIES: &str = "\
series,date,value
CPIAUCSL,2025-07-01,322.132
CPIAUCSL,2025-08-01,323.364
CPIAUCSL,2025-09-01,324.368
CPIAUCSL,2025-11-01,325.031
UNRATE,2025-09-01,4.4
UNRATE,2025-10-01,.
UNRATE,2025-11-01,4.6
DGS10,2026-01-02,4.19
T10Y2Y,2026-01-02,0.71
VIXCLS,2026-01-02,14.51
FEDFUNDS,2025-11-01,3.88
GDP,2025-07-01,31095.1
";

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn series(text: &str) -> SeriesId {
    SeriesId::parse(text).unwrap()
}

/// A clock that runs so fast that no request waits for its turn.
fn clock_at(now: &str) -> Clock {
    Clock::replay(time(now), 60.0, Utc::now()).unwrap()
}

fn open(files: &[PathBuf], clock: &Clock) -> Vendors {
    let market = Market::generated(1, &[], calendar::nyse());
    let economy = Economy::recorded(files, calendar::nyse()).unwrap();
    Vendors::open(Simulator::new(market, calendar::nyse(), clock.clone()).with_economy(economy))
}

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("series.csv");
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

fn keyed() -> VendorKeys {
    VendorKeys {
        fred: Some("fred-key".into()),
        ..VendorKeys::default()
    }
}

fn ingestor(pool: &PgPool, vendors: &Vendors, clock: &Clock, keys: &VendorKeys) -> MacroIngestor {
    let settings = EconomySettings::default();
    MacroIngestor::new(
        &settings,
        &vendors.connection,
        keys,
        pool.clone(),
        clock.clone(),
    )
    .unwrap()
}

async fn vintages(pool: &PgPool, name: &str) -> Vec<MacroObservation> {
    storage::macro_observations(pool, &[series(name)], time("2999-01-01T00:00:00Z"))
        .await
        .unwrap()
}

async fn known(pool: &PgPool, name: &str, as_of: &str) -> BTreeMap<NaiveDate, Option<f64>> {
    let rows = storage::macro_observations(pool, &[series(name)], time(as_of))
        .await
        .unwrap();
    rows.into_iter()
        .map(|row| (row.period, row.value))
        .collect()
}

fn requests(vendors: &Vendors, endpoint: Endpoint) -> u64 {
    let report = vendors.faults.report();
    report
        .requests
        .get(&Vendor::Fred)
        .and_then(|requests| requests.get(&endpoint))
        .copied()
        .unwrap_or_default()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn without_a_key_values_are_known_since_they_were_seen(pool: PgPool) {
    let (_folder, file) = written(SERIES);
    let clock = clock_at("2026-02-20T12:00:00Z");
    let vendors = open(&[file], &clock);
    let mut ingestor = ingestor(&pool, &vendors, &clock, &VendorKeys::default());
    let report = ingestor.look().await;
    assert!(report.failed.is_empty(), "{report:?}");
    assert_eq!(
        (report.counts.new_periods, report.counts.revisions),
        (12, 0)
    );
    for name in ["CPIAUCSL", "UNRATE", "DGS10"] {
        let rows = vintages(&pool, name).await;
        assert!(
            rows.iter()
                .all(|row| row.available_at >= time("2026-02-20T12:00:00Z")),
            "{name}: {rows:?}"
        );
        assert!(
            rows.iter().all(|row| row.available_at <= clock.now()),
            "{name}: {rows:?}"
        );
    }
    assert_eq!(
        known(&pool, "UNRATE", "2026-02-21T00:00:00Z").await[&day("2025-10-01")],
        None
    );
    assert!(
        !known(&pool, "CPIAUCSL", "2026-02-21T00:00:00Z")
            .await
            .contains_key(&day("2025-10-01"))
    );
    let again = ingestor.look().await;
    assert_eq!((again.counts.new_periods, again.counts.revisions), (0, 0));
    assert_eq!(requests(&vendors, Endpoint::Observations), 0);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn with_a_key_values_are_known_since_their_release(pool: PgPool) {
    let (_folder, file) = written(SERIES);
    let clock = clock_at("2026-02-20T12:00:00Z");
    let vendors = open(&[file], &clock);
    let report = ingestor(&pool, &vendors, &clock, &keyed()).look().await;
    assert!(report.failed.is_empty(), "{report:?}");
    let prices = vintages(&pool, "CPIAUCSL").await;
    assert_eq!(prices.len(), 4);
    for row in &prices {
        assert!(
            row.available_at < clock.now() && row.available_at.date_naive() > row.period,
            "{row:?}"
        );
    }
    assert_eq!(requests(&vendors, Endpoint::Graph), 0);
    // After a restart all is asked for again, and nothing is new.
    let again = ingestor(&pool, &vendors, &clock, &keyed()).look().await;
    assert_eq!((again.counts.new_periods, again.counts.revisions), (0, 0));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_key_that_comes_later_adds_the_releases_before(pool: PgPool) {
    let (_folder, file) = written(SERIES);
    let clock = clock_at("2026-02-20T12:00:00Z");
    let vendors = open(&[file], &clock);
    ingestor(&pool, &vendors, &clock, &VendorKeys::default())
        .look()
        .await;
    assert_eq!(
        known(&pool, "UNRATE", "2026-02-20T11:59:59Z").await.len(),
        0
    );
    let seen = vintages(&pool, "UNRATE").await;

    let clock = clock_at("2026-03-01T12:00:00Z");
    let vendors = open(&[_folder.path().join("series.csv")], &clock);
    // A wrong key first: the values go on without.
    let wrong = VendorKeys {
        fred: Some("bad".into()),
        ..VendorKeys::default()
    };
    let report = ingestor(&pool, &vendors, &clock, &wrong).look().await;
    assert!(
        report.failed.is_empty() && report.counts.new_periods == 0,
        "{report:?}"
    );

    ingestor(&pool, &vendors, &clock, &keyed()).look().await;
    assert_eq!(
        known(&pool, "UNRATE", "2026-02-20T11:59:59Z").await.len(),
        3
    );
    let all = vintages(&pool, "UNRATE").await;
    assert!(
        seen.iter().all(|row| all.contains(row)),
        "what was seen stays as it was"
    );
    let before = all.len();
    ingestor(&pool, &vendors, &clock, &VendorKeys::default())
        .look()
        .await;
    ingestor(&pool, &vendors, &clock, &keyed()).look().await;
    assert_eq!(vintages(&pool, "UNRATE").await.len(), before);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn real_revisions_arrive_over_the_wire_and_nothing_else(pool: PgPool) {
    let Some(file) = test_support::shared("data/macro/fred_two_vintages.csv") else {
        return;
    };
    for (now, revised) in [
        ("2026-01-03T12:00:00Z", 0),
        ("2026-08-01T12:00:00Z", 58 + 8),
    ] {
        let clock = clock_at(now);
        let vendors = open(std::slice::from_ref(&file), &clock);
        let report = ingestor(&pool, &vendors, &clock, &VendorKeys::default())
            .look()
            .await;
        // The others are not in the file.
        assert_eq!(
            report.failed,
            ["DGS10", "GDP", "T10Y2Y", "VIXCLS"].map(series)
        );
        assert_eq!(report.counts.revisions, revised, "at {now}");
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn one_series_that_fails_holds_up_no_other(pool: PgPool) {
    let (_folder, file) = written(SERIES);
    let clock = clock_at("2026-02-20T12:00:00Z");
    let vendors = open(&[file], &clock);
    let broken = FaultRule {
        tickers: vec!["UNRATE".to_owned()],
        ..FaultRule::always(Fault::Truncated)
    };
    vendors.faults.set(FaultScript {
        rules: vec![broken],
        ..FaultScript::default()
    });
    let settings = EconomySettings {
        more_series: vec![series("NOSUCHSERIES")],
        ..EconomySettings::default()
    };
    let mut ingestor = MacroIngestor::new(
        &settings,
        &vendors.connection,
        &keyed(),
        pool.clone(),
        clock.clone(),
    )
    .unwrap();
    let report = ingestor.look().await;
    assert_eq!(report.failed, [series("NOSUCHSERIES"), series("UNRATE")]);
    assert_eq!(
        report.worth_retrying, 1,
        "the unknown one is not asked for sooner"
    );
    assert_eq!(vintages(&pool, "CPIAUCSL").await.len(), 4);
    vendors.faults.set(FaultScript::default());
    assert_eq!(ingestor.look().await.failed, [series("NOSUCHSERIES")]);
    assert_eq!(vintages(&pool, "UNRATE").await.len(), 3);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_outage_is_waited_out(pool: PgPool) {
    let (_folder, file) = written(SERIES);
    let clock = Clock::replay(time("2026-02-20T12:00:00Z"), 1_200.0, Utc::now()).unwrap();
    let vendors = open(&[file], &clock);
    let back_at = time("2026-02-20T12:30:00Z");
    let shut = FaultRule {
        until: Some(back_at),
        ..FaultRule::always(Fault::Unavailable)
    };
    vendors.faults.set(FaultScript {
        rules: vec![shut],
        ..FaultScript::default()
    });
    let service = tokio::spawn(ingestor(&pool, &vendors, &clock, &keyed()).run());
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while vintages(&pool, "UNRATE").await.is_empty() {
        assert!(tokio::time::Instant::now() < deadline, "it never came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(clock.now() >= back_at);
    service.abort();
}
