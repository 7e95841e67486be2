use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use chrono::{DateTime, NaiveDate, Utc};
use domain::{CorporateAction, DividendFactors, ShareChange, Ticker};
use sqlx::{PgExecutor, PgPool, postgres::PgTransaction};

use crate::{
    Channel, StorageError,
    bars::{read_ticker, texts},
    error::{Answered as _, corrupt, failed},
    listener,
    transaction::{begin, commit},
};

/// The kinds of corporate action, without their figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionKind {
    /// New shares for old.
    Split,
    /// A part of the company was handed to its shareholders.
    SpinOff,
    /// Cash.
    Dividend,
}

/// The text names no kind of corporate action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no kind of corporate action: expected split, spin_off or dividend")]
pub struct UnknownActionKind {
    text: String,
}

impl ActionKind {
    const ALL: [Self; 3] = [Self::Split, Self::SpinOff, Self::Dividend];

    /// The kind of a change.
    pub const fn of(change: ShareChange) -> Self {
        match change {
            ShareChange::Split { .. } => Self::Split,
            ShareChange::SpinOff { .. } => Self::SpinOff,
            ShareChange::Dividend { .. } => Self::Dividend,
        }
    }

    /// The name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Split => "split",
            Self::SpinOff => "spin_off",
            Self::Dividend => "dividend",
        }
    }
}

impl fmt::Display for ActionKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for ActionKind {
    type Err = UnknownActionKind;

    fn from_str(text: &str) -> Result<Self, UnknownActionKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| UnknownActionKind {
                text: text.to_owned(),
            })
    }
}

/// What became of the actions given to [`upsert_corporate_actions`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ActionCounts {
    /// Not stored before.
    pub inserted: u64,
    /// Stored before with other figures or, of one vendor, as another kind.
    pub changed: u64,
    /// Stored before with the same figures, or fetched later, or given twice.
    pub unchanged: u64,
}

/// A corporate action as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredAction {
    /// What happened.
    pub action: CorporateAction,
    /// Vendor that reported it, lower case.
    pub source: String,
    /// When it did, UTC, market clock; of a dividend, when it last did: the amount is on the share basis of this
    /// moment.
    pub fetched_at: DateTime<Utc>,
    /// When a person took it back, UTC; nothing for one that counts.
    pub removed_at: Option<DateTime<Utc>>,
    /// Whether the open of its ex-date had come when it was last stored. Until then it adjusts nothing.
    pub in_effect: bool,
}

/// Stores actions in one transaction, see [`write_corporate_actions`].
///
/// # Errors
/// Nothing is stored if the database is lost or refuses a row.
pub async fn upsert_corporate_actions(
    pool: &PgPool,
    actions: &[CorporateAction],
    source: &str,
    fetched_at: DateTime<Utc>,
) -> Result<ActionCounts, StorageError> {
    let mut transaction = begin(pool).await?;
    let counts = write_corporate_actions(&mut transaction, actions, source, fetched_at).await?;
    commit(transaction).await?;
    Ok(counts)
}

/// Stores actions, and notifies the listeners of [`Channel::CorporateAction`] of what changed. Adjusted prices follow
/// with the commit, all of them at once; for an action whose open is later than `fetched_at` (UTC, market clock), when it
/// is stored once more after that open.
///
/// One that a person took back takes the new figures and stays taken back. A vendor reports either a split or a
/// spin-off on a day: the one that it no longer reports gives way to the other, which stays taken back if that was. Of
/// an action given twice, the last counts.
///
/// # Errors
/// When the database is lost or refuses a row.
pub async fn write_corporate_actions(
    transaction: &mut PgTransaction<'_>,
    actions: &[CorporateAction],
    source: &str,
    fetched_at: DateTime<Utc>,
) -> Result<ActionCounts, StorageError> {
    let error = || failed("store corporate actions");
    let rows = last_of_each(actions);
    lock(transaction).answered().await.map_err(error())?;
    let replaced = delete_other_kind(&mut **transaction, &rows, source)
        .answered()
        .await
        .map_err(error())?;
    let written = write(&mut **transaction, &rows, &replaced, source, fetched_at)
        .answered()
        .await
        .map_err(error())?;
    confirm_dividends(&mut **transaction, &rows, source, fetched_at)
        .answered()
        .await
        .map_err(error())?;

    let mut tickers = bring_into_effect(&mut **transaction, &rows, fetched_at)
        .answered()
        .await
        .map_err(error())?;

    let mut counts = ActionCounts::default();
    for (ticker, ex_date, fresh) in written {
        if fresh && !replaced.contains_key(&(ticker.clone(), ex_date)) {
            counts.inserted += 1;
        } else {
            counts.changed += 1;
        }
        tickers.insert(ticker);
    }
    counts.unchanged = actions.len() as u64 - counts.inserted - counts.changed;
    if !tickers.is_empty() {
        listener::notify_tickers(&mut **transaction, Channel::CorporateAction, tickers)
            .answered()
            .await
            .map_err(error())?;
    }
    Ok(counts)
}

