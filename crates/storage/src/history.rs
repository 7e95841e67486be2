use std::{fmt, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Bar, Ticker};
use sqlx::{PgExecutor, postgres::types::PgInterval};

use crate::{StorageError, bars::RawBar, error::failed};

/// Length of the bars of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Interval {
    /// One minute, as stored.
    OneMinute,
    /// Five minutes.
    FiveMinutes,
    /// A quarter of an hour.
    FifteenMinutes,
    /// An hour, counted from the open: 09:30, 10:30 and so on in New York.
    OneHour,
    /// A session, stamped at 09:30 New York of its day.
    OneDay,
}

/// Text that names no interval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an interval: expected 1m, 5m, 15m, 1h or 1d")]
pub struct UnknownInterval {
    text: String,
}

impl Interval {
    /// All intervals, the shortest first.
    pub const ALL: [Self; 5] = [
        Self::OneMinute,
        Self::FiveMinutes,
        Self::FifteenMinutes,
        Self::OneHour,
        Self::OneDay,
    ];

    /// The name used in requests: `1m`, `5m`, `15m`, `1h` or `1d`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OneMinute => "1m",
            Self::FiveMinutes => "5m",
            Self::FifteenMinutes => "15m",
            Self::OneHour => "1h",
            Self::OneDay => "1d",
        }
    }

    const fn minutes(self) -> i64 {
        match self {
            Self::OneMinute => 1,
            Self::FiveMinutes => 5,
            Self::FifteenMinutes => 15,
            Self::OneHour => 60,
            Self::OneDay => 24 * 60,
        }
    }

    /// The buckets of `price_rollup` that make up one of these.
    const fn rolled_up(self) -> Self {
        match self {
            Self::FifteenMinutes => Self::FiveMinutes,
            other => other,
        }
    }

    const fn length(self) -> PgInterval {
        PgInterval {
            months: 0,
            days: 0,
            microseconds: self.minutes() * 60 * 1_000_000,
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Interval {
    type Err = UnknownInterval;

    fn from_str(text: &str) -> Result<Self, UnknownInterval> {
        Self::ALL
            .into_iter()
            .find(|interval| interval.name() == text)
            .ok_or_else(|| UnknownInterval {
                text: text.to_owned(),
            })
    }
}

/// Which bars are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryRequest {
    /// Length of each bar.
    pub interval: Interval,
    /// Bars that start here or later, UTC.
    pub start: Option<DateTime<Utc>>,
    /// Bars that start before, UTC. The `next_end` of a page is the `end` of the next.
    pub end: Option<DateTime<Utc>>,
    /// Most bars in the page.
    pub limit: u32,
}

/// The newest bars of what was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryPage {
    /// Adjusted bars, ascending, stamped at their start.
    pub bars: Vec<Bar>,
    /// Where the next page, further back in time, has to end; nothing when this one is the last.
    pub next_end: Option<DateTime<Utc>>,
}

/// One page of a ticker's history, from the newest bar backwards. An unknown ticker has none.
///
/// # Errors
/// When the database is lost.
pub async fn history_page(
    executor: impl PgExecutor<'_>,
    ticker: &Ticker,
    request: &HistoryRequest,
) -> Result<HistoryPage, StorageError> {
    let action = "read history";
    let limit = i64::from(request.limit);
    // One more than wanted tells whether there is a next page.
    let rows = match request.interval {
        Interval::OneMinute => minutes(executor, ticker, request, limit + 1).await,
        _ => buckets(executor, ticker, request, limit + 1).await,
    }
    .map_err(failed(action))?;

    let more = rows.len() > request.limit as usize;
    let mut bars = rows
        .into_iter()
        .take(request.limit as usize)
        .map(|bar| bar.check(action))
        .collect::<Result<Vec<_>, _>>()?;
    bars.reverse();
    let next_end = if more {
        bars.first().map(|bar| bar.start)
    } else {
        None
    };
    Ok(HistoryPage { bars, next_end })
}

/// The newest first.
async fn minutes(
    executor: impl PgExecutor<'_>,
    ticker: &Ticker,
    request: &HistoryRequest,
    limit: i64,
) -> Result<Vec<RawBar>, sqlx::Error> {
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
        where ticker = $1
            and bar_start >= coalesce($2, '-infinity'::timestamptz)
            and bar_start < coalesce($3, 'infinity'::timestamptz)
        order by bar_start desc
        limit $4
        "#,
        ticker.as_str(),
        request.start,
        request.end,
        limit,
    )
    .fetch_all(executor)
    .await
}

/// The newest first.
async fn buckets(
    executor: impl PgExecutor<'_>,
    ticker: &Ticker,
    request: &HistoryRequest,
    limit: i64,
) -> Result<Vec<RawBar>, sqlx::Error> {
    let minutes = request.interval.minutes();
    let rolled_up = request.interval.rolled_up();
    // Buckets cut by the ends of the range have to lie outside of the asked one; daylight saving moves a day by an
    // hour.
    let margin = TimeDelta::minutes(minutes + 60);
    // Enough for the bars wanted and for those that the margin adds and the query drops again.
    let bars = limit + margin.num_minutes() / minutes + 1;
    sqlx::query_file_as!(
        RawBar,
        "src/history.sql",
        ticker.as_str(),
        rolled_up.length(),
        request
            .start
            .and_then(|start| start.checked_sub_signed(margin)),
        request.end.and_then(|end| end.checked_add_signed(margin)),
        bars * (minutes / rolled_up.minutes()),
        request.interval.length(),
        request.start,
        request.end,
        limit,
    )
    .fetch_all(executor)
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interval_names_are_read_back() {
        for interval in Interval::ALL {
            assert_eq!(interval.name().parse(), Ok(interval));
        }
        assert_eq!(
            "2m".parse::<Interval>().unwrap_err().to_string(),
            "\"2m\" is not an interval: expected 1m, 5m, 15m, 1h or 1d"
        );
    }
}
