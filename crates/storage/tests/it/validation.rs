use domain::{Class, ModelId, ModelKind, Probabilities};
use storage::{
    ModelEvent, ModelEventKind, PgPool, ValidationPrediction, ValidationReport, ValidationVerdict,
    count_trials, keep_validation_predictions_of, recent_validation_reports, record_model_event,
    store_validation_predictions, store_validation_report, validation_predictions,
    validation_reports_of_run,
};

use crate::{date, ticker, time};

fn model(text: &str) -> ModelId {
    ModelId::parse(text).unwrap()
}

fn said(model_id: &str, symbol: &str, start: &str, up: f32) -> ValidationPrediction {
    ValidationPrediction {
        model_id: model(model_id),
        ticker: ticker(symbol),
        bar_start: time(start),
        probabilities: Probabilities::new([0.25, 0.75 - up, up]).unwrap(),
        label: Class::Up,
        gross_return: 0.0012,
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn predictions_of_all_nights_accumulate_and_once_is_enough(pool: PgPool) {
    let (first, second) = ("2018-03-26T14:00:00Z", "2018-03-27T14:00:00Z");
    let rows = [
        said("lstm-1", "AAPL", first, 0.5),
        said("lstm-1", "MSFT", first, 0.25),
        said("lstm-1", "AAPL", second, 0.5),
        said("lstm-2", "AAPL", second, 0.125),
    ];
    let night = time("2018-03-28T05:00:00Z");
    for _ in 0..2 {
        store_validation_predictions(&pool, &rows, "barriers-1", night)
            .await
            .unwrap();
    }
    let (from, to) = (time("2018-03-26T00:00:00Z"), time("2018-03-28T00:00:00Z"));
    let (champion, challenger) = (model("lstm-1"), model("lstm-2"));
    let read = async |models: &[&ModelId], settings, from| {
        validation_predictions(&pool, models, settings, from, to)
            .await
            .unwrap()
    };
    assert_eq!(
        read(&[&champion, &challenger], "barriers-1", from).await,
        rows
    );
    assert_eq!(
        read(&[&champion], "barriers-1", time(second)).await,
        rows[2..3]
    );
    assert_eq!(
        read(&[&champion], "barriers-2", from).await,
        [],
        "other barriers do not compare"
    );

    // The later of two counts, in one call and from one call to the next.
    let mut again = said("lstm-2", "AAPL", second, 0.375);
    again.label = Class::Neutral;
    again.gross_return = -0.0001;
    let twice = [said("lstm-2", "AAPL", second, 0.25), again.clone()];
    store_validation_predictions(&pool, &twice, "barriers-1", night)
        .await
        .unwrap();
    assert_eq!(
        read(&[&challenger], "barriers-1", from).await,
        [again.clone()]
    );

    // The champion's artifact is gone.
    let removed = keep_validation_predictions_of(&pool, std::slice::from_ref(&challenger)).await;
    assert_eq!(removed.unwrap(), 3);
    let left = read(&[&champion, &challenger], "barriers-1", from).await;
    assert_eq!(left, [again]);

    let mut bad = said("lstm-3", "AAPL", second, 0.5);
    bad.gross_return = f64::NAN;
    store_validation_predictions(&pool, &[bad], "barriers-1", night)
        .await
        .unwrap_err();
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn reports_come_back_newest_first_and_trials_are_counted(pool: PgPool) {
    let report = |kind, champion: Option<&str>, challenger: &str, verdict| ValidationReport {
        run_id: None,
        night: date("2018-03-26"),
        kind,
        champion: champion.map(model),
        challenger: model(challenger),
        verdict,
        report: serde_json::json!({ "sessions": 5, "gain": { "lower": -0.002 } }),
        created_at: time("2018-03-27T06:00:00Z"),
    };
    let reports = [
        report(ModelKind::Lstm, None, "lstm-1", ValidationVerdict::First),
        report(
            ModelKind::Transformer,
            Some("t-1"),
            "t-2",
            ValidationVerdict::Wins,
        ),
        report(
            ModelKind::Lstm,
            Some("lstm-1"),
            "lstm-2",
            ValidationVerdict::CannotTell,
        ),
        report(
            ModelKind::Lstm,
            Some("lstm-1"),
            "lstm-3",
            ValidationVerdict::Refused,
        ),
    ];
    for report in &reports {
        store_validation_report(&pool, report).await.unwrap();
    }
    let newest = recent_validation_reports(&pool, None, 2).await.unwrap();
    assert_eq!(newest, [reports[3].clone(), reports[2].clone()]);
    let transformers = recent_validation_reports(&pool, Some(ModelKind::Transformer), 9)
        .await
        .unwrap();
    assert_eq!(transformers, reports[1..2]);
    assert_eq!(validation_reports_of_run(&pool, 1).await.unwrap(), []);

    let trained = |kind, id: &str, at: &str| ModelEvent {
        event_time: time(at),
        kind,
        event: ModelEventKind::Trained,
        model_id: model(id),
        previous_model_id: None,
        reason: "trained".to_owned(),
    };
    for event in [
        trained(ModelKind::Lstm, "lstm-1", "2018-03-25T06:00:00Z"),
        trained(ModelKind::Lstm, "lstm-2", "2018-03-26T06:00:00Z"),
        trained(ModelKind::Lstm, "lstm-2", "2018-03-26T06:00:00Z"),
        trained(ModelKind::Lstm, "lstm-3", "2018-03-27T06:00:00Z"),
        trained(ModelKind::Transformer, "t-1", "2018-03-25T06:00:00Z"),
    ] {
        record_model_event(&pool, &event).await.unwrap();
    }
    let as_of = time("2018-03-26T12:00:00Z");
    let count = count_trials(&pool, ModelKind::Lstm, as_of).await.unwrap();
    assert_eq!(count, 2);
}