/// Lets a transaction wait until no other one stores or takes back actions, so that what it reads of them stays.
///
/// # Errors
/// When the database is lost.
pub async fn lock_corporate_actions(
    transaction: &mut PgTransaction<'_>,
) -> Result<(), StorageError> {
    lock(transaction)
        .answered()
        .await
        .map_err(failed("lock the corporate actions"))
}

/// Takes an action back: prices are those without it from the commit on, and it stays so when the vendor reports it
/// again. Answers whether there was one that counted.
///
/// # Errors
/// When the database is lost.
pub async fn remove_corporate_action(
    pool: &PgPool,
    ticker: &Ticker,
    ex_date: NaiveDate,
    kind: ActionKind,
) -> Result<bool, StorageError> {
    set_removed(pool, ticker, ex_date, kind, true)
        .answered()
        .await
        .map_err(failed("take back a corporate action"))
}

/// Undoes [`remove_corporate_action`]. Answers whether there was one that had been taken back.
///
/// # Errors
/// When the database is lost.
pub async fn restore_corporate_action(
    pool: &PgPool,
    ticker: &Ticker,
    ex_date: NaiveDate,
    kind: ActionKind,
) -> Result<bool, StorageError> {
    set_removed(pool, ticker, ex_date, kind, false)
        .answered()
        .await
        .map_err(failed("restore a corporate action"))
}

/// All actions of a ticker, those taken back among them, by ex-date and kind.
///
/// # Errors
/// When the database is lost.
pub async fn corporate_actions(
    executor: impl PgExecutor<'_>,
    ticker: &Ticker,
) -> Result<Vec<StoredAction>, StorageError> {
    read_actions(executor, std::slice::from_ref(ticker), None).await
}

/// The actions of these tickers that take effect after a moment (UTC), those taken back among them, by ticker, ex-date
/// and kind.
///
/// # Errors
/// When the database is lost.
pub async fn actions_since(
    executor: impl PgExecutor<'_>,
    tickers: &[Ticker],
    since: DateTime<Utc>,
) -> Result<Vec<StoredAction>, StorageError> {
    read_actions(executor, tickers, Some(since)).await
}

/// What takes the dividends out of the prices of these tickers, see [`DividendFactors`]. A ticker that has paid none is
/// left out.
///
/// # Errors
/// When the database is lost or holds a factor that no dividends make.
pub async fn dividend_factors(
    executor: impl PgExecutor<'_>,
    tickers: &[Ticker],
) -> Result<BTreeMap<Ticker, DividendFactors>, StorageError> {
    let action = "read the factors of dividends";
    let rows = sqlx::query!(
        r#"
        select ticker as "ticker!", valid_until as "valid_until!", price as "price!"
        from dividend_factor
        where ticker = any($1)
        "#,
        &texts(tickers),
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    let mut stretches: BTreeMap<String, Vec<(DateTime<Utc>, f64)>> = BTreeMap::new();
    for row in rows {
        let of_ticker = stretches.entry(row.ticker).or_default();
        of_ticker.push((row.valid_until, row.price));
    }
    stretches
        .into_iter()
        .map(|(ticker, stretches)| {
            let factors = DividendFactors::new(stretches).map_err(corrupt(action, &ticker))?;
            Ok((read_ticker(action, &ticker)?, factors))
        })
        .collect()
}

async fn read_actions(
    executor: impl PgExecutor<'_>,
    tickers: &[Ticker],
    since: Option<DateTime<Utc>>,
) -> Result<Vec<StoredAction>, StorageError> {
    let action = "read corporate actions";
    let rows = sqlx::query!(
        r#"
        select ticker, kind, ex_date, effective_at, ratio, amount, source, fetched_at, removed_at, in_effect
        from corporate_actions
        where ticker = any($1) and ($2::timestamptz is null or effective_at > $2)
        order by ticker, ex_date, kind
        "#,
        &texts(tickers),
        since,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    rows.into_iter()
        .map(|row| {
            let kind = row.kind.parse().map_err(corrupt(action, &row.kind))?;
            // A constraint of the table: dividends have an amount, the others a ratio.
            let figure = row.amount.or(row.ratio).unwrap_or_default();
            Ok(StoredAction {
                action: CorporateAction {
                    ticker: read_ticker(action, &row.ticker)?,
                    ex_date: row.ex_date,
                    effective_at: row.effective_at,
                    change: match kind {
                        ActionKind::Split => ShareChange::Split { ratio: figure },
                        ActionKind::SpinOff => ShareChange::SpinOff { ratio: figure },
                        ActionKind::Dividend => ShareChange::Dividend { amount: figure },
                    },
                },
                source: row.source,
                fetched_at: row.fetched_at,
                removed_at: row.removed_at,
                in_effect: row.in_effect,
            })
        })
        .collect()
}

type Key<'a> = (&'a Ticker, NaiveDate, ActionKind);

fn key(action: &CorporateAction) -> Key<'_> {
    (
        &action.ticker,
        action.ex_date,
        ActionKind::of(action.change),
    )
}

