//! The price of the running minute.

use std::time::Duration;

use sqlx::PgPool;
use storage::{Channel, FormingPrice, Listener, Notice};

use crate::world::{World, invented, ticker};

const TICKERS: [&str; 2] = ["AAPL", "KO"];

/// The next prices that are passed on.
async fn prices(listener: &mut Listener) -> Vec<FormingPrice> {
    let heard = async {
        loop {
            if let Notice::FormingPrices(prices) = listener.next().await {
                return prices;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), heard)
        .await
        .unwrap()
}

async fn open_world() -> World {
    let bars = invented(&TICKERS, "2018-03-23", "2018-03-26");
    World::open(bars, "2018-03-26T14:00:00Z", 20.0).await
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn comes_from_the_stream_and_is_never_stored(pool: PgPool) {
    let world = open_world().await;
    let mut listener = Listener::connect(&pool, &[Channel::FormingPrice])
        .await
        .unwrap();
    let mut ingestor = world.ingestor_without_price_polls(&pool);
    // A poll after each close may bring one price; a stream goes on within the minute.
    let mut of_one_minute = 0;
    let mut minute = None;
    while of_one_minute < 3 {
        let heard = prices(&mut listener).await;
        for price in heard.iter().filter(|price| price.ticker == ticker("AAPL")) {
            let of_minute = price.time.timestamp() / 60;
            of_one_minute = if minute == Some(of_minute) {
                of_one_minute + 1
            } else {
                1
            };
            minute = Some(of_minute);
        }
    }
    world.until_equal(&pool).await;
    assert!(ingestor.is_running());
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn is_polled_while_the_stream_is_away(pool: PgPool) {
    let world = open_world().await;
    world.set_faults(
        r#"{"rules": [{"vendor": "yahoo", "endpoint": "stream", "fault": "unavailable"}]}"#,
    );
    let mut listener = Listener::connect(&pool, &[Channel::FormingPrice])
        .await
        .unwrap();
    let _ingestor = world.ingestor(&pool);
    world.until_logged("the live stream is away", 0).await;
    for _ in 0..3 {
        assert!(!prices(&mut listener).await.is_empty());
    }
}
