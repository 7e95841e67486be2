//! Faults on demand, seen by a client.

use std::time::Duration;

use market_sim::{Fault, FaultRule, FaultScript};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use crate::{
    client::{Running, serve},
    rows, three_days, time,
};

const CHART: &str = "https://query1.finance.yahoo.com/v8/finance/chart/AAPL?interval=1m&range=1d";
const NOW: &str = "2018-03-26T15:00:30Z";

async fn with(fault: Fault) -> (Running, Client) {
    let running = serve(three_days(), NOW);
    running.faults.set(FaultScript {
        seed: 1,
        rules: vec![FaultRule::always(fault)],
    });
    let client = running.client().build().unwrap();
    (running, client)
}

async fn get(client: &Client, url: &str) -> reqwest::Result<Response> {
    client.get(url).send().await
}

/// A chart that a fault has spoilt: `result[0]`.
async fn spoilt(fault: Fault) -> Value {
    let (running, client) = with(fault).await;
    let response = get(&client, CHART).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{fault:?}");
    let mut body: Value = response.json().await.unwrap();
    assert_eq!(running.faults.report().served[&fault], 1, "{fault:?}");
    body["chart"]["result"][0].take()
}

async fn right() -> Value {
    let running = serve(three_days(), NOW);
    let client = running.client().build().unwrap();
    let mut body: Value = get(&client, CHART).await.unwrap().json().await.unwrap();
    body["chart"]["result"][0].take()
}

#[tokio::test]
async fn refusals_are_the_vendors_own() {
    let (_running, client) = with(Fault::TooManyRequests).await;
    for (url, status, text) in [
        (CHART, 429, "Edge: Too Many Requests"),
        (
            "https://query1.finance.yahoo.com/v1/test/getcrumb",
            429,
            "Too Many Requests\r\n",
        ),
        (
            "https://api.stlouisfed.org/fred/series/observations?series_id=GDP",
            429,
            "\"error_code\":429",
        ),
        (
            "https://newsapi.org/v2/everything?q=Apple",
            429,
            "\"rateLimited\"",
        ),
        (
            "https://finnhub.io/api/v1/company-news?symbol=AAPL",
            429,
            "API limit reached",
        ),
        (
            "https://www.alphavantage.co/query?function=NEWS_SENTIMENT",
            200,
            "\"Information\"",
        ),
    ] {
        let response = get(&client, url).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{url}");
        let body = response.text().await.unwrap();
        assert!(body.contains(text), "{url}: {body}");
    }
    let (_running, client) = with(Fault::Unauthorized).await;
    for (url, status, text) in [
        (CHART, 401, "Invalid Crumb"),
        (
            "https://api.stlouisfed.org/fred/series/observations?series_id=GDP",
            400,
            "api_key is not registered",
        ),
        (
            "https://newsapi.org/v2/everything?q=Apple",
            401,
            "apiKeyInvalid",
        ),
        (
            "https://finnhub.io/api/v1/company-news?symbol=AAPL",
            401,
            "Invalid API key",
        ),
        (
            "https://www.alphavantage.co/query?function=NEWS_SENTIMENT",
            200,
            "Error Message",
        ),
    ] {
        let response = get(&client, url).await.unwrap();
        assert_eq!(response.status().as_u16(), status, "{url}");
        let body = response.text().await.unwrap();
        assert!(body.contains(text), "{url}: {body}");
    }
}

#[tokio::test]
async fn broken_answers_and_connections() {
    let (_running, client) = with(Fault::ServerError).await;
    let down = get(&client, CHART).await.unwrap();
    assert_eq!(down.status(), StatusCode::SERVICE_UNAVAILABLE);

    let (_running, client) = with(Fault::Html).await;
    let page = get(&client, CHART).await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert!(page.text().await.unwrap().starts_with("<!DOCTYPE html>"));

    let (_running, client) = with(Fault::Truncated).await;
    let body = get(&client, CHART).await.unwrap().text().await.unwrap();
    assert!(body.starts_with("{\"chart\":") && body.len() > 1_000);
    serde_json::from_str::<Value>(&body).unwrap_err();

    let (running, client) = with(Fault::CutConnection).await;
    let cut = match get(&client, CHART).await {
        Ok(response) => response.bytes().await.map(|_| ()),
        Err(error) => Err(error),
    };
    assert!(cut.is_err());
    assert_eq!(running.faults.report().served[&Fault::CutConnection], 1);

    for version in ["h2", "http/1.1"] {
        let (running, client) = with(Fault::Unavailable).await;
        let client = if version == "h2" {
            client
        } else {
            running.client().http1_only().build().unwrap()
        };
        let error = get(&client, CHART).await.unwrap_err();
        assert!(error.status().is_none(), "{version}: {error:?}");
        assert!(running.faults.report().served[&Fault::Unavailable] >= 1);
    }

    let running = serve(three_days(), NOW);
    running.faults.set(FaultScript {
        seed: 1,
        rules: vec![FaultRule {
            seconds: 30.0,
            ..FaultRule::always(Fault::Timeout)
        }],
    });
    let client = running
        .client()
        .timeout(Duration::from_millis(300))
        .build()
        .unwrap();
    assert!(get(&client, CHART).await.unwrap_err().is_timeout());
}