fn last_of_each(actions: &[CorporateAction]) -> Vec<&CorporateAction> {
    let mut rows: Vec<&CorporateAction> = actions.iter().collect();
    // Stable, so that the last given stays the last.
    rows.sort_by_key(|action| key(action));
    rows.dedup_by(|later, earlier| {
        let same = key(later) == key(earlier);
        if same {
            *earlier = *later;
        }
        same
    });
    rows
}

/// Two runs take turns, so that one sees all of what the other did. The number is arbitrary and only has to be the
/// same.
async fn lock(transaction: &mut PgTransaction<'_>) -> Result<(), sqlx::Error> {
    sqlx::query!(r#"select pg_advisory_xact_lock(7265018254) as "locked!: ()""#)
        .fetch_one(&mut **transaction)
        .await?;
    Ok(())
}

/// By ticker and ex-date when a person took back what was deleted, if one did.
type Replaced = BTreeMap<(String, NaiveDate), Option<DateTime<Utc>>>;

/// Deletes the splits that are spin-offs by now, and the other way round.
async fn delete_other_kind(
    executor: impl PgExecutor<'_>,
    rows: &[&CorporateAction],
    source: &str,
) -> Result<Replaced, sqlx::Error> {
    let deleted = sqlx::query!(
        r#"
        with given as (
            select * from unnest($1::text[], $2::date[], $3::text[]) as given (ticker, ex_date, kind)
        )
        delete from corporate_actions as stored
        where stored.source = $4
            and stored.kind <> 'dividend'
            and exists (
                select from given
                where given.ticker = stored.ticker
                    and given.ex_date = stored.ex_date
                    and given.kind not in ('dividend', stored.kind)
            )
            and not exists (
                select from given
                where given.ticker = stored.ticker
                    and given.ex_date = stored.ex_date
                    and given.kind = stored.kind
            )
        returning stored.ticker, stored.ex_date, stored.removed_at
        "#,
        &rows.iter().map(|row| row.ticker.to_string()).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.ex_date).collect::<Vec<_>>(),
        &rows.iter().map(|row| ActionKind::of(row.change).name().to_owned()).collect::<Vec<_>>(),
        source,
    )
    .fetch_all(executor)
    .await?;
    Ok(deleted
        .into_iter()
        .map(|row| ((row.ticker, row.ex_date), row.removed_at))
        .collect())
}

