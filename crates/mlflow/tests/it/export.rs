use domain::ModelKind;
use mlflow::{Exported, Mlflow, export};
use model_registry::{ChampionsFile, artifact_dir};
use serde_json::{Value, json};
use storage::{ValidationReport, ValidationVerdict};

use crate::{id, server::Server, settings, time, write_model};

fn validation(
    challenger: &str,
    night: &str,
    gain: f64,
    verdict: ValidationVerdict,
) -> ValidationReport {
    let compared = json!({
        "champion": { "scores": { "log_loss": 1.03 } },
        "challenger": { "scores": { "log_loss": 1.03 - gain } },
        "log_loss_gain": { "mean": gain, "bounds": { "known": { "lower": gain - 0.01 } } },
    });
    ValidationReport {
        run_id: None,
        night: night.parse().unwrap(),
        kind: ModelKind::Lstm,
        champion: Some(id("lstm-1")),
        challenger: id(challenger),
        verdict,
        report: json!({ "kind": "lstm", "outcome": { "compared": compared } }),
        created_at: time(&format!("{night}T23:00:00Z")),
    }
}

/// The values of an array of objects with `key` and `value`, by key.
fn pairs(run: &Value, what: &str) -> serde_json::Map<String, Value> {
    let pairs = run["data"][what].as_array().cloned().unwrap_or_default();
    pairs
        .into_iter()
        .map(|pair| {
            (
                pair["key"].as_str().unwrap().to_owned(),
                pair["value"].clone(),
            )
        })
        .collect()
}

async fn runs(server: &Server) -> Vec<Value> {
    let experiment = server
        .get("experiments/get-by-name?experiment_name=tandem")
        .await;
    let body = json!({ "experiment_ids": [experiment["experiment"]["experiment_id"]] });
    let answer = server.post("runs/search", &body).await;
    answer["runs"].as_array().unwrap().clone()
}

fn run_of<'a>(runs: &'a [Value], model_id: &str) -> &'a Value {
    let mut own = runs
        .iter()
        .filter(|run| pairs(run, "tags")["tandem.model_id"] == model_id);
    let run = own.next().unwrap();
    assert!(own.next().is_none(), "{model_id} has one run");
    run
}

async fn champion(server: &Server, model: &str) -> Value {
    let version = server
        .get(&format!(
            "registered-models/alias?name={model}&alias=champion"
        ))
        .await;
    let run_id = version["model_version"]["run_id"].clone();
    let runs = runs(server).await;
    let run = runs.iter().find(|run| run["info"]["run_id"] == run_id);
    run.map_or(Value::Null, |run| {
        pairs(run, "tags")["tandem.model_id"].clone()
    })
}

