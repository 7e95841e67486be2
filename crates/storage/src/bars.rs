use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use domain::{Bar, Price, Ticker};
use sqlx::{PgExecutor, PgPool, postgres::PgTransaction};

use crate::{
    Channel, StorageError,
    error::{Answered as _, corrupt, failed},
    listener,
    transaction::{begin, commit},
};

/// Rows in one statement. Larger ones gain nothing and hold more memory.
const BATCH: usize = 5_000;

/// A closed bar and where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct VendorBar {
    /// Whose bar.
    pub ticker: Ticker,
    /// The bar, on the share basis of `fetched_at`.
    pub bar: Bar,
    /// Vendor, lower case, such as `yahoo`.
    pub source: &'static str,
    /// The vendor has applied all splits up to here, UTC: as a rule when it sent the bar. The open of an ex-date where
    /// it was early, the moment before it where it was late; for a vendor that never adjusts, the bar's own close.
    pub fetched_at: DateTime<Utc>,
}

/// What became of the bars given to [`upsert_bars`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UpsertCounts {
    /// Not stored before.
    pub inserted: u64,
    /// Stored before with other values, fetched earlier.
    pub revised: u64,
    /// Stored before with the same values, or fetched later, or given twice.
    pub unchanged: u64,
}

/// Stores bars in one transaction, see [`write_bars`].
///
/// # Errors
/// Nothing is stored if the database is lost or refuses a row.
pub async fn upsert_bars(pool: &PgPool, bars: &[VendorBar]) -> Result<UpsertCounts, StorageError> {
    let mut transaction = begin(pool).await?;
    let counts = write_bars(&mut transaction, bars).await?;
    commit(transaction).await?;
    Ok(counts)
}

/// Stores bars, and notifies the listeners of [`crate::Channel::BarCommitted`] of what changed. What a revised bar held
/// before is kept: see [`crate::bar_revisions`].
///
/// Of a bar given twice, the later fetch counts, then the later place.
///
/// # Errors
/// When the database is lost or refuses a row.
pub async fn write_bars(
    transaction: &mut PgTransaction<'_>,
    bars: &[VendorBar],
) -> Result<UpsertCounts, StorageError> {
    let error = || failed("store bars");
    let rows = newest_of_each(bars);
    let mut counts = UpsertCounts::default();
    let mut tickers = BTreeSet::new();
    let mut range: Option<(DateTime<Utc>, DateTime<Utc>)> = None;
    for batch in rows.chunks(BATCH) {
        let written = upsert_batch(&mut **transaction, batch)
            .answered()
            .await
            .map_err(error())?;
        counts.inserted += written.inserted;
        counts.revised += written.revised;
        tickers.extend(written.tickers);
        if let Some((first, last)) = written.range {
            range = Some(range.map_or((first, last), |(a, b)| (a.min(first), b.max(last))));
        }
    }
    if let Some((first, last)) = range {
        listener::notify_bars_committed(&mut **transaction, tickers, first, last)
            .answered()
            .await
            .map_err(error())?;
    }
    counts.unchanged = bars.len() as u64 - counts.inserted - counts.revised;
    Ok(counts)
}

/// Sorted by key, so that two writers lock rows in the same order and the index is filled in order.
fn newest_of_each(bars: &[VendorBar]) -> Vec<&VendorBar> {
    let mut rows: Vec<&VendorBar> = bars.iter().collect();
    rows.sort_by(|a, b| {
        (&a.ticker, a.bar.start, a.fetched_at).cmp(&(&b.ticker, b.bar.start, b.fetched_at))
    });
    rows.dedup_by(|later, earlier| {
        let same = later.ticker == earlier.ticker && later.bar.start == earlier.bar.start;
        if same {
            *earlier = *later;
        }
        same
    });
    rows
}

struct Written {
    inserted: u64,
    revised: u64,
    tickers: Vec<String>,
    range: Option<(DateTime<Utc>, DateTime<Utc>)>,
}

