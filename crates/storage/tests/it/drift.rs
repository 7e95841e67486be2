use domain::{ModelId, ModelKind};
use storage::{
    DriftReport, DriftState, EpisodeAction, PgPool, begin_drift_episode, claim_episode_action,
    end_drift_episode, newest_drift_episode, recent_drift_reports, store_drift_report,
};

use crate::{date, time};

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn reports_come_back_newest_first(pool: PgPool) {
    let report = |kind, model: &str, as_of: &str, state| DriftReport {
        model_id: ModelId::parse(model).unwrap(),
        kind,
        session: date("2018-03-26"),
        as_of: time(as_of),
        state,
        action: String::new(),
        report: serde_json::json!({ "psi": 0.31 }),
    };
    let (lstm, transformer) = (ModelKind::Lstm, ModelKind::Transformer);
    let reports = [
        report(lstm, "lstm-1", "2018-03-26T15:00:00Z", DriftState::Healthy),
        report(
            transformer,
            "t-1",
            "2018-03-26T15:00:00Z",
            DriftState::Degraded,
        ),
        report(lstm, "lstm-1", "2018-03-26T16:00:00Z", DriftState::Critical),
    ];
    for row in &reports {
        assert!(store_drift_report(&pool, row).await.unwrap());
    }
    let again = DriftReport {
        state: DriftState::Healthy,
        ..reports[2].clone()
    };
    assert!(!store_drift_report(&pool, &again).await.unwrap());
    let all = recent_drift_reports(&pool, None, None, 9).await.unwrap();
    assert_eq!(
        all,
        [reports[2].clone(), reports[1].clone(), reports[0].clone()]
    );
    let before = Some(time("2018-03-26T16:00:00Z"));
    let page = recent_drift_reports(&pool, Some(lstm), before, 1)
        .await
        .unwrap();
    assert_eq!(page, reports[..1]);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_episode_is_acted_on_once(pool: PgPool) {
    let kind = ModelKind::Lstm;
    let (first, second) = (
        ModelId::parse("lstm-2").unwrap(),
        ModelId::parse("lstm-1").unwrap(),
    );
    let at = |text: &str| time(&format!("2018-03-26T{text}:00Z"));
    assert_eq!(newest_drift_episode(&pool, kind).await.unwrap(), None);
    let begin = async |model, when| {
        begin_drift_episode(&pool, kind, model, at(when))
            .await
            .unwrap()
    };
    let episode = begin(&first, "15:00").await.unwrap();
    assert_eq!(
        begin(&second, "15:05").await,
        None,
        "one episode of a kind at a time, also after its model was replaced"
    );
    let act = async |action, when| {
        claim_episode_action(&pool, episode, action, at(when))
            .await
            .unwrap()
    };
    assert!(act(EpisodeAction::RolledBack, "15:10").await);
    assert!(!act(EpisodeAction::RolledBack, "15:11").await);
    assert!(!act(EpisodeAction::RetrainingRequested, "15:12").await);
    end_drift_episode(&pool, kind, at("16:00")).await.unwrap();
    end_drift_episode(&pool, kind, at("17:00")).await.unwrap();
    let over = newest_drift_episode(&pool, kind).await.unwrap().unwrap();
    assert_eq!(over.model_id, first);
    assert_eq!(over.ended_at, Some(at("16:00")));
    assert_eq!(over.action, Some((EpisodeAction::RolledBack, at("15:10"))));
    let next = begin(&second, "18:00").await.unwrap();
    assert_ne!(next, episode);
    // Another kind has its own.
    let other = begin_drift_episode(&pool, ModelKind::Transformer, &first, at("18:00"))
        .await
        .unwrap();
    assert!(other.is_some());
}