/// Ticker and ex-date of each row that was written, and whether it is new.
async fn write(
    executor: impl PgExecutor<'_>,
    rows: &[&CorporateAction],
    replaced: &Replaced,
    source: &str,
    fetched_at: DateTime<Utc>,
) -> Result<Vec<(String, NaiveDate, bool)>, sqlx::Error> {
    let ratio = |change| match change {
        ShareChange::Split { ratio } | ShareChange::SpinOff { ratio } => Some(ratio),
        ShareChange::Dividend { .. } => None,
    };
    let amount = |change| match change {
        ShareChange::Dividend { amount } => Some(amount),
        ShareChange::Split { .. } | ShareChange::SpinOff { .. } => None,
    };
    let removed_at = |row: &CorporateAction| {
        // Dividends replace nothing.
        ratio(row.change)?;
        *replaced.get(&(row.ticker.to_string(), row.ex_date))?
    };
    let written = sqlx::query!(
        r#"
        insert into corporate_actions as stored
            (ticker, kind, ex_date, effective_at, ratio, amount, source, fetched_at, in_effect, removed_at)
        select ticker, kind, ex_date, effective_at, ratio, amount, $7, $8, effective_at <= $8, removed_at
        from unnest(
            $1::text[], $2::text[], $3::date[], $4::timestamptz[], $5::float8[], $6::float8[], $9::timestamptz[]
        ) as new (ticker, kind, ex_date, effective_at, ratio, amount, removed_at)
        on conflict (ticker, kind, ex_date) do update set
            effective_at = excluded.effective_at,
            ratio = excluded.ratio,
            amount = excluded.amount,
            source = excluded.source,
            fetched_at = excluded.fetched_at,
            in_effect = excluded.in_effect
        where excluded.fetched_at >= stored.fetched_at
            and (stored.effective_at, stored.ratio, stored.amount)
                is distinct from (excluded.effective_at, excluded.ratio, excluded.amount)
        -- xmax is the transaction that replaced an older version of the row: none for a new one.
        returning stored.ticker, stored.ex_date, xmax = 0 as "fresh!"
        "#,
        &rows
            .iter()
            .map(|row| row.ticker.to_string())
            .collect::<Vec<_>>(),
        &rows
            .iter()
            .map(|row| ActionKind::of(row.change).name().to_owned())
            .collect::<Vec<_>>(),
        &rows.iter().map(|row| row.ex_date).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.effective_at).collect::<Vec<_>>(),
        &rows.iter().map(|row| ratio(row.change)).collect::<Vec<_>>() as &[Option<f64>],
        &rows
            .iter()
            .map(|row| amount(row.change))
            .collect::<Vec<_>>() as &[Option<f64>],
        source,
        fetched_at,
        &rows
            .iter()
            .map(|row| removed_at(row))
            .collect::<Vec<_>>() as &[Option<DateTime<Utc>>],
    )
    .fetch_all(executor)
    .await?;
    Ok(written
        .into_iter()
        .map(|row| (row.ticker, row.ex_date, row.fresh))
        .collect())
}

/// An amount that is reported again is on the share basis of the later report, even where a split lies between.
async fn confirm_dividends(
    executor: impl PgExecutor<'_>,
    rows: &[&CorporateAction],
    source: &str,
    fetched_at: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let (tickers, ex_dates): (Vec<String>, Vec<NaiveDate>) = rows
        .iter()
        .filter(|row| ActionKind::of(row.change) == ActionKind::Dividend)
        .map(|row| (row.ticker.to_string(), row.ex_date))
        .unzip();
    sqlx::query!(
        r#"
        update corporate_actions as stored
        set source = $3, fetched_at = $4
        from unnest($1::text[], $2::date[]) as given (ticker, ex_date)
        where stored.ticker = given.ticker
            and stored.ex_date = given.ex_date
            and stored.kind = 'dividend'
            and stored.fetched_at < $4
        "#,
        &tickers,
        &ex_dates,
        source,
        fetched_at,
    )
    .execute(executor)
    .await?;
    Ok(())
}

/// Tickers of the actions among these that were announced and whose open has come.
async fn bring_into_effect(
    executor: impl PgExecutor<'_>,
    rows: &[&CorporateAction],
    at: DateTime<Utc>,
) -> Result<BTreeSet<String>, sqlx::Error> {
    let tickers = sqlx::query_scalar!(
        r#"
        update corporate_actions as stored
        set in_effect = true
        from unnest($1::text[], $2::text[], $3::date[]) as given (ticker, kind, ex_date)
        where (stored.ticker, stored.kind, stored.ex_date) = (given.ticker, given.kind, given.ex_date)
            and stored.effective_at <= $4
            and not stored.in_effect
        returning stored.ticker
        "#,
        &rows
            .iter()
            .map(|row| row.ticker.to_string())
            .collect::<Vec<_>>(),
        &rows
            .iter()
            .map(|row| ActionKind::of(row.change).name().to_owned())
            .collect::<Vec<_>>(),
        &rows.iter().map(|row| row.ex_date).collect::<Vec<_>>(),
        at,
    )
    .fetch_all(executor)
    .await?;
    Ok(tickers.into_iter().collect())
}

async fn set_removed(
    pool: &PgPool,
    ticker: &Ticker,
    ex_date: NaiveDate,
    kind: ActionKind,
    removed: bool,
) -> Result<bool, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    lock(&mut transaction).await?;
    let done = sqlx::query!(
        r#"
        update corporate_actions
        set removed_at = case when $4 then now() end
        where ticker = $1 and ex_date = $2 and kind = $3 and (removed_at is null) = $4
        "#,
        ticker.as_str(),
        ex_date,
        kind.name(),
        removed,
    )
    .execute(&mut *transaction)
    .await?;
    let changed = done.rows_affected() > 0;
    if changed {
        let tickers = BTreeSet::from([ticker.to_string()]);
        listener::notify_tickers(&mut *transaction, Channel::CorporateAction, tickers).await?;
    }
    transaction.commit().await?;
    Ok(changed)
}
