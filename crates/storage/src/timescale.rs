use std::time::Duration;

use chrono::{DateTime, Days, Utc};
use domain::{InvalidSettings, SettingsCheck, SettingsSection};
use serde::Deserialize;
use sqlx::{PgExecutor, PgPool};

use crate::{
    StorageError,
    error::{Answered as _, LONG_ANSWER_TIMEOUT, failed},
    pool::lift_timeouts,
};

const SET_UP: &str = include_str!("timescale.sql");

/// What TimescaleDB does for this database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimescaleState {
    /// Nothing: it is not installed, not loaded, or no service has started since it was.
    Absent,
    /// These tables are too full to be converted by a service that starts: [`convert_to_hypertables`] does it.
    Waiting {
        /// Names of the tables.
        tables: Vec<String>,
    },
    /// Tables are kept in chunks. It is the Apache edition, or older than 2.21: longer bars come from the minutes.
    Hypertables,
    /// Old chunks are compressed as well, and longer bars come from continuous aggregates.
    Complete,
}

/// Looks at what is set up, without changing it.
///
/// # Errors
/// When the database is lost.
pub async fn timescale_state(pool: &PgPool) -> Result<TimescaleState, StorageError> {
    let action = "look at TimescaleDB";
    let row = sqlx::query!(
        r#"
        select
            exists (select from pg_extension where extname = 'timescaledb') as "loaded!",
            to_regclass('price_1d') is not null as "complete!"
        "#,
    )
    .fetch_one(pool)
    .answered()
    .await
    .map_err(failed(action))?;
    if !row.loaded {
        return Ok(TimescaleState::Absent);
    }
    // Not checked when compiled: without the extension the view does not exist.
    let tables: Vec<String> = sqlx::query_scalar(
        "select wanted from unnest('{price_data,prediction,recommendation}'::text[]) as wanted \
         where to_regclass(wanted) is not null \
         and wanted not in (select hypertable_name from timescaledb_information.hypertables)",
    )
    .fetch_all(pool)
    .answered()
    .await
    .map_err(failed(action))?;
    Ok(match (tables.is_empty(), row.complete) {
        (false, _) => TimescaleState::Waiting { tables },
        (true, false) => TimescaleState::Hypertables,
        (true, true) => TimescaleState::Complete,
    })
}

/// Sets up what TimescaleDB offers, where it is loaded. Tables of up to a million rows are converted on the way.
pub(crate) async fn set_up(executor: impl PgExecutor<'_>) -> Result<(), StorageError> {
    sqlx::raw_sql(SET_UP)
        .execute(executor)
        .answered_within(LONG_ANSWER_TIMEOUT)
        .await
        .map_err(failed("set up TimescaleDB"))?;
    Ok(())
}

/// Makes hypertables of all tables that are to be, however full, and sets up what follows from it.
///
/// For a person to start: whoever reads or writes a table waits until it is rewritten, about 4 s for a million bars.
/// It happens in one transaction, so that nothing is lost or half done if it is interrupted.
///
/// # Errors
/// When the database is lost or its disk full.
pub async fn convert_to_hypertables(pool: &PgPool) -> Result<(), StorageError> {
    let error = || failed("convert to hypertables");
    let mut transaction = pool.begin().answered().await.map_err(error())?;
    lift_timeouts(&mut transaction)
        .answered()
        .await
        .map_err(error())?;
    sqlx::query!("select set_config('tandem.rewrite_any_table', 'on', true)")
        .fetch_one(&mut *transaction)
        .answered()
        .await
        .map_err(error())?;
    set_up(&mut *transaction).await?;
    transaction
        .commit()
        .answered_within(LONG_ANSWER_TIMEOUT)
        .await
        .map_err(error())
}

/// How long data is kept. Nothing set, as by default, means for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionSettings {
    /// Days that bars are kept, longer ones included.
    pub price_days: Option<u32>,
    /// Days that predictions and recommendations are kept.
    pub analysis_days: Option<u32>,
}

impl SettingsSection for RetentionSettings {
    const SECTION: &'static str = "retention";

    fn check(&self) -> Result<(), InvalidSettings> {
        let mut check = SettingsCheck::new(Self::SECTION);
        if let Some(days) = self.price_days {
            check = check.field(
                "price_days",
                days,
                days > 30,
                "more than the 30 days that Yahoo has, which are fetched again whenever they are missing",
            );
        }
        if let Some(days) = self.analysis_days {
            check = check.field("analysis_days", days, days > 0, "1 or more");
        }
        check.end()
    }
}

/// Drops what is older than the settings say at `now`, UTC: with TimescaleDB whole chunks of 30 days, so that some of
/// it stays for another month.
///
/// # Errors
/// When the database is lost.
pub async fn apply_retention(
    pool: &PgPool,
    settings: &RetentionSettings,
    now: DateTime<Utc>,
) -> Result<(), StorageError> {
    let RetentionSettings {
        price_days,
        analysis_days,
    } = *settings;
    for (table, days) in [
        ("price_data", price_days),
        ("price_revision", price_days),
        ("prediction", analysis_days),
        ("recommendation", analysis_days),
    ] {
        // More days than there are since the beginning of time keep everything.
        let Some(before) = days.and_then(|days| now.checked_sub_days(Days::new(days.into())))
        else {
            continue;
        };
        drop_before(pool, table, before, LONG_ANSWER_TIMEOUT)
            .await
            .map_err(failed("drop what is too old"))?;
    }
    Ok(())
}

/// Drops what a table holds from before a moment. A server that then says nothing for as long as `limit` is given up.
async fn drop_before(
    pool: &PgPool,
    table: &str,
    before: DateTime<Utc>,
    limit: Duration,
) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().answered().await?;
    lift_timeouts(&mut transaction).answered().await?;
    sqlx::query!("select drop_bars_before($1, $2)", table, before)
        .fetch_one(&mut *transaction)
        .answered_within(limit)
        .await?;
    transaction.commit().answered_within(limit).await
}

#[cfg(test)]
mod tests {
    use sqlx::ConnectOptions as _;
    use test_support::HushingProxy;

    use super::*;
    use crate::{DatabaseSettings, connect, error::is_lost_connection};

    #[sqlx::test(migrator = "crate::MIGRATOR")]
    async fn a_server_that_falls_silent_while_it_drops_is_given_up(pool: PgPool) {
        let url = pool.connect_options().to_url_lossy().to_string();
        let proxy = HushingProxy::start(&url).await.unwrap();
        let settings = DatabaseSettings::new(proxy.through(&url).into());
        let through = connect(&settings).await.unwrap();
        proxy.hush_at("drop_bars_before");
        let before = DateTime::UNIX_EPOCH;
        let error = drop_before(&through, "prediction", before, Duration::from_secs(1))
            .await
            .unwrap_err();
        assert!(is_lost_connection(&error), "{error:?}");
        // The server's own limit comes first.
        let mut transaction = pool.begin().await.unwrap();
        lift_timeouts(&mut transaction).await.unwrap();
        let limit: String = sqlx::query_scalar("show statement_timeout")
            .fetch_one(&mut *transaction)
            .await
            .unwrap();
        assert_eq!(limit, "6h");
    }
}