#[tokio::test]
async fn models_are_shown_once_with_all_that_belongs_to_them() {
    let Some(server) = Server::start().await else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let models_dir = folder.path().join("models");
    let file = ChampionsFile::new(folder.path().join("model_config.json"));
    let promote = |kind, model: &str| {
        file.promote(kind, id(model), time("2018-03-26T23:00:00Z"), "test")
            .unwrap();
        file.read().unwrap()
    };
    write_model(&models_dir, ModelKind::Lstm, "lstm-1", b"network one");
    write_model(&models_dir, ModelKind::Lstm, "lstm-2", b"network two");
    write_model(
        &models_dir,
        ModelKind::Transformer,
        "transformer-1",
        b"network three",
    );
    promote(ModelKind::Lstm, "lstm-1");
    let champions = promote(ModelKind::Transformer, "transformer-1");
    let mlflow = Mlflow::new(settings(&server.address)).unwrap();

    // Only the one that a person names; the other kind's champion is not there to be named.
    let first = export(&mlflow, &models_dir, &champions, &[], Some(&id("lstm-1")))
        .await
        .unwrap();
    assert_eq!((first.new, first.known), (vec![id("lstm-1")], 0));
    assert_eq!(runs(&server).await.len(), 1);
    assert_eq!(champion(&server, "tandem-lstm").await, "lstm-1");
    assert_eq!(champion(&server, "tandem-transformer").await, Value::Null);

    let monday = validation("lstm-2", "2018-03-26", 0.01, ValidationVerdict::CannotTell);
    let reports = [monday.clone()];
    let second = export(&mlflow, &models_dir, &champions, &reports, None)
        .await
        .unwrap();
    assert_eq!(second.known, 1);
    assert_eq!(second.new, [id("lstm-2"), id("transformer-1")]);
    assert_eq!(
        champion(&server, "tandem-transformer").await,
        "transformer-1"
    );

    let all = runs(&server).await;
    let run = run_of(&all, "lstm-2");
    assert_eq!(run["info"]["status"], "FINISHED");
    assert_eq!(run["info"]["run_name"], "lstm-2");
    let parameters = pairs(run, "params");
    for (name, value) in [
        ("epochs", "2"),
        ("lstm.hidden", "16"),
        ("schedule", "cosine"),
        ("labels.horizon", "30"),
        ("seed", "7"),
        ("window", "60"),
    ] {
        assert_eq!(parameters[name], value, "{parameters:?}");
    }
    let metrics = pairs(run, "metrics");
    assert_eq!(metrics["training.early_stopping.log_loss"], 1.02);
    assert_eq!(metrics["training.early_stopping.prior_log_loss"], 1.05);
    assert_eq!(metrics["validation.gain"], 0.01);
    assert_eq!(metrics["validation.gain_lower_bound"], 0.0);
    assert_eq!(metrics["validation.champion_log_loss"], 1.03);
    let tags = pairs(run, "tags");
    assert_eq!(tags["tandem.verdict"], "cannot_tell");
    assert_eq!(
        (&tags["tandem.kind"], &tags["tandem.data_fingerprint"]),
        (&json!("lstm"), &json!("def"))
    );
    assert_eq!(tags["mlflow.source.git.commit"], "abc1234");
    let run_id = run["info"]["run_id"].as_str().unwrap();
    let path = format!("metrics/get-history?run_id={run_id}&metric_key=epoch.training_loss");
    let history = server.get(&path).await;
    let steps: Vec<_> = history["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|metric| {
            (
                metric["step"].as_i64().unwrap(),
                metric["value"].as_f64().unwrap(),
            )
        })
        .collect();
    assert_eq!(steps, [(1, 1.1), (2, 1.0)]);
    assert_eq!(server.artifact(run, "model.tflite").await, b"network two");
    let manifest = artifact_dir(&models_dir, ModelKind::Lstm, &id("lstm-2")).join("model.json");
    assert_eq!(
        server.artifact(run, "model.json").await,
        std::fs::read(manifest).unwrap()
    );

    // The same again is no change; another night and another champion are.
    let again = export(&mlflow, &models_dir, &champions, &reports, None)
        .await
        .unwrap();
    assert_eq!(
        again,
        Exported {
            known: 3,
            ..Exported::default()
        }
    );
    let champions = promote(ModelKind::Lstm, "lstm-2");
    let tuesday = validation("lstm-2", "2018-03-27", 0.02, ValidationVerdict::Wins);
    export(&mlflow, &models_dir, &champions, &[tuesday, monday], None)
        .await
        .unwrap();
    assert_eq!(champion(&server, "tandem-lstm").await, "lstm-2");
    let all = runs(&server).await;
    assert_eq!(all.len(), 3);
    assert_eq!(
        pairs(run_of(&all, "lstm-2"), "tags")["tandem.verdict"],
        "wins"
    );
    let path = format!("metrics/get-history?run_id={run_id}&metric_key=validation.gain");
    let gains = server.get(&path).await;
    assert_eq!(gains["metrics"].as_array().unwrap().len(), 2, "{gains}");
    let versions = server
        .get("model-versions/search?filter=name%3D'tandem-lstm'")
        .await;
    assert_eq!(
        versions["model_versions"].as_array().unwrap().len(),
        2,
        "{versions}"
    );
}

#[tokio::test]
async fn what_was_interrupted_is_completed_and_what_is_broken_left_out() {
    let Some(server) = Server::start().await else {
        return;
    };
    let models_dir = tempfile::tempdir().unwrap();
    let models_dir = models_dir.path();
    let file = ChampionsFile::new(models_dir.join("model_config.json"));
    let champions = file.read().unwrap();
    write_model(models_dir, ModelKind::Lstm, "lstm-1", b"network one");
    write_model(models_dir, ModelKind::Lstm, "lstm-2", b"network two");
    let broken = artifact_dir(models_dir, ModelKind::Lstm, &id("lstm-2")).join("model.tflite");
    std::fs::write(broken, b"network").unwrap();
    // As an export leaves it that was killed after its first step.
    let experiment = server
        .post("experiments/create", &json!({ "name": "tandem" }))
        .await;
    let tag = json!({ "key": "tandem.model_id", "value": "lstm-1" });
    let body = json!({ "experiment_id": experiment["experiment_id"], "tags": [tag] });
    server.post("runs/create", &body).await;

    let mlflow = Mlflow::new(settings(&server.address)).unwrap();
    let exported = export(&mlflow, models_dir, &champions, &[], None)
        .await
        .unwrap();
    assert_eq!(
        (exported.new, exported.broken),
        (vec![id("lstm-1")], vec![id("lstm-2")])
    );
    let all = runs(&server).await;
    assert_eq!(all.len(), 1);
    assert_eq!(run_of(&all, "lstm-1")["info"]["status"], "FINISHED");
    assert_eq!(
        server.artifact(&all[0], "model.tflite").await,
        b"network one"
    );
    assert_eq!(
        champion(&server, "tandem-lstm").await,
        Value::Null,
        "there is no champion"
    );

    // In the server's bin nothing new can be put.
    let body = json!({ "experiment_id": experiment["experiment_id"] });
    server.post("experiments/delete", &body).await;
    let error = export(&mlflow, models_dir, &champions, &[], None)
        .await
        .unwrap_err();
    assert!(!error.is_retryable());
    assert!(error.to_string().contains("tandem was deleted"), "{error}");
}
