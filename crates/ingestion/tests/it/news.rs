//! Stories of real headlines, and what is kept of them.

use std::{
    collections::BTreeMap,
    fs::File,
    path::Path,
    sync::{Arc, Mutex},
};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{NewsArticle, NewsSource, Ticker};
use flate2::read::GzDecoder;
use ingestion::{NewsDesk, NewsReport, read_news_file};
use market_data::FinnhubClient;
use secrecy::SecretString;
use sentiment::Lexicon;
use serde::Deserialize;
use serde_json::json;
use sqlx::PgPool;
use storage::ArticleSentiment;

use crate::{
    market::ticker,
    vendor_server::{Answer, VendorServer},
};

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

/// A headline as it arrives.
struct Arrival {
    tickers: &'static str,
    published_at: &'static str,
    first_seen: String,
    title: String,
    publisher: &'static str,
    url: String,
}

/// Headlines as they arrive: encoded, garbled, repeated, under several stocks and redated.
fn arrivals() -> Vec<Arrival> {
    let arrival = |tickers, published_at, first_seen: &str, title: &str, url: &str| Arrival {
        tickers,
        published_at,
        first_seen: first_seen.to_owned(),
        title: title.to_owned(),
        publisher: "Wire",
        url: url.to_owned(),
    };
    let mut arrivals = vec![
        arrival(
            "AAPL",
            "2018-03-01T14:00:00Z",
            "2018-03-01T14:01:00Z",
            "AAPL didn&#39;t miss its profit target",
            "",
        ),
        arrival(
            "AAPL,MSFT",
            "2018-03-01T14:10:00Z",
            "2018-03-01T14:11:00Z",
            "<b>Chips</b> fall&nbsp;on weak demand - Wire",
            "https://a.com/1?utm_source=x",
        ),
        arrival(
            "MSFT",
            "2018-03-01T14:12:00Z",
            "2018-03-01T14:13:00Z",
            "CHIPS FALL ON WEAK DEMAND",
            "https://b.com/1",
        ),
        arrival(
            "NVDA,ZZZZ",
            "2018-03-01T14:12:00Z",
            "2018-03-01T14:13:00Z",
            "Chips fall on weak demand",
            "",
        ),
        arrival(
            "AAPL",
            "2018-03-01T16:00:00Z",
            "2018-03-01T14:20:00Z",
            "Wire: AAPL doesnâ€™t expect losses",
            "",
        ),
        arrival(
            "AAPL",
            "2018-03-03T14:00:00Z",
            "2018-03-03T14:01:00Z",
            "Chips fall on weak demand",
            "https://a.com/2",
        ),
        arrival(
            "AAPL",
            "2018-03-01T14:10:00Z",
            "2018-03-05T14:01:00Z",
            "Chips fall and recover",
            "https://a.com/1",
        ),
        arrival(
            "ZZZZ",
            "2018-03-01T14:10:00Z",
            "2018-03-05T14:01:00Z",
            "Nobody's news",
            "",
        ),
        arrival(
            "AAPL",
            "2018-03-01T14:10:00Z",
            "2018-03-05T14:02:00Z",
            " <br/> ",
            "",
        ),
        arrival(
            "AAPL",
            "2018-03-05T14:10:00Z",
            "2018-03-05T14:11:00Z",
            "\u{202b}re\u{301}sultats \u{1f680}\u{202c}",
            "",
        ),
    ];
    let Some(path) = test_support::shared("faults/inputs/news_titles_as_they_arrive.csv") else {
        return arrivals;
    };
    for row in csv::Reader::from_path(path).unwrap().into_records() {
        let row = row.unwrap();
        arrivals.push(arrival(
            "AAPL",
            "2018-03-01T14:30:00Z",
            &row[2],
            &row[3],
            &row[5],
        ));
    }
    arrivals
}

