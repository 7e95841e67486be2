//! What a signal says of itself, and of how its like have fared.

use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Action, BaseRates, Class, Decision, Direction, ModelDecision, ModelDecisions, ModelId,
    ModelKind, Prediction, Probabilities, Recommendation,
};
use inference::testing::{artifact, random_weights};
use model_registry::{ChampionsFile, write_artifact};
use serde_json::{Value, json};
use storage::{Outcome, PgPool};
use tflite_export::NetworkWeights;

use crate::{
    live::{WARM, day},
    support::{Service, commit, commit_all, minutes, model_config, ticker, walk},
};

const SETTINGS_OF_LABELS: Value = Value::Null;

/// Makes champions of two models that say the same of every window: probably a rise.
fn promote_bulls(folder: &Path) -> [ModelId; 2] {
    let file = ChampionsFile::new(model_config(folder));
    ModelKind::ALL.map(|kind| {
        let mut weights = random_weights(kind, 3);
        let head = match &mut weights {
            NetworkWeights::Lstm(lstm) => &mut lstm.head,
            NetworkWeights::Transformer(transformer) => &mut transformer.head,
        };
        head.weight.fill(0.0);
        head.bias = [0.2, 0.3, 0.5_f32].map(f32::ln).to_vec();
        let artifact = artifact(&weights, 3).unwrap();
        let (model_id, at) = (
            artifact.manifest.model_id.clone(),
            artifact.manifest.created_at,
        );
        assert_eq!(artifact.manifest.labels, SETTINGS_OF_LABELS);
        write_artifact(&folder.join("models"), artifact.manifest, &artifact.tflite).unwrap();
        file.promote(kind, model_id.clone(), at, "says what a test wants")
            .unwrap();
        model_id
    })
}

/// The name of the label settings of [`promote_bulls`].
fn label_settings() -> String {
    model_registry::checksum(SETTINGS_OF_LABELS.to_string().as_bytes())
}

/// Stores buys of these models that came to an end as they were told, one every ten minutes on a session of this
/// week or the one before.
async fn follow(
    pool: &PgPool,
    models: &[ModelId; 2],
    symbol: &str,
    (first, count): (i64, i64),
    (label, gross_return): (Class, f64),
) {
    let session = calendar::nyse()
        .previous_session(Utc::now().date_naive() - TimeDelta::days(5))
        .unwrap();
    let mut outcomes = Vec::new();
    for number in first..first + count {
        let bar_start = session.open + TimeDelta::minutes(10 * number);
        let predictions: Vec<Prediction> = ModelKind::ALL
            .into_iter()
            .zip(models)
            .map(|(kind, model_id)| Prediction {
                ticker: ticker(symbol),
                bar_start,
                kind,
                model_id: model_id.clone(),
                probabilities: Probabilities::new([0.2, 0.3, 0.5]).unwrap(),
            })
            .collect();
        let as_of = bar_start + TimeDelta::seconds(61);
        let recommendation = Recommendation::new(ticker(symbol), bar_start, decision(as_of), None);
        assert_eq!(recommendation.action, Action::Buy);
        storage::store_analyses(pool, as_of, &predictions, &[recommendation])
            .await
            .unwrap();
        outcomes.push(Outcome {
            ticker: ticker(symbol),
            bar_start,
            label,
            gross_return,
            first_touch: bar_start + TimeDelta::minutes(10),
        });
    }
    let resolved_at = session.close + TimeDelta::hours(1);
    storage::store_outcomes(pool, &outcomes, &label_settings(), resolved_at)
        .await
        .unwrap();
}

fn decision(as_of: DateTime<Utc>) -> Decision {
    let model = ModelDecision {
        coverage: Some(0.8),
        possible: Some(vec![Class::Up]),
        base_rate: Some(BaseRates {
            down: 0.3,
            neutral: 0.4,
            up: 0.3,
        }),
        lean: Some(Direction::Up),
        expected_bps: Some(12.0),
    };
    Decision {
        horizon_minutes: 30,
        expires_at: as_of + TimeDelta::minutes(30),
        models: ModelDecisions {
            lstm: model.clone(),
            transformer: model,
        },
        expected_bps: Some(8.0),
        expected_bps_lower: Some(6.0),
        cost_bps: 4.0,
        blocked_by: None,
    }
}

