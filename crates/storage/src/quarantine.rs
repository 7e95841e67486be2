use chrono::{DateTime, Utc};
use domain::Ticker;
use sqlx::PgExecutor;

use crate::{
    StorageError,
    bars::read_ticker,
    error::{Answered as _, failed},
};

/// A vendor's row that was refused.
#[derive(Clone, Debug, PartialEq)]
pub struct RefusedRow {
    /// Vendor, lower case.
    pub source: &'static str,
    /// Symbol that was asked for.
    pub ticker: Ticker,
    /// When it happened as the vendor says, UTC; nothing when that is what is wrong.
    pub event_time: Option<DateTime<Utc>>,
    /// What is wrong, in words.
    pub reason: String,
    /// The row as received.
    pub payload: serde_json::Value,
}

/// What lies in quarantine for one ticker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuarantineCount {
    /// Whose.
    pub ticker: Ticker,
    /// Different rows.
    pub rows: u64,
    /// How many times they were refused together.
    pub occurrences: u64,
}

/// Puts refused rows into quarantine, and returns how many of them were not there yet. A fault seen again counts up.
///
/// # Errors
/// When the database is lost.
pub async fn quarantine(
    executor: impl PgExecutor<'_>,
    rows: &[RefusedRow],
    seen_at: DateTime<Utc>,
) -> Result<u64, StorageError> {
    let counts = sqlx::query!(
        r#"
        with written as (
            insert into quarantine as stored
                (source, ticker, event_time, reason, payload, first_seen_at, last_seen_at, occurrences)
            -- The same fault twice in one call is one row that counts twice.
            select source, ticker, event_time, reason, min(payload::text)::jsonb, $6, $6, count(*)
            from unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::jsonb[])
                as new (source, ticker, event_time, reason, payload)
            group by source, ticker, event_time, reason
            on conflict on constraint quarantine_once do update set
                last_seen_at = greatest(stored.last_seen_at, excluded.last_seen_at),
                occurrences = stored.occurrences + excluded.occurrences
            -- xmax is the transaction that replaced an older version of the row: none for a new one.
            returning xmax = 0 as fresh
        )
        select count(*) filter (where fresh) as "fresh!" from written
        "#,
        &rows.iter().map(|row| row.source.to_owned()).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.ticker.to_string()).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.event_time).collect::<Vec<_>>() as &[Option<DateTime<Utc>>],
        &rows.iter().map(|row| row.reason.clone()).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.payload.clone()).collect::<Vec<_>>(),
        seen_at,
    )
    .fetch_one(executor)
    .answered()
    .await
    .map_err(failed("quarantine rows"))?;
    Ok(u64::try_from(counts.fresh).unwrap_or_default())
}

/// What was refused at or after `since` (UTC), by ticker.
///
/// # Errors
/// When the database is lost.
pub async fn quarantine_counts(
    executor: impl PgExecutor<'_>,
    since: DateTime<Utc>,
) -> Result<Vec<QuarantineCount>, StorageError> {
    let action = "count the quarantine";
    let rows = sqlx::query!(
        r#"
        select ticker, count(*) as "rows!", sum(occurrences)::bigint as "occurrences!"
        from quarantine
        where last_seen_at >= $1
        group by ticker
        order by ticker
        "#,
        since,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    rows.into_iter()
        .map(|row| {
            Ok(QuarantineCount {
                ticker: read_ticker(action, &row.ticker)?,
                rows: u64::try_from(row.rows).unwrap_or_default(),
                occurrences: u64::try_from(row.occurrences).unwrap_or_default(),
            })
        })
        .collect()
}
