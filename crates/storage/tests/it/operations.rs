use domain::{ModelId, ModelKind};
use storage::{
    ModelEvent, ModelEventKind, PgPool, QuarantineCount, RefusedRow, last_model_event, migrate,
    model_events_of, quarantine, quarantine_counts, recent_model_events, record_model_event,
};

use crate::{ticker, time};

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_fault_seen_again_counts_up(pool: PgPool) {
    let row = |event_time: Option<&str>, reason: &str| RefusedRow {
        source: "test",
        ticker: ticker("AAPL"),
        event_time: event_time.map(time),
        reason: reason.to_owned(),
        payload: serde_json::json!({ "open": null }),
    };
    let rows = [
        row(Some("2018-03-26T13:30:00Z"), "open: NaN is not a price"),
        row(Some("2018-03-26T13:30:00Z"), "open: NaN is not a price"),
        row(Some("2018-03-26T13:31:00Z"), "high 9 is below low 11"),
        row(None, "start is missing"),
    ];
    let (monday, tuesday) = (time("2018-03-26T14:00:00Z"), time("2018-03-27T14:00:00Z"));
    assert_eq!(quarantine(&pool, &rows, monday).await.unwrap(), 3);
    assert_eq!(quarantine(&pool, &rows, monday).await.unwrap(), 0);
    assert_eq!(quarantine(&pool, &rows[3..], tuesday).await.unwrap(), 0);
    let count = |rows, occurrences| QuarantineCount {
        ticker: ticker("AAPL"),
        rows,
        occurrences,
    };
    assert_eq!(
        quarantine_counts(&pool, monday).await.unwrap(),
        [count(3, 9)]
    );
    assert_eq!(
        quarantine_counts(&pool, tuesday).await.unwrap(),
        [count(1, 3)]
    );
    assert_eq!(quarantine(&pool, &[], tuesday).await.unwrap(), 0);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn model_events_come_back_newest_first(pool: PgPool) {
    let event = |kind, event, model: &str, previous: Option<&str>| ModelEvent {
        event_time: time("2018-03-26T22:00:00Z"),
        kind,
        event,
        model_id: ModelId::parse(model).unwrap(),
        previous_model_id: previous.map(|text| ModelId::parse(text).unwrap()),
        reason: "better by 0.01".to_owned(),
    };
    let trained = event(ModelKind::Lstm, ModelEventKind::Trained, "lstm-2", None);
    let promoted = event(
        ModelKind::Lstm,
        ModelEventKind::RolledBack,
        "lstm-2",
        Some("lstm-1"),
    );
    record_model_event(&pool, &trained).await.unwrap();
    record_model_event(&pool, &promoted).await.unwrap();
    assert_eq!(
        recent_model_events(&pool, 10).await.unwrap(),
        [promoted.clone(), trained.clone()]
    );
    let of = async |model: &str| {
        let model_id = ModelId::parse(model).unwrap();
        model_events_of(&pool, &model_id).await.unwrap()
    };
    assert_eq!(of("lstm-2").await, [trained, promoted]);
    assert_eq!(of("lstm-1").await, []);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn which_model_was_in_use_is_known_for_every_moment(pool: PgPool) {
    let loaded = |at: &str, kind, model: &str, event| ModelEvent {
        event_time: time(at),
        kind,
        event,
        model_id: ModelId::parse(model).unwrap(),
        previous_model_id: None,
        reason: "in use".to_owned(),
    };
    let (lstm, loads) = (ModelKind::Lstm, ModelEventKind::Loaded);
    for event in [
        loaded("2018-03-26T14:00:00Z", lstm, "lstm-1", loads),
        loaded("2018-03-27T14:00:00Z", lstm, "lstm-2", loads),
        // Neither another kind nor another sort of event counts.
        loaded(
            "2018-03-27T15:00:00Z",
            ModelKind::Transformer,
            "transformer-1",
            loads,
        ),
        loaded(
            "2018-03-27T15:00:00Z",
            lstm,
            "lstm-3",
            ModelEventKind::Refused,
        ),
    ] {
        record_model_event(&pool, &event).await.unwrap();
    }
    let at = async |text: &str| {
        let event = last_model_event(&pool, lstm, loads, time(text)).await;
        event.unwrap().map(|event| event.model_id.to_string())
    };
    assert_eq!(at("2018-03-26T13:59:59Z").await, None);
    assert_eq!(at("2018-03-26T14:00:00Z").await.as_deref(), Some("lstm-1"));
    assert_eq!(at("2018-03-27T16:00:00Z").await.as_deref(), Some("lstm-2"));
}

#[sqlx::test(migrations = false)]
async fn services_that_start_together_migrate_once(pool: PgPool) {
    let (first, second) = tokio::join!(migrate(&pool), migrate(&pool));
    first.unwrap();
    second.unwrap();
    migrate(&pool).await.unwrap();
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn every_table_and_column_says_what_it_holds(pool: PgPool) {
    let silent: Vec<String> = sqlx::query_scalar(
        "select class.relname || coalesce('.' || attribute.attname, '') \
         from pg_class as class \
         left join pg_attribute as attribute \
             on attribute.attrelid = class.oid and attribute.attnum > 0 and not attribute.attisdropped \
         where class.relnamespace = 'public'::regnamespace \
             and class.relkind in ('r', 'v') and class.relname not like '\\_sqlx%' \
             and (obj_description(class.oid) is null or col_description(class.oid, attribute.attnum) is null)",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
    assert_eq!(silent, Vec::<String>::new());
}
