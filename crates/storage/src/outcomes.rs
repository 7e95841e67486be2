use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Class, ModelId, ModelKind, Prediction, Probabilities, ResolvedSignal, Ticker};
use sqlx::{PgExecutor, PgPool};

use crate::{
    StorageError,
    analyses::read_action,
    bars::read_ticker,
    error::{Answered as _, corrupt, failed},
    listener::notify_outcomes_stored,
    validation::read_class,
};

/// Rows in one statement.
const BATCH: usize = 5_000;

/// A statement reads this much at a time: a week in which 500 stocks are predicted takes it seconds, while all that is
/// stored would take it longer each week.
const STRETCH: TimeDelta = TimeDelta::days(7);

/// What came of a bar that models predicted from.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Whose bar.
    pub ticker: Ticker,
    /// Start of the bar predicted from, UTC.
    pub bar_start: DateTime<Utc>,
    /// Which barrier was touched first.
    pub label: Class,
    /// Return of a buyer from the first price that could be had to the touch, as a fraction, before costs.
    pub gross_return: f64,
    /// Start of the bar that touched a barrier, the vertical one included, UTC; known at its close.
    pub first_touch: DateTime<Utc>,
}

/// A prediction, and what came of it.
#[derive(Clone, Debug, PartialEq)]
pub struct ResolvedPrediction {
    /// What was said.
    pub prediction: Prediction,
    /// When, UTC, market clock.
    pub as_of: DateTime<Utc>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What a model's predictions came to. Sums and counts, so that shares and means are the reader's, with their N.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRecord {
    /// The model.
    pub model_id: ModelId,
    /// Which rider.
    pub kind: ModelKind,
    /// Predictions by how sure the model was: by the probability of its most probable class, in steps of a tenth,
    /// ascending, without empty ones.
    pub bins: Vec<RecordBin>,
}

/// Predictions of one model that were about equally sure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RecordBin {
    /// Tenths of probability that the most probable class had at least: 3 to 9.
    pub tenth: u8,
    /// How many.
    pub predictions: u64,
    /// How often the most probable class came about.
    pub hits: u64,
    /// Sum of the probabilities of the most probable class.
    pub confidence_sum: f64,
    /// Sum of the negative natural logarithms of what was given to the class that came about.
    pub surprise_sum: f64,
    /// Sum of the Brier scores: squared distances from what came about, over the three classes.
    pub brier_sum: f64,
    /// How often the most probable class was up or down.
    pub calls: u64,
    /// How many of these calls lost before costs.
    pub losing_calls: u64,
    /// Sum of the returns of these calls before costs, as fractions: a down call earns what the price loses.
    pub call_return_sum: f64,
}

impl RecordBin {
    fn add(&mut self, more: &Self) {
        self.predictions += more.predictions;
        self.hits += more.hits;
        self.confidence_sum += more.confidence_sum;
        self.surprise_sum += more.surprise_sum;
        self.brier_sum += more.brier_sum;
        self.calls += more.calls;
        self.losing_calls += more.losing_calls;
        self.call_return_sum += more.call_return_sum;
    }
}

