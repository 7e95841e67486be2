use std::collections::HashMap;

use chrono::{DateTime, Utc};
use domain::{Action, Bar, ModelId, ModelKind, Prediction, Probabilities, Recommendation, Ticker};
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{PgExecutor, PgPool};

use crate::{
    StorageError,
    bars::{RawBar, read_ticker, texts},
    error::{Answered as _, corrupt, failed},
};

/// What was newly written by [`store_analyses`]; the rest was there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredCounts {
    /// Predictions.
    pub predictions: u64,
    /// Recommendations.
    pub recommendations: u64,
}

/// A recommendation with the predictions that it rests on.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAnalysis {
    /// The outcome of the dual confirmation.
    pub recommendation: Recommendation,
    /// What the LSTM said.
    pub lstm: Prediction,
    /// What the Transformer said.
    pub transformer: Prediction,
    /// The adjusted bar that it follows; nothing if that is no longer stored.
    pub bar: Option<Bar>,
    /// When it was made, UTC, market clock.
    pub as_of: DateTime<Utc>,
    /// Nobody could have acted on it, see [`store_late_analyses`].
    pub late: bool,
}

/// Stores what was said of one or more bars, in one transaction. What was said first stands: a prediction of the same
/// model or a recommendation for the same bar that is there already is left as it is.
///
/// # Errors
/// [`StorageError::MissingPrediction`] when the predictions do not hold both kinds for each recommendation. Nothing is
/// stored then, nor when the database is lost.
pub async fn store_analyses(
    pool: &PgPool,
    as_of: DateTime<Utc>,
    predictions: &[Prediction],
    recommendations: &[Recommendation],
) -> Result<StoredCounts, StorageError> {
    store(pool, as_of, false, predictions, recommendations).await
}

/// As [`store_analyses`], of bars that the live path missed or got to when they were long closed: marked, and part of no track
/// record.
///
/// # Errors
/// As [`store_analyses`].
pub async fn store_late_analyses(
    pool: &PgPool,
    as_of: DateTime<Utc>,
    predictions: &[Prediction],
    recommendations: &[Recommendation],
) -> Result<StoredCounts, StorageError> {
    store(pool, as_of, true, predictions, recommendations).await
}

async fn store(
    pool: &PgPool,
    as_of: DateTime<Utc>,
    late: bool,
    predictions: &[Prediction],
    recommendations: &[Recommendation],
) -> Result<StoredCounts, StorageError> {
    // Null means in time.
    let late = late.then_some(true);
    let error = || failed("store analyses");
    let models: HashMap<_, _> = predictions
        .iter()
        .map(|row| {
            (
                (&row.ticker, row.bar_start, row.kind),
                row.model_id.as_str(),
            )
        })
        .collect();
    let models_of = |kind| {
        recommendations
            .iter()
            .map(|row| {
                models
                    .get(&(&row.ticker, row.bar_start, kind))
                    .map(|model| (*model).to_owned())
                    .ok_or_else(|| StorageError::MissingPrediction {
                        ticker: row.ticker.clone(),
                        bar_start: row.bar_start,
                        kind,
                    })
            })
            .collect::<Result<Vec<String>, _>>()
    };
    let lstm_models = models_of(ModelKind::Lstm)?;
    let transformer_models = models_of(ModelKind::Transformer)?;

    let mut transaction = pool.begin().answered().await.map_err(error())?;
    let stored_predictions = insert_predictions(&mut *transaction, as_of, late, predictions)
        .answered()
        .await
        .map_err(error())?;
    let stored_recommendations = insert_recommendations(
        &mut *transaction,
        as_of,
        late,
        recommendations,
        &lstm_models,
        &transformer_models,
    )
    .answered()
    .await
    .map_err(error())?;
    transaction.commit().answered().await.map_err(error())?;
    Ok(StoredCounts {
        predictions: stored_predictions,
        recommendations: stored_recommendations,
    })
}

