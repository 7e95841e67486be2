use chrono::{DateTime, NaiveDate, Utc};
use domain::Ticker;
use sqlx::{PgExecutor, PgPool};

use crate::{
    StorageError,
    bars::{read_ticker, texts},
    error::{Answered as _, corrupt, failed},
};

/// A statement sums up no more than this, 50 stocks over two months, unless it is that of one ticker: seconds at most.
const MOST_TICKER_DAYS: i64 = 3_000;

/// What was traded of a ticker in one session, as far as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionVolume {
    /// Whose.
    pub ticker: Ticker,
    /// The session, New York date.
    pub session: NaiveDate,
    /// Stored bars.
    pub bars: u32,
    /// Those of them without a trade.
    pub zero_volume_bars: u32,
    /// Shares traded, in shares of today.
    pub volume: f64,
    /// Adjusted close of the last of them.
    pub close: f64,
    /// Largest step from one adjusted close to the next bar's high or low, the close of the session before included, as
    /// a part of that close; unknown where nothing is stored before the session.
    pub largest_step: Option<f64>,
}

/// A session whose bars look wrong though each of them is well formed.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Whose; [`Finding::market`] for all together.
    pub ticker: Ticker,
    /// The session, New York date.
    pub session: NaiveDate,
    /// The check that failed, snake case.
    pub check: String,
    /// What was found, in the unit of the check; finite.
    pub observed: f64,
    /// What was expected, in the same unit; finite.
    pub expected: f64,
    /// What is wrong, for people.
    pub detail: String,
    /// When it was found, UTC, market clock.
    pub found_at: DateTime<Utc>,
}

impl Finding {
    /// Stands for the market as a whole in findings that are about no single stock: none is called so.
    #[expect(clippy::expect_used, reason = "a constant that is a ticker")]
    pub fn market() -> Ticker {
        Ticker::parse("^NYSE").expect("letters and a caret make a ticker")
    }
}

/// A check of a session that found nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SoundCheck {
    /// Whose.
    pub ticker: Ticker,
    /// The session, New York date.
    pub session: NaiveDate,
    /// The check, snake case.
    pub check: String,
}

