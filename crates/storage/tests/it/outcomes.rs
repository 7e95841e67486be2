use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Action, Class, Direction, ModelId, ModelKind, Prediction, Probabilities, Recommendation,
};
use storage::{
    Channel, Listener, Notice, Outcome, PgPool, models_of_predictions, resolved_predictions,
    resolved_signals, store_analyses, store_outcomes, track_record, unresolved_predictions,
};

use crate::{refuse_long_reads, ticker, time};

const SETTINGS: &str = "barriers-1";

/// What both models said of AAPL at a bar, and the advice that followed, `delay` after the bar's close.
async fn say(pool: &PgPool, start: DateTime<Utc>, lstm: [f32; 3], advice: Action, delay: i64) {
    let prediction = |kind, model: &str, probabilities| Prediction {
        ticker: ticker("AAPL"),
        bar_start: start,
        kind,
        model_id: ModelId::parse(model).unwrap(),
        probabilities: Probabilities::new(probabilities).unwrap(),
    };
    let recommendation = Recommendation {
        ticker: ticker("AAPL"),
        bar_start: start,
        action: advice,
        reason: "both say so".to_owned(),
        abstained: false,
        decision: None,
        standing: None,
    };
    store_analyses(
        pool,
        start + TimeDelta::minutes(1 + delay),
        &[
            prediction(ModelKind::Lstm, "lstm-1", lstm),
            prediction(ModelKind::Transformer, "t-1", [0.25, 0.5, 0.25]),
        ],
        &[recommendation],
    )
    .await
    .unwrap();
}

