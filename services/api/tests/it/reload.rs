//! Champions that come, change and break while the service runs.

use chrono::{NaiveDate, Utc};
use domain::{Bar, ModelId, ModelKind};
use model_registry::ChampionsFile;
use serde_json::Value;
use storage::{ModelEventKind, PgPool, recent_model_events};

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
    let trouble = |status: &Value| status["trouble"].to_string();
    let status = socket
        .next_status(|status| trouble(status).contains("refused"))
        .await;
    let told = trouble(&status);
    assert!(
        told.contains("model_config.json") && told.contains("last good"),
        "{told}"
    );
    assert_eq!(status["phase"], "running");
    commit(&pool, "AAPL", &next[..1]).await;
    let analysis = socket.next_of("analysis", "AAPL").await;
    assert_eq!(analysis["predictions"]["lstm"]["model_id"], ids[0].as_str());
    assert_eq!(service.get("/health").await.1["parts"]["models"], "failing");
    let (code, models) = service.get("/models").await;
    assert_eq!(code, 200, "{models}");
    for (id, kind) in ids.iter().zip(["lstm", "transformer"]) {
        assert_eq!(models[kind]["champion"]["model_id"], id.as_str());
    }
    let problem = models["problem"].as_str().unwrap();
    assert!(problem.contains("model_config.json is broken"), "{problem}");
    assert!(!problem.contains('/'), "no folder is told: {problem}");

    std::fs::write(&path, good).unwrap();
    socket
        .next_status(|status| !trouble(status).contains("refused"))
        .await;
    assert_eq!(service.get("/health").await.1["parts"]["models"], "ok");
    assert_eq!(service.get("/models").await.1["problem"], Value::Null);
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
        .next_status(|status| status["trouble"].to_string().contains("refused"))
        .await;
    let trouble = status["trouble"].to_string();
    assert!(
        trouble.contains(broken.as_str()) && trouble.contains("model.tflite"),
        "{trouble}"
    );
    assert_eq!(status["models"]["lstm"], ids[0].as_str());
    commit(&pool, "AAPL", &next[..1]).await;
    let analysis = socket.next_of("analysis", "AAPL").await;
    assert_eq!(analysis["predictions"]["lstm"]["model_id"], ids[0].as_str());
    let (_, models) = service.get("/models").await;
    assert_eq!(models["lstm"]["champion"]["model_id"], broken.as_str());
    assert!(models["problem"].as_str().unwrap().contains("model.tflite"));
    service.stop().await;
}

/// Event, model and previous model of everything that happened to the LSTM, the oldest first.
async fn lstm_events(pool: &PgPool) -> Vec<(ModelEventKind, String, Option<String>)> {
    let mut events = recent_model_events(pool, 100).await.unwrap();
    events.retain(|event| event.kind == ModelKind::Lstm);
    let text = |id: ModelId| id.to_string();
    let told = events.into_iter().rev();
    told.map(|event| {
        let previous = event.previous_model_id.map(text);
        (event.event, text(event.model_id), previous)
    })
    .collect()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_diary_tells_which_model_was_in_use_since_when(pool: PgPool) {
    seed(&pool).await;
    let service = Service::start(&pool, &["AAPL"]).await;
    let folder = service.folder.path();
    promote_random_models(folder, 1);
    let in_use = async |id: &str| {
        service
            .wait_for("/health", |health| {
                health["parts"]["champions"]["lstm"] == id
            })
            .await
    };
    in_use("lstm-1").await;

    let broken = write_random_model(folder, ModelKind::Lstm, 2);
    truncate_network(folder, ModelKind::Lstm, &broken);
    let champions = ChampionsFile::new(model_config(folder));
    let promote = |id: ModelId| {
        champions
            .promote(ModelKind::Lstm, id, Utc::now(), "test")
            .unwrap();
    };
    promote(broken.clone());
    service
        .wait_for("/health", |health| health["parts"]["models"] == "failing")
        .await;
    // Another trouble, and the same again.
    let good = std::fs::read(model_config(folder)).unwrap();
    std::fs::write(model_config(folder), "{").unwrap();
    service
        .wait_for("/models", |models| {
            models["problem"].to_string().contains("is broken at")
        })
        .await;
    std::fs::write(model_config(folder), good).unwrap();
    service
        .wait_for("/models", |models| {
            models["problem"].to_string().contains("model.tflite")
        })
        .await;
    promote(write_random_model(folder, ModelKind::Lstm, 3));
    in_use("lstm-3").await;

    let text = |id: &str| id.to_owned();
    let expected = [
        (ModelEventKind::Loaded, text("lstm-1"), None),
        (
            ModelEventKind::Refused,
            text("lstm-2"),
            Some(text("lstm-1")),
        ),
        (ModelEventKind::Loaded, text("lstm-3"), Some(text("lstm-1"))),
    ];
    for _ in 0..500 {
        if lstm_events(&pool).await.len() >= expected.len() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(lstm_events(&pool).await, expected);
    service.stop().await;
}
