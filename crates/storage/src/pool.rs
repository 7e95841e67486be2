use std::{io, str::FromStr, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sqlx::{
    ConnectOptions, Connection, PgConnection, PgPool,
    migrate::{MigrateDatabase, Migrator},
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    StorageError,
    error::{Answered as _, failed, is_lost_connection, silent},
    timescale,
};

/// The migrations of this version, for [`migrate`] and for tests.
pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A server that accepts and then says nothing is tried anew after this time.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a query waits for a free connection of the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection of the pool that does not answer a ping within this time is replaced: it takes microseconds.
const PING_TIMEOUT: Duration = Duration::from_secs(3);

/// How long a statement may run before the server breaks it off. What takes longer lifts it, see [`lift_timeouts`].
pub(crate) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(25);

/// The same for rewriting and dropping large parts of a table, see [`lift_timeouts`].
pub(crate) const LONG_STATEMENT_TIMEOUT: Duration = Duration::from_secs(6 * 60 * 60);

/// What the server does for each session, so that a client that is gone without a word, its machine or the network between
/// lost, holds neither locks nor its place for long. Whoever comes after it works again within a minute.
const SESSION_TIMEOUTS: [(&str, &str); 7] = [
    // A transaction of ours never waits for anything but the database.
    ("idle_in_transaction_session_timeout", "15s"),
    ("lock_timeout", "10s"),
    // Probes after 15 s of silence; 15 s later the session ends. Unix sockets need none of these.
    ("tcp_keepalives_idle", "15"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    // The same while an answer is under way.
    ("tcp_user_timeout", "30s"),
    ("statement_timeout", "25s"),
];

/// For migrations, which take as long as they take.
const NO_TIMEOUTS: [(&str, &str); 2] = [("statement_timeout", "0"), ("lock_timeout", "0")];

/// How to reach the database.
#[derive(Clone, Debug, Deserialize)]
pub struct DatabaseSettings {
    /// `postgres://user:password@host:port/database`, from `DATABASE_URL`.
    pub url: SecretString,
    /// How long [`connect`] waits for a database that is starting.
    pub connect_timeout: Duration,
    /// Most connections that the pool opens.
    pub max_connections: u32,
}

impl DatabaseSettings {
    /// The usual settings: 30 seconds for a database that is starting, 10 connections.
    pub const fn new(url: SecretString) -> Self {
        Self {
            url,
            connect_timeout: Duration::from_secs(30),
            max_connections: 10,
        }
    }
}

/// Opens the database at an address with the usual settings, and brings its schema up to date: how a program begins.
///
/// # Errors
/// As [`connect`] and [`migrate`].
pub async fn open(url: String) -> Result<PgPool, StorageError> {
    let pool = connect(&DatabaseSettings::new(url.into())).await?;
    migrate(&pool).await?;
    Ok(pool)
}

/// Opens the pool, and waits for a database that is still starting.
///
/// # Errors
/// [`StorageError::InvalidUrl`]; [`StorageError::Unreachable`] after `connect_timeout`; [`StorageError::Refused`] at
/// once when waiting cannot help.
pub async fn connect(settings: &DatabaseSettings) -> Result<PgPool, StorageError> {
    let options = PgConnectOptions::from_str(settings.url.expose_secret())
        .map_err(|source| StorageError::InvalidUrl { source })?
        .application_name("tandem")
        .options([
            // Compiling a query takes longer than running any of ours, and so does planning it anew for each call
            // where a table has a chunk for each month of many years.
            ("jit", "off"),
            ("plan_cache_mode", "force_generic_plan"),
            // A backfill may touch any number of bars in compressed chunks. PostgreSQL keeps settings it does not know.
            (
                "timescaledb.max_tuples_decompressed_per_dml_transaction",
                "0",
            ),
        ])
        .options(SESSION_TIMEOUTS);
    wait_until_ready(&options, settings.connect_timeout).await?;
    Ok(PgPoolOptions::new()
        .max_connections(settings.max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // sqlx pings connections that are taken and given back as well, and waits for the answer without end.
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(is_alive(connection)))
        .after_release(|connection, _| Box::pin(is_alive(connection)))
        .connect_lazy_with(options))
}

/// True, or an error: then the pool drops the connection without any farewell.
async fn is_alive(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    match timeout(PING_TIMEOUT, connection.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_elapsed) => Err(silent("the connection fell silent".to_owned())),
    }
}

async fn wait_until_ready(
    options: &PgConnectOptions,
    connect_timeout: Duration,
) -> Result<(), StorageError> {
    let host = options.get_socket().map_or_else(
        || options.get_host().to_owned(),
        |socket| socket.display().to_string(),
    );
    let port = options.get_port();
    let database = options
        .get_database()
        .unwrap_or_else(|| options.get_username())
        .to_owned();
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let left = connect_timeout.saturating_sub(started.elapsed());
        let attempt = timeout(left.min(ATTEMPT_TIMEOUT), probe(options)).await;
        let error = match attempt {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => sqlx::Error::Io(io::Error::new(
                io::ErrorKind::TimedOut,
                "no answer to the connection attempt",
            )),
        };
        if !is_lost_connection(&error) {
            return Err(StorageError::Refused {
                host,
                port,
                database,
                source: error,
            });
        }
        if started.elapsed() + pause >= connect_timeout {
            return Err(StorageError::Unreachable {
                host,
                port,
                database,
                waited: connect_timeout,
                source: error,
            });
        }
        if pause == FIRST_PAUSE {
            tracing::info!(
                db.host = host,
                db.port = port,
                "waiting for PostgreSQL at {host}:{port}: {error}"
            );
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn probe(options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    PgConnection::connect_with(options).await?.close().await
}

/// Creates a database of that name on the server of `settings` when it is missing, and answers its address.
///
/// The address holds the password of `settings`: never log it.
///
/// # Errors
/// As [`connect`], and [`StorageError::Query`] when the user may not create databases.
pub async fn ensure_database(
    settings: &DatabaseSettings,
    name: &str,
) -> Result<String, StorageError> {
    let address = database_on_server(settings, name).await?;
    if !sqlx::Postgres::database_exists(&address)
        .await
        .map_err(failed("look for the database"))?
    {
        sqlx::Postgres::create_database(&address)
            .await
            .map_err(failed("create the database"))?;
    }
    Ok(address)
}

/// Name of the database that an address leads to; none when it names none.
///
/// # Errors
/// [`StorageError::InvalidUrl`].
pub fn database_name(url: &str) -> Result<Option<String>, StorageError> {
    let options =
        PgConnectOptions::from_str(url).map_err(|source| StorageError::InvalidUrl { source })?;
    Ok(options.get_database().map(str::to_owned))
}

/// Drops the database of that name on the server of `settings`, if there is one, with all it holds.
///
/// # Errors
/// As [`ensure_database`].
pub async fn drop_database(settings: &DatabaseSettings, name: &str) -> Result<(), StorageError> {
    let address = database_on_server(settings, name).await?;
    sqlx::Postgres::drop_database(&address)
        .await
        .map_err(failed("drop the database"))
}

/// Address of a database, which need not exist, on a server that answers.
async fn database_on_server(
    settings: &DatabaseSettings,
    name: &str,
) -> Result<String, StorageError> {
    let server = PgConnectOptions::from_str(settings.url.expose_secret())
        .map_err(|source| StorageError::InvalidUrl { source })?;
    wait_until_ready(&server, settings.connect_timeout).await?;
    Ok(server.database(name).to_url_lossy().to_string())
}

/// Brings the schema up to date. Services may start together: the first one migrates, the others wait for it.
///
/// Where TimescaleDB is installed, what it offers is set up, see [`crate::TimescaleState`].
///
/// # Errors
/// [`StorageError::Migration`] names the migration; others when the database is lost on the way.
pub async fn migrate(pool: &PgPool) -> Result<(), StorageError> {
    let error = || failed("migrate the database");
    // Rewriting a full table takes minutes, and who comes second waits for as long. But a session that falls silent with
    // the lock of the migrations in its hand ends.
    let options = pool
        .connect_options()
        .as_ref()
        .clone()
        .options(NO_TIMEOUTS)
        .options([("idle_session_timeout", "60s")]);
    let mut connection = PgConnection::connect_with(&options)
        .await
        .map_err(error())?;
    if rewrites_bars(&mut connection).await.map_err(error())? {
        tracing::warn!(
            "the bars of an earlier version are rewritten, compressed ones as well: that takes minutes and much room on \
             the database's disk, see \"Before an update\" in crates/storage/README.md"
        );
    }
    MIGRATOR
        .run(&mut connection)
        .await
        .map_err(|source| StorageError::Migration { source })?;
    timescale::set_up(&mut connection).await?;
    connection.close().await.map_err(error())
}

/// Whether migration 0011 is still to come, and there are bars for it to rewrite.
async fn rewrites_bars(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    // Nothing of ours need exist yet.
    sqlx::query_scalar!(
        r#"
        select exists (
            select from pg_attribute
            where attrelid = to_regclass('price_data') and attname = 'volume' and atttypid = 'bigint'::regtype
        ) as "rewrites!"
        "#,
    )
    .fetch_one(connection)
    .answered()
    .await
}

/// Lets the statements of a transaction take hours: for rewriting and dropping large parts of a table. Who waits for them
/// does so with [`crate::error::LONG_ANSWER_TIMEOUT`].
pub(crate) async fn lift_timeouts(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let long = LONG_STATEMENT_TIMEOUT.as_millis().to_string();
    for (name, value) in [("statement_timeout", long.as_str()), ("lock_timeout", "0")] {
        sqlx::query("select set_config($1, $2, true)")
            .bind(name)
            .bind(value)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
