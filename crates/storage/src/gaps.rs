use chrono::{DateTime, Utc};
use domain::Ticker;
use sqlx::PgExecutor;

use crate::{
    StorageError,
    bars::read_ticker,
    error::{Answered as _, corrupt, failed},
};

/// Bars of a ticker that are missing: those with `start <= bar start < end`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Whose.
    pub ticker: Ticker,
    /// Start of the first missing bar, UTC.
    pub start: DateTime<Utc>,
    /// Start of the first bar after the gap, UTC.
    pub end: DateTime<Utc>,
    /// What is missing.
    pub reason: GapReason,
    /// How many bars are thought to be missing.
    pub expected_bars: u32,
    /// How many times a refetch was tried.
    pub attempts: u32,
    /// When it was noticed, UTC, market clock.
    pub detected_at: DateTime<Utc>,
    /// When a refetch was last tried, UTC, market clock.
    pub last_attempt_at: Option<DateTime<Utc>>,
    /// When it was closed, UTC, market clock; nothing while it is open.
    pub closed_at: Option<DateTime<Utc>>,
    /// How it ended; nothing while it is open, and for those closed before this was kept.
    pub outcome: Option<GapOutcome>,
}

impl Gap {
    /// A gap that was noticed at `detected_at` and not worked on yet.
    pub const fn found(
        ticker: Ticker,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
        reason: GapReason,
        expected_bars: u32,
        detected_at: DateTime<Utc>,
    ) -> Self {
        Self {
            ticker,
            start,
            end,
            reason,
            expected_bars,
            attempts: 0,
            detected_at,
            last_attempt_at: None,
            closed_at: None,
            outcome: None,
        }
    }
}

/// What is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapReason {
    /// Minutes within a session in which the ticker should have traded.
    MissingMinutes,
    /// All bars of one or more sessions.
    MissingSession,
    /// The ticker no longer trades while others do: halted, taken over, delisted.
    Stopped,
}

impl GapReason {
    const ALL: [Self; 3] = [Self::MissingMinutes, Self::MissingSession, Self::Stopped];

    /// The name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingMinutes => "missing_minutes",
            Self::MissingSession => "missing_session",
            Self::Stopped => "stopped",
        }
    }
}

/// How a gap ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GapOutcome {
    /// Its bars are stored.
    Filled,
    /// The vendor has none.
    NoData,
    /// A gap with other ends took its place.
    Superseded,
}

impl GapOutcome {
    const ALL: [Self; 3] = [Self::Filled, Self::NoData, Self::Superseded];

    /// The name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filled => "filled",
            Self::NoData => "no_data",
            Self::Superseded => "superseded",
        }
    }
}