fn write_news_file(path: &Path, arrivals: &[Arrival]) {
    let mut file = csv::Writer::from_path(path).unwrap();
    let header = [
        "ticker",
        "published_at",
        "first_seen",
        "title",
        "publisher",
        "url",
    ];
    file.write_record(header).unwrap();
    for row in arrivals {
        file.write_record([
            row.tickers,
            row.published_at,
            &row.first_seen,
            &row.title,
            row.publisher,
            &row.url,
        ])
        .unwrap();
    }
    file.flush().unwrap();
}

/// As Finnhub writes it.
fn finnhub_item(id: usize, row: &Arrival) -> serde_json::Value {
    json!({
        "category": "company",
        "datetime": time(row.published_at).timestamp(),
        "headline": row.title,
        "id": id,
        "image": "",
        "related": row.tickers,
        "source": row.publisher,
        "summary": "",
        "url": row.url,
    })
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_file_s_headlines_are_admitted_and_scored_as_a_vendor_s(pool: PgPool) {
    let watched = ["AAPL", "MSFT", "NVDA"].map(ticker);
    let arrivals = arrivals();
    let lexicon = Lexicon::default();

    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("news.csv");
    write_news_file(&path, &arrivals);
    let file = read_news_file(&path, &watched.iter().cloned().collect()).unwrap();
    let mut from_file: Vec<_> = file
        .stories
        .iter()
        .map(|story| {
            let score = lexicon.score(&story.title).unwrap().score();
            (
                story.first_seen_at,
                story.ticker.clone(),
                story.title.clone(),
                score,
            )
        })
        .collect();

    let body = Arc::new(Mutex::new(String::new()));
    let answer = Arc::clone(&body);
    let vendor = VendorServer::start(move |_| Answer::json(answer.lock().unwrap().clone())).await;
    let key = SecretString::from("0123456789abcdef0123456789abcdef");
    let finnhub = FinnhubClient::new(&vendor.connection, key).unwrap();
    let desk = NewsDesk::new(pool.clone(), &watched);
    let mut looks = BTreeMap::<DateTime<Utc>, Vec<serde_json::Value>>::new();
    for (id, row) in arrivals.iter().enumerate() {
        let look = looks.entry(time(&row.first_seen)).or_default();
        look.push(finnhub_item(id, row));
    }
    for (seen_at, items) in looks {
        *body.lock().unwrap() = serde_json::Value::from(items).to_string();
        let day = seen_at.date_naive();
        let articles = finnhub.company_news(&watched[0], day, day).await.unwrap();
        desk.take_in(&watched[0], articles, seen_at).await.unwrap();
        let unread = storage::unread_articles(&pool, 1_000).await.unwrap();
        let sentiments: Vec<ArticleSentiment> = unread
            .iter()
            .map(|article| ArticleSentiment {
                article_id: article.article_id,
                model: lexicon.name().to_owned(),
                sentiment: lexicon.score(&article.title).unwrap(),
                scored_at: seen_at,
            })
            .collect();
        storage::store_sentiments(&pool, &sentiments).await.unwrap();
    }
    let mut from_vendor = Vec::new();
    for ticker in &watched {
        let page = storage::news_page(&pool, ticker, None, 1_000)
            .await
            .unwrap();
        from_vendor.extend(page.into_iter().map(|story| {
            let score = story.sentiment.unwrap().1.score();
            (
                story.available_at.unwrap(),
                ticker.clone(),
                story.title,
                score,
            )
        }));
    }

    let order = |one: &(DateTime<Utc>, Ticker, String, f32), other: &(_, _, _, f32)| {
        (one.0, &one.1, &one.2).cmp(&(other.0, &other.1, &other.2))
    };
    from_file.sort_by(order);
    from_vendor.sort_by(order);
    assert_eq!(from_file, from_vendor);
    assert!(from_file.len() >= 7, "{from_file:?}");
    let titles: Vec<&str> = from_file
        .iter()
        .map(|(_, _, title, _)| title.as_str())
        .collect();
    for title in [
        "AAPL didn't miss its profit target",
        "AAPL doesn’t expect losses",
        "résultats 🚀",
    ] {
        assert!(titles.contains(&title), "{title} is not among {titles:?}");
    }
}
