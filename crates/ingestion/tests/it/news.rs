//! Stories of real headlines, and what is kept of them.

use std::{collections::BTreeMap, fs::File};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{NewsArticle, NewsSource, Ticker};
use flate2::read::GzDecoder;
use ingestion::{NewsDesk, NewsReport};
use serde::Deserialize;
use sqlx::PgPool;

use crate::market::ticker;

/// A row of the recorded headlines; Yahoo's and Finnhub's have other names for the same.
#[derive(Deserialize)]
struct Row {
    ticker: String,
    published_at: DateTime<Utc>,
    first_seen: DateTime<Utc>,
    #[serde(alias = "headline")]
    title: String,
    #[serde(alias = "source")]
    publisher: String,
    url: String,
    summary: Option<String>,
}

/// What a collector found about a stock when it looked, in the order of its looks.
type Looks = BTreeMap<(DateTime<Utc>, Ticker), Vec<NewsArticle>>;

fn recorded(file: &str, source: NewsSource) -> Option<Looks> {
    let path = test_support::shared(&format!("data/news/{file}"))?;
    let mut looks = Looks::new();
    for row in csv::Reader::from_reader(GzDecoder::new(File::open(path).unwrap())).deserialize() {
        let row: Row = row.unwrap();
        let article = NewsArticle {
            source,
            vendor_id: row.url.clone(),
            tickers: vec![ticker(&row.ticker)],
            published_at: row.published_at,
            title: row.title,
            summary: row.summary.filter(|summary| !summary.is_empty()),
            publisher: Some(row.publisher),
            url: Some(row.url),
        };
        let look = (row.first_seen, article.tickers[0].clone());
        looks.entry(look).or_default().push(article);
    }
    Some(looks)
}

fn tickers_of(looks: &Looks) -> Vec<Ticker> {
    let mut tickers: Vec<Ticker> = looks.keys().map(|(_, ticker)| ticker.clone()).collect();
    tickers.sort();
    tickers.dedup();
    tickers
}

async fn take_in(desk: &NewsDesk, looks: Looks) -> NewsReport {
    let mut sum = NewsReport::default();
    for ((seen_at, ticker), articles) in looks {
        let report = desk.take_in(&ticker, articles, seen_at).await.unwrap();
        sum.articles += report.articles;
        sum.stored += report.stored;
        sum.merged += report.merged;
        sum.known += report.known;
        sum.foreign += report.foreign;
        sum.quarantined += report.quarantined;
    }
    sum
}