fn names(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_signal_says_what_it_follows_from(pool: PgPool) {
    let bars = walk(1, &minutes(WARM, day(26)));
    commit(&pool, "AAPL", &bars).await;
    let folder = tempfile::tempdir().unwrap();
    promote_bulls(folder.path());
    let service = Service::start_in(folder, &pool, &["AAPL"]).await;
    let is_analysed = |answer: &Value| !answer["stocks"][0]["analysis"].is_null();
    let answer = service.wait_for("/stocks", is_analysed).await;
    let recommendation = &answer["stocks"][0]["analysis"]["recommendation"];
    assert_eq!(
        names(recommendation),
        [
            "abstained",
            "action",
            "decision",
            "disclaimer",
            "reason",
            "standing"
        ]
    );
    assert_eq!(
        (&recommendation["action"], &recommendation["abstained"]),
        (&json!("buy"), &json!(false))
    );
    let decision = &recommendation["decision"];
    assert_eq!(
        names(decision),
        [
            "blocked_by",
            "cost_bps",
            "expected_bps",
            "expected_bps_lower",
            "expires_at",
            "headline",
            "horizon_minutes",
            "models"
        ]
    );
    assert_eq!(decision["headline"], "Both models rule out a fall");
    assert_eq!(
        [
            &decision["blocked_by"],
            &decision["cost_bps"],
            &decision["horizon_minutes"]
        ],
        [&Value::Null, &json!(4.0), &json!(30)]
    );
    let number = |value: &Value| value.as_f64().unwrap();
    let lower = number(&decision["expected_bps_lower"]);
    assert!(
        lower > 0.0 && number(&decision["expected_bps"]) > lower,
        "{decision}"
    );
    assert_eq!(names(&decision["models"]), ["lstm", "transformer"]);
    for model in ["lstm", "transformer"] {
        let model = &decision["models"][model];
        assert_eq!(
            names(model),
            ["base_rate", "coverage", "expected_bps", "lean", "possible"]
        );
        assert_eq!(
            [&model["coverage"], &model["lean"], &model["possible"]],
            [&json!(0.8), &json!("up"), &json!(["up"])]
        );
        assert_eq!(names(&model["base_rate"]), ["down", "neutral", "up"]);
        assert!((number(&model["base_rate"]["up"]) - 1.0 / 3.0).abs() < 1e-9);
        let expected = number(&model["expected_bps"]);
        assert!((expected - 4.0 - number(&decision["expected_bps"])).abs() < 1e-3);
    }
    // The last bar of a session: the minutes of trading go on with the next one.
    assert_eq!(decision["expires_at"], "2018-03-27T14:00:00Z");
    let reason = recommendation["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("Both models lean to a rise and rule out a fall at 80 % coverage."),
        "{reason}"
    );
    // Nobody has followed it yet.
    assert_eq!(
        recommendation["standing"],
        json!({
            "state": "unproven", "bets": 0, "days": 0, "hit_rate": null, "mean_net_bps": null, "lower_bps": null,
            "upper_bps": null, "since": null, "sentence": "What comes of its signals is not known yet."
        })
    );
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_losing_rule_says_so_until_it_has_recovered(pool: PgPool) {
    let starts = minutes(WARM, day(26));
    let known = starts.len() - 10;
    let [aapl, msft] = [walk(1, &starts), walk(2, &starts)];
    commit_all(&pool, &[("AAPL", &aapl[..known]), ("MSFT", &msft[..known])]).await;
    let folder = tempfile::tempdir().unwrap();
    let models = promote_bulls(folder.path());
    for symbol in ["AAPL", "MSFT"] {
        follow(&pool, &models, symbol, (0, 26), (Class::Down, -0.002)).await;
    }
    let service = Service::start_in(folder, &pool, &["AAPL", "MSFT"]).await;
    let has_state = |state: &'static str| {
        move |answer: &Value| {
            let recommendation = &answer["stocks"][0]["analysis"]["recommendation"];
            recommendation["standing"]["state"] == state
        }
    };
    let losing = service.wait_for("/stocks", has_state("losing")).await;
    let recommendation = &losing["stocks"][0]["analysis"]["recommendation"];
    assert_eq!(
        recommendation["action"], "buy",
        "the rule says what it said"
    );
    assert_eq!(
        recommendation["decision"]["headline"],
        "No recommendation: buys are losing"
    );
    let sentence = "52 bets on 1 day: 0 % hit, -24.0 bp each after costs.";
    let standing = &recommendation["standing"];
    assert_eq!(
        [&standing["bets"], &standing["days"], &standing["sentence"]],
        [&json!(52), &json!(1), &json!(sentence)]
    );
    let reason = recommendation["reason"].as_str().unwrap();
    assert!(
        reason.ends_with(&format!(
            " It is no recommendation while its rule is losing: {sentence}"
        )),
        "{reason}"
    );
    let (_, record) = service.get("/track-record").await;
    assert_eq!(record["standing"]["buy"], *standing);
    assert_eq!(record["standing"]["sell"]["bets"], 0);
    assert_eq!(record["recommendations"]["count"], 52);

    // What is stored is the standing of then.
    let (mut socket, _) = service.socket().await;
    commit(&pool, "AAPL", &aapl[known..=known]).await;
    let analysis = socket.next_of("analysis", "AAPL").await;
    assert_eq!(analysis["recommendation"]["standing"], *standing);
    let page = "/stocks/AAPL/predictions?limit=100";
    // Those that were followed are of later years.
    let of = |answer: &Value, analysis: &Value| {
        let rows = answer["predictions"].as_array().unwrap();
        let own = rows
            .iter()
            .find(|row| row["bar_time"] == analysis["bar"]["time"]);
        own.map(|row| row["recommendation"].clone())
    };
    let stored = service
        .wait_for(page, |answer| of(answer, &analysis).is_some())
        .await;
    let of_then = of(&stored, &analysis).unwrap();
    for field in ["action", "reason", "abstained"] {
        assert_eq!(of_then[field], analysis["recommendation"][field]);
    }
    assert_eq!(
        [
            &of_then["standing"]["sentence"],
            &of_then["decision"]["headline"],
            &of_then["decision"]["models"]["lstm"]["possible"],
        ],
        [
            &json!(sentence),
            &json!("No recommendation: buys are losing"),
            &json!(["up"])
        ]
    );

    // After a restart it is losing still, though nothing new was decided.
    let folder = service.stop().await;
    let service = Service::start_in(folder, &pool, &["AAPL", "MSFT"]).await;
    service.wait_for("/stocks", has_state("losing")).await;

    // New outcomes are told beside the newest analysis, without a new bar.
    let (mut socket, _) = service.socket().await;
    for symbol in ["AAPL", "MSFT"] {
        follow(&pool, &models, symbol, (26, 12), (Class::Up, 0.01)).await;
    }
    let again = loop {
        let analysis = socket.next_of("analysis", "AAPL").await;
        if analysis["recommendation"]["standing"]["bets"] == 76 {
            break analysis;
        }
    };
    assert_eq!(again["bar"]["time"], analysis["bar"]["time"]);
    let recommendation = &again["recommendation"];
    // 52 bets of -24 bp, 24 of 96: the mean is above zero again.
    assert_eq!(recommendation["standing"]["state"], "unproven");
    assert_eq!(
        recommendation["decision"]["headline"],
        "Both models rule out a fall"
    );
    let (_, stored) = service.get(page).await;
    let of_then = of(&stored, &analysis).unwrap();
    assert_eq!(of_then["standing"]["state"], "losing");
    service.stop().await;
}
