use chrono::{DateTime, NaiveDate, Utc};
use domain::{Class, ModelId, ModelKind, Probabilities, Ticker};
use sqlx::{PgExecutor, PgPool};

use crate::{
    StorageError,
    bars::read_ticker,
    error::{Answered as _, corrupt, failed},
};

/// Rows in one statement.
const BATCH: usize = 5_000;

/// What a model says of a bar of a session that it has not seen, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidationPrediction {
    /// The model.
    pub model_id: ModelId,
    /// Whose bar.
    pub ticker: Ticker,
    /// Start of the last bar of the window, UTC.
    pub bar_start: DateTime<Utc>,
    /// What it says.
    pub probabilities: Probabilities,
    /// What came of it.
    pub label: Class,
    /// Return of a buyer from the first price that could be had to the touch, as a fraction, before costs.
    pub gross_return: f64,
}

/// Stores what models say of bars that they have not seen; what was stored for the same model and bar is replaced, so
/// that running a validation twice is the same as once.
///
/// `label_settings` is the hash of the settings of the barriers; `as_of` in market time, UTC. Of a model and bar given
/// twice, the later counts.
///
/// # Errors
/// Nothing is stored when the database is lost or refuses a row.
pub async fn store_validation_predictions(
    pool: &PgPool,
    predictions: &[ValidationPrediction],
    label_settings: &str,
    as_of: DateTime<Utc>,
) -> Result<(), StorageError> {
    let error = || failed("store validation predictions");
    let mut transaction = pool.begin().answered().await.map_err(error())?;
    for batch in predictions.chunks(BATCH) {
        let column = |value: fn(&Probabilities) -> f32| -> Vec<f32> {
            batch.iter().map(|row| value(&row.probabilities)).collect()
        };
        sqlx::query!(
            r#"
            insert into validation_prediction
                (model_id, ticker, bar_start, down, neutral, up, label, gross_return, label_settings, as_of)
            select distinct on (model_id, bar_start, ticker)
                model_id, ticker, bar_start, down, neutral, up, label, gross_return, $9, $10
            from unnest(
                $1::text[], $2::text[], $3::timestamptz[], $4::real[], $5::real[], $6::real[], $7::text[], $8::float8[]
            ) with ordinality as new
                (model_id, ticker, bar_start, down, neutral, up, label, gross_return, place)
            order by model_id, bar_start, ticker, place desc
            on conflict (model_id, bar_start, ticker) do update set
                down = excluded.down,
                neutral = excluded.neutral,
                up = excluded.up,
                label = excluded.label,
                gross_return = excluded.gross_return,
                label_settings = excluded.label_settings,
                as_of = excluded.as_of
            "#,
            &batch.iter().map(|row| row.model_id.to_string()).collect::<Vec<_>>(),
            &batch.iter().map(|row| row.ticker.to_string()).collect::<Vec<_>>(),
            &batch.iter().map(|row| row.bar_start).collect::<Vec<_>>(),
            &column(|row| row.down),
            &column(|row| row.neutral),
            &column(|row| row.up),
            &batch.iter().map(|row| row.label.name().to_owned()).collect::<Vec<_>>(),
            &batch.iter().map(|row| row.gross_return).collect::<Vec<_>>(),
            label_settings,
            as_of,
        )
        .execute(&mut *transaction)
        .answered()
        .await
        .map_err(error())?;
    }
    transaction.commit().answered().await.map_err(error())
}

/// What these models said of bars with `from <= bar_start < to` (UTC) under the same settings of the barriers, by
/// model, time and ticker.
///
/// # Errors
/// When the database is lost.
pub async fn validation_predictions(
    executor: impl PgExecutor<'_>,
    models: &[&ModelId],
    label_settings: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<ValidationPrediction>, StorageError> {
    let action = "read validation predictions";
    let rows = sqlx::query!(
        r#"
        select model_id, ticker, bar_start, down, neutral, up, label, gross_return
        from validation_prediction
        where model_id = any($1) and label_settings = $2 and bar_start >= $3 and bar_start < $4
        order by model_id, bar_start, ticker
        "#,
        &models
            .iter()
            .map(|model| model.to_string())
            .collect::<Vec<_>>(),
        label_settings,
        from,
        to,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    rows.into_iter()
        .map(|row| {
            let probabilities = [row.down, row.neutral, row.up];
            Ok(ValidationPrediction {
                model_id: ModelId::parse(&row.model_id).map_err(corrupt(action, &row.model_id))?,
                ticker: read_ticker(action, &row.ticker)?,
                bar_start: row.bar_start,
                probabilities: Probabilities::new(probabilities)
                    .map_err(corrupt(action, format!("{probabilities:?}")))?,
                label: read_class(action, &row.label)?,
                gross_return: row.gross_return,
            })
        })
        .collect()
}

/// Removes what was stored of all other models: nobody compares those any more. Gives the number of predictions.
///
/// # Errors
/// Nothing is removed when the database is lost.
pub async fn keep_validation_predictions_of(
    executor: impl PgExecutor<'_>,
    models: &[ModelId],
) -> Result<u64, StorageError> {
    let models: Vec<String> = models.iter().map(ModelId::to_string).collect();
    let removed = sqlx::query!(
        "delete from validation_prediction where model_id <> all($1)",
        &models,
    )
    .execute(executor)
    .answered()
    .await
    .map_err(failed("remove validation predictions"))?;
    Ok(removed.rows_affected())
}

/// How a comparison ended for the challenger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValidationVerdict {
    /// There was no champion that could be used.
    First,
    /// It is better by more than the margin; of several the one with the largest lower bound is promoted.
    Wins,
    /// It is not better.
    DoesNotWin,
    /// It may be better by luck: it waits for more unseen days.
    CannotTell,
    /// The two could not be compared.
    Refused,
}

impl ValidationVerdict {
    const ALL: [Self; 5] = [
        Self::First,
        Self::Wins,
        Self::DoesNotWin,
        Self::CannotTell,
        Self::Refused,
    ];

    /// The name in the table and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Wins => "wins",
            Self::DoesNotWin => "does_not_win",
            Self::CannotTell => "cannot_tell",
            Self::Refused => "refused",
        }
    }
}

