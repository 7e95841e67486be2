//! FRED's limits: pages, and spans of vintages.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::Query, http::StatusCode, response::IntoResponse, routing::get};
use chrono::{Days, NaiveDate};
use domain::SeriesId;
use market_data::{FredClient, FredObservation, VendorError};
use serde_json::{Value, json};

use crate::vendor_server::serve;

/// Vintages of the invented series, more than FRED gives out at once.
const VINTAGES: u64 = 4_500;

type Parameters = Vec<(String, String)>;

fn parameter<'a>(parameters: &'a Parameters, name: &str) -> &'a str {
    parameters
        .iter()
        .find(|(key, _)| key == name)
        .map_or("", |(_, value)| value)
}

fn series() -> SeriesId {
    SeriesId::parse("DGS10").unwrap()
}

fn vintage(number: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2004, 1, 1).unwrap() + Days::new(number)
}

fn last_day() -> NaiveDate {
    NaiveDate::from_ymd_opt(9999, 12, 31).unwrap()
}

/// Every vintage of the series: period, first day, last day, value. Period 0 is revised with each 700th vintage, the
/// others are published once, and one of them never came.
fn truth() -> Vec<(NaiveDate, NaiveDate, NaiveDate, String)> {
    let mut rows = Vec::new();
    let revisions: Vec<u64> = (0..VINTAGES).step_by(700).collect();
    for (place, number) in revisions.iter().enumerate() {
        let end = revisions
            .get(place + 1)
            .map_or(last_day(), |next| vintage(next - 1));
        rows.push((vintage(0), vintage(*number), end, format!("1.{place}")));
    }
    for number in 1..VINTAGES {
        let value = if number == 1_999 { "." } else { "4.25" };
        rows.push((
            vintage(number),
            vintage(number),
            last_day(),
            value.to_owned(),
        ));
    }
    rows
}

/// FRED as it behaves: spans of more than 2000 vintages are refused, and what began before or ends after the span is
/// cut to it.
async fn observations(parameters: Parameters) -> axum::response::Response {
    let day = |name| parameter(&parameters, name).parse::<NaiveDate>().unwrap();
    let (start, end) = (day("realtime_start"), day("realtime_end"));
    let spanned = (0..VINTAGES)
        .filter(|number| (start..=end).contains(&vintage(*number)))
        .count();
    if spanned > 2_000 {
        let words = format!(
            "Bad Request.  There are {spanned} vintage dates in the specified real-time period: {start} to {end}. This \
             exceeds the maximum number of vintage dates allowed for this file type (2000)."
        );
        let body = Json(json!({"error_code": 400, "error_message": words}));
        return (StatusCode::BAD_REQUEST, body).into_response();
    }
    let rows: Vec<Value> = truth()
        .into_iter()
        .filter(|(_, first, last, _)| *first <= end && *last >= start)
        .map(|(period, first, last, value)| {
            json!({"realtime_start": first.max(start), "realtime_end": last.min(end), "date": period, "value": value})
        })
        .collect();
    page(&parameters, "observations", rows)
}

fn page(parameters: &Parameters, name: &str, rows: Vec<Value>) -> axum::response::Response {
    let number = |name| parameter(parameters, name).parse::<usize>().unwrap();
    let count = rows.len();
    let rows: Vec<Value> = rows
        .into_iter()
        .skip(number("offset"))
        .take(number("limit"))
        .collect();
    Json(json!({"count": count, name: rows})).into_response()
}

#[tokio::test]
async fn a_series_of_many_vintages_is_fetched_in_spans_without_inventing_any() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let router = Router::new()
        .route(
            "/fred/series/observations",
            get(move |Query(parameters): Query<Parameters>| {
                let span = ["realtime_start", "realtime_end"]
                    .map(|name| parameter(&parameters, name).to_owned());
                log.lock().unwrap().push(span.join(" "));
                observations(parameters)
            }),
        )
        .route(
            "/fred/series/vintagedates",
            get(async |Query(parameters): Query<Parameters>| {
                let dates = (0..VINTAGES).map(|number| json!(vintage(number)));
                page(&parameters, "vintage_dates", dates.collect())
            }),
        );
    let (connection, _folder) = serve(router).await;
    let client = FredClient::new(&connection, Some("some-key-of-fred".into())).unwrap();
    let rows = client.observations(&series()).await.unwrap();

    let mut found: Vec<_> = rows
        .iter()
        .map(|row| (row.period, row.realtime_start.unwrap(), row.value))
        .collect();
    let mut expected: Vec<_> = truth()
        .into_iter()
        .map(|(period, first, _, value)| (period, first, value.parse().ok()))
        .collect();
    found.sort_by_key(|(period, first, _)| (*period, *first));
    expected
        .sort_by_key(|(period, first, _): &(NaiveDate, NaiveDate, Option<f64>)| (*period, *first));
    assert_eq!(found.len(), expected.len());
    assert!(found == expected);
    let spans = [
        "1776-07-04 9999-12-31".to_owned(),
        format!("{} {}", vintage(0), vintage(1_999)),
        format!("{} {}", vintage(2_000), vintage(3_999)),
        format!("{} 9999-12-31", vintage(4_000)),
    ];
    assert_eq!(*asked.lock().unwrap(), spans);

    // Only what began since is new; what FRED cuts to the span's first day is not.
    let since = vintage(4_198);
    let fresh = client.observations_since(&series(), since).await.unwrap();
    let expected: Vec<_> = truth()
        .into_iter()
        .filter(|(_, first, ..)| *first >= since)
        .map(|(period, first, ..)| (period, Some(first)))
        .collect();
    let fresh: Vec<_> = fresh
        .iter()
        .map(|row| (row.period, row.realtime_start))
        .collect();
    assert_eq!(fresh, expected);
}

