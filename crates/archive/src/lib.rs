#![doc = include_str!("../README.md")]

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{BAR_SECONDS, Bar, InvalidSeriesId, MACRO_SERIES, SeriesId, Ticker};
use features::{Context, MACRO_HORIZON, MacroEvent, NEWS_HORIZON, NewsEvent};
use storage::{PgPool, StorageError};

/// Bars and what was known beside them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Archive {
    /// Bars on the share basis of today with dividends taken out, ascending; no stock without a bar. Returns and labels
    /// across an ex-date hold what was paid.
    pub bars: BTreeMap<Ticker, Vec<Bar>>,
    /// News and economic series as far back as they may matter to the bars.
    pub context: Context,
}

/// A stretch of the past cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The database is lost, or holds something that it should not.
    #[error("failed to load {what} from {from} to {to}")]
    Storage {
        /// What was to be read, such as "the bars of AAPL".
        what: String,
        /// Beginning of the stretch, UTC.
        from: DateTime<Utc>,
        /// Its end, UTC.
        to: DateTime<Utc>,
        /// Why.
        #[source]
        source: StorageError,
    },
    /// A series that features are made of has an impossible name.
    #[error("an economic series of the features cannot be asked for")]
    Series(#[from] InvalidSeriesId),
}

impl Archive {
    /// Loads the bars that begin at `from` or later and are closed by `to`, with what was known by `to` beside them; both
    /// UTC.
    ///
    /// # Errors
    /// [`ArchiveError`] when the database is lost; its source says whether trying again may help.
    pub async fn load(
        pool: &PgPool,
        tickers: &[Ticker],
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Self, ArchiveError> {
        let failed = |what: String| {
            move |source| ArchiveError::Storage {
                what,
                from,
                to,
                source,
            }
        };
        // The database leaves the end out, and knows no shorter time than a microsecond.
        let end = to + TimeDelta::microseconds(1);
        // A bar is known at its close: the last one starts a minute before.
        let last_start = end - TimeDelta::seconds(BAR_SECONDS);
        let dividends = storage::dividend_factors(pool, tickers)
            .await
            .map_err(failed("the dividends".to_owned()))?;
        let mut bars = BTreeMap::new();
        for ticker in tickers {
            let mut history = storage::bars_between(pool, ticker, from, last_start)
                .await
                .map_err(failed(format!("the bars of {ticker}")))?;
            if let Some(factors) = dividends.get(ticker) {
                for bar in &mut history {
                    *bar = factors.total_return(bar);
                }
            }
            if !history.is_empty() {
                bars.insert(ticker.clone(), history);
            }
        }
        let first = bars.values().filter_map(|history| history.first());
        let Some(oldest) = first.map(|bar| bar.start).min() else {
            return Ok(Self::default());
        };

        let mut context = Context::default();
        let tickers: Vec<Ticker> = bars.keys().cloned().collect();
        let scores = storage::news_events(pool, &tickers, oldest - NEWS_HORIZON, end)
            .await
            .map_err(failed("the news".to_owned()))?;
        for (ticker, score) in scores {
            context.news.entry(ticker).or_default().push(NewsEvent {
                available_at: score.available_at,
                score: score.score,
            });
        }
        let series = MACRO_SERIES
            .into_iter()
            .map(SeriesId::parse)
            .collect::<Result<Vec<_>, _>>()?;
        context.economy = storage::macro_observations(pool, &series, to)
            .await
            .map_err(failed("the economic series".to_owned()))?
            .iter()
            .filter(|observation| observation.available_at > oldest - MACRO_HORIZON)
            .filter_map(MacroEvent::from_observation)
            .collect();
        Ok(Self { bars, context })
    }
}
