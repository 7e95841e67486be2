//! Six weeks as Yahoo really sent them, with bad answers on the way.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::Ticker;
use sqlx::PgPool;

use crate::world::{Bars, World, time};

/// Listed at the NYSE: the wrong volumes of 2026-03-16 to 19 are those of the Nasdaq's stocks.
const SOUND: [&str; 5] = ["CRM", "IBM", "MA", "ORCL", "V"];

const FAULTS: &str = r#"{"seed": 3, "rules": [
    {"fault": "unavailable", "endpoint": "chart", "from": "2026-03-11T15:00:00Z", "until": "2026-03-11T16:00:00Z"},
    {"fault": "too_many_requests", "endpoint": "chart", "share": 0.01},
    {"fault": "server_error", "endpoint": "chart", "share": 0.05},
    {"fault": "cut_connection", "endpoint": "chart", "share": 0.05},
    {"fault": "truncated", "endpoint": "chart", "share": 0.05},
    {"fault": "empty_no_timestamp", "endpoint": "chart", "share": 0.02},
    {"fault": "empty_nulls", "endpoint": "chart", "share": 0.02},
    {"fault": "coarser_interval", "endpoint": "chart", "share": 0.03},
    {"fault": "ragged", "endpoint": "chart", "share": 0.03},
    {"fault": "late_bars", "endpoint": "chart", "share": 0.03},
    {"fault": "revised_bars", "endpoint": "chart", "share": 0.03},
    {"fault": "bad_ticks", "endpoint": "chart", "share": 0.03}
]}"#;

fn recorded() -> Option<Bars> {
    let path = test_support::shared("data/bars_1m/us20_yahoo_2026-03-09_2026-04-17.csv.gz")?;
    Some(bar_files::read_bars(&path).unwrap().bars)
}

/// Minutes that the source does not have, from the first session to the last.
fn holes(bars: &Bars) -> BTreeMap<Ticker, Vec<DateTime<Utc>>> {
    let date = |text: &str| text.parse::<NaiveDate>().unwrap();
    let sessions = calendar::nyse().sessions(date("2026-03-09"), date("2026-04-17"));
    bars.iter()
        .map(|(ticker, bars)| {
            let minutes = sessions.iter().flat_map(|session| {
                (0..session.minutes())
                    .map(|minute| session.open + TimeDelta::minutes(minute.into()))
            });
            let has_bar =
                |start: &DateTime<Utc>| bars.binary_search_by_key(start, |bar| bar.start).is_ok();
            (
                ticker.clone(),
                minutes.filter(|start| !has_bar(start)).collect(),
            )
        })
        .collect()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn six_weeks_end_equal_to_the_source_with_every_hole_listed(pool: PgPool) {
    let Some(bars) = recorded() else {
        return;
    };
    let holes = holes(&bars);
    let wrong: Vec<String> = bars
        .keys()
        .map(ToString::to_string)
        .filter(|ticker| !SOUND.contains(&ticker.as_str()))
        .collect();
    let world = World::open(bars, "2026-03-09T13:29:00Z", 20_000.0).await;
    world.set_faults(FAULTS);
    let mut ingestor = world.ingestor(&pool);
    let date = |text: &str| text.parse::<NaiveDate>().unwrap();
    let silent = date("2026-03-20")..=date("2026-04-02");
    for session in calendar::nyse().sessions(date("2026-03-09"), date("2026-04-17")) {
        // Nobody trades in the weeks that the recording leaves out: their evenings are enough.
        let begin = if silent.contains(&session.date) {
            session.close
        } else {
            session.open - TimeDelta::minutes(1)
        };
        let reviews = world.log().matches("sessions reviewed").count();
        world.set_clock(begin, 20_000.0);
        world.until(session.close + TimeDelta::minutes(16)).await;
        world.until_logged("sessions reviewed", reviews).await;
    }
    world.until_equal(&pool).await;
    // A last look with all of it there, on the next day.
    let reviews = world.log().matches("sessions reviewed").count();
    world.set_clock(time("2026-04-18T12:00:00Z"), 60.0);
    drop(ingestor);
    world.set_faults(r#"{"rules": []}"#);
    ingestor = world.ingestor(&pool);
    world.until_logged("sessions reviewed", reviews).await;
    assert_eq!(world.difference(&pool).await, "");
    assert!(ingestor.is_running());

    // Days on which nobody traded are found once, instead of a gap of each stock.
    let days: Vec<NaiveDate> = sqlx::query_scalar(
        "select session from data_quality_finding where check_name = 'nobody_traded' and withdrawn_at is null \
         order by session",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let closed = calendar::nyse().sessions(*silent.start(), *silent.end());
    assert_eq!(
        days,
        closed
            .iter()
            .map(|session| session.date)
            .collect::<Vec<_>>()
    );
    for (ticker, missing) in holes {
        let listed: Vec<(DateTime<Utc>, DateTime<Utc>)> = sqlx::query_as(
            "select gap_start, gap_end from ingest_gap where ticker = $1 \
             and (closed_at is null or outcome = 'no_data') order by gap_start",
        )
        .bind(ticker.as_str())
        .fetch_all(&pool)
        .await
        .unwrap();
        let unlisted: Vec<_> = missing
            .iter()
            .filter(|start| !days.contains(&start.date_naive()))
            .filter(|start| !listed.iter().any(|(from, to)| (*from..*to).contains(start)))
            .collect();
        assert!(unlisted.is_empty(), "{ticker}: {unlisted:?}");
    }
    let findings: Vec<(String, NaiveDate)> = sqlx::query_as(
        "select ticker, session from data_quality_finding where check_name = 'session_volume' \
         and withdrawn_at is null order by ticker, session",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    let wrong: Vec<(String, NaiveDate)> = wrong
        .iter()
        .flat_map(|ticker| (16..=19).map(|day| (ticker.clone(), date(&format!("2026-03-{day}")))))
        .collect();
    assert_eq!(findings, wrong);
}
