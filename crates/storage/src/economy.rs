use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::{MacroObservation, SeriesId};
use sqlx::{PgExecutor, PgPool};

use crate::{
    StorageError,
    error::{Answered as _, corrupt, failed},
    listener,
};

/// What became of the observations given to [`store_observations`]; their sum is the number given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ObservationCounts {
    /// The first vintage of a period.
    pub new_periods: u64,
    /// A further vintage of a known period, with another value.
    pub revisions: u64,
    /// The value that was known already.
    pub unchanged: u64,
}

/// Values of a period by the time at which they could be known.
type Vintages = BTreeMap<DateTime<Utc>, Option<f64>>;

/// Stores observations in one transaction, and notifies the listeners of [`crate::Channel::MacroReleased`] if any is
/// new.
///
/// An observation equal to what was known of its period at its `available_at` says nothing new and is not stored, so
/// that fetching a series again moves no release. What is stored is never changed. Vintages earlier than those known
/// are stored too: they were known by then, only not to us.
///
/// # Errors
/// Nothing is stored if the database is lost or a value is not finite.
pub async fn store_observations(
    pool: &PgPool,
    observations: &[MacroObservation],
    source: &'static str,
) -> Result<ObservationCounts, StorageError> {
    let error = || failed("store economic observations");
    let mut transaction = pool.begin().answered().await.map_err(error())?;
    // Two writers take turns, so that each sees the vintages of the other. The number is arbitrary and only has to be
    // the same.
    sqlx::query!(r#"select pg_advisory_xact_lock(7265018255) as "locked!: ()""#)
        .fetch_one(&mut *transaction)
        .answered()
        .await
        .map_err(error())?;
    let mut known = known_vintages(&mut *transaction, observations)
        .answered()
        .await
        .map_err(error())?;
    let (fresh, counts) = new_vintages(observations, &mut known);
    if !fresh.is_empty() {
        insert(&mut *transaction, &fresh, source)
            .answered()
            .await
            .map_err(error())?;
        listener::notify_macro_released(&mut *transaction)
            .answered()
            .await
            .map_err(error())?;
    }
    transaction.commit().answered().await.map_err(error())?;
    Ok(counts)
}

fn new_vintages<'a>(
    observations: &'a [MacroObservation],
    known: &mut BTreeMap<(String, NaiveDate), Vintages>,
) -> (Vec<&'a MacroObservation>, ObservationCounts) {
    // In the order of their times, so that each meets the one before it, whatever the order in which they came.
    let mut ordered: Vec<&MacroObservation> = observations.iter().collect();
    ordered.sort_by_key(|row| row.available_at);
    let mut counts = ObservationCounts::default();
    let mut fresh = Vec::new();
    for row in ordered {
        let vintages = known
            .entry((row.series.to_string(), row.period))
            .or_default();
        let before = vintages.range(..=row.available_at).next_back();
        // What was stored first at a moment stands.
        if before.is_some_and(|(time, value)| *value == row.value || *time == row.available_at) {
            counts.unchanged += 1;
            continue;
        }
        if vintages.is_empty() {
            counts.new_periods += 1;
        } else {
            counts.revisions += 1;
        }
        vintages.insert(row.available_at, row.value);
        fresh.push(row);
    }
    (fresh, counts)
}

async fn known_vintages(
    executor: impl PgExecutor<'_>,
    observations: &[MacroObservation],
) -> Result<BTreeMap<(String, NaiveDate), Vintages>, sqlx::Error> {
    let mut series: Vec<String> = observations
        .iter()
        .map(|row| row.series.to_string())
        .collect();
    series.sort_unstable();
    series.dedup();
    let first = observations.iter().map(|row| row.period).min();
    let last = observations.iter().map(|row| row.period).max();
    let rows = sqlx::query!(
        r#"
        select series, period, available_at, value
        from macro_observation
        where series = any($1) and period between $2 and $3
        "#,
        &series,
        first,
        last,
    )
    .fetch_all(executor)
    .await?;
    let mut known = BTreeMap::<_, Vintages>::new();
    for row in rows {
        known
            .entry((row.series, row.period))
            .or_default()
            .insert(row.available_at, row.value);
    }
    Ok(known)
}

