//! An open market that sends nothing.

use alerts::{AlertSettings, Alerts};
use axum::{Json, Router, routing::post};
use chrono::{DateTime, Utc};
use domain::Bar;
use serde_json::Value;
use service_kit::{Clock, ReplayClock};
use storage::PgPool;
use tokio::sync::mpsc;

use crate::{
    live::{WARM, day},
    support::{Service, TIMING, commit, commit_all, minutes, time, walk},
};

/// Bars with full history whose last closes at this moment.
fn bars_until(seed: u64, close: DateTime<Utc>) -> Vec<Bar> {
    let bars = walk(seed, &minutes(WARM, day(26)));
    bars.into_iter()
        .filter(|bar| bar.close_time() <= close)
        .collect()
}

fn nobody() -> Alerts {
    Alerts::new(AlertSettings::default()).unwrap()
}

async fn start(pool: &PgPool, symbols: &[&str], clock: Clock, alerts: Alerts) -> Service {
    let folder = tempfile::tempdir().unwrap();
    Service::start_at(folder, pool, symbols, TIMING, clock, alerts).await
}

/// Where alerts go, and what was told there.
async fn person() -> (Alerts, mpsc::UnboundedReceiver<String>) {
    let (sender, told) = mpsc::unbounded_channel();
    let take = move |Json(body): Json<Value>| {
        let text = body["text"].as_str().unwrap().to_owned();
        sender.send(text).unwrap();
        std::future::ready("ok")
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/", post(take));
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = AlertSettings {
        webhook: Some(format!("http://{address}/").into()),
        ..AlertSettings::default()
    };
    (Alerts::new(settings).unwrap(), told)
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_open_market_that_sends_nothing_is_told_everywhere_until_bars_come(pool: PgPool) {
    // 10:05 New York, in summer time; the clock stands half an hour later.
    let last = time("2018-03-26T14:05:00Z");
    commit(&pool, "AAPL", &bars_until(1, last)).await;
    commit(&pool, "MSFT", &bars_until(2, last)).await;
    let now = time("2018-03-26T14:35:10Z");
    let clock = Clock::replay(now, 1.0, Utc::now()).unwrap();
    let service = start(&pool, &["AAPL", "MSFT"], clock, nobody()).await;
    let message = "No stock has had a bar since 10:05 New York, although the market is open";

    let (_, health) = service.get("/health").await;
    assert_eq!(
        (&health["status"], &health["parts"]["prices"]),
        (&"degraded".into(), &"failing".into())
    );
    assert_eq!(health["stale"]["message"], message);
    let (status, ready) = service.get("/ready").await;
    assert_eq!(
        (status, &ready["ready"], &ready["reason"]),
        (503, &false.into(), &message.into())
    );
    let (mut socket, _) = service.socket().await;
    let told = socket
        .next_status(|status| !status["stale"].is_null())
        .await;
    assert_eq!(told["message"], message);
    assert_eq!(
        (
            &told["stale"]["since"],
            &told["stale"]["tickers"],
            &told["stale"]["of"]
        ),
        (&"2018-03-26T14:05:00Z".into(), &2.into(), &2.into())
    );
    assert_eq!(told["paused"], false);

    // One of the two trades again: the other is named.
    let until_now = bars_until(1, now);
    commit(&pool, "AAPL", &until_now).await;
    let told = socket.next_status(|status| status["stale"].is_null()).await;
    assert_ne!(told["message"], message);
    let some =
        "1 of 2 stocks has had no bar since 10:05 New York, although the market is open: MSFT";
    assert_eq!(told["trouble"], serde_json::json!([some]));
    let (_, health) = service.get("/health").await;
    assert_eq!(
        (&health["status"], &health["parts"]["prices"]),
        (&"ok".into(), &"partial".into())
    );
    let (status, ready) = service.get("/ready").await;
    assert_eq!((status, &ready["reason"]), (200, &Value::Null));

    commit_all(&pool, &[("MSFT", &bars_until(2, now))]).await;
    let told = socket
        .next_status(|status| status["trouble"] == serde_json::json!([]))
        .await;
    assert_eq!(told["stale"], Value::Null);
    assert_eq!(service.get("/health").await.1["parts"]["prices"], "ok");
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_person_is_told_once(pool: PgPool) {
    commit(&pool, "AAPL", &bars_until(1, time("2018-03-26T14:05:00Z"))).await;
    let clock = Clock::replay(time("2018-03-26T14:05:10Z"), 60.0, Utc::now()).unwrap();
    let (alerts, mut told) = person().await;
    let service = start(&pool, &["AAPL"], clock, alerts).await;
    let alert = told.recv().await.unwrap();
    assert!(alert.contains("no bars since 10:05 New York"), "{alert}");
    assert!(alert.contains("simulated market"), "{alert}");
    service
        .wait_for("/stocks", |answer| {
            let now: DateTime<Utc> = answer["as_of"].as_str().unwrap().parse().unwrap();
            now > time("2018-03-26T14:12:00Z")
        })
        .await;
    assert!(told.try_recv().is_err(), "once");
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_market_that_stands_still_is_paused_and_not_stale(pool: PgPool) {
    commit(&pool, "AAPL", &bars_until(1, time("2018-03-26T14:05:00Z"))).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clock.json");
    let held = ReplayClock {
        origin: time("2018-03-26T14:35:10Z"),
        speed: 20.0,
        started: None,
    };
    held.write(&path).unwrap();
    let clock = Clock::from_file(path.clone()).unwrap();
    let service = start(&pool, &["AAPL"], clock, nobody()).await;
    let (mut socket, _) = service.socket().await;
    let told = socket
        .next_status(|status| status["phase"] == "training")
        .await;
    assert_eq!(
        (&told["paused"], &told["stale"]),
        (&true.into(), &Value::Null)
    );
    assert!(
        told["message"]
            .as_str()
            .unwrap()
            .contains("the market stands still"),
        "{told}"
    );
    assert_eq!(service.get("/health").await.1["status"], "ok");
    assert_eq!(service.get("/ready").await.0, 200);

    // How far a training is comes from a file beside the models.
    let training = service_kit::TaskProgress {
        message: "Training the LSTM: pass 3 of 6".to_owned(),
        done: 2,
        of: 6,
        seconds_left: Some(95),
        at: Utc::now(),
    };
    let models = service.folder.path().join("models");
    std::fs::create_dir_all(&models).unwrap();
    training
        .write(&service_kit::TaskProgress::of_training(&models))
        .unwrap();
    let told = socket
        .next_status(|status| !status["progress"].is_null())
        .await;
    assert_eq!(
        told["progress"],
        serde_json::json!({"message": training.message, "done": 2, "of": 6, "seconds_left": 95})
    );

    let started = Some(Utc::now());
    ReplayClock { started, ..held }.write(&path).unwrap();
    let told = socket.next_status(|status| status["paused"] == false).await;
    assert!(!told["stale"].is_null(), "{told}");
    service.stop().await;
}
