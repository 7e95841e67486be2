//! Vintages of real series.

use std::{collections::BTreeMap, fs::File, io::Read};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{MacroObservation, SeriesId};
use flate2::read::GzDecoder;
use ingestion::store_economy;
use market_data::FredObservation;
use sqlx::PgPool;

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn series(text: &str) -> SeriesId {
    SeriesId::parse(text).unwrap()
}

fn observation(period: &str, value: Option<f64>, released: Option<&str>) -> FredObservation {
    FredObservation {
        series: series("UNRATE"),
        period: day(period),
        value,
        realtime_start: released.map(day),
    }
}

async fn known(pool: &PgPool, name: &str, as_of: &str) -> BTreeMap<NaiveDate, Option<f64>> {
    vintages(pool, name, as_of)
        .await
        .into_iter()
        .map(|row| (row.period, row.value))
        .collect()
}

async fn vintages(pool: &PgPool, name: &str, as_of: &str) -> Vec<MacroObservation> {
    storage::macro_observations(pool, &[series(name)], time(as_of))
        .await
        .unwrap()
}

/// The two looks of `fred_two_vintages.csv`.
fn two_looks() -> Option<[Vec<FredObservation>; 2]> {
    let path = test_support::shared("data/macro/fred_two_vintages.csv")?;
    let mut looks = [Vec::new(), Vec::new()];
    for row in csv::Reader::from_path(path).unwrap().records() {
        let row = row.unwrap();
        for (look, column) in looks.iter_mut().zip([2, 3]) {
            if let Ok(value) = row[column].parse() {
                look.push(FredObservation {
                    series: series(&row[0]),
                    period: day(&row[1]),
                    value: Some(value),
                    realtime_start: None,
                });
            }
        }
    }
    Some(looks)
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn revised_values_are_found_and_nothing_else(pool: PgPool) {
    let Some([first, second]) = two_looks() else {
        return;
    };
    let counts = store_economy(&pool, &first, time("2026-01-03T12:00:00Z"))
        .await
        .unwrap();
    assert_eq!(counts.new_periods, first.len() as u64);
    assert_eq!((counts.revisions, counts.unchanged), (0, 0));
    let of = |name: &str| -> Vec<FredObservation> {
        second
            .iter()
            .filter(|row| row.series == series(name))
            .cloned()
            .collect()
    };
    for (name, revisions) in [("CPIAUCSL", 58), ("UNRATE", 8), ("FEDFUNDS", 0)] {
        let rows = of(name);
        let counts = store_economy(&pool, &rows, time("2026-07-30T12:00:00Z"))
            .await
            .unwrap();
        assert_eq!(counts.revisions, revisions, "{name}");
        let before = first
            .iter()
            .filter(|row| row.series == series(name))
            .count();
        assert_eq!(counts.new_periods, (rows.len() - before) as u64, "{name}");
    }
    let again = store_economy(&pool, &second, time("2026-07-31T12:00:00Z"))
        .await
        .unwrap();
    assert_eq!(again.unchanged, second.len() as u64);

    // The month that never came has no value at any time, and its neighbours have theirs.
    let months = known(&pool, "CPIAUCSL", "2026-12-31T00:00:00Z").await;
    assert_eq!(months.get(&day("2025-10-01")), None);
    assert_eq!(months[&day("2025-11-01")], Some(325.063));
    // What was known in between is what the first look saw.
    assert_eq!(
        known(&pool, "CPIAUCSL", "2026-07-30T11:59:59Z").await[&day("2025-11-01")],
        Some(325.031)
    );
    assert_eq!(
        known(&pool, "UNRATE", "2026-01-02T00:00:00Z").await,
        BTreeMap::new()
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_is_known_to_be_missing_stays_missing(pool: PgPool) {
    let look = [
        observation("2025-09-01", Some(4.4), None),
        observation("2025-10-01", None, None),
        observation("2025-11-01", Some(4.6), None),
    ];
    for seen_at in ["2025-12-17T12:00:00Z", "2025-12-18T12:00:00Z"] {
        store_economy(&pool, &look, time(seen_at)).await.unwrap();
    }
    let rows = vintages(&pool, "UNRATE", "2026-12-31T00:00:00Z").await;
    assert_eq!(rows.len(), 3);
    assert_eq!(
        known(&pool, "UNRATE", "2026-12-31T00:00:00Z").await[&day("2025-10-01")],
        None
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn all_vintages_of_gdp_are_known_from_their_releases(pool: PgPool) {
    let file = "data/api_fixtures/fred/series_observations_GDP_all_vintages.json.gz";
    let Some(path) = test_support::shared(file) else {
        return;
    };
    let mut text = String::new();
    GzDecoder::new(File::open(path).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
    let look: Vec<FredObservation> = answer["observations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| FredObservation {
            series: series("GDP"),
            period: day(row["date"].as_str().unwrap()),
            value: row["value"].as_str().unwrap().parse().ok(),
            realtime_start: Some(day(row["realtime_start"].as_str().unwrap())),
        })
        .collect();
    let seen_at = time("2026-11-20T12:00:00Z");
    let counts = store_economy(&pool, &look, seen_at).await.unwrap();
    assert_eq!(
        counts.new_periods + counts.revisions + counts.unchanged,
        look.len() as u64
    );
    let again = store_economy(&pool, &look, time("2026-11-21T12:00:00Z"))
        .await
        .unwrap();
    assert_eq!(again.unchanged, look.len() as u64);

    // At every release day's end, and just before it, exactly what FRED says was known.
    let rows = vintages(&pool, "GDP", "2026-12-31T00:00:00Z").await;
    for sample in look.iter().step_by(97) {
        let released = sample.realtime_start.unwrap();
        let of_period = |row: &&FredObservation| row.period == sample.period;
        for as_of in [released, released.pred_opt().unwrap()] {
            let expected = look
                .iter()
                .filter(of_period)
                .filter(|row| row.realtime_start.unwrap() <= as_of)
                .max_by_key(|row| row.realtime_start)
                .and_then(|row| row.value);
            // Six in the morning, UTC: the New York day is over.
            let moment = (as_of.succ_opt().unwrap())
                .and_hms_opt(6, 0, 0)
                .unwrap()
                .and_utc();
            let found = rows
                .iter()
                .filter(|row| row.period == sample.period && row.available_at <= moment)
                .max_by_key(|row| row.available_at)
                .and_then(|row| row.value);
            assert_eq!(found, expected, "{} at {as_of}", sample.period);
        }
    }
}

/// Every value with its period and times, as the table has them.
async fn table(pool: &PgPool) -> Vec<(String, Option<f64>, DateTime<Utc>, String)> {
    let query = "select period::text, value, available_at, source from macro_observation order by period, available_at";
    sqlx::query_as(query).fetch_all(pool).await.unwrap()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_key_that_comes_later_adds_history_and_dates_nothing_anew(pool: PgPool) {
    // Without a key: the values of two periods, one of them revised since; then a release is seen within the hour.
    let download = [
        observation("2025-11-01", Some(4.5), None),
        observation("2025-12-01", Some(4.4), None),
    ];
    store_economy(&pool, &download, time("2026-02-01T12:00:00Z"))
        .await
        .unwrap();
    let release = [observation("2026-01-01", Some(4.3), None)];
    store_economy(&pool, &release, time("2026-02-11T13:45:00Z"))
        .await
        .unwrap();
    let seen = table(&pool).await;

    // With one: all vintages.
    let official = [
        observation("2025-11-01", Some(4.6), Some("2025-12-16")),
        observation("2025-11-01", Some(4.5), Some("2026-01-09")),
        observation("2025-12-01", Some(4.4), Some("2026-01-09")),
        observation("2026-01-01", Some(4.3), Some("2026-02-11")),
    ];
    let counts = store_economy(&pool, &official, time("2026-02-20T12:00:00Z"))
        .await
        .unwrap();
    assert_eq!(
        counts.unchanged, 1,
        "the release that was seen on its day was known sooner than its day's end"
    );
    let both = table(&pool).await;
    assert!(
        seen.iter().all(|row| both.contains(row)),
        "what was seen stays as it was"
    );
    assert_eq!(both.len(), seen.len() + 3);
    for (as_of, november) in [
        ("2025-12-17T00:00:00Z", None),
        ("2025-12-18T00:00:00Z", Some(4.6)),
        ("2026-01-11T00:00:00Z", Some(4.5)),
        ("2026-02-02T00:00:00Z", Some(4.5)),
    ] {
        let found = known(&pool, "UNRATE", as_of).await;
        assert_eq!(
            found.get(&day("2025-11-01")).copied().flatten(),
            november,
            "{as_of}"
        );
    }

    // With the key, without it, with it again: nothing is new.
    for look in [&official[..], &download[..], &release[..], &official[..]] {
        let counts = store_economy(&pool, look, time("2026-03-01T12:00:00Z"))
            .await
            .unwrap();
        assert_eq!(counts.unchanged, look.len() as u64);
    }
    assert_eq!(table(&pool).await, both);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_lost_key_costs_no_vintage(pool: PgPool) {
    let official = [observation("2025-11-01", Some(4.6), Some("2025-12-16"))];
    store_economy(&pool, &official, time("2025-12-20T12:00:00Z"))
        .await
        .unwrap();
    let download = [observation("2025-11-01", Some(4.5), None)];
    let counts = store_economy(&pool, &download, time("2026-01-10T12:00:00Z"))
        .await
        .unwrap();
    assert_eq!((counts.revisions, counts.unchanged), (1, 0));
    // The key is back: FRED dates the revision to the day before, when it could be known.
    let official = [
        observation("2025-11-01", Some(4.6), Some("2025-12-16")),
        observation("2025-11-01", Some(4.5), Some("2026-01-09")),
    ];
    store_economy(&pool, &official, time("2026-01-20T12:00:00Z"))
        .await
        .unwrap();
    assert_eq!(
        known(&pool, "UNRATE", "2026-01-09T23:00:00Z").await[&day("2025-11-01")],
        Some(4.6)
    );
    assert_eq!(
        known(&pool, "UNRATE", "2026-01-10T06:00:00Z").await[&day("2025-11-01")],
        Some(4.5)
    );
    assert_eq!(
        known(&pool, "UNRATE", "2026-02-01T00:00:00Z").await[&day("2025-11-01")],
        Some(4.5)
    );
}
