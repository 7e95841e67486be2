use chrono::{DateTime, Utc};
use domain::Ticker;
use sqlx::PgExecutor;

use crate::{
    StorageError,
    bars::{read_ticker, texts},
    error::{Answered as _, failed},
};

/// Start of the first bar of any of the tickers from `since` (UTC) on that was analysed.
///
/// # Errors
/// When the database is lost.
pub async fn first_analysed_bar(
    executor: impl PgExecutor<'_>,
    tickers: &[Ticker],
    since: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StorageError> {
    sqlx::query_scalar!(
        r#"
        select min(first.bar_start)
        from unnest($1::text[]) as wanted (ticker)
        cross join lateral (
            select bar_start
            from recommendation
            where recommendation.ticker = wanted.ticker
                and bar_start >= $2
            order by bar_start
            limit 1
        ) as first
        "#,
        &texts(tickers),
        since,
    )
    .fetch_one(executor)
    .answered()
    .await
    .map_err(failed("look for the first analysis"))
}

/// Starts of the stored bars with `from <= bar_start < to` (UTC) that were never analysed, by ticker and time.
///
/// # Errors
/// When the database is lost.
pub async fn bars_without_analysis(
    executor: impl PgExecutor<'_>,
    tickers: &[Ticker],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<(Ticker, DateTime<Utc>)>, StorageError> {
    let action = "look for bars without an analysis";
    let rows = sqlx::query!(
        r#"
        select ticker, bar_start
        from price_data
        where ticker = any($1)
            and bar_start >= $2
            and bar_start < $3
            and not exists (
                select from recommendation
                where recommendation.ticker = price_data.ticker
                    and recommendation.bar_start = price_data.bar_start
            )
        order by ticker, bar_start
        "#,
        &texts(tickers),
        from,
        to,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    rows.into_iter()
        .map(|row| Ok((read_ticker(action, &row.ticker)?, row.bar_start)))
        .collect()
}
