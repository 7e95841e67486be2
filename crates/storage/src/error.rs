use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Timeout, timeout};

use crate::pool::{LONG_STATEMENT_TIMEOUT, STATEMENT_TIMEOUT};

/// The server gives up a statement first and says so; what has said nothing this long after that never will.
const SILENCE: Duration = Duration::from_secs(5);

const ANSWER_TIMEOUT: Duration = STATEMENT_TIMEOUT.saturating_add(SILENCE);

/// For what has lifted the limits of its transaction, see [`crate::pool::lift_timeouts`].
pub(crate) const LONG_ANSWER_TIMEOUT: Duration = LONG_STATEMENT_TIMEOUT.saturating_add(SILENCE);

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
    /// The server cannot do it at the moment: it ran out of something, takes no writes, or broke the statement off.
    #[error("failed to {action}: the database cannot do it now")]
    Unavailable {
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
            Self::Unreachable { .. }
                | Self::Connection { .. }
                | Self::Conflict { .. }
                | Self::DiskFull { .. }
                | Self::Unavailable { .. }
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
            // transaction_rollback, serialization_failure, statement_completion_unknown, deadlock_detected, object_in_use,
            // lock_not_available
            Some("40000" | "40001" | "40003" | "40P01" | "55006" | "55P03") => {
                StorageError::Conflict { action, source }
            }
            Some("53100") => StorageError::DiskFull { action, source },
            Some(code) if is_temporary(code) => StorageError::Unavailable { action, source },
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

/// Whether the server itself is in trouble, and not what was asked of it.
fn is_temporary(code: &str) -> bool {
    // Class 53, insufficient resources; class 57, operator intervention, query_canceled among them; class 58, system
    // error; class 72, snapshot failure.
    ["53", "57", "58", "72"].iter().any(|class| code.starts_with(class))
        // read_only_sql_transaction: a standby, or a primary whose disk is full; then what follows from a transaction that
        // was ended: in_failed_sql_transaction, transaction_timeout.
        || matches!(code, "25006" | "25P02" | "25P04")
}

/// Bounds the wait for an answer, for every statement: a connection that fell silent never brings one.
pub(crate) trait Answered: Future + Sized {
    /// The answer, or that the connection is lost.
    fn answered(self) -> Answer<Self> {
        self.answered_within(ANSWER_TIMEOUT)
    }

    /// The same with another limit than that of most statements.
    fn answered_within(self, limit: Duration) -> Answer<Self> {
        Answer {
            waiting: Box::pin(timeout(limit, self)),
            limit,
        }
    }
}

impl<F: Future> Answered for F {}

/// What [`Answered::answered`] waits for.
pub(crate) struct Answer<F> {
    waiting: Pin<Box<Timeout<F>>>,
    limit: Duration,
}

impl<T, F> Future for Answer<F>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    type Output = Result<T, sqlx::Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let seconds = self.limit.as_secs();
        self.waiting.as_mut().poll(context).map(|answer| {
            answer.unwrap_or_else(|_elapsed| Err(silent(format!("no answer within {seconds} s"))))
        })
    }
}

/// A connection that fell silent.
pub(crate) fn silent(text: String) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, text))
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
        // Class 08, connection exception; class 57P, operator intervention; too_many_connections; the server ended the
        // session: idle_in_transaction_session_timeout.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || code.starts_with("57P") || matches!(&*code, "53300" | "25P03")
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use sqlx::PgPool;

    use super::*;

    /// What a statement of ours fails with when the server says this.
    async fn failure(pool: &PgPool, code: &str) -> StorageError {
        let statement =
            format!("do $$ begin raise exception 'for a test' using errcode = '{code}'; end $$");
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
            .execute(pool)
            .await
            .map_err(failed("try"))
            .unwrap_err()
    }

    #[sqlx::test]
    async fn what_passes_by_itself_is_tried_again_and_what_is_wrong_is_not(pool: PgPool) {
        let temporary = [
            "08000", "08003", "08006", "08P01", "25006", "25P02", "25P03", "25P04", "40000",
            "40001", "40003", "40P01", "53000", "53100", "53200", "53300", "53400", "55006",
            "55P03", "57000", "57014", "57P01", "57P02", "57P03", "57P04", "57P05", "58000",
            "58030", "72000",
        ];
        for code in temporary {
            let error = failure(&pool, code).await;
            assert!(error.is_retryable(), "{code}: {error:?}");
        }
        let permanent = [
            "22003", "23505", "23514", "28000", "42501", "42P01", "XX001",
        ];
        for code in permanent {
            let error = failure(&pool, code).await;
            assert!(!error.is_retryable(), "{code}: {error:?}");
        }
    }
}