#[tokio::test]
async fn a_long_series_is_fetched_page_by_page() {
    let rows: Vec<Value> = (0..100_001_u64)
        .map(|number| {
            let day = vintage(number);
            json!({"realtime_start": "2026-01-02", "realtime_end": "9999-12-31", "date": day, "value": number.to_string()})
        })
        .collect();
    let rows = Arc::new(rows);
    let router = Router::new().fallback(get(move |Query(parameters): Query<Parameters>| {
        let rows = rows.to_vec();
        async move { page(&parameters, "observations", rows) }
    }));
    let (connection, _folder) = serve(router).await;
    let client = FredClient::new(&connection, Some("some-key-of-fred".into())).unwrap();
    let rows = client.observations(&series()).await.unwrap();
    assert_eq!(rows.len(), 100_001);
    assert_eq!(rows.last().unwrap().value, Some(100_000.0));
}

#[tokio::test]
async fn an_odd_observation_costs_nothing_but_itself() {
    let row = |period: &str, value: Value| json!({"realtime_start": "2026-01-02", "date": period, "value": value});
    let rows = vec![
        row("2025-09-01", json!("4.12")),
        row("2025-10-01", json!(4.5)),
        row("2025-11-01", Value::Null),
        row("2025-12-01", json!("n/a")),
        row("soon", json!("4.5")),
        json!({"realtime_start": null, "date": "2026-01-01", "value": "4.5"}),
        Value::Null,
    ];
    let csv = "observation_date,DGS10\n2025-09-01,4.12\nsoon,4.5\n2025-10-01,n/a\n2025-11-01\n2025-12-01,.\n";
    let router = Router::new()
        .route("/graph/fredgraph.csv", get(move || async move { csv }))
        .fallback(get(move |Query(parameters): Query<Parameters>| {
            let rows = rows.clone();
            async move { page(&parameters, "observations", rows) }
        }));
    let (connection, _folder) = serve(router).await;
    let client = FredClient::new(&connection, Some("some-key-of-fred".into())).unwrap();
    let values = |rows: Vec<FredObservation>| -> Vec<Option<f64>> {
        rows.iter().map(|row| row.value).collect()
    };
    let rows = client.observations(&series()).await.unwrap();
    assert_eq!(values(rows), [Some(4.12), Some(4.5), None]);
    let graph = client.graph(&series()).await.unwrap();
    assert_eq!(values(graph), [Some(4.12), None]);
}

#[tokio::test]
async fn the_graph_needs_no_key_and_has_no_vintages() {
    let csv =
        "observation_date,DGS10\n2025-09-01,4.12\n2025-10-01,\n2025-11-01,.\n2025-12-01,-0.5\n";
    let router = Router::new().route("/graph/fredgraph.csv", get(move || async move { csv }));
    let (connection, _folder) = serve(router).await;
    let client = FredClient::new(&connection, None).unwrap();
    let rows = client.graph(&series()).await.unwrap();
    let row = |period: &str, value| FredObservation {
        series: series(),
        period: period.parse().unwrap(),
        value,
        realtime_start: None,
    };
    assert_eq!(
        rows,
        [
            row("2025-09-01", Some(4.12)),
            row("2025-10-01", None),
            row("2025-11-01", None),
            row("2025-12-01", Some(-0.5))
        ]
    );
    let other = SeriesId::parse("UNRATE").unwrap();
    let error = client.graph(&other).await.unwrap_err();
    assert!(matches!(error, VendorError::Shape { .. }), "{error}");
    let error = client.observations(&other).await.unwrap_err();
    assert!(matches!(error, VendorError::KeyRefused { .. }), "{error}");
    assert!(error.remedy().unwrap().contains("FRED_API_KEY"));
}

#[tokio::test]
async fn an_unknown_series_and_a_page_for_people_are_told_apart() {
    let router = Router::new().fallback(get(|Query(parameters): Query<Parameters>| async move {
        if parameter(&parameters, "id") == "NONE" {
            (StatusCode::NOT_FOUND, "<html>Not found</html>")
        } else {
            (StatusCode::OK, "<html>Maintenance</html>")
        }
    }));
    let (connection, _folder) = serve(router).await;
    let client = FredClient::new(&connection, None).unwrap();
    let unknown = client.graph(&SeriesId::parse("NONE").unwrap()).await;
    assert!(matches!(unknown, Err(VendorError::UnknownSymbol { .. })));
    let maintenance = client.graph(&series()).await;
    assert!(matches!(maintenance, Err(VendorError::Server { .. })));
}