async fn number(pool: &PgPool, query: &'static str) -> i64 {
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

fn article(title: &str, tickers: &[&str], published_at: &str) -> NewsArticle {
    NewsArticle {
        source: NewsSource::Yahoo,
        vendor_id: title.to_owned(),
        tickers: tickers.iter().map(|text| ticker(text)).collect(),
        published_at: time(published_at),
        title: title.to_owned(),
        summary: None,
        publisher: None,
        url: None,
    }
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn real_headlines_become_stories_with_many_tickers(pool: PgPool) {
    let file = "news_yahoo_2026-02-26_2026-04-17.csv.gz";
    let Some(looks) = recorded(file, NewsSource::Yahoo) else {
        return;
    };
    let desk = NewsDesk::new(pool.clone(), &tickers_of(&looks));
    let report = take_in(&desk, looks).await;
    // 8411 rows hold 6731 pairs of headline and published time; 9 of these are headlines that their publisher changed
    // within hours or without a new date.
    let expected = NewsReport {
        articles: 8_411,
        stored: 6_722,
        merged: 1_681,
        known: 8,
        ..NewsReport::default()
    };
    assert_eq!(report, expected);
    assert_eq!(
        number(&pool, "select count(*) from news_article_ticker").await,
        8_402
    );
    let shared = "select count(*) from (select from news_article_ticker group by article_id having count(*) > 1) as s";
    assert_eq!(number(&pool, shared).await, 1_213);
    // A column that appears under the same headline for weeks is a story each time.
    let column = "select count(*) from news_article where title = 'Sector Update: Tech Stocks Gain Late Afternoon'";
    assert_eq!(number(&pool, column).await, 5);
    // Evergreen pages keep a date long past, and are known since they were seen.
    let evergreen = "select count(*) from news_article where published_at < '2026-02-01' and first_seen_at > '2026-02-25'";
    assert!(number(&pool, evergreen).await >= 10);

    // Once more, a day later: nothing is new.
    let looks = recorded(file, NewsSource::Yahoo).unwrap();
    let later = looks
        .into_iter()
        .map(|((seen_at, ticker), articles)| ((seen_at + TimeDelta::days(1), ticker), articles));
    let again = take_in(&desk, later.collect()).await;
    assert_eq!((again.stored, again.merged, again.known), (0, 0, 8_411));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn finnhub_s_repeats_are_one_story(pool: PgPool) {
    let file = "news_finnhub_2026-07-01_2026-08-05.csv.gz";
    let Some(looks) = recorded(file, NewsSource::Finnhub) else {
        return;
    };
    let desk = NewsDesk::new(pool.clone(), &tickers_of(&looks));
    let report = take_in(&desk, looks).await;
    let expected = NewsReport {
        articles: 5_777,
        stored: 4_240,
        merged: 1_537,
        ..NewsReport::default()
    };
    assert_eq!(report, expected);
    // A headline that comes weekly or daily, once under several ids in between.
    let column = "select count(*) from news_article where title = 'Sector Update: Tech Stocks Rise Late Afternoon'";
    assert_eq!(number(&pool, column).await, 3);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_story_of_two_sources_is_one_and_only_our_stocks_are_kept(pool: PgPool) {
    let desk = NewsDesk::new(pool.clone(), &[ticker("AAPL"), ticker("NVDA")]);
    let seen_at = time("2026-03-09T14:00:00Z");
    let yahoo = NewsArticle {
        url: Some("https://www.fool.com/a/chips/?source=x&utm_source=yahoo#top".to_owned()),
        publisher: Some("Motley Fool".to_owned()),
        ..article("Chips rally", &["AAPL", "TSM"], "2026-03-09T13:00:00Z")
    };
    let elsewhere = NewsArticle {
        source: NewsSource::Finnhub,
        vendor_id: "77".to_owned(),
        ..article(
            "Chips Rally | The Motley Fool",
            &["NVDA"],
            "2026-03-09T13:20:00Z",
        )
    };
    let elsewhere = NewsArticle {
        publisher: Some("Motley Fool".to_owned()),
        ..elsewhere
    };
    let foreign = article("Sugar rallies", &["KO", "PEP"], "2026-03-09T13:00:00Z");
    let asked = ticker("AAPL");
    let report = desk
        .take_in(&asked, vec![yahoo, foreign], seen_at)
        .await
        .unwrap();
    assert_eq!((report.stored, report.foreign), (1, 1));
    let later = seen_at + TimeDelta::minutes(5);
    let report = desk
        .take_in(&ticker("NVDA"), vec![elsewhere], later)
        .await
        .unwrap();
    assert_eq!((report.stored, report.merged), (0, 1));

    let page = storage::news_page(&pool, &ticker("NVDA"), None, 10)
        .await
        .unwrap();
    let story = &page[0];
    assert_eq!(story.tickers, [ticker("AAPL"), ticker("NVDA")]);
    assert_eq!(story.sources, [NewsSource::Finnhub, NewsSource::Yahoo]);
    assert_eq!(
        story.url.as_deref(),
        Some("https://www.fool.com/a/chips?source=x")
    );
    assert_eq!(
        story.first_seen_at, later,
        "under this stock it was seen later"
    );
    assert_eq!(story.published_at, time("2026-03-09T13:00:00Z"));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_is_dated_wrongly_is_dated_by_its_first_sight(pool: PgPool) {
    let desk = NewsDesk::new(pool.clone(), &[ticker("AAPL")]);
    let seen_at = time("2026-03-09T14:00:00Z");
    let articles = vec![
        article("From tomorrow", &["AAPL"], "2026-03-10T00:00:00Z"),
        article("From before the web", &["AAPL"], "1970-01-01T00:00:00Z"),
        article("Evergreen", &["AAPL"], "2024-09-12T18:21:03Z"),
        article("  ", &["AAPL"], "2026-03-09T13:00:00Z"),
    ];
    let asked = ticker("AAPL");
    let report = desk
        .take_in(&asked, articles.clone(), seen_at)
        .await
        .unwrap();
    assert_eq!((report.stored, report.quarantined), (3, 1));
    let again = desk
        .take_in(&asked, articles, seen_at + TimeDelta::hours(1))
        .await
        .unwrap();
    assert_eq!((again.stored, again.known, again.quarantined), (0, 3, 0));

    let page = storage::news_page(&pool, &asked, None, 10).await.unwrap();
    let published: BTreeMap<&str, DateTime<Utc>> = page
        .iter()
        .map(|story| (story.title.as_str(), story.published_at))
        .collect();
    assert_eq!(published["From tomorrow"], seen_at);
    assert_eq!(published["From before the web"], seen_at);
    assert_eq!(published["Evergreen"], time("2024-09-12T18:21:03Z"));
    assert!(
        page.iter()
            .all(|story| story.first_seen_at == seen_at && story.available_at.is_none())
    );
    let counts = storage::quarantine_counts(&pool, DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    assert_eq!((counts[0].rows, counts[0].occurrences), (1, 2));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn two_sources_at_once_make_one_story(pool: PgPool) {
    let desk = NewsDesk::new(pool.clone(), &[ticker("AAPL")]);
    let seen_at = time("2026-03-09T14:00:00Z");
    let asked = ticker("AAPL");
    let reports = (0..8).map(|source| {
        let published_at = format!("2026-03-09T13:0{source}:00Z");
        let mut told = article("Chips rally", &["AAPL"], &published_at);
        told.vendor_id = source.to_string();
        desk.take_in(&asked, vec![told], seen_at)
    });
    let stored: u64 = futures_util::future::join_all(reports)
        .await
        .into_iter()
        .map(|report| report.unwrap().stored)
        .sum();
    assert_eq!(stored, 1);
    assert_eq!(number(&pool, "select count(*) from news_sighting").await, 8);
}