#[tokio::test]
async fn nothing_comes_in_three_shapes() {
    let empty = spoilt(Fault::EmptyNoTimestamp).await;
    assert_eq!(empty.get("timestamp"), None);
    assert_eq!(empty["indicators"], json!({ "quote": [{}] }));

    let empty = spoilt(Fault::EmptyArrays).await;
    assert_eq!(empty["timestamp"], json!([]));
    assert_eq!(empty["indicators"]["quote"][0]["close"], json!([]));

    let empty = spoilt(Fault::EmptyNulls).await;
    assert_eq!(empty["timestamp"].as_array().unwrap().len(), 92);
    assert!(rows(&empty).iter().all(|(_, values)| values.is_none()));
}

#[tokio::test]
async fn bars_are_spoilt_in_one_answer() {
    let coarse = spoilt(Fault::CoarserInterval).await;
    assert_eq!(coarse["meta"]["dataGranularity"], "5m");
    assert_eq!(
        rows(&coarse)[1],
        (
            time("2018-03-26T13:35:00Z"),
            Some([105.0, 111.0, 104.0, 110.0, 30_000.0])
        )
    );

    let ragged = spoilt(Fault::Ragged).await;
    let quote = &ragged["indicators"]["quote"][0];
    assert_eq!(ragged["timestamp"].as_array().unwrap().len(), 92);
    assert_eq!(quote["open"].as_array().unwrap().len(), 91);
    assert_eq!(quote["volume"].as_array().unwrap().len(), 90);

    let late = spoilt(Fault::LateBars).await;
    assert_eq!(
        rows(&late).last().unwrap().0,
        time("2018-03-26T14:56:00Z"),
        "nothing that ended after 14:57:30"
    );

    let right = rows(&right().await);
    let revised = rows(&spoilt(Fault::RevisedBars).await);
    assert_eq!(right.len(), revised.len());
    let changed: Vec<_> = right
        .iter()
        .zip(&revised)
        .filter(|(right, revised)| right != revised)
        .map(|(right, revised)| {
            let (right, revised) = (right.1.unwrap(), revised.1.unwrap());
            assert!(revised[4] < right[4] && right[2] <= revised[3] && revised[3] <= right[1]);
            revised
        })
        .collect();
    assert_eq!(changed.len(), 3);
    assert_eq!(
        revised,
        rows(&spoilt(Fault::RevisedBars).await),
        "the same again"
    );

    let bad = rows(&spoilt(Fault::BadTicks).await);
    let impossible = right.iter().zip(&bad).filter(|(right, bad)| right != bad);
    assert_eq!(impossible.count(), 3);
}

#[tokio::test]
async fn a_poisoned_crumb_looks_like_one() {
    let (_running, client) = with(Fault::PoisonedCrumb).await;
    let crumb = get(&client, "https://query2.finance.yahoo.com/v1/test/getcrumb")
        .await
        .unwrap();
    assert_eq!(crumb.status(), StatusCode::OK);
    assert_eq!(crumb.text().await.unwrap(), "Too Many Requests\r\n");
    let chart = get(&client, CHART).await.unwrap();
    assert_eq!(chart.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn faults_are_set_and_counted_over_http() {
    let running = serve(three_days(), NOW);
    let client = running.client().build().unwrap();
    let admin = "https://market-sim/_sim/faults";
    let script = json!({"seed": 3, "rules": [{
        "vendor": "yahoo", "endpoint": "chart", "tickers": ["AAPL"], "fault": "server_error", "share": 0.5,
        "from": "2018-03-26T15:00:00Z", "until": "2018-03-26T15:01:00Z"
    }]});
    let set = client
        .put(admin)
        .body(script.to_string())
        .send()
        .await
        .unwrap();
    assert_eq!(set.status(), StatusCode::OK);
    let mut failed = 0;
    for _ in 0..40 {
        let response = get(&client, CHART).await.unwrap();
        failed += u64::from(response.status() == StatusCode::SERVICE_UNAVAILABLE);
    }
    let report: Value = get(&client, admin).await.unwrap().json().await.unwrap();
    assert_eq!(report["rules"][0]["matched"], 40);
    assert_eq!(report["rules"][0]["served"], failed);
    assert!((10..30).contains(&failed), "{failed}");
    assert_eq!(report["requests"]["yahoo"]["chart"], 40);
    assert_eq!(report["served"]["server_error"], failed);

    client.delete(admin).send().await.unwrap();
    assert_eq!(get(&client, CHART).await.unwrap().status(), StatusCode::OK);

    let wrong = client
        .put(admin)
        .body("{\"rules\": [{}]}")
        .send()
        .await
        .unwrap();
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let body: Value = wrong.json().await.unwrap();
    assert!(
        body["error"]
            .as_str()
            .unwrap()
            .contains("missing field `fault`"),
        "{body}"
    );
}

#[tokio::test]
async fn a_host_that_is_no_vendors_is_misdirected() {
    let running = serve(three_days(), NOW);
    let plain = running.client().http1_only().build().unwrap();
    let response = plain
        .get(CHART)
        .header("host", "example.com")
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::MISDIRECTED_REQUEST);
}