/// What lies between two moments, a [`STRETCH`] at a time, ascending.
fn stretches(
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> impl Iterator<Item = (DateTime<Utc>, DateTime<Utc>)> {
    let end = move |start: DateTime<Utc>| {
        let end = start.checked_add_signed(STRETCH);
        end.map_or(to, |end| end.min(to))
    };
    iter::successors(Some(from), move |start| Some(end(*start)))
        .take_while(move |start| *start < to)
        .map(move |start| (start, end(start)))
}

/// The bars with `from <= bar_start < to` (UTC) that a model predicted from and of which no outcome is stored under
/// these settings of the barriers, by ticker and time. What was said late has no need of one.
///
/// # Errors
/// When the database is lost.
pub async fn unresolved_predictions(
    pool: &PgPool,
    label_settings: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<(Ticker, DateTime<Utc>)>, StorageError> {
    let action = "look for predictions without an outcome";
    let mut open = Vec::new();
    for (from, to) in stretches(from, to) {
        let rows = sqlx::query!(
            r#"
            select distinct ticker, bar_start
            from prediction
            where bar_start >= $2
                and bar_start < $3
                and late is not true
                and not exists (
                    select from outcome
                    where outcome.ticker = prediction.ticker
                        and outcome.bar_start = prediction.bar_start
                        -- So that no others are looked through.
                        and outcome.bar_start >= $2
                        and outcome.bar_start < $3
                        and outcome.label_settings = $1
                )
            "#,
            label_settings,
            from,
            to,
        )
        .fetch_all(pool)
        .answered()
        .await
        .map_err(failed(action))?;
        for row in rows {
            open.push((read_ticker(action, &row.ticker)?, row.bar_start));
        }
    }
    open.sort();
    Ok(open)
}

/// Stores outcomes under these settings of the barriers, and returns how many are new, of which listeners of
/// [`crate::Channel::OutcomesStored`] are told. What is stored already stands, whatever later data say.
///
/// `resolved_at` in market time, UTC: when the bars were looked at.
///
/// # Errors
/// Nothing is stored when the database is lost, or an outcome is told before its touch is known.
pub async fn store_outcomes(
    pool: &PgPool,
    outcomes: &[Outcome],
    label_settings: &str,
    resolved_at: DateTime<Utc>,
) -> Result<u64, StorageError> {
    let error = || failed("store outcomes");
    let mut stored = 0;
    let mut transaction = pool.begin().answered().await.map_err(error())?;
    for batch in outcomes.chunks(BATCH) {
        stored += sqlx::query!(
            r#"
            insert into outcome (ticker, bar_start, label_settings, label, gross_return, first_touch, resolved_at)
            select ticker, bar_start, $6, label, gross_return, first_touch, $7
            from unnest($1::text[], $2::timestamptz[], $3::text[], $4::float8[], $5::timestamptz[])
                as new (ticker, bar_start, label, gross_return, first_touch)
            on conflict (ticker, bar_start, label_settings) do nothing
            "#,
            &batch.iter().map(|row| row.ticker.to_string()).collect::<Vec<_>>(),
            &batch.iter().map(|row| row.bar_start).collect::<Vec<_>>(),
            &batch.iter().map(|row| row.label.name().to_owned()).collect::<Vec<_>>(),
            &batch.iter().map(|row| row.gross_return).collect::<Vec<_>>(),
            &batch.iter().map(|row| row.first_touch).collect::<Vec<_>>(),
            label_settings,
            resolved_at,
        )
        .execute(&mut *transaction)
        .answered()
        .await
        .map_err(error())?
        .rows_affected();
    }
    if stored > 0 {
        notify_outcomes_stored(&mut *transaction)
            .answered()
            .await
            .map_err(error())?;
    }
    transaction.commit().answered().await.map_err(error())?;
    Ok(stored)
}

/// Predictions from bars with `from <= bar_start < to` (UTC) whose outcome is stored, by time, ticker and model; of one
/// model or of all. What was said late, or only when the touch was known, does not count.
///
/// # Errors
/// When the database is lost.
pub async fn resolved_predictions(
    executor: impl PgExecutor<'_>,
    model_id: Option<&ModelId>,
    label_settings: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<ResolvedPrediction>, StorageError> {
    let action = "read what came of predictions";
    let rows = sqlx::query!(
        r#"
        select
            ticker, bar_start, model_id, kind, down, neutral, up, as_of, label, gross_return, first_touch
        from prediction
        join outcome using (ticker, bar_start)
        where bar_start >= $3
            and bar_start < $4
            and ($1::text is null or model_id = $1)
            and label_settings = $2
            and as_of < first_touch + interval '1 minute'
            and late is not true
        order by bar_start, ticker, model_id
        "#,
        model_id.map(ModelId::as_str),
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
            let ticker = read_ticker(action, &row.ticker)?;
            let probabilities = [row.down, row.neutral, row.up];
            Ok(ResolvedPrediction {
                prediction: Prediction {
                    ticker: ticker.clone(),
                    bar_start: row.bar_start,
                    kind: row.kind.parse().map_err(corrupt(action, &row.kind))?,
                    model_id: ModelId::parse(&row.model_id)
                        .map_err(corrupt(action, &row.model_id))?,
                    probabilities: Probabilities::new(probabilities)
                        .map_err(corrupt(action, format!("{probabilities:?}")))?,
                },
                as_of: row.as_of,
                outcome: Outcome {
                    ticker,
                    bar_start: row.bar_start,
                    label: read_class(action, &row.label)?,
                    gross_return: row.gross_return,
                    first_touch: row.first_touch,
                },
            })
        })
        .collect()
}

/// Recommendations to buy or sell from bars with `from <= bar_start < to` (UTC) whose outcome is stored, by time and
/// ticker; of a pair of models, LSTM first, those whose decision is stored, or else all. What was said only when the touch
/// was known does not count.
///
/// # Errors
/// When the database is lost.
pub async fn resolved_signals(
    pool: &PgPool,
    models: Option<[&ModelId; 2]>,
    label_settings: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<ResolvedSignal>, StorageError> {
    let action = "read what came of recommendations";
    let [lstm, transformer] = match models {
        Some(models) => models.map(|model| Some(model.as_str())),
        None => [None; 2],
    };
    let mut signals = Vec::new();
    for (from, to) in stretches(from, to) {
        let rows = sqlx::query!(
            r#"
            select ticker, bar_start, action, label, gross_return, first_touch
            from recommendation
            join outcome using (ticker, bar_start)
            where recommendation.bar_start >= $2
                and recommendation.bar_start < $3
                -- So that no others are looked through.
                and outcome.bar_start >= $2
                and outcome.bar_start < $3
                and action <> 'hold'
                and label_settings = $1
                and as_of < first_touch + interval '1 minute'
                and late is not true
                and ($4::text is null or (lstm_model_id = $4 and transformer_model_id = $5 and decision is not null))
            order by bar_start, ticker
            "#,
            label_settings,
            from,
            to,
            lstm,
            transformer,
        )
        .fetch_all(pool)
        .answered()
        .await
        .map_err(failed(action))?;
        for row in rows {
            let Some(direction) = read_action(action, &row.action)?.direction() else {
                continue;
            };
            signals.push(ResolvedSignal {
                ticker: read_ticker(action, &row.ticker)?,
                bar_start: row.bar_start,
                direction,
                label: read_class(action, &row.label)?,
                gross_return: row.gross_return,
                first_touch: row.first_touch,
            });
        }
    }
    Ok(signals)
}

/// What each model's predictions from bars with `from <= bar_start < to` (UTC) came to, by kind and model. Counts what
/// [`resolved_predictions`] gives.
///
/// # Errors
/// When the database is lost.
pub async fn track_record(
    pool: &PgPool,
    label_settings: &str,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<ModelRecord>, StorageError> {
    let action = "read the track record";
    let count = |value: i64| u64::try_from(value).map_err(corrupt(action, value));
    let mut records: BTreeMap<(String, String), BTreeMap<u8, RecordBin>> = BTreeMap::new();
    for (from, to) in stretches(from, to) {
        let rows = sqlx::query!(
            r#"
            with resolved as (
                select
                    model_id,
                    kind,
                    down::float8 as down,
                    neutral::float8 as neutral,
                    up::float8 as up,
                    -- Of equally probable classes the first.
                    case when down >= neutral and down >= up then 'down' when neutral >= up then 'neutral' else 'up' end
                        as said,
                    greatest(down, neutral, up)::float8 as confidence,
                    case label when 'down' then down when 'neutral' then neutral else up end::float8 as given,
                    label,
                    gross_return
                from prediction
                join outcome using (ticker, bar_start)
                where prediction.bar_start >= $2
                    and prediction.bar_start < $3
                    -- So that no others are looked through.
                    and outcome.bar_start >= $2
                    and outcome.bar_start < $3
                    and label_settings = $1
                    and as_of < first_touch + interval '1 minute'
                    and late is not true
            ),
            scored as (
                select
                    *,
                    case said when 'up' then gross_return when 'down' then -gross_return end as call_return
                from resolved
            )
            select
                model_id as "model_id!",
                kind as "kind!",
                least(floor(confidence * 10), 9)::integer as "tenth!",
                count(*) as "predictions!",
                count(*) filter (where said = label) as "hits!",
                sum(confidence) as "confidence_sum!",
                -- A class that was ruled out and came about would make the sum infinite.
                sum(-ln(greatest(given, 1e-15))) as "surprise_sum!",
                sum(down * down + neutral * neutral + up * up - 2 * given + 1) as "brier_sum!",
                count(call_return) as "calls!",
                count(*) filter (where call_return < 0) as "losing_calls!",
                coalesce(sum(call_return), 0) as "call_return_sum!"
            from scored
            group by 1, 2, 3
            "#,
            label_settings,
            from,
            to,
        )
        .fetch_all(pool)
        .answered()
        .await
        .map_err(failed(action))?;
        for row in rows {
            let bin = RecordBin {
                tenth: u8::try_from(row.tenth).map_err(corrupt(action, row.tenth))?,
                predictions: count(row.predictions)?,
                hits: count(row.hits)?,
                confidence_sum: row.confidence_sum,
                surprise_sum: row.surprise_sum,
                brier_sum: row.brier_sum,
                calls: count(row.calls)?,
                losing_calls: count(row.losing_calls)?,
                call_return_sum: row.call_return_sum,
            };
            records
                .entry((row.kind, row.model_id))
                .or_default()
                .entry(bin.tenth)
                .and_modify(|sum| sum.add(&bin))
                .or_insert(bin);
        }
    }
    records
        .into_iter()
        .map(|((kind, model_id), bins)| {
            Ok(ModelRecord {
                model_id: ModelId::parse(&model_id).map_err(corrupt(action, &model_id))?,
                kind: kind.parse().map_err(corrupt(action, &kind))?,
                bins: bins.into_values().collect(),
            })
        })
        .collect()
}

/// The models that stored predictions name: their artifacts must be kept, so that what was said can be explained.
///
/// # Errors
/// When the database is lost.
pub async fn models_of_predictions(pool: &PgPool) -> Result<Vec<ModelId>, StorageError> {
    let action = "read which models made predictions";
    let mut names = BTreeSet::new();
    let mut from: Option<DateTime<Utc>> = None;
    // From one stretch with predictions to the next.
    loop {
        let first = sqlx::query_scalar!(
            r#"
            select min(bar_start) as "first?"
            from prediction
            where bar_start >= coalesce($1, '-infinity'::timestamptz)
            "#,
            from,
        )
        .fetch_one(pool)
        .answered()
        .await
        .map_err(failed(action))?;
        let Some(start) = first else {
            break;
        };
        let end = start + STRETCH;
        let found = sqlx::query_scalar!(
            r#"
            select distinct model_id as "model_id!"
            from prediction
            where bar_start >= $1 and bar_start < $2
            "#,
            start,
            end,
        )
        .fetch_all(pool)
        .answered()
        .await
        .map_err(failed(action))?;
        names.extend(found);
        from = Some(end);
    }
    names
        .into_iter()
        .map(|name| ModelId::parse(&name).map_err(corrupt(action, name)))
        .collect()
}
