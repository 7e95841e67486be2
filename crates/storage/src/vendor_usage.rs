use chrono::NaiveDate;
use sqlx::PgExecutor;

use crate::{
    StorageError,
    error::{Answered as _, corrupt, failed},
};

/// Counts a request to a vendor before it is sent, unless the day's allowance is used up. Processes that share a
/// vendor share the count, and a restart forgets nothing.
///
/// `vendor` in lower case, such as `alpha_vantage`; `day` in UTC, market clock; `allowance` requests a day, `None` for
/// no such limit. Answers the requests of the day with this one, or `None` when it must not be sent.
///
/// # Errors
/// When the database is lost.
pub async fn spend_request(
    executor: impl PgExecutor<'_>,
    vendor: &str,
    day: NaiveDate,
    allowance: Option<u32>,
) -> Result<Option<u32>, StorageError> {
    let action = "count a request to a vendor";
    let allowance = allowance.map(i64::from);
    let spent = sqlx::query_scalar!(
        r#"
        insert into vendor_usage as stored (vendor, day, requests)
        select $1, $2, 1
        where $3::bigint is null or $3 > 0
        on conflict (vendor, day) do update set requests = stored.requests + 1
        where $3::bigint is null or stored.requests < $3
        returning requests
        "#,
        vendor,
        day,
        allowance as Option<i64>,
    )
    .fetch_optional(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    spent
        .map(|spent| u32::try_from(spent).map_err(corrupt(action, spent)))
        .transpose()
}

/// How many requests were sent to a vendor on a day (UTC, market clock).
///
/// # Errors
/// When the database is lost.
pub async fn requests_spent(
    executor: impl PgExecutor<'_>,
    vendor: &str,
    day: NaiveDate,
) -> Result<u32, StorageError> {
    let action = "read the requests sent to a vendor";
    let spent = sqlx::query_scalar!(
        "select requests from vendor_usage where vendor = $1 and day = $2",
        vendor,
        day,
    )
    .fetch_optional(executor)
    .answered()
    .await
    .map_err(failed(action))?
    .unwrap_or_default();
    u32::try_from(spent).map_err(corrupt(action, spent))
}