#[expect(clippy::cast_sign_loss, reason = "counts are not negative")]
async fn upsert_batch(
    executor: impl PgExecutor<'_>,
    batch: &[&VendorBar],
) -> Result<Written, sqlx::Error> {
    let column = |price: fn(&Bar) -> Price| -> Vec<f64> {
        batch.iter().map(|row| price(&row.bar).get()).collect()
    };
    let written = sqlx::query!(
        r#"
        with written as (
            insert into price_data as stored
                (ticker, bar_start, open, high, low, close, volume, source, fetched_at)
            select *
            from unnest(
                $1::text[], $2::timestamptz[], $3::float8[], $4::float8[], $5::float8[], $6::float8[],
                $7::float8[], $8::text[], $9::timestamptz[]
            )
            on conflict (ticker, bar_start) do update set
                open = excluded.open,
                high = excluded.high,
                low = excluded.low,
                close = excluded.close,
                volume = excluded.volume,
                source = excluded.source,
                fetched_at = excluded.fetched_at,
                revision = keep_revised_bar(
                    stored.ticker, stored.bar_start, stored.revision,
                    stored.open, stored.high, stored.low, stored.close, stored.volume,
                    stored.source, stored.fetched_at, excluded.fetched_at
                )
            where excluded.fetched_at >= stored.fetched_at
                and (stored.open, stored.high, stored.low, stored.close, stored.volume)
                    is distinct from
                    (excluded.open, excluded.high, excluded.low, excluded.close, excluded.volume)
            returning stored.ticker, stored.bar_start, stored.revision
        )
        select
            count(*) filter (where revision = 0) as "inserted!",
            count(*) filter (where revision > 0) as "revised!",
            coalesce(array_agg(distinct ticker), '{}') as "tickers!",
            min(bar_start) as first,
            max(bar_start) as last
        from written
        "#,
        &batch.iter().map(|row| row.ticker.to_string()).collect::<Vec<_>>(),
        &batch.iter().map(|row| row.bar.start).collect::<Vec<_>>(),
        &column(|bar| bar.open),
        &column(|bar| bar.high),
        &column(|bar| bar.low),
        &column(|bar| bar.close),
        &batch.iter().map(|row| row.bar.volume).collect::<Vec<_>>(),
        &batch.iter().map(|row| row.source.to_owned()).collect::<Vec<_>>(),
        &batch.iter().map(|row| row.fetched_at).collect::<Vec<_>>(),
    )
    .fetch_one(executor)
    .await?;
    Ok(Written {
        inserted: written.inserted as u64,
        revised: written.revised as u64,
        tickers: written.tickers,
        range: written.first.zip(written.last),
    })
}

