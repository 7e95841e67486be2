//! How the champions do, and what came of what they said.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Action, Class, ModelId, ModelKind, Prediction, Probabilities, Recommendation};
use model_registry::{artifact_dir, read_artifact};
use serde_json::{Value, json};
use storage::{DriftReport, DriftState, EpisodeAction, Outcome, PgPool};

use crate::support::{Service, promote_random_models, ticker, time};

fn minute(number: i64) -> DateTime<Utc> {
    // Within the last ninety days of the system's clock, in the middle of a session.
    let session = calendar::nyse()
        .previous_session(Utc::now().date_naive() - TimeDelta::days(5))
        .unwrap();
    session.open + TimeDelta::minutes(60 + number)
}

/// What both models said, and what was made of it.
async fn say(pool: &PgPool, models: &[ModelId; 2], start: DateTime<Utc>, action: Action) {
    let probabilities = match action {
        Action::Buy => [0.2, 0.2, 0.6],
        Action::Sell => [0.55, 0.25, 0.2],
        Action::Hold => [0.2, 0.5, 0.3],
    };
    let predictions: Vec<Prediction> = ModelKind::ALL
        .into_iter()
        .zip(models)
        .map(|(kind, model_id)| Prediction {
            ticker: ticker("AAPL"),
            bar_start: start,
            kind,
            model_id: model_id.clone(),
            probabilities: Probabilities::new(probabilities).unwrap(),
        })
        .collect();
    let recommendation = Recommendation {
        ticker: ticker("AAPL"),
        bar_start: start,
        action,
        reason: "A test says so.".to_owned(),
        abstained: false,
        decision: None,
        standing: None,
    };
    let as_of = start + TimeDelta::seconds(61);
    storage::store_analyses(pool, as_of, &predictions, &[recommendation])
        .await
        .unwrap();
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_track_record_shows_what_came_about_losses_included(pool: PgPool) {
    let service = Service::start(&pool, &["AAPL"]).await;
    let (status, empty) = service.get("/track-record").await;
    assert_eq!(status, 200, "{empty}");
    assert_eq!(
        (&empty["models"], &empty["recommendations"]["count"]),
        (&json!([]), &0.into())
    );
    assert_eq!(empty["recommendations"]["hit_rate"], Value::Null);

    let models = promote_random_models(service.folder.path(), 1);
    let lstm = artifact_dir(
        &service.folder.path().join("models"),
        ModelKind::Lstm,
        &models[0],
    );
    let settings = read_artifact(&lstm).unwrap().manifest.label_settings();
    let said = [
        (Action::Buy, Class::Up, 0.0020),
        (Action::Buy, Class::Down, -0.0010),
        (Action::Sell, Class::Down, -0.0015),
        (Action::Sell, Class::Neutral, -0.0002),
        (Action::Hold, Class::Neutral, 0.0001),
    ];
    let mut outcomes = Vec::new();
    for (number, (action, label, gross_return)) in said.into_iter().enumerate() {
        let start = minute(number as i64);
        say(&pool, &models, start, action).await;
        outcomes.push(Outcome {
            ticker: ticker("AAPL"),
            bar_start: start,
            label,
            gross_return,
            first_touch: start + TimeDelta::minutes(20),
        });
    }
    // Not resolved, and too old to be.
    say(&pool, &models, minute(10), Action::Buy).await;
    storage::store_outcomes(&pool, &outcomes, &settings, minute(60))
        .await
        .unwrap();

    let record = service
        .wait_for("/track-record", |record| !record["standing"].is_null())
        .await;
    let recommendations = &record["recommendations"];
    assert_eq!(recommendations["count"], 4);
    // They were made before decisions were stored, by another rule than that of today.
    assert_eq!(record["standing"]["buy"]["bets"], 0);
    assert_eq!(
        [&recommendations["buys"], &recommendations["sells"]],
        [&json!(2), &json!(2)]
    );
    assert_eq!(
        [
            &recommendations["hits"],
            &recommendations["opposite"],
            &recommendations["losses"]
        ],
        [&json!(2), &json!(1), &json!(2)]
    );
    let number = |value: &Value| value.as_f64().unwrap();
    // 20, -10, 15 and 2 basis points before the costs of 4.
    assert!((number(&recommendations["mean_return_bps"]) - 6.75).abs() < 1e-9);
    assert!((number(&recommendations["mean_net_return_bps"]) - 2.75).abs() < 1e-9);
    assert!((number(&recommendations["total_net_return_bps"]) - 11.0).abs() < 1e-9);
    assert!((number(&recommendations["worst_net_return_bps"]) + 14.0).abs() < 1e-9);
    assert_eq!(
        (&record["waiting"], &record["without_outcome"]),
        (&0.into(), &1.into())
    );
    assert!(record["disclaimer"].as_str().unwrap().len() > 20);

    let own = record["models"].as_array().unwrap();
    assert_eq!(own.len(), 2);
    assert_eq!(own[0]["model_id"], models[0].to_string());
    assert_eq!(
        [&own[0]["predictions"], &own[0]["hits"]],
        [&json!(5), &json!(3)]
    );
    assert_eq!(
        [&own[0]["calls"], &own[0]["losing_calls"]],
        [&json!(4), &json!(1)]
    );
    let log_loss =
        -(0.6_f64.ln() + 0.2_f64.ln() + 0.55_f64.ln() + 0.25_f64.ln() + 0.5_f64.ln()) / 5.0;
    assert!((number(&own[0]["log_loss"]) - log_loss).abs() < 1e-6);
    let bins: u64 = own[0]["calibration"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bin| bin["predictions"].as_u64().unwrap())
        .sum();
    assert_eq!(bins, 5);
    assert_eq!(own[1]["kind"], "transformer");
    assert!(own[1]["champion_since"].is_string());

    let (status, wrong) = service.get("/track-record?days=0").await;
    assert_eq!(
        (status, &wrong["error"]["code"]),
        (400, &"bad_parameter".into())
    );
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn drift_is_shown_with_its_history_and_what_was_done(pool: PgPool) {
    let service = Service::start(&pool, &["AAPL"]).await;
    let (status, empty) = service.get("/drift").await;
    assert_eq!(status, 200, "{empty}");
    assert_eq!(
        empty["lstm"],
        json!({"newest": null, "report": null, "episode": null, "history": []})
    );

    let report = |at: &str, state, action: &str| DriftReport {
        model_id: ModelId::parse("lstm-1").unwrap(),
        kind: ModelKind::Lstm,
        session: "2018-03-26".parse().unwrap(),
        as_of: time(at),
        state,
        action: action.to_owned(),
        report: json!({"measured": "critical", "findings": [{"check": "outcomes"}]}),
    };
    let reports = [
        report("2018-03-26T18:00:00Z", DriftState::Degraded, ""),
        report(
            "2018-03-26T18:30:00Z",
            DriftState::Critical,
            "A training is requested.",
        ),
    ];
    for report in &reports {
        storage::store_drift_report(&pool, report).await.unwrap();
    }
    let at = time("2018-03-26T18:30:00Z");
    let episode = storage::begin_drift_episode(&pool, ModelKind::Lstm, &reports[0].model_id, at);
    let action = EpisodeAction::RetrainingRequested;
    let episode = episode.await.unwrap().unwrap();
    storage::claim_episode_action(&pool, episode, action, at)
        .await
        .unwrap();

    let (_, answer) = service.get("/drift").await;
    assert_eq!(
        answer["lstm"]["newest"],
        json!({
            "model_id": "lstm-1", "as_of": "2018-03-26T18:30:00Z", "session": "2018-03-26", "state": "critical",
            "action": "A training is requested."
        })
    );
    assert_eq!(answer["lstm"]["report"]["findings"][0]["check"], "outcomes");
    assert_eq!(answer["lstm"]["history"][1]["state"], "degraded");
    assert_eq!(
        answer["lstm"]["episode"],
        json!({
            "model_id": "lstm-1", "began_at": "2018-03-26T18:30:00Z", "ended_at": null,
            "action": "retraining_requested", "acted_at": "2018-03-26T18:30:00Z", "retrained_at": null
        })
    );
    assert_eq!(answer["transformer"]["newest"], Value::Null);
    let (_, one) = service.get("/drift?limit=1").await;
    assert_eq!(one["lstm"]["history"].as_array().unwrap().len(), 1);
    service.stop().await;
}