async fn insert_predictions(
    executor: impl PgExecutor<'_>,
    as_of: DateTime<Utc>,
    late: Option<bool>,
    predictions: &[Prediction],
) -> Result<u64, sqlx::Error> {
    let column = |value: fn(&Probabilities) -> f32| -> Vec<f32> {
        predictions
            .iter()
            .map(|row| value(&row.probabilities))
            .collect()
    };
    let done = sqlx::query!(
        r#"
        insert into prediction (ticker, bar_start, model_id, kind, down, neutral, up, as_of, late)
        select ticker, bar_start, model_id, kind, down, neutral, up, $8, $9
        from unnest(
            $1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::real[], $6::real[], $7::real[]
        ) as new (ticker, bar_start, model_id, kind, down, neutral, up)
        on conflict do nothing
        "#,
        &predictions.iter().map(|row| row.ticker.to_string()).collect::<Vec<_>>(),
        &predictions.iter().map(|row| row.bar_start).collect::<Vec<_>>(),
        &predictions.iter().map(|row| row.model_id.to_string()).collect::<Vec<_>>(),
        &predictions.iter().map(|row| row.kind.to_string()).collect::<Vec<_>>(),
        &column(|probabilities| probabilities.down),
        &column(|probabilities| probabilities.neutral),
        &column(|probabilities| probabilities.up),
        as_of,
        late,
    )
    .execute(executor)
    .await?;
    Ok(done.rows_affected())
}

async fn insert_recommendations(
    executor: impl PgExecutor<'_>,
    as_of: DateTime<Utc>,
    late: Option<bool>,
    recommendations: &[Recommendation],
    lstm_models: &[String],
    transformer_models: &[String],
) -> Result<u64, sqlx::Error> {
    let decisions = column(recommendations, |row| row.decision.as_ref().map(json))?;
    let standings = column(recommendations, |row| row.standing.as_ref().map(json))?;
    let done = sqlx::query!(
        r#"
        insert into recommendation (
            ticker, bar_start, lstm_model_id, transformer_model_id, action, reason, abstained, decision, standing, as_of,
            late
        )
        select
            ticker, bar_start, lstm_model_id, transformer_model_id, action, reason, abstained,
            decision::jsonb, standing::jsonb, $10, $11
        from unnest(
            $1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[], $6::text[], $7::bool[], $8::text[],
            $9::text[]
        ) as new (
            ticker, bar_start, lstm_model_id, transformer_model_id, action, reason, abstained, decision, standing
        )
        on conflict do nothing
        "#,
        &recommendations.iter().map(|row| row.ticker.to_string()).collect::<Vec<_>>(),
        &recommendations.iter().map(|row| row.bar_start).collect::<Vec<_>>(),
        lstm_models,
        transformer_models,
        &recommendations.iter().map(|row| row.action.to_string()).collect::<Vec<_>>(),
        &recommendations.iter().map(|row| row.reason.clone()).collect::<Vec<_>>(),
        &recommendations.iter().map(|row| row.abstained).collect::<Vec<_>>(),
        &decisions as &[Option<String>],
        &standings as &[Option<String>],
        as_of,
        late,
    )
    .execute(executor)
    .await?;
    Ok(done.rows_affected())
}

/// A value as the text of a column of JSON.
fn json(value: &impl Serialize) -> Result<String, sqlx::Error> {
    serde_json::to_string(value).map_err(|error| sqlx::Error::Encode(error.into()))
}

fn column(
    recommendations: &[Recommendation],
    text: fn(&Recommendation) -> Option<Result<String, sqlx::Error>>,
) -> Result<Vec<Option<String>>, sqlx::Error> {
    recommendations
        .iter()
        .map(|row| text(row).transpose())
        .collect()
}

/// The newest analysis of each ticker, in the order given, without the tickers that have none.
///
/// # Errors
/// When the database is lost.
pub async fn latest_analyses(
    executor: impl PgExecutor<'_>,
    tickers: &[Ticker],
) -> Result<Vec<StoredAnalysis>, StorageError> {
    let action = "read the latest analyses";
    analyses(executor, action, &texts(tickers), None, 1).await
}

