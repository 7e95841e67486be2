use std::time::Duration;

/// Why something could not be read from or written to the database.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The address is not one of PostgreSQL.
    #[error(
        "DATABASE_URL is no PostgreSQL address: expected postgres://user:password@host:port/database"
    )]
    InvalidUrl {
        /// What is wrong with it, without the address.
        source: sqlx::Error,
    },
    /// Nothing answered in the time given.
    #[error(
        "no PostgreSQL answers at {host}:{port} (database {database}) after {} s: start it, or correct DATABASE_URL",
        waited.as_secs()
    )]
    Unreachable {
        /// Host name, address or socket directory.
        host: String,
        /// TCP port.
        port: u16,
        /// Database name.
        database: String,
        /// How long it was tried.
        waited: Duration,
        /// The last failure.
        source: sqlx::Error,
    },
    /// The server answered and does not let us in: wrong user, password or database, or no PostgreSQL at all.
    #[error(
        "{host}:{port} refuses the connection to database {database}: check user, password and database in DATABASE_URL"
    )]
    Refused {
        /// Host name, address or socket directory.
        host: String,
        /// TCP port.
        port: u16,
        /// Database name.
        database: String,
        /// What the server said.
        source: sqlx::Error,
    },
    /// The migrations could not be applied.
    #[error("failed to migrate the database")]
    Migration {
        /// Which one, and why.
        source: sqlx::migrate::MigrateError,
    },
    /// The connection was lost, or none became free in time.
    #[error("failed to {action}: lost the database")]
    Connection {
        /// What was tried.
        action: &'static str,
        /// What happened.
        source: sqlx::Error,
    },
    /// Another transaction was in the way.
    #[error("failed to {action}: another transaction was in the way")]
    Conflict {
        /// What was tried.
        action: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// The disk of the database is full.
    #[error("failed to {action}: the disk of the database is full")]
    DiskFull {
        /// What was tried.
        action: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// A rule of the schema is broken.
    #[error("failed to {action}: it breaks the rule {constraint}")]
    Constraint {
        /// What was tried.
        action: &'static str,
        /// Name of the constraint.
        constraint: String,
        /// What the database said.
        source: sqlx::Error,
    },
    /// Anything else the database refused.
    #[error("failed to {action}")]
    Query {
        /// What was tried.
        action: &'static str,
        /// What the database said.
        source: sqlx::Error,
    },
    /// A row that this program cannot have written.
    #[error("failed to {action}: the database holds {value:?}")]
    CorruptRow {
        /// What was tried.
        action: &'static str,
        /// The value that makes no sense.
        value: String,
        /// Why it does not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A recommendation came without the predictions that it rests on.
    #[error(
        "failed to store the recommendation for {ticker} at {bar_start}: its {kind} prediction is missing"
    )]
    MissingPrediction {
        /// Whose recommendation.
        ticker: domain::Ticker,
        /// Start of its bar, UTC.
        bar_start: chrono::DateTime<chrono::Utc>,
        /// Which model's prediction is missing.
        kind: domain::ModelKind,
    },
}

impl StorageError {
    /// The same call may succeed later without anyone changing anything.
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::Connection { .. } | Self::Conflict { .. }
        )
    }
}

/// Translates what sqlx says; the one place where the database's codes are known.
pub(crate) fn failed(action: &'static str) -> impl Fn(sqlx::Error) -> StorageError {
    move |source| {
        if is_lost_connection(&source) {
            return StorageError::Connection { action, source };
        }
        let sqlx::Error::Database(error) = &source else {
            return StorageError::Query { action, source };
        };
        match error.code().as_deref() {
            // serialization_failure, deadlock_detected, lock_not_available
            Some("40001" | "40P01" | "55P03") => StorageError::Conflict { action, source },
            Some("53100") => StorageError::DiskFull { action, source },
            // Class 23, integrity constraint violation.
            Some(code) if code.starts_with("23") => StorageError::Constraint {
                action,
                constraint: error.constraint().unwrap_or("not null").to_owned(),
                source,
            },
            _ => StorageError::Query { action, source },
        }
    }
}

/// A value read from the database that the domain refuses.
pub(crate) fn corrupt<E>(
    action: &'static str,
    value: impl ToString,
) -> impl FnOnce(E) -> StorageError
where
    E: std::error::Error + Send + Sync + 'static,
{
    move |source| StorageError::CorruptRow {
        action,
        value: value.to_string(),
        source: Box::new(source),
    }
}

/// The server is away, starting, stopping or has no connection free: trying again may help.
pub(crate) fn is_lost_connection(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // Class 08, connection exception; class 57P, operator intervention; too_many_connections.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || code.starts_with("57P") || code == "53300"
        }),
        _ => false,
    }
}
