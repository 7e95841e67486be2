use std::{fmt, str::FromStr};

use chrono::{DateTime, NaiveDate, Utc};
use domain::Ticker;
use sqlx::{Connection, PgConnection, PgExecutor, PgPool};

use crate::{
    StorageError,
    bars::read_ticker,
    error::{Answered as _, corrupt, failed},
};

/// Key of the advisory lock of the night. The number is arbitrary and only has to be the same everywhere.
const NIGHT_LOCK: i64 = 7_265_018_256;

/// How far a run or a step is, and how a ticker fared in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PipelineState {
    /// Not begun, interrupted in good order, or waiting for its next attempt.
    Pending,
    /// Under way, or its program died.
    Running,
    /// Over, and done.
    Success,
    /// Over, and not done.
    Failed,
}

impl PipelineState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Running, Self::Success, Self::Failed];

    /// The name in tables and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
        }
    }

    /// Nothing happens to it any more.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Success | Self::Failed)
    }
}

impl fmt::Display for PipelineState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for PipelineState {
    type Err = UnknownPipelineState;

    fn from_str(text: &str) -> Result<Self, UnknownPipelineState> {
        Self::ALL
            .into_iter()
            .find(|known| known.name() == text)
            .ok_or_else(|| UnknownPipelineState(text.to_owned()))
    }
}

/// Text that names no state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the state of a step: expected PENDING, RUNNING, SUCCESS or FAILED")]
pub struct UnknownPipelineState(String);

/// A run of the nightly pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineRun {
    /// Its number, ascending.
    pub run_id: i64,
    /// The session that it follows, New York date.
    pub night: NaiveDate,
    /// How far it is.
    pub state: PipelineState,
    /// Its program died: it says that it is running, and nobody holds the [`NightLock`].
    pub abandoned: bool,
    /// When it began, UTC, market clock.
    pub started_at: DateTime<Utc>,
    /// When it ended, UTC, market clock; nothing while it is unfinished.
    pub ended_at: Option<DateTime<Utc>>,
    /// Which program last worked on it.
    pub worker: Worker,
    /// Its steps in their order.
    pub steps: Vec<PipelineStep>,
}

impl PipelineRun {
    /// The step of that name.
    pub fn step(&self, name: &str) -> Option<&PipelineStep> {
        self.steps.iter().find(|step| step.step == name)
    }
}

/// A program that works on a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Name of its machine.
    pub host: String,
    /// Its process number there.
    pub pid: u32,
}

/// A step of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PipelineStep {
    /// Its name, such as `train`.
    pub step: String,
    /// How far it is.
    pub state: PipelineState,
    /// How many times it was begun.
    pub attempts: u32,
    /// When it was last begun, UTC, market clock.
    pub started_at: Option<DateTime<Utc>>,
    /// When its last attempt ended, UTC, market clock.
    pub ended_at: Option<DateTime<Utc>>,
    /// What came of it, for people.
    pub message: String,
    /// When it is tried again after a passing failure, UTC, market clock.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// How the tickers fared, by ticker, where the step works on them one by one.
    pub tickers: Vec<StepTicker>,
}

impl PipelineStep {
    /// The tickers that failed.
    pub fn failed_tickers(&self) -> impl Iterator<Item = &StepTicker> {
        self.tickers
            .iter()
            .filter(|row| row.state == PipelineState::Failed)
    }
}

/// How a ticker fared in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepTicker {
    /// Whose work.
    pub ticker: Ticker,
    /// How far it is.
    pub state: PipelineState,
    /// How many times it was tried to the end.
    pub attempts: u32,
    /// When the last try ended, UTC, market clock.
    pub ended_at: Option<DateTime<Utc>>,
    /// What came of it, for people.
    pub message: String,
}

/// The right to run a night: one program has it at a time. It goes with the program, however that ends, since the
/// database takes it back with the connection.
#[derive(Debug)]
pub struct NightLock {
    connection: PgConnection,
}