/// Remembers gaps, and returns how many of them are new or open again. Only what [`Gap::found`] takes is looked at,
/// except that `detected_at` counts for all.
///
/// A gap that is open already takes the end, reason and count given. One that was closed is open again and keeps its
/// attempts: who does not want that leaves out those that [`gaps_between`] names as given up. Of several gaps with the
/// same ticker and start, the longest counts.
///
/// # Errors
/// When the database is lost, or a gap ends before it starts.
pub async fn record_gaps(
    executor: impl PgExecutor<'_>,
    gaps: &[Gap],
    detected_at: DateTime<Utc>,
) -> Result<u64, StorageError> {
    let opened = sqlx::query_scalar!(
        r#"
        with written as (
            insert into ingest_gap as stored (ticker, gap_start, gap_end, reason, expected_bars, detected_at)
            select distinct on (ticker, gap_start) ticker, gap_start, gap_end, reason, expected_bars, $6
            from unnest($1::text[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::integer[])
                as new (ticker, gap_start, gap_end, reason, expected_bars)
            -- Sorted, so that two writers lock rows in the same order.
            order by ticker, gap_start, gap_end desc
            on conflict (ticker, gap_start) do update set
                gap_end = excluded.gap_end,
                reason = excluded.reason,
                expected_bars = excluded.expected_bars,
                detected_at = case when stored.closed_at is null then stored.detected_at else excluded.detected_at end,
                closed_at = null,
                outcome = null
            where stored.closed_at is not null
                or (stored.gap_end, stored.reason, stored.expected_bars)
                    is distinct from (excluded.gap_end, excluded.reason, excluded.expected_bars)
            -- One that was open and only changed keeps an earlier time.
            returning stored.detected_at
        )
        select count(*) as "opened!" from written where detected_at = $6
        "#,
        &gaps.iter().map(|gap| gap.ticker.to_string()).collect::<Vec<_>>(),
        &gaps.iter().map(|gap| gap.start).collect::<Vec<_>>(),
        &gaps.iter().map(|gap| gap.end).collect::<Vec<_>>(),
        &gaps.iter().map(|gap| gap.reason.name().to_owned()).collect::<Vec<_>>(),
        &gaps
            .iter()
            .map(|gap| i32::try_from(gap.expected_bars).unwrap_or(i32::MAX))
            .collect::<Vec<_>>(),
        detected_at,
    )
    .fetch_one(executor)
    .answered()
    .await
    .map_err(failed("record gaps"))?;
    Ok(u64::try_from(opened).unwrap_or_default())
}

/// All gaps that are still open, by ticker and time.
///
/// # Errors
/// When the database is lost.
pub async fn open_gaps(executor: impl PgExecutor<'_>) -> Result<Vec<Gap>, StorageError> {
    let action = "read the open gaps";
    sqlx::query_as!(
        GapRow,
        r#"
        select
            ticker, gap_start, gap_end, reason, expected_bars, attempts, detected_at, last_attempt_at, closed_at, outcome
        from ingest_gap
        where closed_at is null
        order by ticker, gap_start
        "#,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?
    .into_iter()
    .map(|row| row.check(action))
    .collect()
}

/// The gaps of one ticker or of all, open and closed, that reach into `from..to` (UTC), by ticker and time.
///
/// # Errors
/// When the database is lost.
pub async fn gaps_between(
    executor: impl PgExecutor<'_>,
    ticker: Option<&Ticker>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<Gap>, StorageError> {
    let action = "read gaps";
    sqlx::query_as!(
        GapRow,
        r#"
        select
            ticker, gap_start, gap_end, reason, expected_bars, attempts, detected_at, last_attempt_at, closed_at, outcome
        from ingest_gap
        where ($1::text is null or ticker = $1) and gap_end > $2 and gap_start < $3
        order by ticker, gap_start
        "#,
        ticker.map(Ticker::as_str),
        from,
        to,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?
    .into_iter()
    .map(|row| row.check(action))
    .collect()
}

/// Counts a refetch that was tried at `attempted_at` (UTC, market clock).
///
/// # Errors
/// When the database is lost.
pub async fn count_gap_attempt(
    executor: impl PgExecutor<'_>,
    gap: &Gap,
    attempted_at: DateTime<Utc>,
) -> Result<(), StorageError> {
    sqlx::query!(
        r#"
        update ingest_gap
        set attempts = attempts + 1, last_attempt_at = $3
        where ticker = $1 and gap_start = $2
        "#,
        gap.ticker.as_str(),
        gap.start,
        attempted_at,
    )
    .execute(executor)
    .answered()
    .await
    .map_err(failed("count an attempt on a gap"))?;
    Ok(())
}

/// Closes a gap. One that is closed already keeps its outcome and time.
///
/// # Errors
/// When the database is lost.
pub async fn close_gap(
    executor: impl PgExecutor<'_>,
    gap: &Gap,
    outcome: GapOutcome,
    closed_at: DateTime<Utc>,
) -> Result<(), StorageError> {
    sqlx::query!(
        r#"
        update ingest_gap
        set closed_at = $3, outcome = $4
        where ticker = $1 and gap_start = $2 and closed_at is null
        "#,
        gap.ticker.as_str(),
        gap.start,
        closed_at,
        outcome.name(),
    )
    .execute(executor)
    .answered()
    .await
    .map_err(failed("close a gap"))?;
    Ok(())
}

struct GapRow {
    ticker: String,
    gap_start: DateTime<Utc>,
    gap_end: DateTime<Utc>,
    reason: String,
    expected_bars: i32,
    attempts: i32,
    detected_at: DateTime<Utc>,
    last_attempt_at: Option<DateTime<Utc>>,
    closed_at: Option<DateTime<Utc>>,
    outcome: Option<String>,
}

impl GapRow {
    fn check(self, action: &'static str) -> Result<Gap, StorageError> {
        let count = |value: i32| u32::try_from(value).map_err(corrupt(action, value));
        let outcome = |text: String| {
            GapOutcome::ALL
                .into_iter()
                .find(|known| known.name() == text)
                .ok_or_else(|| corrupt(action, text)(UnknownName("filled, no_data or superseded")))
        };
        Ok(Gap {
            ticker: read_ticker(action, &self.ticker)?,
            start: self.gap_start,
            end: self.gap_end,
            reason: GapReason::ALL
                .into_iter()
                .find(|known| known.name() == self.reason)
                .ok_or_else(|| {
                    let expected = "missing_minutes, missing_session or stopped";
                    corrupt(action, &self.reason)(UnknownName(expected))
                })?,
            expected_bars: count(self.expected_bars)?,
            attempts: count(self.attempts)?,
            detected_at: self.detected_at,
            last_attempt_at: self.last_attempt_at,
            closed_at: self.closed_at,
            outcome: self.outcome.map(outcome).transpose()?,
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("expected {0}")]
struct UnknownName(&'static str);
