use std::time::Duration;

use chrono::TimeDelta;
use domain::{MacroObservation, SeriesId};
use storage::{
    Channel, Listener, Notice, ObservationCounts, PgPool, StorageError, latest_observations,
    macro_observations, store_observations,
};
use tokio::time::timeout;

use crate::{date, time};

fn series(text: &str) -> SeriesId {
    SeriesId::parse(text).unwrap()
}

fn cpi(period: &str, value: Option<f64>, available_at: &str) -> MacroObservation {
    MacroObservation {
        series: series("CPIAUCSL"),
        period: date(period),
        value,
        available_at: time(available_at),
    }
}

fn counts(new_periods: u64, revisions: u64, unchanged: u64) -> ObservationCounts {
    ObservationCounts {
        new_periods,
        revisions,
        unchanged,
    }
}

async fn store(pool: &PgPool, rows: &[MacroObservation]) -> ObservationCounts {
    store_observations(pool, rows, "fred").await.unwrap()
}

async fn known_at(pool: &PgPool, as_of: &str) -> Vec<MacroObservation> {
    macro_observations(pool, &[series("CPIAUCSL")], time(as_of))
        .await
        .unwrap()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn every_vintage_is_kept_and_seen_only_from_its_release_on(pool: PgPool) {
    let december = cpi("2025-12-01", Some(324.0), "2026-01-14T05:00:00Z");
    let revised = cpi("2025-12-01", Some(324.5), "2026-02-12T05:00:00Z");
    let january = cpi("2026-01-01", Some(325.0), "2026-02-12T05:00:00Z");
    let rows = [revised.clone(), january.clone(), december.clone()];
    assert_eq!(store(&pool, &rows).await, counts(2, 1, 0));
    assert_eq!(store(&pool, &rows).await, counts(0, 0, 3));
    assert_eq!(known_at(&pool, "2026-01-13T00:00:00Z").await, []);
    assert_eq!(
        known_at(&pool, "2026-02-12T04:59:59Z").await,
        std::slice::from_ref(&december)
    );
    assert_eq!(
        known_at(&pool, "2026-02-12T05:00:00Z").await,
        [december.clone(), revised.clone(), january.clone()]
    );
    assert_eq!(
        latest_observations(&pool, time("2026-02-01T00:00:00Z"))
            .await
            .unwrap(),
        [december]
    );
    assert_eq!(
        latest_observations(&pool, time("2026-03-01T00:00:00Z"))
            .await
            .unwrap(),
        [january]
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn fetching_again_moves_no_release(pool: PgPool) {
    let released = cpi("2025-12-01", Some(324.0), "2026-01-14T05:00:00Z");
    store(&pool, std::slice::from_ref(&released)).await;
    for day in 0..5 {
        let fetched = MacroObservation {
            available_at: time("2026-01-15T12:00:00Z") + TimeDelta::days(day),
            ..released.clone()
        };
        assert_eq!(store(&pool, &[fetched]).await, counts(0, 0, 1));
    }
    // Another value at the very same moment: what was stored first stands.
    let other = MacroObservation {
        value: Some(1.0),
        ..released.clone()
    };
    assert_eq!(store(&pool, &[other]).await, counts(0, 0, 1));
    assert_eq!(known_at(&pool, "2027-01-01T00:00:00Z").await, [released]);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_value_that_returns_is_a_vintage_of_its_own(pool: PgPool) {
    let rows = [
        cpi("2025-12-01", Some(324.0), "2026-01-14T05:00:00Z"),
        cpi("2025-12-01", Some(324.5), "2026-02-12T05:00:00Z"),
        cpi("2025-12-01", Some(324.0), "2026-03-12T05:00:00Z"),
    ];
    for row in &rows {
        store(&pool, std::slice::from_ref(row)).await;
    }
    assert_eq!(known_at(&pool, "2027-01-01T00:00:00Z").await, rows);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn vintages_read_later_lengthen_the_history(pool: PgPool) {
    // Without a key, the value was first seen when the service was first started.
    let seen = cpi("2025-12-01", Some(324.5), "2026-03-01T12:00:00Z");
    store(&pool, std::slice::from_ref(&seen)).await;
    let vintages = [
        cpi("2025-12-01", Some(324.0), "2026-01-14T05:00:00Z"),
        cpi("2025-12-01", Some(324.5), "2026-02-12T05:00:00Z"),
    ];
    assert_eq!(store(&pool, &vintages).await, counts(0, 2, 0));
    assert_eq!(
        known_at(&pool, "2027-01-01T00:00:00Z").await,
        [vintages[0].clone(), vintages[1].clone(), seen]
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_month_that_never_came_is_no_value(pool: PgPool) {
    let september = cpi("2025-09-01", Some(324.0), "2025-10-24T04:00:00Z");
    let never = cpi("2025-10-01", None, "2025-12-18T05:00:00Z");
    let rows = [september.clone(), never.clone()];
    assert_eq!(store(&pool, &rows).await, counts(2, 0, 0));
    assert_eq!(store(&pool, &rows).await, counts(0, 0, 2));
    assert_eq!(known_at(&pool, "2026-01-01T00:00:00Z").await, rows);
    assert_eq!(
        latest_observations(&pool, time("2026-01-01T00:00:00Z"))
            .await
            .unwrap(),
        [september]
    );

    let error = store_observations(
        &pool,
        &[cpi("2025-11-01", Some(f64::NAN), "2025-12-18T05:00:00Z")],
        "fred",
    )
    .await
    .unwrap_err();
    assert!(
        matches!(&error, StorageError::Constraint { constraint, .. } if constraint == "macro_observation_is_finite"),
        "{error:?}"
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn two_writers_at_once_store_a_vintage_once(pool: PgPool) {
    let rows = |seconds: i64| -> Vec<_> {
        (0..400)
            .map(|day| MacroObservation {
                series: series("DGS10"),
                period: date("2024-01-01") + TimeDelta::days(day),
                value: Some(4.0 + day as f64 / 100.0),
                // Each has seen it at a time of its own.
                available_at: time("2026-03-01T12:00:00Z") + TimeDelta::seconds(seconds),
            })
            .collect()
    };
    let (mine, yours) = (rows(0), rows(7));
    let (first, second) = tokio::join!(store(&pool, &mine), store(&pool, &yours));
    let stored = macro_observations(&pool, &[series("DGS10")], time("2027-01-01T00:00:00Z"))
        .await
        .unwrap();
    assert_eq!(first.new_periods + second.new_periods, 400);
    // Whoever was second found all values known, or was the earlier one by its clock.
    assert_eq!(
        stored.len() as u64,
        400 + first.revisions + second.revisions
    );
    assert!(first.new_periods == 400 || second.new_periods == 400);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn listeners_hear_of_releases_only(pool: PgPool) {
    let mut listener = Listener::connect(&pool, &[Channel::MacroReleased])
        .await
        .unwrap();
    let row = cpi("2025-12-01", Some(324.0), "2026-01-14T05:00:00Z");
    store(&pool, std::slice::from_ref(&row)).await;
    assert_eq!(
        timeout(Duration::from_secs(10), listener.next())
            .await
            .unwrap(),
        Notice::MacroReleased
    );
    store(&pool, &[row]).await;
    let heard = timeout(Duration::from_millis(200), listener.next()).await;
    assert!(heard.is_err(), "unexpected {heard:?}");
}
