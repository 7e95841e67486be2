//! Requests as people and fuzzers write them: each is answered, or refused with what is expected.

use chrono::NaiveDate;
use storage::PgPool;

use crate::support::{Service, commit, minutes, walk};

async fn starts(service: &Service, query: &str) -> Vec<String> {
    let (status, answer) = service
        .get(&format!("/stocks/AAPL/historical?limit=2000&{query}"))
        .await;
    assert_eq!(status, 200, "{query}: {answer}");
    let bars = answer["bars"].as_array().unwrap().iter();
    bars.map(|bar| bar["time"].as_str().unwrap().to_owned())
        .collect()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn dates_are_taken_as_people_write_them(pool: PgPool) {
    let bars = walk(
        1,
        &minutes(2, NaiveDate::from_ymd_opt(2018, 3, 26).unwrap()),
    );
    commit(&pool, "AAPL", &bars).await;
    let service = Service::start(&pool, &["AAPL"]).await;
    let second = starts(&service, "start=2018-03-26").await;
    assert_eq!(
        (second.len(), second[0].as_str()),
        (390, "2018-03-26T13:30:00Z")
    );
    let first = starts(&service, "end=2018-03-26").await;
    assert_eq!(
        (first.len(), first[389].as_str()),
        (390, "2018-03-23T19:59:00Z")
    );
    assert_eq!(
        starts(&service, "start=2018-03-24&end=2018-03-26")
            .await
            .len(),
        0
    );
    let hour = starts(
        &service,
        "start=2018-03-26T13:30:00Z&end=2018-03-26T14:30:00Z",
    )
    .await;
    assert_eq!(hour.len(), 60);
    for query in [
        "start=2018-03-26T13:30:00+00:00&end=2018-03-26T14:30:00+00:00",
        "start=2018-03-26T13:30:00%2B00:00&end=2018-03-26T14:30:00%2B00:00",
        "start=2018-03-26+13:30:00Z&end=2018-03-26%2014:30Z",
        "start=2018-03-26T09:30:00-04:00&end=2018-03-26T10:30:00-04:00",
        "start=2018-03-26&end=2018-03-26T14:30:00Z",
    ] {
        assert_eq!(starts(&service, query).await, hour, "{query}");
    }
    for interval in ["1m", "5m", "15m", "1h", "1d"] {
        let ages = format!("interval={interval}&start=0000-01-01&end=9999-12-31");
        assert!(!starts(&service, &ages).await.is_empty(), "{interval}");
        let later = format!("interval={interval}&start=9999-12-31T23:59:59-23:59");
        assert!(starts(&service, &later).await.is_empty(), "{interval}");
    }
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn nothing_that_is_asked_makes_the_service_fail(pool: PgPool) {
    let service = Service::start(&pool, &["AAPL"]).await;
    let long = "a".repeat(256);
    let deep = "a/".repeat(1_100);
    let history = |query: &str| format!("/stocks/AAPL/historical?{query}");
    for (path, says) in [
        (
            history("start=2018-03-07T14:30:00"),
            "2018-03-07T14:30:00-05:00 (New York)",
        ),
        (
            history("start=monday"),
            "expected a date such as 2018-03-07",
        ),
        (history("start="), "expected a date such as 2018-03-07"),
        (
            history("end=-4800-01-01"),
            "expected a year from 0000 to 9999",
        ),
        (
            history("start=-4713-11-24T00:00:00Z"),
            "expected a year from 0000 to 9999",
        ),
        (
            history("start=%2B262142-12-31T23:59:59Z"),
            "expected a year from 0000 to 9999",
        ),
        (history("interval=1d&end=%2B294277-01-01"), "expected"),
        (history("cursor=8210266876799999999"), "next_cursor"),
        (history("cursor=-210866803200000001"), "next_cursor"),
        (history("cursor=9223372036854775807"), "next_cursor"),
        (history("limit=4294967296"), "limit"),
        (history("limit=-1"), "limit"),
        (history("start=2018-03-07&start=2018-03-08"), "start"),
        (
            "/stocks/AAPL/predictions?cursor=-377705116800000000".into(),
            "next_cursor",
        ),
        (
            "/stocks/AAPL/predictions?cursor=8210266876799999999".into(),
            "next_cursor",
        ),
        (
            "/stocks/AAPL/news?cursor=8210266876799999999-1".into(),
            "next_cursor",
        ),
        (
            "/stocks/AAPL/news?cursor=1-9223372036854775808".into(),
            "next_cursor",
        ),
        ("/track-record?days=4294967295".into(), "3650"),
        (format!("/{long}"), "255"),
        (format!("/models/{long}"), "255"),
        (format!("/stocks/{long}/historical"), "255"),
        (format!("/_next/static/{long}.js"), "255"),
        (format!("/{deep}"), "2048"),
        ("/a%00b".into(), "zero byte"),
        ("/stocks/AAPL%00/news".into(), "zero byte"),
    ] {
        let (status, answer) = service.get(&path).await;
        let message = answer["error"]["message"].as_str().unwrap_or_default();
        assert_eq!(status, 400, "{path}: {answer}");
        assert!(
            message.contains(says) && message.len() < 400,
            "{path}: {message}"
        );
    }
    for path in [
        history("cursor=0"),
        history("cursor=99999999999999999&interval=1d"),
        history("cursor=99999999999999999&interval=1h&start=0000-01-01"),
        "/stocks/AAPL/predictions?cursor=99999999999999999".into(),
        "/stocks/AAPL/news?cursor=99999999999999999-999999999999999999".into(),
        "/macro?history=40000".into(),
        "/track-record?days=3650".into(),
        "/data-quality?ticker=AAPL".into(),
    ] {
        let (status, answer) = service.get(&path).await;
        assert_eq!(status, 200, "{path}: {answer}");
    }
    for path in [
        "/models/%ff",
        "/%ff",
        "/..%2f..%2fetc%2fpasswd",
        "/index.html/x",
        "//",
        "/%2e%2e/x",
        "/stocks/%F0%9F%92%A9/news",
    ] {
        let (status, answer) = service.get(path).await;
        assert!((400..500).contains(&status), "{path}: {status} {answer}");
    }
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_description_states_the_bounds_of_every_parameter(pool: PgPool) {
    let service = Service::start(&pool, &["AAPL"]).await;
    let (_, description) = service.get("/openapi.json").await;
    let mut seen = 0;
    for (path, operations) in description["paths"].as_object().unwrap() {
        let Some(parameters) = operations["get"]["parameters"].as_array() else {
            continue;
        };
        for parameter in parameters {
            let schema = &parameter["schema"];
            let name = &parameter["name"];
            let bounds: &[&str] = match schema["type"].as_str() {
                Some("integer") => &["minimum", "maximum"],
                Some("string") if schema.get("pattern").is_some() => &["pattern"],
                Some("string") => &["maxLength"],
                _ => &["oneOf"],
            };
            for bound in bounds {
                assert!(
                    !schema[*bound].is_null(),
                    "{path} {name} has no {bound}: {schema}"
                );
            }
            assert_ne!(schema["minimum"], 0, "{path} {name}");
            seen += 1;
        }
    }
    assert!(seen > 15, "{seen}");
    service.stop().await;
}