/// The newest `limit` adjusted bars of each ticker, ascending; tickers in the order given, each present even when
/// nothing is stored for it.
///
/// # Errors
/// When the database is lost.
pub async fn newest_bars(
    executor: impl PgExecutor<'_>,
    tickers: &[Ticker],
    limit: i64,
) -> Result<Vec<(Ticker, Vec<Bar>)>, StorageError> {
    let action = "read the newest bars";
    // Through LATERAL each ticker is one short walk down the index; a window function would read the whole table.
    let rows = sqlx::query!(
        r#"
        select
            wanted.place as "place!",
            bar.bar_start as "bar_start!",
            bar.open as "open!",
            bar.high as "high!",
            bar.low as "low!",
            bar.close as "close!",
            bar.volume as "volume!"
        from unnest($1::text[]) with ordinality as wanted (ticker, place)
        cross join lateral (
            select bar_start, open, high, low, close, volume
            from price_adjusted
            where price_adjusted.ticker = wanted.ticker
            order by bar_start desc
            limit $2
        ) as bar
        order by wanted.place, bar.bar_start
        "#,
        &texts(tickers),
        limit,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;

    let mut newest: Vec<(Ticker, Vec<Bar>)> = tickers
        .iter()
        .map(|ticker| (ticker.clone(), Vec::new()))
        .collect();
    for row in rows {
        let bar = RawBar {
            start: row.bar_start,
            open: row.open,
            high: row.high,
            low: row.low,
            close: row.close,
            volume: row.volume,
        };
        // "with ordinality" counts from 1.
        let place = usize::try_from(row.place - 1).map_err(corrupt(action, row.place))?;
        if let Some((_, bars)) = newest.get_mut(place) {
            bars.push(bar.check(action)?);
        }
    }
    Ok(newest)
}

/// Adjusted bars of one ticker with `from <= start < to`, ascending.
///
/// # Errors
/// When the database is lost.
pub async fn bars_between(
    executor: impl PgExecutor<'_>,
    ticker: &Ticker,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<Bar>, StorageError> {
    let action = "read bars";
    sqlx::query_as!(
        RawBar,
        r#"
        select
            bar_start as "start!",
            open as "open!",
            high as "high!",
            low as "low!",
            close as "close!",
            volume as "volume!"
        from price_adjusted
        where ticker = $1 and bar_start >= $2 and bar_start < $3
        order by bar_start
        "#,
        ticker.as_str(),
        from,
        to,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?
    .into_iter()
    .map(|bar| bar.check(action))
    .collect()
}

/// A bar as the vendor sent it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoredBar {
    /// The bar, on the share basis of `fetched_at`.
    pub bar: Bar,
    /// As of [`VendorBar::fetched_at`].
    pub fetched_at: DateTime<Utc>,
}

/// Bars of one ticker with `from <= start < to`, ascending, as the vendor sent them: each on a share basis of its own.
///
/// # Errors
/// When the database is lost.
pub async fn stored_bars(
    executor: impl PgExecutor<'_>,
    ticker: &Ticker,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<StoredBar>, StorageError> {
    let action = "read stored bars";
    let rows = sqlx::query!(
        r#"
        select bar_start, open, high, low, close, volume, fetched_at
        from price_data
        where ticker = $1 and bar_start >= $2 and bar_start < $3
        order by bar_start
        "#,
        ticker.as_str(),
        from,
        to,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    rows.into_iter()
        .map(|row| {
            let bar = RawBar {
                start: row.bar_start,
                open: row.open,
                high: row.high,
                low: row.low,
                close: row.close,
                volume: row.volume,
            };
            Ok(StoredBar {
                bar: bar.check(action)?,
                fetched_at: row.fetched_at,
            })
        })
        .collect()
}

/// Corrects up to when bars of one ticker carry all splits, by start and moment (UTC): what the vendor sent stays, and is on
/// another share basis than was thought. Notifies the listeners of [`Channel::CorporateAction`], as adjusted prices are
/// others with it.
///
/// # Errors
/// When the database is lost.
pub async fn correct_share_basis(
    transaction: &mut PgTransaction<'_>,
    ticker: &Ticker,
    bars: &[(DateTime<Utc>, DateTime<Utc>)],
) -> Result<(), StorageError> {
    let error = || failed("correct the share basis of bars");
    let (starts, moments): (Vec<_>, Vec<_>) = bars.iter().copied().unzip();
    sqlx::query!(
        r#"
        update price_data as stored
        set fetched_at = given.fetched_at
        from unnest($2::timestamptz[], $3::timestamptz[]) as given (bar_start, fetched_at)
        where stored.ticker = $1 and stored.bar_start = given.bar_start
        "#,
        ticker.as_str(),
        &starts,
        &moments,
    )
    .execute(&mut **transaction)
    .answered()
    .await
    .map_err(error())?;
    let tickers = BTreeSet::from([ticker.to_string()]);
    listener::notify_tickers(&mut **transaction, Channel::CorporateAction, tickers)
        .answered()
        .await
        .map_err(error())
}

/// Starts of the stored bars of one ticker with `from <= start < to`, UTC, ascending.
///
/// # Errors
/// When the database is lost.
pub async fn bar_starts_between(
    executor: impl PgExecutor<'_>,
    ticker: &Ticker,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<DateTime<Utc>>, StorageError> {
    sqlx::query_scalar!(
        r#"
        select bar_start
        from price_data
        where ticker = $1 and bar_start >= $2 and bar_start < $3
        order by bar_start
        "#,
        ticker.as_str(),
        from,
        to,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed("read the starts of bars"))
}

/// The last close of a ticker in a stretch of time.
#[derive(Clone, Debug, PartialEq)]
pub struct LastClose {
    /// Whose.
    pub ticker: Ticker,
    /// Start of the bar that it belongs to, UTC.
    pub bar_start: DateTime<Utc>,
    /// Adjusted close.
    pub close: Price,
}

/// The last adjusted close of each ticker with `from <= start < to`, tickers in the order given, without those that
/// have none. With open and close of the session before, these are the previous closes that a change is counted from.
///
/// # Errors
/// When the database is lost.
pub async fn last_closes(
    executor: impl PgExecutor<'_>,
    tickers: &[Ticker],
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<LastClose>, StorageError> {
    let action = "read the last closes";
    let rows = sqlx::query!(
        r#"
        select wanted.ticker as "ticker!", bar.bar_start as "bar_start!", bar.close as "close!"
        from unnest($1::text[]) with ordinality as wanted (ticker, place)
        cross join lateral (
            select bar_start, close
            from price_adjusted
            where price_adjusted.ticker = wanted.ticker and bar_start >= $2 and bar_start < $3
            order by bar_start desc
            limit 1
        ) as bar
        order by wanted.place
        "#,
        &texts(tickers),
        from,
        to,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    rows.into_iter()
        .map(|row| {
            Ok(LastClose {
                ticker: read_ticker(action, &row.ticker)?,
                bar_start: row.bar_start,
                close: Price::new(row.close).map_err(corrupt(action, row.close))?,
            })
        })
        .collect()
}

/// Start of the first and of the last bar stored, of all tickers, UTC; nothing when there are none.
///
/// # Errors
/// When the database is lost.
pub async fn bar_range(
    pool: &PgPool,
) -> Result<Option<(DateTime<Utc>, DateTime<Utc>)>, StorageError> {
    let starts = bar_starts(pool).await?;
    let first = starts.iter().map(|(_, first, _)| *first).min();
    let last = starts.iter().map(|(_, _, last)| *last).max();
    Ok(first.zip(last))
}

/// Start of the last bar stored of each ticker, UTC, in the order of tickers.
///
/// # Errors
/// When the database is lost.
pub async fn last_bar_starts(
    executor: impl PgExecutor<'_>,
) -> Result<Vec<(Ticker, DateTime<Utc>)>, StorageError> {
    Ok(bar_starts(executor)
        .await?
        .into_iter()
        .map(|(ticker, _, last)| (ticker, last))
        .collect())
}

/// First and last start of each ticker. Hops along the index from ticker to ticker: `group by` would read every row.
async fn bar_starts(
    executor: impl PgExecutor<'_>,
) -> Result<Vec<(Ticker, DateTime<Utc>, DateTime<Utc>)>, StorageError> {
    let action = "read the range of bars";
    let rows = sqlx::query!(
        r#"
        with recursive known (ticker) as (
            (select ticker from price_data order by ticker limit 1)
            union all
            select (
                select price_data.ticker
                from price_data
                where price_data.ticker > known.ticker
                order by price_data.ticker
                limit 1
            )
            from known
            where known.ticker is not null
        )
        select
            known.ticker as "ticker!",
            (select min(bar_start) from price_data where price_data.ticker = known.ticker) as "first!",
            (select max(bar_start) from price_data where price_data.ticker = known.ticker) as "last!"
        from known
        where known.ticker is not null
        order by known.ticker
        "#,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    rows.into_iter()
        .map(|row| Ok((read_ticker(action, &row.ticker)?, row.first, row.last)))
        .collect()
}

/// A bar as the database gives it.
pub(crate) struct RawBar {
    pub(crate) start: DateTime<Utc>,
    pub(crate) open: f64,
    pub(crate) high: f64,
    pub(crate) low: f64,
    pub(crate) close: f64,
    pub(crate) volume: f64,
}

impl RawBar {
    pub(crate) fn check(self, action: &'static str) -> Result<Bar, StorageError> {
        let price = |value: f64| Price::new(value).map_err(corrupt(action, value));
        Ok(Bar {
            start: self.start,
            open: price(self.open)?,
            high: price(self.high)?,
            low: price(self.low)?,
            close: price(self.close)?,
            volume: self.volume,
        })
    }
}

pub(crate) fn read_ticker(action: &'static str, text: &str) -> Result<Ticker, StorageError> {
    Ticker::parse(text).map_err(corrupt(action, text))
}

pub(crate) fn texts(tickers: &[Ticker]) -> Vec<String> {
    tickers.iter().map(Ticker::to_string).collect()
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, TimeZone};

    use super::*;

    #[test]
    fn of_a_bar_given_twice_the_later_fetch_counts() {
        let start = Utc.with_ymd_and_hms(2018, 3, 26, 13, 30, 0).unwrap();
        let row = |ticker: &str, minute: i64, close: f64, fetched: i64| VendorBar {
            ticker: Ticker::parse(ticker).unwrap(),
            bar: Bar::new(
                start + TimeDelta::minutes(minute),
                close,
                close,
                close,
                close,
                1.0,
            )
            .unwrap(),
            source: "test",
            fetched_at: start + TimeDelta::hours(fetched),
        };
        let rows = [
            row("B", 0, 1.0, 1),
            row("A", 1, 2.0, 2),
            row("A", 1, 3.0, 1),
            row("A", 0, 4.0, 1),
            row("A", 0, 5.0, 1),
        ];
        let kept: Vec<_> = newest_of_each(&rows)
            .into_iter()
            .map(|row| (row.ticker.as_str(), row.bar.close.get()))
            .collect();
        assert_eq!(kept, [("A", 5.0), ("A", 2.0), ("B", 1.0)]);
    }
}
