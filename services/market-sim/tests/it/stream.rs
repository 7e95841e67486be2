//! The stream of trades, read by the client.

use std::time::Duration;

use chrono::Utc;
use market_data::YahooStream;
use market_sim::{Fault, FaultRule, FaultScript, Simulator};
use service_kit::Clock;

use crate::{
    client::{Running, run},
    three_days, ticker, time,
};

/// Monday 13:31 and on, 20 times as fast.
fn serve() -> Running {
    let clock = Clock::replay(time("2018-03-26T13:31:00Z"), 20.0, Utc::now()).unwrap();
    run(Simulator::new(three_days(), calendar::nyse(), clock))
}

#[tokio::test]
async fn trades_of_the_forming_minute_are_pushed() {
    let running = serve();
    let (_folder, connection) = running.connection();
    let mut stream = YahooStream::connect(&connection, &[ticker("AAPL"), ticker("GONE")])
        .await
        .unwrap();
    let mut last = time("2018-03-26T13:30:00Z");
    for _ in 0..10 {
        let next = tokio::time::timeout(Duration::from_secs(5), stream.next());
        let live = next.await.unwrap().unwrap().unwrap();
        assert_eq!(live.ticker, ticker("AAPL"));
        assert!(live.trade.time > last, "each trade once");
        last = live.trade.time;
        // The minute's own range, by the staircase.
        let minute = (last - time("2018-03-26T13:30:00Z")).num_minutes() as f64;
        let price = live.trade.price.get();
        assert!(
            (99.0 + minute..=102.0 + minute).contains(&price),
            "{minute} {price}"
        );
    }
    assert!(last <= time("2018-03-26T13:31:00Z") + chrono::TimeDelta::minutes(2));
}

#[tokio::test]
async fn nothing_is_pushed_while_the_exchange_is_closed() {
    let clock = Clock::replay(time("2018-03-26T20:00:01Z"), 20.0, Utc::now()).unwrap();
    let running = run(Simulator::new(three_days(), calendar::nyse(), clock));
    let (_folder, connection) = running.connection();
    let mut stream = YahooStream::connect(&connection, &[ticker("AAPL")])
        .await
        .unwrap();
    let next = tokio::time::timeout(Duration::from_millis(700), stream.next());
    assert!(next.await.is_err());
}

#[tokio::test]
async fn faults_cut_the_stream_and_refuse_it() {
    let running = serve();
    let (_folder, connection) = running.connection();
    let script = |fault| FaultScript {
        seed: 1,
        rules: vec![FaultRule::always(fault)],
    };
    running.faults.set(script(Fault::CutConnection));
    let mut stream = YahooStream::connect(&connection, &[ticker("AAPL")])
        .await
        .unwrap();
    let mut trades = 0;
    while let Some(Ok(_)) = stream.next().await {
        trades += 1;
    }
    assert_eq!(trades, 3);
    assert_eq!(running.faults.report().served[&Fault::CutConnection], 1);

    running.faults.set(FaultScript::default());
    let mut stream = YahooStream::connect(&connection, &[ticker("AAPL")])
        .await
        .unwrap();
    stream.next().await.unwrap().unwrap();
    running.faults.set(script(Fault::Unavailable));
    while let Some(Ok(_)) = stream.next().await {}
    assert!(
        YahooStream::connect(&connection, &[ticker("AAPL")])
            .await
            .is_err()
    );
    running.faults.set(script(Fault::TooManyRequests));
    assert!(
        YahooStream::connect(&connection, &[ticker("AAPL")])
            .await
            .is_err()
    );
}
