use domain::{
    Action, BaseRates, Block, Class, Decision, Direction, ModelDecision, ModelDecisions, ModelId,
    ModelKind, Prediction, Probabilities, Recommendation, Standing,
};
use storage::{
    PgPool, StorageError, StoredCounts, latest_analyses, predictions_page, store_analyses,
    upsert_bars,
};

use crate::{minutes, ticker, time};

const AS_OF: &str = "2018-03-26T13:31:02Z";

fn analysis(
    symbol: &str,
    start: &str,
    version: &str,
    up: f32,
) -> (Vec<Prediction>, Recommendation) {
    let predictions = ModelKind::ALL
        .into_iter()
        .map(|kind| Prediction {
            ticker: ticker(symbol),
            bar_start: time(start),
            kind,
            model_id: ModelId::parse(&format!("{kind}-{version}")).unwrap(),
            probabilities: Probabilities::new([0.25, 0.75 - up, up]).unwrap(),
        })
        .collect();
    let recommendation = Recommendation {
        ticker: ticker(symbol),
        bar_start: time(start),
        action: Action::Buy,
        reason: "both expect a rise".to_owned(),
        abstained: false,
        decision: None,
        standing: None,
    };
    (predictions, recommendation)
}

async fn store(pool: &PgPool, symbol: &str, start: &str, version: &str, up: f32) -> StoredCounts {
    let (predictions, recommendation) = analysis(symbol, start, version, up);
    store_analyses(pool, time(AS_OF), &predictions, &[recommendation])
        .await
        .unwrap()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_was_said_first_stands(pool: PgPool) {
    let start = "2018-03-26T13:30:00Z";
    assert_eq!(
        store(&pool, "AAPL", start, "1", 0.5).await,
        StoredCounts {
            predictions: 2,
            recommendations: 1
        }
    );
    assert_eq!(
        store(&pool, "AAPL", start, "1", 0.25).await,
        StoredCounts::default()
    );
    // Another champion after a restart: its predictions are kept, the recommendation is not rewritten.
    assert_eq!(
        store(&pool, "AAPL", start, "2", 0.25).await,
        StoredCounts {
            predictions: 2,
            recommendations: 0
        }
    );

    let (predictions, recommendation) = analysis("AAPL", start, "1", 0.5);
    let stored = latest_analyses(&pool, &[ticker("MSFT"), ticker("AAPL")])
        .await
        .unwrap();
    assert_eq!(stored.len(), 1);
    assert_eq!(stored[0].recommendation, recommendation);
    assert_eq!(
        [stored[0].lstm.clone(), stored[0].transformer.clone()],
        *predictions
    );
    assert_eq!(stored[0].as_of, time(AS_OF));
    assert_eq!(stored[0].bar, None, "its bar was never stored");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_page_goes_back_from_the_newest_with_its_bars(pool: PgPool) {
    let bars = minutes("AAPL", "2018-03-26T13:30:00Z", 3);
    upsert_bars(&pool, &bars).await.unwrap();
    for row in &bars {
        store(&pool, "AAPL", &row.bar.start.to_rfc3339(), "1", 0.5).await;
    }
    let first = predictions_page(&pool, &ticker("AAPL"), None, 2)
        .await
        .unwrap();
    assert_eq!(
        first.iter().map(|row| row.bar.unwrap()).collect::<Vec<_>>(),
        [bars[2].bar, bars[1].bar]
    );
    let before = first[1].recommendation.bar_start;
    let second = predictions_page(&pool, &ticker("AAPL"), Some(before), 2)
        .await
        .unwrap();
    assert_eq!(second.len(), 1);
    assert_eq!(second[0].bar, Some(bars[0].bar));
    assert!(
        predictions_page(&pool, &ticker("MSFT"), None, 2)
            .await
            .unwrap()
            .is_empty()
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_recommendation_without_both_predictions_is_refused_whole(pool: PgPool) {
    let (predictions, recommendation) = analysis("AAPL", "2018-03-26T13:30:00Z", "1", 0.5);
    let error = store_analyses(&pool, time(AS_OF), &predictions[..1], &[recommendation])
        .await
        .unwrap_err();
    assert!(matches!(
        error,
        StorageError::MissingPrediction {
            kind: ModelKind::Transformer,
            ..
        }
    ));
    let stored: i64 = sqlx::query_scalar("select count(*) from prediction")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(stored, 0);
}

/// A decision of a model that leans to a rise and of one without calibration.
fn decision(blocked_by: Option<Block>) -> Decision {
    let model = ModelDecision {
        coverage: Some(0.75),
        possible: Some(vec![Class::Neutral, Class::Up]),
        base_rate: Some(BaseRates {
            down: 0.25,
            neutral: 0.5,
            up: 0.25,
        }),
        lean: Some(Direction::Up),
        expected_bps: Some(12.375),
    };
    let without = ModelDecision {
        coverage: None,
        possible: None,
        base_rate: None,
        lean: blocked_by.is_none().then_some(Direction::Up),
        expected_bps: None,
    };
    Decision {
        horizon_minutes: 30,
        expires_at: time("2018-03-26T14:01:02.123456Z"),
        models: ModelDecisions {
            lstm: model,
            transformer: without,
        },
        expected_bps: Some(8.5),
        expected_bps_lower: Some(6.25),
        cost_bps: 4.0,
        blocked_by,
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn decisions_and_standings_come_back_as_they_were(pool: PgPool) {
    let standing = Standing::of(Direction::Up, &[], 4.0);
    let starts = ["2018-03-26T13:30:00Z", "2018-03-26T13:31:00Z"];
    let mut stored = Vec::new();
    for (start, blocked_by) in starts.into_iter().zip([None, Some(Block::Uncalibrated)]) {
        let (predictions, _) = analysis("AAPL", start, "1", 0.5);
        let recommendation = Recommendation::new(
            ticker("AAPL"),
            time(start),
            decision(blocked_by),
            Some(standing.clone()),
        );
        store_analyses(
            &pool,
            time(AS_OF),
            &predictions,
            std::slice::from_ref(&recommendation),
        )
        .await
        .unwrap();
        stored.push(recommendation);
    }
    assert_eq!(stored[0].standing, Some(standing));
    assert_eq!(stored[1].standing, None, "a hold has none");
    let page = predictions_page(&pool, &ticker("AAPL"), None, 9)
        .await
        .unwrap();
    let read: Vec<Recommendation> = page
        .into_iter()
        .map(|row| row.recommendation)
        .rev()
        .collect();
    assert_eq!(read, stored);
}