impl NightLock {
    /// Takes the lock; `None` while another program has it.
    ///
    /// # Errors
    /// When the database is lost.
    pub async fn take(pool: &PgPool) -> Result<Option<Self>, StorageError> {
        let error = || failed("take the lock of the night");
        // A connection of its own: the lock lives as long as it does.
        let mut connection = pool.acquire().answered().await.map_err(error())?.detach();
        let taken =
            sqlx::query_scalar!(r#"select pg_try_advisory_lock($1) as "taken!""#, NIGHT_LOCK)
                .fetch_one(&mut connection)
                .answered()
                .await
                .map_err(error())?;
        Ok(taken.then_some(Self { connection }))
    }

    /// Makes sure that the lock is still held.
    ///
    /// # Errors
    /// When the connection was lost, and the lock with it.
    pub async fn check(&mut self) -> Result<(), StorageError> {
        self.connection
            .ping()
            .answered()
            .await
            .map_err(failed("keep the lock of the night"))
    }

    /// Gives the lock back at once; with a lost connection the database does so when it notices.
    ///
    /// # Errors
    /// When the connection was lost; the lock is gone then too.
    pub async fn release(mut self) -> Result<(), StorageError> {
        let error = || failed("give the lock of the night back");
        sqlx::query_scalar!(
            r#"select pg_advisory_unlock($1) as "released!""#,
            NIGHT_LOCK
        )
        .fetch_one(&mut self.connection)
        .answered()
        .await
        .map_err(error())?;
        self.connection.close().answered().await.map_err(error())
    }
}

/// Begins a run of that night, or resumes the newest if it is unfinished: what succeeded or failed for good stays, what
/// was under way is pending again. Runs of other nights that died are marked as interrupted.
///
/// `steps` in their order; `at` in market time, UTC. The lock proves that no other program works on a run.
///
/// # Errors
/// Nothing is written when the database is lost.
pub async fn begin_run(
    pool: &PgPool,
    _lock: &NightLock,
    night: NaiveDate,
    steps: &[&str],
    worker: &Worker,
    at: DateTime<Utc>,
) -> Result<PipelineRun, StorageError> {
    let action = "begin a nightly run";
    let error = || failed(action);
    // Process numbers are positive and far smaller.
    let pid = i32::try_from(worker.pid).unwrap_or(i32::MAX);
    let mut transaction = pool.begin().answered().await.map_err(error())?;
    sqlx::query!("update pipeline_run set state = 'PENDING' where state = 'RUNNING'")
        .execute(&mut *transaction)
        .answered()
        .await
        .map_err(error())?;
    sqlx::query!(
        r#"
        update pipeline_step
        set state = 'PENDING', message = 'interrupted'
        where state = 'RUNNING'
        "#,
    )
    .execute(&mut *transaction)
    .answered()
    .await
    .map_err(error())?;
    let newest = sqlx::query!(
        r#"
        select pipeline_run_id, ended_at
        from pipeline_run
        where night = $1
        order by pipeline_run_id desc
        limit 1
        "#,
        night,
    )
    .fetch_optional(&mut *transaction)
    .answered()
    .await
    .map_err(error())?;
    let unfinished = newest
        .filter(|run| run.ended_at.is_none())
        .map(|run| run.pipeline_run_id);
    let run_id = match unfinished {
        Some(run_id) => {
            sqlx::query!(
                "update pipeline_run set state = 'RUNNING', host = $2, pid = $3 where pipeline_run_id = $1",
                run_id,
                worker.host,
                pid,
            )
            .execute(&mut *transaction)
            .answered()
            .await
            .map_err(error())?;
            run_id
        }
        None => sqlx::query_scalar!(
            r#"
            insert into pipeline_run (night, state, started_at, host, pid)
            values ($1, 'RUNNING', $2, $3, $4)
            returning pipeline_run_id
            "#,
            night,
            at,
            worker.host,
            pid,
        )
        .fetch_one(&mut *transaction)
        .answered()
        .await
        .map_err(error())?,
    };
    // A run that an earlier version began may lack steps of this one.
    sqlx::query!(
        r#"
        insert into pipeline_step (pipeline_run_id, step, place, state)
        select $1, step, place - 1, 'PENDING'
        from unnest($2::text[]) with ordinality as wanted (step, place)
        on conflict (pipeline_run_id, step, ticker) do update set place = excluded.place
        "#,
        run_id,
        &steps
            .iter()
            .map(|step| (*step).to_owned())
            .collect::<Vec<_>>(),
    )
    .execute(&mut *transaction)
    .answered()
    .await
    .map_err(error())?;
    let run = runs(&mut *transaction, action, Some(night), 1)
        .await?
        .pop()
        .ok_or(StorageError::Query {
            action,
            source: sqlx::Error::RowNotFound,
        })?;
    transaction.commit().answered().await.map_err(error())?;
    Ok(run)
}

/// Makes a run that is over unfinished again, with these steps to be done anew for all tickers; [`begin_run`] then
/// resumes it.
///
/// # Errors
/// Nothing is written when the database is lost.
pub async fn reopen_run(
    pool: &PgPool,
    _lock: &NightLock,
    run_id: i64,
    steps: &[&str],
) -> Result<(), StorageError> {
    let error = || failed("reopen a nightly run");
    let mut transaction = pool.begin().answered().await.map_err(error())?;
    sqlx::query!(
        "update pipeline_run set state = 'PENDING', ended_at = null where pipeline_run_id = $1",
        run_id,
    )
    .execute(&mut *transaction)
    .answered()
    .await
    .map_err(error())?;
    let steps: Vec<String> = steps.iter().map(|step| (*step).to_owned()).collect();
    sqlx::query!(
        "delete from pipeline_step where pipeline_run_id = $1 and ticker <> '' and step = any($2)",
        run_id,
        &steps,
    )
    .execute(&mut *transaction)
    .answered()
    .await
    .map_err(error())?;
    sqlx::query!(
        "update pipeline_step set state = 'PENDING' where pipeline_run_id = $1 and step = any($2)",
        run_id,
        &steps,
    )
    .execute(&mut *transaction)
    .answered()
    .await
    .map_err(error())?;
    transaction.commit().answered().await.map_err(error())
}

/// Writes down that a step begins, and counts the attempt. `at` in market time, UTC.
///
/// # Errors
/// When the database is lost.
pub async fn start_step(
    executor: impl PgExecutor<'_>,
    run_id: i64,
    step: &str,
    at: DateTime<Utc>,
) -> Result<(), StorageError> {
    sqlx::query!(
        r#"
        update pipeline_step
        set
            state = 'RUNNING',
            attempts = attempts + 1,
            started_at = $3,
            ended_at = null,
            message = '',
            next_attempt_at = null
        where pipeline_run_id = $1 and step = $2 and ticker = ''
        "#,
        run_id,
        step,
        at,
    )
    .execute(executor)
    .answered()
    .await
    .map_err(failed("start a step of the night"))?;
    Ok(())
}

/// Writes down how an attempt at a step ended. [`PipelineState::Pending`] with `next_attempt_at` means that it is tried
/// again then, without that it was interrupted. Times in market time, UTC.
///
/// # Errors
/// When the database is lost.
pub async fn finish_step(
    executor: impl PgExecutor<'_>,
    run_id: i64,
    step: &str,
    state: PipelineState,
    message: &str,
    at: DateTime<Utc>,
    next_attempt_at: Option<DateTime<Utc>>,
) -> Result<(), StorageError> {
    sqlx::query!(
        r#"
        update pipeline_step
        set state = $3, message = $4, ended_at = $5, next_attempt_at = $6
        where pipeline_run_id = $1 and step = $2 and ticker = ''
        "#,
        run_id,
        step,
        state.name(),
        message,
        at,
        next_attempt_at,
    )
    .execute(executor)
    .answered()
    .await
    .map_err(failed("finish a step of the night"))?;
    Ok(())
}

/// Writes down how a run ended; [`PipelineState::Pending`] leaves it to be resumed. `at` in market time, UTC.
///
/// # Errors
/// When the database is lost.
pub async fn finish_run(
    executor: impl PgExecutor<'_>,
    run_id: i64,
    state: PipelineState,
    at: DateTime<Utc>,
) -> Result<(), StorageError> {
    sqlx::query!(
        "update pipeline_run set state = $2, ended_at = $3 where pipeline_run_id = $1",
        run_id,
        state.name(),
        state.is_over().then_some(at),
    )
    .execute(executor)
    .answered()
    .await
    .map_err(failed("finish a nightly run"))?;
    Ok(())
}

/// Writes down how a ticker fares in a step: called by the program that does the step's work. What was written of it
/// before is replaced. `at` in market time, UTC.
///
/// # Errors
/// When the database is lost, or there is no such run.
pub async fn record_step_ticker(
    executor: impl PgExecutor<'_>,
    run_id: i64,
    step: &str,
    ticker: &Ticker,
    state: PipelineState,
    message: &str,
    at: DateTime<Utc>,
) -> Result<(), StorageError> {
    let ended = state.is_over();
    sqlx::query!(
        r#"
        insert into pipeline_step as stored
            (pipeline_run_id, step, ticker, place, state, attempts, started_at, ended_at, message)
        select
            $1, $2, $3,
            coalesce(
                (select place from pipeline_step where pipeline_run_id = $1 and step = $2 and ticker = ''), 0
            ),
            $4, case when $5 then 1 else 0 end, $7::timestamptz, case when $5 then $7::timestamptz end, $6
        on conflict (pipeline_run_id, step, ticker) do update set
            state = excluded.state,
            attempts = stored.attempts + excluded.attempts,
            started_at = case when $5 then stored.started_at else excluded.started_at end,
            ended_at = excluded.ended_at,
            message = excluded.message
        "#,
        run_id,
        step,
        ticker.as_str(),
        state.name(),
        ended,
        message,
        at,
    )
    .execute(executor)
    .answered()
    .await
    .map_err(failed("record how a ticker fares in a step of the night"))?;
    Ok(())
}

/// Which of these tickers a step of a run works on: those that have not failed in an earlier step. The others are FAILED
/// in this one too, for the earlier reason: wrong or missing prices teach nothing. `at` in market time, UTC.
///
/// # Errors
/// When the database is lost or the run does not exist.
pub async fn step_tickers(
    pool: &PgPool,
    run_id: i64,
    step: &str,
    tickers: &[Ticker],
    at: DateTime<Utc>,
) -> Result<Vec<Ticker>, StorageError> {
    let rows = sqlx::query!(
        r#"
        select distinct on (ticker) ticker, step, message
        from pipeline_step
        where pipeline_run_id = $1
            and ticker <> ''
            and state = 'FAILED'
            and place < (select place from pipeline_step where pipeline_run_id = $1 and step = $2 and ticker = '')
        order by ticker, place
        "#,
        run_id,
        step,
    )
    .fetch_all(pool)
    .answered()
    .await
    .map_err(failed("read which tickers failed in earlier steps of the night"))?;
    let mut sound = Vec::new();
    for ticker in tickers {
        match rows.iter().find(|row| row.ticker == ticker.as_str()) {
            None => sound.push(ticker.clone()),
            Some(row) => {
                let message = format!("it failed in {}: {}", row.step, row.message);
                let state = PipelineState::Failed;
                record_step_ticker(pool, run_id, step, ticker, state, &message, at).await?;
                tracing::warn!(instrument.symbol = %ticker, "{ticker} stays out of this step: {message}");
            }
        }
    }
    Ok(sound)
}

/// The newest `limit` runs with their steps, the newest first.
///
/// # Errors
/// When the database is lost.
pub async fn recent_runs(
    executor: impl PgExecutor<'_>,
    limit: u32,
) -> Result<Vec<PipelineRun>, StorageError> {
    runs(executor, "read the nightly runs", None, i64::from(limit)).await
}

/// The newest run of a night (New York date of the session that it follows), if there is one.
///
/// # Errors
/// When the database is lost.
pub async fn newest_run(
    executor: impl PgExecutor<'_>,
    night: NaiveDate,
) -> Result<Option<PipelineRun>, StorageError> {
    let runs = runs(executor, "read a nightly run", Some(night), 1).await?;
    Ok(runs.into_iter().next())
}

async fn runs(
    executor: impl PgExecutor<'_>,
    action: &'static str,
    night: Option<NaiveDate>,
    limit: i64,
) -> Result<Vec<PipelineRun>, StorageError> {
    let rows = sqlx::query_as!(
        StepRow,
        r#"
        with run as (
            select *
            from pipeline_run
            where $1::date is null or night = $1
            order by pipeline_run_id desc
            limit $2
        ),
        -- A 64-bit key is kept in two halves.
        held as (
            select exists (
                select from pg_locks
                where locktype = 'advisory'
                    and database = (select oid from pg_database where datname = current_database())
                    and (classid::bigint << 32) | objid::bigint = $3
                    and objsubid = 1
                    and granted
            ) as lock
        )
        select
            run.pipeline_run_id as "run_id!",
            run.night as "night!",
            run.state as "run_state!",
            run.state = 'RUNNING' and not held.lock as "abandoned!",
            run.started_at as "run_started_at!",
            run.ended_at as run_ended_at,
            run.host as "host!",
            run.pid as "pid!",
            pipeline_step.step as "step!",
            pipeline_step.ticker as "ticker!",
            pipeline_step.state as "state!",
            pipeline_step.attempts as "attempts!",
            pipeline_step.started_at,
            pipeline_step.ended_at,
            pipeline_step.message as "message!",
            pipeline_step.next_attempt_at
        from run
        cross join held
        join pipeline_step using (pipeline_run_id)
        -- A step comes before its tickers: its own is the empty text.
        order by run.pipeline_run_id desc, pipeline_step.place, pipeline_step.step, pipeline_step.ticker
        "#,
        night,
        limit,
        NIGHT_LOCK,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    let mut runs: Vec<PipelineRun> = Vec::new();
    for row in rows {
        if runs.last().is_none_or(|run| run.run_id != row.run_id) {
            runs.push(row.run(action)?);
        }
        let Some(run) = runs.last_mut() else {
            continue;
        };
        if row.ticker.is_empty() {
            run.steps.push(row.step(action)?);
        } else if let Some(step) = run.steps.last_mut()
            && step.step == row.step
        {
            step.tickers.push(row.ticker(action)?);
        }
    }
    Ok(runs)
}

struct StepRow {
    run_id: i64,
    night: NaiveDate,
    run_state: String,
    abandoned: bool,
    run_started_at: DateTime<Utc>,
    run_ended_at: Option<DateTime<Utc>>,
    host: String,
    pid: i32,
    step: String,
    ticker: String,
    state: String,
    attempts: i32,
    started_at: Option<DateTime<Utc>>,
    ended_at: Option<DateTime<Utc>>,
    message: String,
    next_attempt_at: Option<DateTime<Utc>>,
}

impl StepRow {
    fn run(&self, action: &'static str) -> Result<PipelineRun, StorageError> {
        Ok(PipelineRun {
            run_id: self.run_id,
            night: self.night,
            state: read_state(action, &self.run_state)?,
            abandoned: self.abandoned,
            started_at: self.run_started_at,
            ended_at: self.run_ended_at,
            worker: Worker {
                host: self.host.clone(),
                pid: u32::try_from(self.pid).map_err(corrupt(action, self.pid))?,
            },
            steps: Vec::new(),
        })
    }

    fn step(self, action: &'static str) -> Result<PipelineStep, StorageError> {
        Ok(PipelineStep {
            state: read_state(action, &self.state)?,
            attempts: self.attempts(action)?,
            step: self.step,
            started_at: self.started_at,
            ended_at: self.ended_at,
            message: self.message,
            next_attempt_at: self.next_attempt_at,
            tickers: Vec::new(),
        })
    }

    fn ticker(self, action: &'static str) -> Result<StepTicker, StorageError> {
        Ok(StepTicker {
            ticker: read_ticker(action, &self.ticker)?,
            state: read_state(action, &self.state)?,
            attempts: self.attempts(action)?,
            ended_at: self.ended_at,
            message: self.message,
        })
    }

    fn attempts(&self, action: &'static str) -> Result<u32, StorageError> {
        u32::try_from(self.attempts).map_err(corrupt(action, self.attempts))
    }
}

fn read_state(action: &'static str, text: &str) -> Result<PipelineState, StorageError> {
    text.parse().map_err(corrupt(action, text))
}
