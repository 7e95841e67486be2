//! The commands on the database: history in, tables out.
#![expect(
    clippy::print_stdout,
    reason = "what these commands say is their output"
)]

pub(crate) mod backfill;
pub(crate) mod export;

use anyhow::Context;
use chrono::{DateTime, Days, NaiveDate, NaiveTime, Utc};
use domain::{Ticker, Universe};
use storage::PgPool;

/// The database that the environment names.
async fn open() -> anyhow::Result<PgPool> {
    let url = service_kit::database_url().context(
        "name the folder of a running system, such as --state-dir .local, or set DATABASE_URL",
    )?;
    Ok(storage::open(url).await?)
}

/// The tickers given, or all that are watched.
fn tickers_or_all(given: &[Ticker]) -> anyhow::Result<Vec<Ticker>> {
    if given.is_empty() {
        Ok(service_kit::load_settings::<Universe>()?.symbols())
    } else {
        Ok(given.to_vec())
    }
}

/// The moments that enclose the sessions of two New York dates, both included; a session never crosses midnight UTC.
fn whole_days(
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> anyhow::Result<(DateTime<Utc>, DateTime<Utc>)> {
    if let (Some(from), Some(to)) = (from, to) {
        crate::calendar::in_order(from, to)?;
    }
    let midnight = |date: NaiveDate| date.and_time(NaiveTime::MIN).and_utc();
    let start = from.map_or(DateTime::UNIX_EPOCH, midnight);
    let end = match to {
        Some(date) => midnight(
            date.checked_add_days(Days::new(1))
                .with_context(|| format!("--to {date} is beyond the calendar"))?,
        ),
        // The end of what PostgreSQL and chrono agree on is of no use to anybody: a century is.
        None => midnight(NaiveDate::from_ymd_opt(2100, 1, 1).unwrap_or(NaiveDate::MAX)),
    };
    Ok((start, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_days_are_whole() {
        let day = |day| NaiveDate::from_ymd_opt(2026, 3, day);
        let (start, end) = whole_days(day(9), day(9)).unwrap();
        let session = calendar::nyse().session_on(day(9).unwrap()).unwrap();
        assert!(start <= session.open && session.close <= end);
        assert_eq!((end - start).num_hours(), 24);
        let error = whole_days(day(10), day(9)).unwrap_err();
        assert!(error.to_string().contains("2026-03-10"), "{error}");
    }
}