fn outcome(start: DateTime<Utc>, label: Class, gross_return: f64) -> Outcome {
    Outcome {
        ticker: ticker("AAPL"),
        bar_start: start,
        label,
        gross_return,
        first_touch: start + TimeDelta::minutes(10),
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_outcome_is_told_once_and_stands(pool: PgPool) {
    let first = time("2018-03-26T14:00:00Z");
    let minute = |number| first + TimeDelta::minutes(number);
    for number in 0..3 {
        say(&pool, minute(number), [0.25, 0.25, 0.5], Action::Hold, 0).await;
    }
    let (from, to) = (minute(0), minute(2));
    let open = unresolved_predictions(&pool, SETTINGS, from, to)
        .await
        .unwrap();
    assert_eq!(
        open,
        [(ticker("AAPL"), minute(0)), (ticker("AAPL"), minute(1))],
        "each bar once, whatever number of models; not those after the end"
    );
    let told = outcome(minute(0), Class::Up, 0.001);
    let later = time("2018-03-26T15:00:00Z");
    let store = async |outcomes: &[Outcome]| {
        store_outcomes(&pool, outcomes, SETTINGS, later)
            .await
            .unwrap()
    };
    assert_eq!(store(std::slice::from_ref(&told)).await, 1);
    // The vendor revises the bars: what was told stands.
    let revised = outcome(minute(0), Class::Down, -0.001);
    assert_eq!(
        store(&[revised, outcome(minute(1), Class::Neutral, 0.0)]).await,
        1
    );
    let resolved = resolved_predictions(&pool, None, SETTINGS, from, to)
        .await
        .unwrap();
    assert_eq!(resolved.len(), 4);
    assert_eq!(resolved[0].outcome, told);
    assert_eq!(
        unresolved_predictions(&pool, SETTINGS, from, to)
            .await
            .unwrap(),
        []
    );
    // Under other barriers another thing came of it.
    assert_eq!(
        unresolved_predictions(&pool, "barriers-2", from, to)
            .await
            .unwrap()
            .len(),
        2
    );
    // Nobody knows a touch before the close of its bar.
    let early = outcome(minute(2), Class::Up, 0.001);
    let error = store_outcomes(
        &pool,
        std::slice::from_ref(&early),
        SETTINGS,
        early.first_touch,
    )
    .await
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("outcome_is_resolved_after_its_touch"),
        "{error}"
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_track_record_counts_what_was_said_in_time(pool: PgPool) {
    let first = time("2018-03-26T14:00:00Z");
    let minute = |number| first + TimeDelta::minutes(number);
    // Right, wrong, no direction, and one that was said when the touch was known.
    say(&pool, minute(0), [0.125, 0.25, 0.625], Action::Buy, 0).await;
    say(&pool, minute(1), [0.625, 0.25, 0.125], Action::Sell, 0).await;
    say(&pool, minute(2), [0.25, 0.5, 0.25], Action::Hold, 0).await;
    say(&pool, minute(3), [0.125, 0.25, 0.625], Action::Buy, 10).await;
    let outcomes = [
        outcome(minute(0), Class::Up, 0.002),
        outcome(minute(1), Class::Up, 0.001),
        outcome(minute(2), Class::Neutral, -0.0005),
        outcome(minute(3), Class::Up, 0.004),
    ];
    let later = time("2018-03-26T15:00:00Z");
    store_outcomes(&pool, &outcomes, SETTINGS, later)
        .await
        .unwrap();
    let (from, to) = (minute(0), minute(9));

    let records = track_record(&pool, SETTINGS, from, to).await.unwrap();
    let lstm = &records[0];
    assert_eq!(
        (lstm.model_id.as_str(), lstm.kind),
        ("lstm-1", ModelKind::Lstm)
    );
    let [unsure, sure] = lstm.bins.as_slice() else {
        panic!("{:?}", lstm.bins)
    };
    assert_eq!(
        (unsure.tenth, unsure.predictions, unsure.hits, unsure.calls),
        (5, 1, 1, 0)
    );
    assert_eq!(unsure.call_return_sum, 0.0);
    assert_eq!(
        (sure.tenth, sure.predictions, sure.hits, sure.calls),
        (6, 2, 1, 2)
    );
    assert_eq!(sure.losing_calls, 1);
    assert!((sure.call_return_sum - 0.001).abs() < 1e-12);
    assert!((sure.confidence_sum - 1.25).abs() < 1e-12);
    assert!((sure.surprise_sum + 0.625_f64.ln() + 0.125_f64.ln()).abs() < 1e-12);
    // (0.125^2 + 0.25^2 + 0.375^2) + (0.625^2 + 0.25^2 + 0.875^2)
    assert!((sure.brier_sum - (0.21875 + 1.21875)).abs() < 1e-12);
    assert_eq!(records.len(), 2);

    let model = ModelId::parse("lstm-1").unwrap();
    let resolved = resolved_predictions(&pool, Some(&model), SETTINGS, from, to)
        .await
        .unwrap();
    assert_eq!(resolved.len(), 3);
    assert_eq!(resolved[1].outcome, outcomes[1]);
    assert_eq!(resolved[1].as_of, minute(2));
    let signals = async |models| {
        resolved_signals(&pool, models, SETTINGS, from, to)
            .await
            .unwrap()
    };
    let followed: Vec<_> = signals(None)
        .await
        .into_iter()
        .map(|signal| (signal.direction, signal.label, signal.gross_return))
        .collect();
    assert_eq!(
        followed,
        [
            (Direction::Up, Class::Up, 0.002),
            (Direction::Down, Class::Up, 0.001)
        ]
    );

    // Of a pair of models count those whose decision is known.
    let pair = ["lstm-1", "t-1"].map(|model| ModelId::parse(model).unwrap());
    let [lstm, transformer] = &pair;
    assert_eq!(signals(Some([lstm, transformer])).await, []);
    sqlx::query("update recommendation set decision = '{}' where action = 'sell'")
        .execute(&pool)
        .await
        .unwrap();
    let own = signals(Some([lstm, transformer])).await;
    assert_eq!(
        (own.len(), own[0].bar_start, own[0].first_touch),
        (1, minute(1), minute(11))
    );
    assert_eq!(signals(Some([lstm, lstm])).await, []);

    let models = models_of_predictions(&pool).await.unwrap();
    let names: Vec<&str> = models.iter().map(ModelId::as_str).collect();
    assert_eq!(names, ["lstm-1", "t-1"]);
}

/// What was said of AAPL is said of MSFT 400 days later, by another Transformer, and comes to the same.
const LATER: [&str; 3] = [
    "insert into prediction (ticker, bar_start, model_id, kind, down, neutral, up, as_of) \
     select 'MSFT', bar_start + interval '9600 hours', replace(model_id, 't-1', 't-2'), kind, down, neutral, up, \
     as_of + interval '9600 hours' from prediction",
    "insert into recommendation \
     (ticker, bar_start, lstm_model_id, transformer_model_id, action, reason, abstained, as_of) \
     select 'MSFT', bar_start + interval '9600 hours', lstm_model_id, 't-2', action, reason, abstained, \
     as_of + interval '9600 hours' from recommendation",
    "insert into outcome (ticker, bar_start, label_settings, label, gross_return, first_touch, resolved_at) \
     select 'MSFT', bar_start + interval '9600 hours', label_settings, label, gross_return, \
     first_touch + interval '9600 hours', resolved_at + interval '9600 hours' from outcome",
];

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn years_of_many_stocks_are_read_in_parts(pool: PgPool) {
    let first = time("2018-03-26T14:00:00Z");
    let second = first + TimeDelta::minutes(1);
    for start in [first, second] {
        say(&pool, start, [0.125, 0.25, 0.625], Action::Buy, 0).await;
    }
    let told = outcome(first, Class::Up, 0.002);
    store_outcomes(&pool, &[told], SETTINGS, time("2018-03-26T15:00:00Z"))
        .await
        .unwrap();
    for statement in LATER {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    for table in ["prediction", "recommendation"] {
        refuse_long_reads(&pool, table).await;
    }
    let years = TimeDelta::days(400);
    let (from, to) = (first - years, first + years + years);

    let models = models_of_predictions(&pool).await.unwrap();
    let names: Vec<&str> = models.iter().map(ModelId::as_str).collect();
    assert_eq!(names, ["lstm-1", "t-1", "t-2"]);

    let records = track_record(&pool, SETTINGS, from, to).await.unwrap();
    let counted: Vec<_> = records
        .iter()
        .map(|record| (record.model_id.as_str(), record.bins[0].predictions))
        .collect();
    assert_eq!(counted, [("lstm-1", 2), ("t-1", 1), ("t-2", 1)]);
    let [bin] = records[0].bins.as_slice() else {
        panic!("{:?}", records[0].bins)
    };
    assert_eq!((bin.hits, bin.calls, bin.losing_calls), (2, 2, 0));
    assert!((bin.call_return_sum - 0.004).abs() < 1e-12);
    assert!((bin.confidence_sum - 1.25).abs() < 1e-12);
    assert!((bin.surprise_sum + 2.0 * 0.625_f64.ln()).abs() < 1e-12);
    assert!((bin.brier_sum - 2.0 * 0.21875).abs() < 1e-12);

    let signals = resolved_signals(&pool, None, SETTINGS, from, to)
        .await
        .unwrap();
    let starts: Vec<_> = signals.iter().map(|signal| signal.bar_start).collect();
    assert_eq!(starts, [first, first + years]);
    assert_eq!(
        unresolved_predictions(&pool, SETTINGS, from, to)
            .await
            .unwrap(),
        [(ticker("AAPL"), second), (ticker("MSFT"), second + years)]
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn who_listens_is_told_of_new_outcomes(pool: PgPool) {
    let start = time("2018-03-26T14:00:00Z");
    say(&pool, start, [0.25, 0.25, 0.5], Action::Hold, 0).await;
    let mut listener = Listener::connect(&pool, &[Channel::OutcomesStored])
        .await
        .unwrap();
    let told = outcome(start, Class::Up, 0.001);
    let later = time("2018-03-26T15:00:00Z");
    let store = async || {
        store_outcomes(&pool, std::slice::from_ref(&told), SETTINGS, later)
            .await
            .unwrap()
    };
    assert_eq!(store().await, 1);
    assert_eq!(listener.next().await, Notice::OutcomesStored);
    // Nothing new: nobody is told. The next notice is that of the bar after.
    assert_eq!(store().await, 0);
    let next = start + TimeDelta::minutes(1);
    say(&pool, next, [0.25, 0.25, 0.5], Action::Hold, 0).await;
    let other = outcome(next, Class::Up, 0.001);
    store_outcomes(&pool, &[other], SETTINGS, later)
        .await
        .unwrap();
    assert_eq!(listener.next().await, Notice::OutcomesStored);
    let more = tokio::time::timeout(std::time::Duration::from_millis(200), listener.next()).await;
    assert!(more.is_err(), "{more:?}");
}
