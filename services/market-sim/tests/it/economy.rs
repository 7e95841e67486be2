//! Economic series through the client, with a key and without.

use chrono::NaiveDate;
use domain::SeriesId;
use market_data::{FredClient, FredObservation, VendorError};
use market_sim::{Economy, Market, Simulator};

use crate::{
    client::{Running, run, standing_at},
    three_days, ticker,
};

const LATEST: &str = "series,date,value,source
CPIAUCSL,2017-12-01,246.5,x
CPIAUCSL,2018-01-01,248.0,x
CPIAUCSL,2018-02-01,248.9,x
DGS10,2018-03-22,2.83,x
DGS10,2018-03-23,2.82,x
DGS10,2018-03-26,.,x
";
const SIGHTINGS: &str = "series,date,value_seen_2018_01_20,value_seen_2018_03_26
CPIAUCSL,2017-12-01,246.4,246.5
CPIAUCSL,2018-01-01,,248.0
";

fn recorded() -> Economy {
    let folder = tempfile::tempdir().unwrap();
    let paths = [("latest.csv", LATEST), ("sightings.csv", SIGHTINGS)].map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    });
    Economy::recorded(&paths, calendar::nyse()).unwrap()
}

fn serve(now: &str) -> Running {
    let simulator = Simulator::new(three_days(), calendar::nyse(), standing_at(now));
    run(simulator.with_economy(recorded()))
}

fn id(text: &str) -> SeriesId {
    SeriesId::parse(text).unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

/// Period, value and start of the vintage.
fn told(observations: &[FredObservation]) -> Vec<(String, Option<f64>, Option<String>)> {
    observations
        .iter()
        .map(|row| {
            let start = row.realtime_start.map(|start| start.to_string());
            (row.period.to_string(), row.value, start)
        })
        .collect()
}

fn vintage(period: &str, value: f64, start: &str) -> (String, Option<f64>, Option<String>) {
    (period.to_owned(), Some(value), Some(start.to_owned()))
}

#[tokio::test]
async fn values_and_revisions_come_with_their_release() {
    let prices = id("CPIAUCSL");
    for (now, expected) in [
        ("2018-01-16T13:29:59Z", vec![]),
        // The 13th was a Saturday, Monday a holiday.
        (
            "2018-01-16T13:30:00Z",
            vec![vintage("2017-12-01", 246.4, "2018-01-16")],
        ),
        (
            "2018-03-26T22:00:00Z",
            vec![
                vintage("2017-12-01", 246.4, "2018-01-16"),
                vintage("2017-12-01", 246.5, "2018-03-26"),
                vintage("2018-01-01", 248.0, "2018-02-13"),
                vintage("2018-02-01", 248.9, "2018-03-13"),
            ],
        ),
    ] {
        let running = serve(now);
        let (_folder, connection) = running.connection();
        let fred = FredClient::new(&connection, Some("key".into())).unwrap();
        let found = fred.observations(&prices).await.unwrap();
        assert_eq!(told(&found), expected, "{now}");
    }
    let running = serve("2018-03-26T22:00:00Z");
    let (_folder, connection) = running.connection();
    let fred = FredClient::new(&connection, Some("key".into())).unwrap();
    let since = fred
        .observations_since(&prices, date("2018-03-01"))
        .await
        .unwrap();
    assert_eq!(
        told(&since),
        [
            vintage("2017-12-01", 246.5, "2018-03-26"),
            vintage("2018-02-01", 248.9, "2018-03-13"),
        ]
    );
}

#[tokio::test]
async fn the_graph_has_the_newest_values_and_needs_no_key() {
    let running = serve("2018-03-26T21:59:59Z");
    let (_folder, connection) = running.connection();
    let fred = FredClient::new(&connection, None).unwrap();
    let rates = fred.graph(&id("DGS10")).await.unwrap();
    // Friday's value comes on Monday evening.
    assert_eq!(told(&rates), [("2018-03-22".to_owned(), Some(2.83), None)]);
    let running = serve("2018-03-27T22:00:00Z");
    let (_folder, connection) = running.connection();
    let fred = FredClient::new(&connection, None).unwrap();
    let rates = fred.graph(&id("DGS10")).await.unwrap();
    assert_eq!(rates.len(), 3);
    assert_eq!(rates[2].value, None, "due and missing");
    let prices = fred.graph(&id("CPIAUCSL")).await.unwrap();
    assert_eq!(prices[0].value, Some(246.5), "the revised one");
    let unknown = fred.graph(&id("NOSUCH")).await;
    assert!(
        matches!(unknown, Err(VendorError::UnknownSymbol { .. })),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn wrong_keys_and_unknown_series_are_refused() {
    let running = serve("2018-03-26T21:59:59Z");
    let (_folder, connection) = running.connection();
    let wrong = FredClient::new(&connection, Some("bad".into())).unwrap();
    let refused = wrong.observations(&id("DGS10")).await;
    assert!(
        matches!(refused, Err(VendorError::KeyRefused { .. })),
        "{refused:?}"
    );
    let good = FredClient::new(&connection, Some("key".into())).unwrap();
    let unknown = good.observations(&id("NOSUCH")).await;
    assert!(
        matches!(unknown, Err(VendorError::UnknownSymbol { .. })),
        "{unknown:?}"
    );
}

#[tokio::test]
async fn an_invented_economy_is_plausible_and_revised() {
    let market = Market::generated(1, &[ticker("AAPL")], calendar::nyse());
    let now = "2026-06-15T15:00:00Z";
    let running = run(Simulator::new(market, calendar::nyse(), standing_at(now)));
    let (_folder, connection) = running.connection();
    let fred = FredClient::new(&connection, Some("key".into())).unwrap();
    for (series, low, high, revised) in [
        ("FEDFUNDS", 0.0, 12.0, false),
        ("DGS10", 0.3, 12.0, false),
        ("T10Y2Y", -6.0, 6.0, false),
        ("VIXCLS", 8.0, 90.0, false),
        ("UNRATE", 2.0, 12.0, true),
        ("CPIAUCSL", 150.0, 500.0, true),
        ("GDP", 9_000.0, 60_000.0, true),
    ] {
        let rows = fred.observations(&id(series)).await.unwrap();
        assert!(rows.len() > 80, "{series}");
        let values = rows.iter().filter_map(|row| row.value);
        for value in values {
            assert!((low..high).contains(&value), "{series}: {value}");
        }
        let again = rows
            .windows(2)
            .filter(|pair| pair[0].period == pair[1].period);
        assert_eq!(again.count() > 5, revised, "{series}");
        assert!(
            rows.iter()
                .all(|row| row.realtime_start.unwrap() <= date("2026-06-15"))
        );
    }
}
