use axum::{body::Body, http::Request};
use chrono::NaiveDate;
use domain::{Action, Bar, ModelId, ModelKind, Prediction, Probabilities, Recommendation};
use serde_json::Value;
use storage::PgPool;
use tower::ServiceExt as _;

use crate::support::{Service, commit, commit_all, minutes, promote_random_models, ticker, walk};

async fn two_sessions(pool: &PgPool) -> Vec<Bar> {
    let bars = walk(
        1,
        &minutes(2, NaiveDate::from_ymd_opt(2018, 3, 26).unwrap()),
    );
    commit(pool, "AAPL", &bars).await;
    bars
}

fn assert_error(answer: (u16, Value), status: u16, code: &str, says: &str) {
    assert_eq!(answer.0, status, "{}", answer.1);
    assert_eq!(answer.1["error"]["code"], code);
    let message = answer.1["error"]["message"].as_str().unwrap();
    assert!(message.contains(says), "{message:?} does not say {says:?}");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn stocks_are_listed_with_their_change_since_the_session_before(pool: PgPool) {
    let bars = two_sessions(&pool).await;
    let service = Service::start(&pool, &["AAPL", "MSFT"]).await;
    let (status, answer) = service.get("/stocks").await;
    assert_eq!(status, 200);
    assert!(
        answer["disclaimer"]
            .as_str()
            .unwrap()
            .contains("not investment advice")
    );
    let aapl = &answer["stocks"][0];
    assert_eq!(aapl["price"], bars[779].close.get());
    assert_eq!(aapl["price_time"], "2018-03-26T20:00:00Z");
    assert_eq!(aapl["previous_close"], bars[389].close.get());
    let percent = (bars[779].close.get() / bars[389].close.get() - 1.0) * 100.0;
    assert!((aapl["change_percent"].as_f64().unwrap() - percent).abs() < 1e-4);
    let msft = &answer["stocks"][1];
    assert_eq!(msft["sector"], "Technology");
    assert!(
        [
            "price",
            "price_time",
            "previous_close",
            "change",
            "analysis"
        ]
        .iter()
        .all(|field| msft[field].is_null())
    );
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn answers_are_compressed_for_those_who_can_read_that(pool: PgPool) {
    two_sessions(&pool).await;
    let service = Service::start(&pool, &["AAPL"]).await;
    let get = async |encodings: &str| {
        let request = Request::get("/stocks/AAPL/historical")
            .header("accept-encoding", encodings)
            .body(Body::empty())
            .unwrap();
        let answer = service.router.clone().oneshot(request).await.unwrap();
        let encoding = answer.headers().get("content-encoding").cloned();
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20)
            .await
            .unwrap();
        (encoding, body.len())
    };
    let (plain, plain_bytes) = get("identity").await;
    let (gzip, gzip_bytes) = get("gzip, deflate, br").await;
    assert_eq!((plain, gzip.unwrap().to_str().unwrap()), (None, "gzip"));
    assert!(
        gzip_bytes * 3 < plain_bytes,
        "{gzip_bytes} of {plain_bytes} bytes"
    );
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn history_comes_in_pages_that_go_back_in_time(pool: PgPool) {
    let bars = two_sessions(&pool).await;
    let service = Service::start(&pool, &["AAPL"]).await;
    let (status, newest) = service.get("/stocks/aapl/historical").await;
    assert_eq!(status, 200);
    assert_eq!(
        (&newest["ticker"], &newest["interval"]),
        (&"AAPL".into(), &"1m".into())
    );
    assert_eq!(newest["bars"].as_array().unwrap().len(), 500);

    let mut path = "/stocks/AAPL/historical?limit=300".to_owned();
    let mut closes = Vec::new();
    loop {
        let (_, page) = service.get(&path).await;
        let page_closes = page["bars"]
            .as_array()
            .unwrap()
            .iter()
            .map(|bar| bar["close"].as_f64().unwrap());
        closes.splice(0..0, page_closes);
        let Some(cursor) = page["next_cursor"].as_str() else {
            break;
        };
        path = format!("/stocks/AAPL/historical?limit=300&cursor={cursor}");
    }
    assert_eq!(
        closes,
        bars.iter().map(|bar| bar.close.get()).collect::<Vec<_>>()
    );

    let range = "start=2018-03-26T13:30:00Z&end=2018-03-26T14:00:00Z";
    let (_, part) = service
        .get(&format!("/stocks/AAPL/historical?{range}"))
        .await;
    assert_eq!(part["bars"].as_array().unwrap().len(), 30);
    assert_eq!(part["bars"][0]["time"], "2018-03-26T13:30:00Z");
    assert_eq!(part["next_cursor"], Value::Null);
    for (interval, count) in [("5m", 156), ("15m", 52), ("1h", 14), ("1d", 2)] {
        let (_, answer) = service
            .get(&format!("/stocks/AAPL/historical?interval={interval}"))
            .await;
        assert_eq!(
            answer["bars"].as_array().unwrap().len(),
            count,
            "{interval}"
        );
    }
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_was_asked_wrongly_is_named(pool: PgPool) {
    let service = Service::start(&pool, &["AAPL"]).await;
    for (path, status, code, says) in [
        ("/stocks/TSLA/historical", 404, "unknown_ticker", "TSLA"),
        (
            "/stocks/no%20ticker/predictions",
            404,
            "unknown_ticker",
            "no ticker",
        ),
        (
            "/stocks/AAPL/historical?interval=2m",
            400,
            "bad_interval",
            "\"2m\"",
        ),
        (
            "/stocks/AAPL/historical?cursor=yesterday",
            400,
            "bad_cursor",
            "yesterday",
        ),
        (
            "/stocks/AAPL/predictions?cursor=-",
            400,
            "bad_cursor",
            "\"-\"",
        ),
        (
            "/stocks/AAPL/historical?limit=20001",
            400,
            "bad_parameter",
            "20001",
        ),
        (
            "/stocks/AAPL/historical?limit=many",
            400,
            "bad_parameter",
            "limit",
        ),
        (
            "/stocks/AAPL/historical?start=monday",
            400,
            "bad_parameter",
            "start",
        ),
        (
            "/stocks/AAPL/historical?from=2018-03-26",
            400,
            "bad_parameter",
            "from",
        ),
        ("/models/lstm-unknown", 404, "unknown_model", "lstm-unknown"),
        ("/models/..%2F..%2Fetc", 404, "unknown_model", "etc"),
        ("/stocks/TSLA/news", 404, "unknown_ticker", "TSLA"),
        ("/stocks/AAPL/news?cursor=17", 400, "bad_cursor", "\"17\""),
        ("/stocks/AAPL/news?limit=501", 400, "bad_parameter", "501"),
        ("/stocks/TSLA/actions", 404, "unknown_ticker", "TSLA"),
        ("/macro?series=UNRATE", 404, "unknown_series", "UNRATE"),
        (
            "/macro?series=no%20series",
            404,
            "unknown_series",
            "no series",
        ),
        ("/macro?history=0", 400, "bad_parameter", "0"),
        ("/data-quality?ticker=TSLA", 404, "unknown_ticker", "TSLA"),
        ("/nothing", 404, "not_found", "/nothing"),
    ] {
        assert_error(service.get(path).await, status, code, says);
    }
    let posted = service
        .client
        .post(format!("http://{}/stocks", service.address))
        .send()
        .await
        .unwrap();
    let status = posted.status().as_u16();
    let body = posted.json().await.unwrap();
    assert_error((status, body), 405, "method_not_allowed", "POST");
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn predictions_are_paged_newest_first(pool: PgPool) {
    let bars = two_sessions(&pool).await;
    let service = Service::start(&pool, &["AAPL"]).await;
    for bar in &bars[..5] {
        let prediction = |kind: ModelKind| Prediction {
            ticker: ticker("AAPL"),
            bar_start: bar.start,
            kind,
            model_id: ModelId::parse(kind.name()).unwrap(),
            probabilities: Probabilities::new([0.25, 0.25, 0.5]).unwrap(),
        };
        let recommendation = Recommendation {
            ticker: ticker("AAPL"),
            bar_start: bar.start,
            action: Action::Buy,
            reason: "both models expect a rise".to_owned(),
            abstained: false,
            // As all of them before decisions were stored.
            decision: None,
            standing: None,
        };
        let predictions = ModelKind::ALL.map(prediction);
        storage::store_analyses(&pool, bar.close_time(), &predictions, &[recommendation])
            .await
            .unwrap();
    }
    let (_, first) = service.get("/stocks/AAPL/predictions?limit=3").await;
    let newest = &first["predictions"][0];
    assert_eq!(newest["bar_time"], "2018-03-23T13:34:00Z");
    assert_eq!(newest["as_of"], "2018-03-23T13:35:00Z");
    assert_eq!(newest["lstm"]["up"], 0.5);
    assert_eq!(
        newest["recommendation"],
        serde_json::json!({
            "action": "buy", "reason": "both models expect a rise", "abstained": false,
            "disclaimer": domain::DISCLAIMER, "decision": null, "standing": null
        })
    );
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, second) = service
        .get(&format!("/stocks/AAPL/predictions?limit=3&cursor={cursor}"))
        .await;
    assert_eq!(second["predictions"].as_array().unwrap().len(), 2);
    assert_eq!(second["predictions"][1]["bar_time"], "2018-03-23T13:30:00Z");
    assert_eq!(second["next_cursor"], Value::Null);
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn models_show_their_cards(pool: PgPool) {
    let service = Service::start(&pool, &["AAPL"]).await;
    let (_, none) = service.get("/models").await;
    assert_eq!(none["lstm"]["champion"], Value::Null);
    promote_random_models(service.folder.path(), 1);
    let (_, models) = service.get("/models").await;
    let champion = &models["transformer"]["champion"];
    assert_eq!(champion["model_id"], "transformer-1");
    assert_eq!(champion["created_at"], "1970-01-01T00:00:00Z");
    assert_eq!(
        champion["ranges"]["training"]["end"],
        "1970-01-01T00:00:00Z"
    );
    assert_eq!(
        models["transformer"]["changes"][0]["why"],
        "random weights for a test"
    );
    let (status, card) = service.get("/models/lstm-1").await;
    assert_eq!(status, 200);
    assert_eq!(card["window"], features::WINDOW);
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn operators_see_how_it_is(pool: PgPool) {
    let bars = walk(
        1,
        &minutes(1, NaiveDate::from_ymd_opt(2018, 3, 26).unwrap()),
    );
    commit_all(&pool, &[("AAPL", &bars[..10]), ("MSFT", &bars[..10])]).await;
    let service = Service::start(&pool, &["AAPL", "MSFT"]).await;
    let (_, health) = service.get("/health").await;
    assert_eq!(
        (&health["status"], &health["phase"]),
        (&"ok".into(), &"backfilling".into())
    );
    assert_eq!(health["parts"]["tickers_watched"], 2);
    let metrics = service
        .client
        .get(service.url("/metrics"))
        .send()
        .await
        .unwrap();
    assert!(
        metrics.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain; version=0.0.4")
    );
    let metrics = metrics.text().await.unwrap();
    for line in [
        "tandem_api_bars_total 2",
        "tandem_api_database_up 1",
        "tandem_api_newest_bar_close_seconds 1522071600",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line} is not in\n{metrics}"
        );
    }
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_failing_database_is_not_described_to_strangers(pool: PgPool) {
    let service = Service::start(&pool, &["AAPL"]).await;
    pool.close().await;
    let (status, answer) = service.get("/stocks/AAPL/historical").await;
    assert_eq!(status, 503);
    assert_eq!(
        answer["error"]["message"],
        "the database does not answer; try again in a moment"
    );
    assert_eq!(service.get("/ready").await.0, 503);
    let (status, health) = service.get("/health").await;
    assert_eq!((status, &health["status"]), (200, &"degraded".into()));
    // What is known is still served.
    assert_eq!(service.get("/stocks").await.0, 200);
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_dashboard_is_served_with_caching_that_fits(pool: PgPool) {
    let service = Service::start(&pool, &["AAPL"]).await;
    let get = async |path: &str, accept: &str| {
        let request = Request::get(path)
            .header("accept", accept)
            .body(Body::empty())
            .unwrap();
        let answer = service.router.clone().oneshot(request).await.unwrap();
        let caching = answer
            .headers()
            .get("cache-control")
            .map(|value| value.to_str().unwrap().to_owned());
        let body = axum::body::to_bytes(answer.into_body(), 1 << 20)
            .await
            .unwrap();
        (caching, String::from_utf8(body.to_vec()).unwrap())
    };
    assert!(get("/", "text/html").await.1.contains("npm run build"));

    let frontend = service.folder.path().join("frontend");
    std::fs::create_dir_all(frontend.join("_next/static")).unwrap();
    std::fs::write(frontend.join("index.html"), "dashboard").unwrap();
    std::fs::write(frontend.join("404.html"), "lost").unwrap();
    std::fs::write(frontend.join("_next/static/app-1a2b.js"), "script").unwrap();
    assert_eq!(
        get("/", "text/html").await,
        (Some("no-cache".to_owned()), "dashboard".to_owned())
    );
    let (caching, script) = get("/_next/static/app-1a2b.js", "*/*").await;
    assert_eq!(script, "script");
    assert!(caching.unwrap().contains("immutable"));
    assert_eq!(get("/nothing", "text/html").await.1, "lost");
    assert!(
        get("/nothing", "application/json")
            .await
            .1
            .contains("not_found")
    );
    assert_eq!(get("/stocks", "*/*").await.0.unwrap(), "no-store");
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_interface_describes_itself(pool: PgPool) {
    let service = Service::start(&pool, &["AAPL"]).await;
    let (_, description) = service.get("/openapi.json").await;
    insta::assert_json_snapshot!("openapi", description);
    service.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_named() {
    let listener = api::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.local_addr().unwrap();
    let message = api::bind(address).unwrap_err().to_string();
    assert!(
        message.contains(&address.to_string()) && message.contains("TANDEM_API_ADDRESS"),
        "{message}"
    );
}
