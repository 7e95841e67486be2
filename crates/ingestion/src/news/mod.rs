//! News of several sources: what is the same story, and into the database with it.

mod story;

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use domain::{NewsArticle, Ticker};
use storage::{PgPool, RefusedRow, Story};
use tokio::sync::Mutex;

use self::story::{Stories, canonical_url, title_key};
use crate::IngestError;

/// 1990-01-01, Unix seconds: vendors send 0 where they know no time.
const BEFORE_THE_WEB: i64 = 631_152_000;

/// Takes in what the sources report of the watched stocks.
#[derive(Debug)]
pub struct NewsDesk {
    pool: PgPool,
    tickers: HashSet<Ticker>,
    /// Recognising a story and storing it are one step: two sources often report the same at once.
    one_at_a_time: Mutex<()>,
}

/// What came of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewsReport {
    /// Articles in the answer.
    pub articles: u64,
    /// Stories that are new.
    pub stored: u64,
    /// Articles that gave a known story another source or stock.
    pub merged: u64,
    /// Articles that said nothing new.
    pub known: u64,
    /// Articles that concern no watched stock.
    pub foreign: u64,
    /// Articles in quarantine for the first time: they have no headline.
    pub quarantined: u64,
}

impl NewsDesk {
    /// A desk that keeps what concerns these stocks.
    pub fn new(pool: PgPool, tickers: &[Ticker]) -> Self {
        Self {
            pool,
            tickers: tickers.iter().cloned().collect(),
            one_at_a_time: Mutex::new(()),
        }
    }

    /// Stores one answer of one source. `asked` is the stock that was asked for, `first_seen_at` the market's time just
    /// after the answer, UTC. Twice is the same as once.
    ///
    /// # Errors
    /// When the database is lost; then some of the answer may be stored.
    pub async fn take_in(
        &self,
        asked: &Ticker,
        articles: Vec<NewsArticle>,
        first_seen_at: DateTime<Utc>,
    ) -> Result<NewsReport, IngestError> {
        let mut report = NewsReport {
            articles: articles.len() as u64,
            ..NewsReport::default()
        };
        let (mut kept, mut refused) = (Vec::new(), Vec::new());
        for article in articles {
            match self.check(article, first_seen_at) {
                Checked::Article(article) => kept.push(article),
                Checked::Foreign => report.foreign += 1,
                Checked::NoHeadline(article) => refused.push(without_headline(asked, &article)),
            }
        }
        if !refused.is_empty() {
            report.quarantined = storage::quarantine(&self.pool, &refused, first_seen_at).await?;
        }
        if kept.is_empty() {
            return Ok(report);
        }
        let _guard = self.one_at_a_time.lock().await;
        let titles: Vec<String> = kept.iter().map(title_key).collect();
        let urls: Vec<String> = kept
            .iter()
            .filter_map(|article| article.url.clone())
            .collect();
        let mut stories = Stories::new(storage::known_stories(&self.pool, &titles, &urls).await?);
        let found: Vec<Story> = kept
            .into_iter()
            .map(|article| Story {
                key: stories.key_of(&article),
                article,
            })
            .collect();
        let counts = storage::store_articles(&self.pool, &found, first_seen_at).await?;
        (report.stored, report.merged, report.known) = (counts.stored, counts.merged, counts.known);
        Ok(report)
    }

    fn check(&self, mut article: NewsArticle, first_seen_at: DateTime<Utc>) -> Checked {
        if article.title.trim().is_empty() {
            return Checked::NoHeadline(article);
        }
        article
            .tickers
            .retain(|ticker| self.tickers.contains(ticker));
        if article.tickers.is_empty() {
            return Checked::Foreign;
        }
        // What is dated in the future, or before there was a web, is dated wrongly; that it exists is known.
        if article.published_at > first_seen_at || article.published_at.timestamp() < BEFORE_THE_WEB
        {
            article.published_at = first_seen_at;
        }
        article.url = article.url.as_deref().and_then(canonical_url);
        Checked::Article(article)
    }
}

enum Checked {
    Article(NewsArticle),
    /// It concerns no watched stock.
    Foreign,
    NoHeadline(NewsArticle),
}

fn without_headline(asked: &Ticker, article: &NewsArticle) -> RefusedRow {
    RefusedRow {
        source: article.source.as_str(),
        ticker: asked.clone(),
        event_time: Some(article.published_at),
        reason: format!("article {:?} has no headline", article.vendor_id),
        payload: serde_json::json!({
            "publisher": article.publisher,
            "url": article.url,
            "summary": article.summary,
        }),
    }
}