/// A comparison of a champion with its challenger.
#[derive(Clone, Debug, PartialEq)]
pub struct ValidationReport {
    /// The night's run that it belongs to; nothing when a person asked for it.
    pub run_id: Option<i64>,
    /// The session that the night follows, New York date.
    pub night: NaiveDate,
    /// Which rider.
    pub kind: ModelKind,
    /// The model in service.
    pub champion: Option<ModelId>,
    /// The model that wants its place.
    pub challenger: ModelId,
    /// How it ended.
    pub verdict: ValidationVerdict,
    /// All figures, as the validator writes them.
    pub report: serde_json::Value,
    /// When it was made, UTC, market clock.
    pub created_at: DateTime<Utc>,
}

/// Stores a report and gives its number. Reports are only ever added.
///
/// # Errors
/// When the database is lost.
pub async fn store_validation_report(
    executor: impl PgExecutor<'_>,
    report: &ValidationReport,
) -> Result<i64, StorageError> {
    sqlx::query_scalar!(
        r#"
        insert into validation_report
            (pipeline_run_id, night, kind, champion_id, challenger_id, verdict, report, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        returning validation_report_id
        "#,
        report.run_id,
        report.night,
        report.kind.name(),
        report.champion.as_ref().map(ModelId::as_str),
        report.challenger.as_str(),
        report.verdict.name(),
        report.report,
        report.created_at,
    )
    .fetch_one(executor)
    .answered()
    .await
    .map_err(failed("store a validation report"))
}

/// The newest `limit` reports of a kind or of both, the newest first.
///
/// # Errors
/// When the database is lost.
pub async fn recent_validation_reports(
    executor: impl PgExecutor<'_>,
    kind: Option<ModelKind>,
    limit: u32,
) -> Result<Vec<ValidationReport>, StorageError> {
    let action = "read the validation reports";
    sqlx::query_as!(
        ReportRow,
        r#"
        select pipeline_run_id, night, kind, champion_id, challenger_id, verdict, report, created_at
        from validation_report
        where $1::text is null or kind = $1
        order by validation_report_id desc
        limit $2
        "#,
        kind.map(ModelKind::name),
        i64::from(limit),
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?
    .into_iter()
    .map(|row| row.check(action))
    .collect()
}

/// The reports of a night's run, the oldest first.
///
/// # Errors
/// When the database is lost.
pub async fn validation_reports_of_run(
    executor: impl PgExecutor<'_>,
    run_id: i64,
) -> Result<Vec<ValidationReport>, StorageError> {
    let action = "read the validation reports of a run";
    sqlx::query_as!(
        ReportRow,
        r#"
        select pipeline_run_id, night, kind, champion_id, challenger_id, verdict, report, created_at
        from validation_report
        where pipeline_run_id = $1
        order by validation_report_id
        "#,
        run_id,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?
    .into_iter()
    .map(|row| row.check(action))
    .collect()
}

/// How many models of a kind were trained up to `as_of` (UTC, market clock): so many tries had luck a chance.
///
/// # Errors
/// When the database is lost.
pub async fn count_trials(
    executor: impl PgExecutor<'_>,
    kind: ModelKind,
    as_of: DateTime<Utc>,
) -> Result<u32, StorageError> {
    let action = "count the models trained";
    let count = sqlx::query_scalar!(
        r#"
        select count(distinct model_id) as "count!"
        from model_event
        where kind = $1 and event = 'trained' and event_time <= $2
        "#,
        kind.name(),
        as_of,
    )
    .fetch_one(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    u32::try_from(count).map_err(corrupt(action, count))
}

struct ReportRow {
    pipeline_run_id: Option<i64>,
    night: NaiveDate,
    kind: String,
    champion_id: Option<String>,
    challenger_id: String,
    verdict: String,
    report: serde_json::Value,
    created_at: DateTime<Utc>,
}

impl ReportRow {
    fn check(self, action: &'static str) -> Result<ValidationReport, StorageError> {
        let model = |text: String| ModelId::parse(&text).map_err(corrupt(action, text));
        Ok(ValidationReport {
            run_id: self.pipeline_run_id,
            night: self.night,
            kind: self.kind.parse().map_err(corrupt(action, &self.kind))?,
            champion: self.champion_id.map(model).transpose()?,
            challenger: model(self.challenger_id)?,
            verdict: ValidationVerdict::ALL
                .into_iter()
                .find(|known| known.name() == self.verdict)
                .ok_or_else(|| corrupt(action, &self.verdict)(UnknownVerdict))?,
            report: self.report,
            created_at: self.created_at,
        })
    }
}

pub(crate) fn read_class(action: &'static str, text: &str) -> Result<Class, StorageError> {
    Class::ALL
        .into_iter()
        .find(|known| known.name() == text)
        .ok_or_else(|| corrupt(action, text)(UnknownClass))
}

#[derive(Debug, thiserror::Error)]
#[error("expected first, wins, does_not_win, cannot_tell or refused")]
struct UnknownVerdict;

#[derive(Debug, thiserror::Error)]
#[error("expected down, neutral or up")]
struct UnknownClass;