/// Volumes by session of the bars with `from <= start < to` (UTC), by ticker and session; sessions without bars are
/// left out.
///
/// # Errors
/// When the database is lost.
pub async fn session_volumes(
    pool: &PgPool,
    tickers: &[Ticker],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<SessionVolume>, StorageError> {
    let action = "sum the volumes of sessions";
    let days = (to - from).num_days().max(1);
    let at_once = usize::try_from(MOST_TICKER_DAYS / days).map_or(1, |tickers| tickers.max(1));
    let mut volumes = Vec::new();
    for tickers in tickers.chunks(at_once) {
        let rows = sqlx::query!(
            r#"
            select
                ticker as "ticker!",
                session as "session!",
                count(*) as "bars!",
                count(*) filter (where volume = 0) as "zero_volume_bars!",
                sum(volume) as "volume!",
                (array_agg(close order by bar_start desc))[1] as "close!",
                case
                    when bool_and(previous is not null) then max(greatest(high / previous - 1, 1 - low / previous))
                end as largest_step
            from (
                select
                    ticker,
                    bar_start,
                    (bar_start at time zone 'America/New_York')::date as session,
                    high,
                    low,
                    close,
                    volume,
                    lag(close) over (partition by ticker order by bar_start) as previous
                from price_adjusted
                where ticker = any($1) and bar_start >= $2 and bar_start < $3
            ) as bar
            group by ticker, session
            "#,
            &texts(tickers),
            from,
            to,
        )
        .fetch_all(pool)
        .answered()
        .await
        .map_err(failed(action))?;
        for row in rows {
            let count = |value: i64| u32::try_from(value).map_err(corrupt(action, value));
            volumes.push(SessionVolume {
                ticker: read_ticker(action, &row.ticker)?,
                session: row.session,
                bars: count(row.bars)?,
                zero_volume_bars: count(row.zero_volume_bars)?,
                volume: row.volume,
                close: row.close,
                largest_step: row.largest_step,
            });
        }
    }
    volumes.sort_by(|one, other| (&one.ticker, one.session).cmp(&(&other.ticker, other.session)));
    Ok(volumes)
}

/// Writes findings down, and returns how many are new. One that is known takes the figures and words given, and keeps
/// the time at which it was first found; one that was withdrawn stands again.
///
/// # Errors
/// When the database is lost.
pub async fn store_findings(
    executor: impl PgExecutor<'_>,
    findings: &[Finding],
) -> Result<u64, StorageError> {
    let fresh = sqlx::query_scalar!(
        r#"
        with written as (
            insert into data_quality_finding as stored
                (ticker, session, check_name, observed, expected, detail, found_at)
            select distinct on (ticker, session, check_name) *
            from unnest(
                $1::text[], $2::date[], $3::text[], $4::float8[], $5::float8[], $6::text[], $7::timestamptz[]
            ) as new (ticker, session, check_name, observed, expected, detail, found_at)
            order by ticker, session, check_name, found_at
            on conflict (ticker, session, check_name) do update set
                observed = excluded.observed,
                expected = excluded.expected,
                detail = excluded.detail,
                withdrawn_at = null
            where stored.withdrawn_at is not null
                or (stored.observed, stored.expected, stored.detail)
                    is distinct from (excluded.observed, excluded.expected, excluded.detail)
            -- xmax is the transaction that replaced an older version of the row: none for a new one.
            returning xmax = 0 as fresh
        )
        select count(*) filter (where fresh) as "fresh!" from written
        "#,
        &findings.iter().map(|row| row.ticker.to_string()).collect::<Vec<_>>(),
        &findings.iter().map(|row| row.session).collect::<Vec<_>>(),
        &findings.iter().map(|row| row.check.clone()).collect::<Vec<_>>(),
        &findings.iter().map(|row| row.observed).collect::<Vec<_>>(),
        &findings.iter().map(|row| row.expected).collect::<Vec<_>>(),
        &findings.iter().map(|row| row.detail.clone()).collect::<Vec<_>>(),
        &findings.iter().map(|row| row.found_at).collect::<Vec<_>>(),
    )
    .fetch_one(executor)
    .answered()
    .await
    .map_err(failed("store findings on the quality of bars"))?;
    Ok(u64::try_from(fresh).unwrap_or_default())
}

/// Withdraws the findings of checks that found nothing when they were made again, at `at` (UTC, market clock), and
/// returns how many stood until then. They stay in the table.
///
/// # Errors
/// When the database is lost.
pub async fn withdraw_findings(
    executor: impl PgExecutor<'_>,
    sound: &[SoundCheck],
    at: DateTime<Utc>,
) -> Result<u64, StorageError> {
    let withdrawn = sqlx::query!(
        r#"
        update data_quality_finding as stored
        set withdrawn_at = $4
        from unnest($1::text[], $2::date[], $3::text[]) as sound (ticker, session, check_name)
        where (stored.ticker, stored.session, stored.check_name)
                = (sound.ticker, sound.session, sound.check_name)
            and stored.withdrawn_at is null
        "#,
        &sound
            .iter()
            .map(|row| row.ticker.to_string())
            .collect::<Vec<_>>(),
        &sound.iter().map(|row| row.session).collect::<Vec<_>>(),
        &sound
            .iter()
            .map(|row| row.check.clone())
            .collect::<Vec<_>>(),
        at,
    )
    .execute(executor)
    .answered()
    .await
    .map_err(failed("withdraw findings on the quality of bars"))?;
    Ok(withdrawn.rows_affected())
}

/// The findings that stand of one ticker or of all on sessions from `from` to `to`, both included, New York dates; by
/// session, ticker and check.
///
/// # Errors
/// When the database is lost.
pub async fn findings_between(
    executor: impl PgExecutor<'_>,
    ticker: Option<&Ticker>,
    from: NaiveDate,
    to: NaiveDate,
) -> Result<Vec<Finding>, StorageError> {
    let action = "read findings on the quality of bars";
    let rows = sqlx::query!(
        r#"
        select ticker, session, check_name, observed, expected, detail, found_at
        from data_quality_finding
        where ($1::text is null or ticker = $1) and session between $2 and $3 and withdrawn_at is null
        order by session, ticker, check_name
        "#,
        ticker.map(Ticker::as_str),
        from,
        to,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    rows.into_iter()
        .map(|row| {
            Ok(Finding {
                ticker: read_ticker(action, &row.ticker)?,
                session: row.session,
                check: row.check_name,
                observed: row.observed,
                expected: row.expected,
                detail: row.detail,
                found_at: row.found_at,
            })
        })
        .collect()
}