/// A page of a ticker's analyses, the newest first, of bars that start before `before` (UTC). The next page is the one
/// before the last bar of this one; a page shorter than `limit` is the last.
///
/// # Errors
/// When the database is lost.
pub async fn predictions_page(
    executor: impl PgExecutor<'_>,
    ticker: &Ticker,
    before: Option<DateTime<Utc>>,
    limit: u32,
) -> Result<Vec<StoredAnalysis>, StorageError> {
    let action = "read predictions";
    analyses(
        executor,
        action,
        &[ticker.to_string()],
        before,
        i64::from(limit),
    )
    .await
}

async fn analyses(
    executor: impl PgExecutor<'_>,
    action: &'static str,
    tickers: &[String],
    before: Option<DateTime<Utc>>,
    limit: i64,
) -> Result<Vec<StoredAnalysis>, StorageError> {
    sqlx::query_file_as!(AnalysisRow, "src/analyses.sql", tickers, before, limit)
        .fetch_all(executor)
        .answered()
        .await
        .map_err(failed(action))?
        .into_iter()
        .map(|row| row.check(action))
        .collect()
}

struct AnalysisRow {
    ticker: String,
    bar_start: DateTime<Utc>,
    action: String,
    reason: String,
    abstained: bool,
    as_of: DateTime<Utc>,
    decision: Option<serde_json::Value>,
    standing: Option<serde_json::Value>,
    lstm_model_id: String,
    lstm_down: f32,
    lstm_neutral: f32,
    lstm_up: f32,
    transformer_model_id: String,
    transformer_down: f32,
    transformer_neutral: f32,
    transformer_up: f32,
    open: Option<f64>,
    high: Option<f64>,
    low: Option<f64>,
    close: Option<f64>,
    volume: Option<f64>,
    late: bool,
}

impl AnalysisRow {
    fn check(self, action: &'static str) -> Result<StoredAnalysis, StorageError> {
        let ticker = read_ticker(action, &self.ticker)?;
        let prediction = |kind, model_id: &str, probabilities: [f32; 3]| {
            Ok::<_, StorageError>(Prediction {
                ticker: ticker.clone(),
                bar_start: self.bar_start,
                kind,
                model_id: ModelId::parse(model_id).map_err(corrupt(action, model_id))?,
                probabilities: Probabilities::new(probabilities)
                    .map_err(corrupt(action, format!("{probabilities:?}")))?,
            })
        };
        let bar = match (self.open, self.high, self.low, self.close, self.volume) {
            (Some(open), Some(high), Some(low), Some(close), Some(volume)) => {
                let start = self.bar_start;
                Some(
                    RawBar {
                        start,
                        open,
                        high,
                        low,
                        close,
                        volume,
                    }
                    .check(action)?,
                )
            }
            _ => None,
        };
        Ok(StoredAnalysis {
            lstm: prediction(
                ModelKind::Lstm,
                &self.lstm_model_id,
                [self.lstm_down, self.lstm_neutral, self.lstm_up],
            )?,
            transformer: prediction(
                ModelKind::Transformer,
                &self.transformer_model_id,
                [
                    self.transformer_down,
                    self.transformer_neutral,
                    self.transformer_up,
                ],
            )?,
            bar,
            as_of: self.as_of,
            late: self.late,
            recommendation: Recommendation {
                action: read_action(action, &self.action)?,
                bar_start: self.bar_start,
                reason: self.reason,
                abstained: self.abstained,
                decision: read_json(action, self.decision)?,
                standing: read_json(action, self.standing)?,
                ticker,
            },
        })
    }
}

fn read_json<T: DeserializeOwned>(
    action: &'static str,
    value: Option<serde_json::Value>,
) -> Result<Option<T>, StorageError> {
    value
        .map(|value| T::deserialize(&value).map_err(corrupt(action, value)))
        .transpose()
}

pub(crate) fn read_action(action: &'static str, text: &str) -> Result<Action, StorageError> {
    [Action::Buy, Action::Sell, Action::Hold]
        .into_iter()
        .find(|known| known.name() == text)
        .ok_or_else(|| corrupt(action, text)(UnknownAction))
}

#[derive(Debug, thiserror::Error)]
#[error("expected buy, sell or hold")]
struct UnknownAction;
