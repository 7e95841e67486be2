//! Headlines: recorded or invented, each known from a moment on. The vendors' folders write them in their own formats.

mod invented;
mod recorded;
pub(crate) mod sentiment;

use std::{collections::BTreeSet, path::PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use domain::Ticker;

use crate::{Market, random, table::TableError};
use invented::InventedNews;
use recorded::RecordedNews;

/// Where headlines come from.
#[derive(Debug, Default)]
pub struct News(Source);

#[derive(Debug, Default)]
enum Source {
    /// There are none.
    #[default]
    Silent,
    Recorded(RecordedNews),
    Invented(InventedNews),
}

/// A headline.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Story {
    pub(crate) title: String,
    pub(crate) summary: Option<String>,
    pub(crate) publisher: String,
    pub(crate) url: String,
    /// What the publisher says.
    pub(crate) published_at: DateTime<Utc>,
    /// The stocks that it is filed under at the moment of the question.
    pub(crate) tickers: BTreeSet<Ticker>,
    /// When it could first be found.
    pub(crate) visible_at: DateTime<Utc>,
}

impl Story {
    /// A number of its own, the same in every run.
    pub(crate) fn number(&self) -> u64 {
        random::hash(&format!("{} {}", self.url, self.title))
    }
}

impl News {
    /// The headlines of CSV files (gzipped too) with `ticker, published_at, first_seen` (UTC), `title` or `headline`,
    /// `publisher` or `source`, `url` and perhaps `summary`.
    ///
    /// A story can be found from its `published_at` on when that lies within the 26 hours before `first_seen`, else
    /// from `first_seen` on: evergreen pages keep an old date.
    ///
    /// # Errors
    /// [`TableError`] when a file is missing or has other columns.
    pub fn recorded(paths: &[PathBuf]) -> Result<Self, TableError> {
        RecordedNews::read(paths).map(|news| Self(Source::Recorded(news)))
    }

    /// Headlines about a market's moves, invented and saying so.
    pub fn invented(seed: u64) -> Self {
        Self(Source::Invented(InventedNews::new(seed)))
    }

    /// The same without what cannot be found yet.
    #[must_use]
    pub fn until(self, now: DateTime<Utc>) -> Self {
        match self.0 {
            Source::Recorded(news) => Self(Source::Recorded(news.until(now))),
            other => Self(other),
        }
    }

    /// Stories filed under a stock that were published on or after a day and can be found, newest first.
    pub(crate) fn of(
        &self,
        market: &Market,
        ticker: &Ticker,
        since: NaiveDate,
        now: DateTime<Utc>,
    ) -> Vec<Story> {
        newest_first(match &self.0 {
            Source::Silent => Vec::new(),
            Source::Recorded(news) => news.of(ticker, since, now),
            Source::Invented(news) => news.of(market, ticker, since, now),
        })
    }

    /// The stories filed under a stock that can be found, newest first, at most so many; of one page only the newest
    /// version.
    pub(crate) fn newest(
        &self,
        market: &Market,
        ticker: &Ticker,
        count: usize,
        now: DateTime<Utc>,
    ) -> Vec<Story> {
        let mut stories = newest_first(match &self.0 {
            Source::Silent => Vec::new(),
            Source::Recorded(news) => news.of(ticker, NaiveDate::MIN, now),
            Source::Invented(news) => news.newest(market, ticker, count, now),
        });
        let mut pages = BTreeSet::new();
        stories.retain(|story| pages.insert(story.url.clone()));
        stories.truncate(count);
        stories
    }

    /// All stories that were published on or after a day and can be found, newest first.
    pub(crate) fn all(&self, market: &Market, since: NaiveDate, now: DateTime<Utc>) -> Vec<Story> {
        newest_first(match &self.0 {
            Source::Silent => Vec::new(),
            Source::Recorded(news) => news.all(since, now),
            Source::Invented(news) => {
                let tickers = market.tickers();
                let stories = tickers.into_iter();
                stories
                    .flat_map(|ticker| news.of(market, ticker, since, now))
                    .collect()
            }
        })
    }
}

fn newest_first(mut stories: Vec<Story>) -> Vec<Story> {
    stories.sort_by(|one, other| {
        (other.visible_at, &other.url, &other.title).cmp(&(one.visible_at, &one.url, &one.title))
    });
    stories
}
