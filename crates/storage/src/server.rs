use sqlx::PgPool;

use crate::{
    MIGRATOR, StorageError,
    error::{Answered as _, failed},
};

/// What `tandem doctor` wants to know of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerReport {
    /// Version of PostgreSQL, such as `17.2`.
    pub version: String,
    /// TimescaleDB's version, where it is set up in this database.
    pub timescale: Option<String>,
    /// Bytes that the database takes on its disk.
    pub size_bytes: u64,
    /// Migrations of this version that the database lacks.
    pub pending_migrations: usize,
}

/// Looks at the database without changing it.
///
/// # Errors
/// When the database is lost.
pub async fn server_report(pool: &PgPool) -> Result<ServerReport, StorageError> {
    let action = "look at the database";
    let row = sqlx::query!(
        r#"
        select
            current_setting('server_version') as "version!",
            (select extversion from pg_extension where extname = 'timescaledb') as timescale,
            pg_database_size(current_database()) as "size_bytes!",
            to_regclass('_sqlx_migrations') is not null as "migrated!"
        "#,
    )
    .fetch_one(pool)
    .answered()
    .await
    .map_err(failed(action))?;
    let applied = if row.migrated {
        // Not checked when compiled: the table belongs to the migrations' library.
        sqlx::query_scalar::<_, i64>("select version from _sqlx_migrations where success")
            .fetch_all(pool)
            .answered()
            .await
            .map_err(failed(action))?
    } else {
        Vec::new()
    };
    Ok(ServerReport {
        version: row.version,
        timescale: row.timescale,
        size_bytes: u64::try_from(row.size_bytes).unwrap_or_default(),
        pending_migrations: MIGRATOR
            .iter()
            .filter(|migration| !applied.contains(&migration.version))
            .count(),
    })
}
