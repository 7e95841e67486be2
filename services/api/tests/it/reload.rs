//! Champions that come, change and break while the service runs.

use chrono::{NaiveDate, Utc};
use domain::{Bar, ModelKind};
use model_registry::ChampionsFile;
use serde_json::Value;
use storage::PgPool;

use crate::support::{
    Service, commit, minutes, model_config, promote_random_models, truncate_network, walk,
    write_random_model,
};

/// A history with full windows and three more bars.
async fn seed(pool: &PgPool) -> [Bar; 3] {
    let starts = minutes(
        features::WARM_UP_SESSIONS + 2,
        NaiveDate::from_ymd_opt(2018, 3, 26).unwrap(),
    );
    let bars = walk(1, &starts);
    let (known, next) = bars.split_at(bars.len() - 3);
    commit(pool, "AAPL", known).await;
    next.try_into().unwrap()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn prices_flow_while_the_first_models_are_trained(pool: PgPool) {
    let next = seed(&pool).await;
    let service = Service::start(&pool, &["AAPL"]).await;
    let (mut socket, snapshot) = service.socket().await;
    assert_eq!(snapshot["stocks"][0]["analysis"], Value::Null);
    assert_eq!(snapshot["stocks"][0]["name"], "AAPL Inc.");
    service
        .wait_for("/health", |answer| answer["phase"] == "training")
        .await;
    commit(&pool, "AAPL", &next[..1]).await;
    assert_eq!(
        socket.next_of("price", "AAPL").await["price"],
        next[0].close.get()
    );

    let ids = promote_random_models(service.folder.path(), 1);
    let analysis = socket.next_of("analysis", "AAPL").await;
    assert_eq!(analysis["bar"]["close"], next[0].close.get());
    assert_eq!(
        analysis["predictions"]["transformer"]["model_id"],
        ids[1].as_str()
    );
    let health = service
        .wait_for("/health", |answer| answer["phase"] == "running")
        .await;
    assert_eq!(health["parts"]["champions"]["lstm"], ids[0].as_str());
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn new_champions_are_taken_without_losing_a_bar(pool: PgPool) {
    let next = seed(&pool).await;
    let service = Service::start(&pool, &["AAPL"]).await;
    promote_random_models(service.folder.path(), 1);
    service
        .wait_for("/stocks", |answer| {
            !answer["stocks"][0]["analysis"].is_null()
        })
        .await;
    let (mut socket, _) = service.socket().await;
    let ids = promote_random_models(service.folder.path(), 2);
    service
        .wait_for("/health", |health| {
            health["parts"]["champions"]["lstm"] == ids[0].as_str()
        })
        .await;
    // What was said of the last bar stands: the new pair begins with the next one.
    commit(&pool, "AAPL", &next[..1]).await;
    let analysis = socket.next_of("analysis", "AAPL").await;
    assert_eq!(analysis["bar"]["close"], next[0].close.get());
    for (id, kind) in ids.iter().zip(["lstm", "transformer"]) {
        assert_eq!(analysis["predictions"][kind]["model_id"], id.as_str());
    }
    let (_, models) = service.get("/models").await;
    assert_eq!(models["lstm"]["champion"]["model_id"], "lstm-2");
    assert_eq!(models["lstm"]["previous"][0]["model_id"], "lstm-1");
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_broken_champions_file_leaves_the_last_good_ones_in_use(pool: PgPool) {
    let next = seed(&pool).await;
    let service = Service::start(&pool, &["AAPL"]).await;
    let ids = promote_random_models(service.folder.path(), 1);
    service
        .wait_for("/stocks", |answer| {
            !answer["stocks"][0]["analysis"].is_null()
        })
        .await;
    let (mut socket, _) = service.socket().await;

    let path = model_config(service.folder.path());
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, &good[..good.len() / 2]).unwrap();
    let status = socket
        .next_status(|status| status["message"].as_str().unwrap().contains("refused"))
        .await;
    let message = status["message"].as_str().unwrap();
    assert!(
        message.contains("model_config.json") && message.contains("last good"),
        "{message}"
    );
    assert_eq!(status["phase"], "running");
    commit(&pool, "AAPL", &next[..1]).await;
    let analysis = socket.next_of("analysis", "AAPL").await;
    assert_eq!(analysis["predictions"]["lstm"]["model_id"], ids[0].as_str());
    assert_eq!(service.get("/health").await.1["parts"]["models"], "failing");

    std::fs::write(&path, good).unwrap();
    socket
        .next_status(|status| !status["message"].as_str().unwrap().contains("refused"))
        .await;
    assert_eq!(service.get("/health").await.1["status"], "ok");
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_truncated_model_is_refused_and_named(pool: PgPool) {
    let next = seed(&pool).await;
    let service = Service::start(&pool, &["AAPL"]).await;
    let folder = service.folder.path();
    let ids = promote_random_models(folder, 1);
    service
        .wait_for("/stocks", |answer| {
            !answer["stocks"][0]["analysis"].is_null()
        })
        .await;
    let (mut socket, _) = service.socket().await;

    let broken = write_random_model(folder, ModelKind::Lstm, 2);
    truncate_network(folder, ModelKind::Lstm, &broken);
    let champions = ChampionsFile::new(model_config(folder));
    champions
        .promote(ModelKind::Lstm, broken.clone(), Utc::now(), "test")
        .unwrap();
    let status = socket
        .next_status(|status| status["message"].as_str().unwrap().contains("refused"))
        .await;
    let message = status["message"].as_str().unwrap();
    assert!(
        message.contains(broken.as_str()) && message.contains("model.tflite"),
        "{message}"
    );
    assert_eq!(status["models"]["lstm"], ids[0].as_str());
    commit(&pool, "AAPL", &next[..1]).await;
    let analysis = socket.next_of("analysis", "AAPL").await;
    assert_eq!(analysis["predictions"]["lstm"]["model_id"], ids[0].as_str());
    service.stop().await;
}
