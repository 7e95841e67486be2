use std::time::Duration;

use chrono::{NaiveDate, TimeDelta};
use domain::Price;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use storage::{FormingPrice, PgPool};
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

use crate::support::{Service, TIMING, build_file, commit, minutes, ticker, walk};
use api::Timing;

async fn forming(pool: &PgPool, symbol: &str, time: chrono::DateTime<chrono::Utc>, price: f64) {
    let price = FormingPrice {
        ticker: ticker(symbol),
        time,
        price: Price::new(price).unwrap(),
    };
    storage::notify_forming_prices(pool, &[price])
        .await
        .unwrap();
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_price_inside_a_minute_is_shown_until_its_bar_closes(pool: PgPool) {
    let bars = walk(
        1,
        &minutes(2, NaiveDate::from_ymd_opt(2018, 3, 26).unwrap()),
    );
    commit(&pool, "AAPL", &bars[..500]).await;
    let service = Service::start(&pool, &["AAPL"]).await;
    let (mut socket, snapshot) = service.socket().await;
    assert_eq!(snapshot["stocks"][0]["price"], bars[499].close.get());

    // Of a minute that is over: no news.
    forming(&pool, "AAPL", bars[499].start + TimeDelta::seconds(30), 1.0).await;
    let time = bars[500].start + TimeDelta::seconds(17);
    forming(&pool, "AAPL", time, 101.5).await;
    let price = socket.next_of("price", "AAPL").await;
    assert_eq!(
        (&price["price"], &price["bar"]),
        (&json!(101.5), &Value::Null)
    );
    // The session before is Friday's, whose last bar is number 389.
    assert!((price["change"].as_f64().unwrap() - (101.5 - bars[389].close.get())).abs() < 1e-4);
    assert_eq!(service.get("/stocks").await.1["stocks"][0]["price"], 101.5);

    commit(&pool, "AAPL", &bars[500..501]).await;
    let price = socket.next_of("price", "AAPL").await;
    assert_eq!(price["bar"]["close"], bars[500].close.get());
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn clients_follow_what_a_first_start_still_compiles(pool: PgPool) {
    let service = Service::start(&pool, &["AAPL"]).await;
    let (mut socket, snapshot) = service.socket().await;
    assert_eq!(snapshot["status"]["setup"], Value::Null);

    let path = build_file(service.folder.path());
    let write = |state: &str, done: u32| {
        let build = json!({
            "state": state, "done": done, "of": 620, "seconds_left": null, "message": "burn", "at": chrono::Utc::now(),
        });
        // As the compilation does, so that nobody reads half of it.
        let next = path.with_extension("next");
        std::fs::write(&next, build.to_string()).unwrap();
        std::fs::rename(next, &path).unwrap();
    };
    write("building", 312);
    let status = socket
        .next_status(|status| status["setup"]["state"] == "building")
        .await;
    assert_eq!(status["setup"]["done"], 312);
    let message = status["setup"]["message"].as_str().unwrap();
    assert!(
        message.contains("312 of 620. Prices do not wait"),
        "{message}"
    );

    write("failed", 400);
    socket
        .next_status(|status| status["setup"]["state"] == "failed")
        .await;
    let (_, health) = service.get("/health").await;
    assert_eq!(health["setup"]["done"], 400);

    write("done", 620);
    socket.next_status(|status| status["setup"].is_null()).await;
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_client_hears_only_of_what_it_subscribed_to(pool: PgPool) {
    let bars = walk(
        1,
        &minutes(1, NaiveDate::from_ymd_opt(2018, 3, 26).unwrap()),
    );
    let service = Service::start(&pool, &["AAPL", "MSFT"]).await;
    let (mut socket, snapshot) = service.socket().await;
    assert_eq!(snapshot["stocks"].as_array().unwrap().len(), 2);
    socket.send(r#"{"subscribe":["msft"]}"#).await;
    loop {
        let message = socket.next().await;
        if message["type"] == "snapshot" {
            assert_eq!(message["stocks"][0]["ticker"], "MSFT");
            assert_eq!(message["stocks"].as_array().unwrap().len(), 1);
            break;
        }
    }
    commit(&pool, "AAPL", &bars[..5]).await;
    commit(&pool, "MSFT", &bars[..5]).await;
    loop {
        let message = socket.next().await;
        if message["type"] == "price" {
            assert_eq!(message["ticker"], "MSFT");
            break;
        }
    }
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_wrong_subscription_is_answered_and_changes_nothing(pool: PgPool) {
    let service = Service::start(&pool, &["AAPL"]).await;
    let (mut socket, _) = service.socket().await;
    for (text, code) in [
        (r#"{"subscribe":["TSLA"]}"#, "unknown_ticker"),
        (r#"{"subscribe":["no ticker"]}"#, "bad_message"),
        ("hello", "bad_message"),
    ] {
        socket.send(text).await;
        loop {
            let message = socket.next().await;
            if message["type"] == "error" {
                assert_eq!(message["error"]["code"], code);
                break;
            }
        }
    }
    let bars = walk(
        1,
        &minutes(1, NaiveDate::from_ymd_opt(2018, 3, 26).unwrap()),
    );
    commit(&pool, "AAPL", &bars[..5]).await;
    socket.next_of("price", "AAPL").await;
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_slow_client_gets_the_newest_and_delays_nobody(pool: PgPool) {
    const ROUNDS: usize = 1_500;
    let symbols: Vec<String> = (0..20).map(|number| format!("T{number}")).collect();
    let symbols: Vec<&str> = symbols.iter().map(String::as_str).collect();
    let bars = walk(
        1,
        &minutes(1, NaiveDate::from_ymd_opt(2018, 3, 26).unwrap()),
    );
    let rows: Vec<_> = symbols.iter().map(|symbol| (*symbol, &bars[..1])).collect();
    crate::support::commit_all(&pool, &rows).await;
    let service = Service::start(&pool, &symbols).await;
    let (mut fast, _) = service.socket().await;
    // Reads nothing for now, and the system buffers little for it.
    let connection = TcpSocket::new_v4().unwrap();
    connection.set_recv_buffer_size(4_096).unwrap();
    let connection = connection.connect(service.address).await.unwrap();
    let url = format!("ws://{}/ws", service.address);
    let (mut slow, _) = tokio_tungstenite::client_async(url, connection)
        .await
        .unwrap();

    let time = bars[1].start + TimeDelta::seconds(1);
    for round in 1..=ROUNDS {
        let prices: Vec<FormingPrice> = symbols
            .iter()
            .map(|symbol| FormingPrice {
                ticker: ticker(symbol),
                time,
                price: Price::new(round as f64).unwrap(),
            })
            .collect();
        storage::notify_forming_prices(&pool, &prices)
            .await
            .unwrap();
    }
    let last = ROUNDS as f64;
    tokio::time::timeout(Duration::from_secs(5), async {
        while fast.next_of("price", "T19").await["price"] != last {}
    })
    .await
    .expect("the fast client is up to date");

    let mut received = 0;
    let newest = tokio::time::timeout(Duration::from_secs(20), async {
        loop {
            if let Message::Text(text) = slow.next().await.unwrap().unwrap() {
                let message: Value = serde_json::from_str(&text).unwrap();
                received += usize::from(message["type"] == "price");
                if message["ticker"] == "T19" && message["price"] == last {
                    return;
                }
            }
        }
    });
    newest.await.expect("the slow client is brought up to date");
    assert!(
        received < ROUNDS * symbols.len() / 2,
        "{received} messages are no shortcut"
    );
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_client_that_answers_no_pings_is_given_up(pool: PgPool) {
    let timing = Timing {
        ping_seconds: 0.05,
        client_timeout_seconds: 0.3,
        ..TIMING
    };
    let service = Service::start_with(tempfile::tempdir().unwrap(), &pool, &["AAPL"], timing).await;
    // Pongs are written while reading: this client never reads.
    let (silent, _) = tokio_tungstenite::connect_async(format!("ws://{}/ws", service.address))
        .await
        .unwrap();
    let (mut answering, _) = service.socket().await;
    let metrics = service.url("/metrics");
    let gone = async {
        loop {
            // Reads and so answers pings.
            let _ = tokio::time::timeout(Duration::from_millis(20), answering.stream.next()).await;
            let text = service
                .client
                .get(&metrics)
                .send()
                .await
                .unwrap()
                .text()
                .await
                .unwrap();
            if text.contains("tandem_api_websocket_timeouts_total 1") {
                break text;
            }
        }
    };
    let text = tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .unwrap();
    assert!(text.contains("tandem_api_websocket_clients 1"), "{text}");
    drop(silent);
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_shutdown_tells_the_clients_why(pool: PgPool) {
    let service = Service::start(&pool, &["AAPL"]).await;
    let (mut socket, _) = service.socket().await;
    service.shutdown.cancel();
    let frame = loop {
        match tokio::time::timeout(Duration::from_secs(5), socket.stream.next())
            .await
            .unwrap()
        {
            Some(Ok(Message::Close(frame))) => break frame.unwrap(),
            Some(Ok(_)) => (),
            other => panic!("no closing frame: {other:?}"),
        }
    };
    assert_eq!(frame.code, CloseCode::Away);
    assert!(frame.reason.contains("shutting down"));
    service.stop().await;
}
