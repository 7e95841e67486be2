//! News of several sources: what is the same story, and into the database with it.

mod file;
mod story;

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{DateTime, Utc};
use domain::{NewsArticle, Ticker};
use storage::{PgPool, RefusedRow, Story};
use tokio::sync::Mutex;

pub use self::file::{LeftOutRow, NewsFile, NewsFileError, read_news_file};
use self::story::{Stories, canonical_url, title_key, without_publisher};
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
            match admit(article, &self.tickers, first_seen_at) {
                Admitted::Article(article) => kept.push(article),
                Admitted::Foreign => report.foreign += 1,
                Admitted::NoHeadline(article) => refused.push(without_headline(asked, &article)),
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
        let found = stories.recognise(kept);
        let counts = storage::store_articles(&self.pool, &found, first_seen_at).await?;
        (report.stored, report.merged, report.known) = (counts.stored, counts.merged, counts.known);
        Ok(report)
    }
}

/// A story as a stock first had it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstSeenStory {
    /// The stock.
    pub ticker: Ticker,
    /// Since when it was known under this stock, UTC.
    pub first_seen_at: DateTime<Utc>,
    /// Headline of its first report, plain text.
    pub title: String,
}

/// What [`NewsDesk`] and the database would keep of reports that were seen at these times, for each stock; with the number
/// of reports that concern no watched stock.
fn replay(
    mut reports: Vec<(DateTime<Utc>, NewsArticle)>,
    tickers: &HashSet<Ticker>,
) -> (Vec<FirstSeenStory>, u64) {
    reports.sort_by_key(|(seen_at, _)| *seen_at);
    let mut stories = Stories::default();
    let mut titles = HashMap::<String, String>::new();
    let mut filed = HashSet::<(String, Ticker)>::new();
    let mut kept = Vec::new();
    let mut foreign = 0;
    let mut reports = reports.into_iter().peekable();
    while let Some(&(seen_at, _)) = reports.peek() {
        let mut admitted = Vec::new();
        while let Some((_, article)) = reports.next_if(|(at, _)| *at == seen_at) {
            match admit(article, tickers, seen_at) {
                Admitted::Article(article) => admitted.push(article),
                Admitted::Foreign => foreign += 1,
                Admitted::NoHeadline(_) => {}
            }
        }
        let found = stories.recognise(admitted);
        // Of a story that is new, the report that appeared first gives the text, as in the database.
        let mut first = BTreeMap::<&str, &NewsArticle>::new();
        for Story { key, article } in &found {
            let known = first.entry(key).or_insert(article);
            if article.published_at < known.published_at {
                *known = article;
            }
        }
        for (key, article) in first {
            titles
                .entry(key.to_owned())
                .or_insert_with(|| article.title.clone());
        }
        for Story { key, article } in found {
            let title = titles.get(&key).unwrap_or(&article.title).clone();
            for ticker in article.tickers {
                if filed.insert((key.clone(), ticker.clone())) {
                    kept.push(FirstSeenStory {
                        ticker,
                        first_seen_at: seen_at,
                        title: title.clone(),
                    });
                }
            }
        }
    }
    (kept, foreign)
}

enum Admitted {
    Article(NewsArticle),
    /// It concerns no watched stock.
    Foreign,
    NoHeadline(NewsArticle),
}

/// What every report goes through, whoever tells it.
fn admit(
    mut article: NewsArticle,
    tickers: &HashSet<Ticker>,
    first_seen_at: DateTime<Utc>,
) -> Admitted {
    if article.title.trim().is_empty() {
        return Admitted::NoHeadline(article);
    }
    article.tickers.retain(|ticker| tickers.contains(ticker));
    if article.tickers.is_empty() {
        return Admitted::Foreign;
    }
    // What is dated in the future, or before there was a web, is dated wrongly; that it exists is known.
    if article.published_at > first_seen_at || article.published_at.timestamp() < BEFORE_THE_WEB {
        article.published_at = first_seen_at;
    }
    article.title = without_publisher(&article.title, article.publisher.as_deref()).to_owned();
    article.url = article.url.as_deref().and_then(canonical_url);
    Admitted::Article(article)
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
