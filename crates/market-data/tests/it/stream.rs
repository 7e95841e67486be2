//! Yahoo's stream of trades, over TLS.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::ws::{Message, WebSocket, WebSocketUpgrade},
    routing::any,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::Ticker;
use market_data::{PricingData, StreamError, VendorConnection, YahooStream};
use prost::Message as _;
use tokio::sync::Notify;

use crate::vendor_server::serve;

fn frame(id: &str, price: f32, market_hours: i32) -> String {
    let data = PricingData {
        id: id.to_owned(),
        price,
        time: 1_522_071_137_250,
        market_hours,
        ..PricingData::default()
    };
    let message = STANDARD.encode(data.encode_to_vec());
    format!(r#"{{"type":"pricing","message":"{message}"}}"#)
}

async fn vendor<Talk>(
    talk: impl Fn(WebSocket) -> Talk + Clone + Send + Sync + 'static,
) -> (VendorConnection, tempfile::TempDir)
where
    Talk: Future<Output = ()> + Send + 'static,
{
    let router = Router::new().route(
        "/",
        any(move |upgrade: WebSocketUpgrade| async move { upgrade.on_upgrade(talk) }),
    );
    serve(router).await
}

fn tickers() -> [Ticker; 2] {
    ["AAPL", "MSFT"].map(|text| Ticker::parse(text).unwrap())
}

#[tokio::test]
async fn subscribed_trades_come_in_until_the_other_side_ends() {
    let (connection, _folder) = vendor(|mut socket| async move {
        let Some(Ok(Message::Text(subscription))) = socket.recv().await else {
            panic!("no subscription");
        };
        assert_eq!(subscription.as_str(), r#"{"subscribe":["AAPL","MSFT"]}"#);
        let frames = [
            frame("AAPL", 168.07, 1),
            frame("AAPL", 168.5, 2),
            r#"{"type":"heartbeat"}"#.to_owned(),
            frame("MSFT", 93.25, 1),
        ];
        for text in frames {
            socket.send(Message::text(text)).await.unwrap();
        }
        socket.send(Message::Close(None)).await.unwrap();
    })
    .await;
    let mut stream = YahooStream::connect(&connection, &tickers()).await.unwrap();
    let mut trades = Vec::new();
    while let Some(trade) = stream.next().await {
        let live = trade.unwrap();
        trades.push((live.ticker.to_string(), live.trade.price.get()));
    }
    assert_eq!(
        trades,
        [("AAPL".to_owned(), 168.07), ("MSFT".to_owned(), 93.25)],
        "the trade after the session is left out"
    );
}

#[tokio::test]
async fn a_wait_that_is_given_up_loses_no_trade() {
    let go = Arc::new(Notify::new());
    let signal = Arc::clone(&go);
    let (connection, _folder) = vendor(move |mut socket| {
        let signal = Arc::clone(&signal);
        async move {
            signal.notified().await;
            socket
                .send(Message::text(frame("AAPL", 168.07, 1)))
                .await
                .unwrap();
            // Holds the connection.
            while socket.recv().await.is_some() {}
        }
    })
    .await;
    let mut stream = YahooStream::connect(&connection, &tickers()).await.unwrap();
    for _ in 0..3 {
        let waited = tokio::time::timeout(Duration::from_millis(20), stream.next()).await;
        assert!(waited.is_err());
    }
    go.notify_one();
    assert!(stream.next().await.unwrap().is_ok());
}

#[tokio::test]
async fn nonsense_and_flood_end_the_stream_with_an_error() {
    let (connection, _folder) = vendor(|mut socket| async move {
        let _ = socket
            .send(Message::text("{\"type\":\"pricing\",\"message\":\"AAAA\"}"))
            .await;
        while socket.recv().await.is_some() {}
    })
    .await;
    let mut stream = YahooStream::connect(&connection, &tickers()).await.unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(
        matches!(error, StreamError::Format { bytes: 35 }),
        "{error:?}"
    );

    let (connection, _folder) = vendor(|mut socket| async move {
        let _ = socket.send(Message::text("x".repeat(100_000))).await;
        while socket.recv().await.is_some() {}
    })
    .await;
    let mut stream = YahooStream::connect(&connection, &tickers()).await.unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert!(matches!(error, StreamError::Broken { .. }), "{error:?}");
}

#[tokio::test]
async fn who_is_not_there_not_trusted_or_no_stream_is_told_apart() {
    let (mut connection, _folder) = vendor(|_| async {}).await;
    connection.address = Some("127.0.0.1:1".to_owned());
    let error = YahooStream::connect(&connection, &tickers())
        .await
        .unwrap_err();
    assert!(matches!(error, StreamError::Connect { .. }), "{error:?}");

    let (good, _folder) = vendor(|_| async {}).await;
    let (other, _other_folder) = vendor(|_| async {}).await;
    let distrusting = VendorConnection {
        certificate: other.certificate.clone(),
        ..good
    };
    let error = YahooStream::connect(&distrusting, &tickers())
        .await
        .unwrap_err();
    assert!(matches!(error, StreamError::Connect { .. }), "{error:?}");

    let (plain, _folder) = serve(Router::new()).await;
    let error = YahooStream::connect(&plain, &tickers()).await.unwrap_err();
    assert!(matches!(error, StreamError::Broken { .. }), "{error:?}");

    // A port that takes the connection and never speaks.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mute = VendorConnection {
        address: Some(listener.local_addr().unwrap().to_string()),
        request_timeout: Duration::from_millis(200),
        ..plain
    };
    let error = YahooStream::connect(&mute, &tickers()).await.unwrap_err();
    assert!(matches!(error, StreamError::Silent { .. }), "{error:?}");
}