async fn insert(
    executor: impl PgExecutor<'_>,
    rows: &[&MacroObservation],
    source: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        r#"
        insert into macro_observation (series, period, available_at, value, source)
        select series, period, available_at, value, $5
        from unnest($1::text[], $2::date[], $3::timestamptz[], $4::float8[])
            as new (series, period, available_at, value)
        "#,
        &rows
            .iter()
            .map(|row| row.series.to_string())
            .collect::<Vec<_>>(),
        &rows.iter().map(|row| row.period).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.available_at).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.value).collect::<Vec<_>>() as &[Option<f64>],
        source,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// All vintages of the series that could be known at `available_to` (UTC, market clock), ascending by the time since
/// when they could.
///
/// # Errors
/// When the database is lost.
pub async fn macro_observations(
    executor: impl PgExecutor<'_>,
    series: &[SeriesId],
    available_to: DateTime<Utc>,
) -> Result<Vec<MacroObservation>, StorageError> {
    let action = "read economic observations";
    sqlx::query_as!(
        ObservationRow,
        r#"
        select series, period, value, available_at
        from macro_observation
        where series = any($1) and available_at <= $2
        order by available_at, series, period
        "#,
        &series.iter().map(SeriesId::to_string).collect::<Vec<_>>(),
        available_to,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?
    .into_iter()
    .map(|row| row.check(action))
    .collect()
}

/// Of each series the newest period that has a value, with the vintage that was known at `as_of` (UTC, market clock);
/// by series.
///
/// # Errors
/// When the database is lost.
pub async fn latest_observations(
    executor: impl PgExecutor<'_>,
    as_of: DateTime<Utc>,
) -> Result<Vec<MacroObservation>, StorageError> {
    let action = "read the latest economic observations";
    // Daily series have a row without a value on each holiday: what people ask for is the last figure.
    sqlx::query_as!(
        ObservationRow,
        r#"
        select newest.series as "series!", newest.period as "period!", newest.value, newest.available_at as "available_at!"
        from (select distinct series from macro_observation) as known
        cross join lateral (
            select series, period, value, available_at
            from macro_observation
            where macro_observation.series = known.series and available_at <= $1 and value is not null
            order by period desc, available_at desc
            limit 1
        ) as newest
        order by newest.series
        "#,
        as_of,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?
    .into_iter()
    .map(|row| row.check(action))
    .collect()
}

/// Of each series the newest `periods` periods that have a value, each with the vintage that was known at `as_of` (UTC,
/// market clock); by series, the newest period first.
///
/// # Errors
/// When the database is lost.
pub async fn recent_observations(
    executor: impl PgExecutor<'_>,
    as_of: DateTime<Utc>,
    periods: u32,
) -> Result<Vec<MacroObservation>, StorageError> {
    let action = "read the recent economic observations";
    sqlx::query_as!(
        ObservationRow,
        r#"
        select newest.series as "series!", newest.period as "period!", newest.value, newest.available_at as "available_at!"
        from (select distinct series from macro_observation) as known
        cross join lateral (
            select distinct on (period) series, period, value, available_at
            from macro_observation
            where macro_observation.series = known.series and available_at <= $1 and value is not null
            order by period desc, available_at desc
            limit $2
        ) as newest
        order by newest.series, newest.period desc
        "#,
        as_of,
        i64::from(periods),
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?
    .into_iter()
    .map(|row| row.check(action))
    .collect()
}

struct ObservationRow {
    series: String,
    period: NaiveDate,
    value: Option<f64>,
    available_at: DateTime<Utc>,
}

impl ObservationRow {
    fn check(self, action: &'static str) -> Result<MacroObservation, StorageError> {
        Ok(MacroObservation {
            series: SeriesId::parse(&self.series).map_err(corrupt(action, &self.series))?,
            period: self.period,
            value: self.value,
            available_at: self.available_at,
        })
    }
}
