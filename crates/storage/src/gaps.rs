use chrono::{DateTime, Utc};
use domain::Ticker;
use sqlx::PgExecutor;

use crate::{StorageError, bars::read_ticker, error::failed};

/// Bars of a ticker that are missing and should be fetched again: those with `start <= bar start < end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whose.
    pub ticker: Ticker,
    /// Start of the first missing bar, UTC.
    pub start: DateTime<Utc>,
    /// Start of the first bar after the gap, UTC.
    pub end: DateTime<Utc>,
    /// How many times a refetch was tried.
    pub attempts: u32,
}

/// Remembers gaps. One that is known already, open or closed, is left as it is; returns how many are new.
/// `attempts` of the given gaps is not looked at.
///
/// # Errors
/// When the database is lost, or a gap ends before it starts.
pub async fn record_gaps(
    executor: impl PgExecutor<'_>,
    gaps: &[Gap],
    detected_at: DateTime<Utc>,
) -> Result<u64, StorageError> {
    let done = sqlx::query!(
        r#"
        insert into ingest_gap (ticker, gap_start, gap_end, detected_at)
        select ticker, gap_start, gap_end, $4
        from unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) as new (ticker, gap_start, gap_end)
        on conflict (ticker, gap_start) do nothing
        "#,
        &gaps.iter().map(|gap| gap.ticker.to_string()).collect::<Vec<_>>(),
        &gaps.iter().map(|gap| gap.start).collect::<Vec<_>>(),
        &gaps.iter().map(|gap| gap.end).collect::<Vec<_>>(),
        detected_at,
    )
    .execute(executor)
    .await
    .map_err(failed("record gaps"))?;
    Ok(done.rows_affected())
}

/// All gaps that are still open, by ticker and time.
///
/// # Errors
/// When the database is lost.
pub async fn open_gaps(executor: impl PgExecutor<'_>) -> Result<Vec<Gap>, StorageError> {
    let action = "read the open gaps";
    let rows = sqlx::query!(
        r#"
        select ticker, gap_start, gap_end, attempts
        from ingest_gap
        where closed_at is null
        order by ticker, gap_start
        "#,
    )
    .fetch_all(executor)
    .await
    .map_err(failed(action))?;
    rows.into_iter()
        .map(|row| {
            Ok(Gap {
                ticker: read_ticker(action, &row.ticker)?,
                start: row.gap_start,
                end: row.gap_end,
                attempts: u32::try_from(row.attempts).unwrap_or_default(),
            })
        })
        .collect()
}

/// Counts a refetch that was tried.
///
/// # Errors
/// When the database is lost.
pub async fn count_gap_attempt(
    executor: impl PgExecutor<'_>,
    gap: &Gap,
) -> Result<(), StorageError> {
    sqlx::query!(
        "update ingest_gap set attempts = attempts + 1 where ticker = $1 and gap_start = $2",
        gap.ticker.as_str(),
        gap.start,
    )
    .execute(executor)
    .await
    .map_err(failed("count an attempt on a gap"))?;
    Ok(())
}

/// Closes a gap: it was filled, or found to be unfillable.
///
/// # Errors
/// When the database is lost.
pub async fn close_gap(
    executor: impl PgExecutor<'_>,
    gap: &Gap,
    closed_at: DateTime<Utc>,
) -> Result<(), StorageError> {
    sqlx::query!(
        "update ingest_gap set closed_at = $3 where ticker = $1 and gap_start = $2 and closed_at is null",
        gap.ticker.as_str(),
        gap.start,
        closed_at,
    )
    .execute(executor)
    .await
    .map_err(failed("close a gap"))?;
    Ok(())
}
