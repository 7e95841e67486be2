use chrono::{DateTime, Utc};
use domain::{Bar, Ticker};
use sqlx::PgExecutor;

use crate::{
    StorageError,
    bars::{RawBar, read_ticker},
    error::{Answered as _, corrupt, failed},
};

/// What a bar was before a vendor revised it.
#[derive(Clone, Debug, PartialEq)]
pub struct BarRevision {
    /// Whose bar.
    pub ticker: Ticker,
    /// The values as they were, on the share basis of `fetched_at`.
    pub old: Bar,
    /// Vendor that had sent them, lower case.
    pub source: String,
    /// When it had sent them, UTC, market clock.
    pub fetched_at: DateTime<Utc>,
    /// When the values that took their place were fetched, UTC, market clock.
    pub replaced_at: DateTime<Utc>,
    /// 0 for the values first stored, 1 for those that took their place, and so on.
    pub revision: u32,
}

/// The former values of a ticker's revised bars with `from <= start < to`, by bar and then in the order in which they
/// held.
///
/// # Errors
/// When the database is lost.
pub async fn bar_revisions(
    executor: impl PgExecutor<'_>,
    ticker: &Ticker,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<BarRevision>, StorageError> {
    let action = "read the revisions of bars";
    let rows = sqlx::query!(
        r#"
        select
            ticker, bar_start, open, high, low, close, volume, source, fetched_at, replaced_at, revision
        from price_revision
        where ticker = $1 and bar_start >= $2 and bar_start < $3
        order by bar_start, revision
        "#,
        ticker.as_str(),
        from,
        to,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    rows.into_iter()
        .map(|row| {
            let old = RawBar {
                start: row.bar_start,
                open: row.open,
                high: row.high,
                low: row.low,
                close: row.close,
                volume: row.volume,
            };
            Ok(BarRevision {
                ticker: read_ticker(action, &row.ticker)?,
                old: old.check(action)?,
                source: row.source,
                fetched_at: row.fetched_at,
                replaced_at: row.replaced_at,
                revision: u32::try_from(row.revision).map_err(corrupt(action, row.revision))?,
            })
        })
        .collect()
}
