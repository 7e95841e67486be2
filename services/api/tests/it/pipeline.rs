//! What the nights did.

use domain::{ModelId, ModelKind};
use serde_json::json;
use storage::{
    NightLock, PgPool, PipelineState, ValidationReport, ValidationVerdict, Worker,
    store_validation_report,
};

use crate::support::{Service, ticker, time};

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_nights_are_shown_step_by_step_and_stock_by_stock(pool: PgPool) {
    let lock = NightLock::take(&pool).await.unwrap().unwrap();
    let worker = Worker {
        host: "here".to_owned(),
        pid: 17,
    };
    let at = time("2018-03-27T05:30:00Z");
    let night = |text: &str| text.parse().unwrap();
    let begin = async |date: &str| {
        storage::begin_run(&pool, &lock, night(date), &["gaps", "train"], &worker, at)
            .await
            .unwrap()
            .run_id
    };
    let old = begin("2018-03-23").await;
    storage::finish_run(&pool, old, PipelineState::Failed, at)
        .await
        .unwrap();
    let run_id = begin("2018-03-26").await;
    storage::start_step(&pool, run_id, "gaps", at)
        .await
        .unwrap();
    let (state, symbol) = (PipelineState::Failed, ticker("AAPL"));
    storage::record_step_ticker(&pool, run_id, "gaps", &symbol, state, "429", at)
        .await
        .unwrap();
    let retry_at = time("2018-03-27T05:31:00Z");
    let state = PipelineState::Pending;
    storage::finish_step(&pool, run_id, "gaps", state, "429", at, Some(retry_at))
        .await
        .unwrap();

    let service = Service::start(&pool, &["AAPL"]).await;
    let (status, all) = service.get("/pipeline/runs").await;
    assert_eq!(status, 200, "{all}");
    assert_eq!(all["runs"][1]["state"], "FAILED");
    assert_eq!(
        all["runs"][0],
        json!({
            "run_id": run_id,
            "night": "2018-03-26",
            "state": "RUNNING",
            "abandoned": false,
            "started_at": "2018-03-27T05:30:00Z",
            "ended_at": null,
            "steps": [
                {
                    "step": "gaps",
                    "state": "PENDING",
                    "attempts": 1,
                    "started_at": "2018-03-27T05:30:00Z",
                    "ended_at": "2018-03-27T05:30:00Z",
                    "message": "429",
                    "next_attempt_at": "2018-03-27T05:31:00Z",
                    "tickers": [{
                        "ticker": "AAPL",
                        "state": "FAILED",
                        "attempts": 1,
                        "ended_at": "2018-03-27T05:30:00Z",
                        "message": "429",
                    }],
                },
                {
                    "step": "train",
                    "state": "PENDING",
                    "attempts": 0,
                    "started_at": null,
                    "ended_at": null,
                    "message": "",
                    "next_attempt_at": null,
                    "tickers": [],
                },
            ],
        })
    );
    let (_, newest) = service.get("/pipeline/runs?limit=1").await;
    assert_eq!(newest["runs"].as_array().unwrap().len(), 1);
    assert_eq!(service.get("/pipeline/runs?limit=0").await.0, 400);
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_comparisons_are_shown_with_what_they_say(pool: PgPool) {
    let model = |text: &str| ModelId::parse(text).unwrap();
    let report = |kind, challenger: &str| ValidationReport {
        run_id: None,
        night: "2018-03-26".parse().unwrap(),
        kind,
        champion: Some(model("champion-1")),
        challenger: model(challenger),
        verdict: ValidationVerdict::CannotTell,
        report: json!({ "statement": "Too few days.", "dry_run": true, "outcome": {} }),
        created_at: time("2018-03-27T06:00:00Z"),
    };
    let mut refused = report(ModelKind::Transformer, "transformer-2");
    (refused.verdict, refused.champion) = (ValidationVerdict::Refused, None);
    refused.report = json!({});
    for report in [report(ModelKind::Lstm, "lstm-2"), refused] {
        store_validation_report(&pool, &report).await.unwrap();
    }
    let service = Service::start(&pool, &["AAPL"]).await;
    let (status, all) = service.get("/validation").await;
    assert_eq!(status, 200, "{all}");
    let names: Vec<_> = all["reports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|report| {
            (
                &report["challenger"],
                &report["champion"],
                &report["verdict"],
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            (&json!("transformer-2"), &json!(null), &json!("refused")),
            (
                &json!("lstm-2"),
                &json!("champion-1"),
                &json!("cannot_tell")
            ),
        ]
    );
    let (_, one) = service.get("/validation?kind=lstm&limit=1").await;
    assert_eq!(
        one["reports"],
        json!([{
            "run_id": null,
            "night": "2018-03-26",
            "kind": "lstm",
            "champion": "champion-1",
            "challenger": "lstm-2",
            "verdict": "cannot_tell",
            "statement": "Too few days.",
            "dry_run": true,
            "created_at": "2018-03-27T06:00:00Z",
        }])
    );
    for wrong in ["limit=0", "kind=gru", "night=2018-03-26"] {
        let (status, answer) = service.get(&format!("/validation?{wrong}")).await;
        assert_eq!(status, 400, "{answer}");
    }
    service.stop().await;
}
