//! The service against simulated vendors and a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../support/vendors.rs"]
mod vendors;

use std::{path::Path, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Listing, NewsArticle, NewsSource, Ticker};
use market_data::VendorKeys;
use market_sim::{Endpoint, Fault, FaultRule, FaultScript, Market, News, Simulator, Vendor};
use news_ingestor::{NewsIngestor, NewsSettings, Surroundings};
use service_kit::Clock;
use sqlx::PgPool;
use storage::StoredArticle;
use tokio::task::AbortHandle;

use crate::vendors::{PATIENCE, Vendors};

/// Headlines as the recorded files have them. The last is an evergreen page with a date long past.
const HEADLINES: &str = "\
ticker,published_at,first_seen,title,publisher,url
AAPL,2026-03-09T12:00:00Z,2026-03-09T13:00:00Z,Apple beats estimates,Reuters,https://example.com/apple?utm_source=rss
MSFT,2026-03-09T12:30:00Z,2026-03-09T13:00:00Z,Microsoft sued over cloud prices,Reuters,https://example.com/microsoft
AAPL,2026-03-09T12:45:00Z,2026-03-09T13:00:00Z,Chip makers rally,Barrons,https://example.com/chips
MSFT,2026-03-09T12:45:00Z,2026-03-09T13:00:00Z,Chip makers rally,Barrons,https://example.com/chips
AAPL,2024-09-12T18:21:03Z,2026-03-09T14:30:00Z,Best phones to buy in 2026,Yahoo,https://example.com/phones
";

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn ticker(text: &str) -> Ticker {
    Ticker::parse(text).unwrap()
}

/// Vendors with these headlines, and a clock for all.
fn open(headlines: &str, clock: &Clock) -> Vendors {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("news.csv");
    std::fs::write(&file, headlines).unwrap();
    let tickers = ["AAPL", "MSFT"].map(ticker);
    let market = Market::generated(1, &tickers, calendar::nyse());
    let news = News::recorded(&[file]).unwrap();
    Vendors::open(Simulator::new(market, calendar::nyse(), clock.clone()).with_news(news))
}

fn clock_from(origin: &str, speed: f64) -> Clock {
    Clock::replay(time(origin), speed, Utc::now()).unwrap()
}

fn start(
    pool: &PgPool,
    vendors: &Vendors,
    clock: &Clock,
    keys: VendorKeys,
    settings: &NewsSettings,
    models_dir: &Path,
) -> AbortHandle {
    let listing = |symbol: &str, name: &str| Listing {
        ticker: ticker(symbol),
        name: name.to_owned(),
        sector: "Technology".to_owned(),
    };
    let around = Surroundings {
        connection: vendors.connection.clone(),
        keys,
        pool: pool.clone(),
        clock: clock.clone(),
        listings: vec![listing("AAPL", "Apple"), listing("MSFT", "Microsoft")],
        models_dir: models_dir.to_owned(),
    };
    let service = NewsIngestor::new(settings, around).unwrap();
    tokio::spawn(service.run()).abort_handle()
}

async fn news(pool: &PgPool, symbol: &str) -> Vec<StoredArticle> {
    storage::news_page(pool, &ticker(symbol), None, 100)
        .await
        .unwrap()
}

/// Looks at the news of a stock until they are as wanted.
async fn wait_for(
    pool: &PgPool,
    symbol: &str,
    wanted: impl Fn(&[StoredArticle]) -> bool,
) -> Vec<StoredArticle> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let found = news(pool, symbol).await;
        if wanted(&found) {
            return found;
        }
        assert!(
            tokio::time::Instant::now() < deadline,
            "news of {symbol} never came to be as wanted: {found:#?}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn requests(vendors: &Vendors, vendor: Vendor, endpoint: Endpoint) -> u64 {
    let report = vendors.faults.report();
    report
        .requests
        .get(&vendor)
        .and_then(|requests| requests.get(&endpoint))
        .copied()
        .unwrap_or_default()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn sources_agree_on_stories_and_one_that_fails_stops_no_other(pool: PgPool) {
    let clock = clock_from("2026-03-09T13:30:00Z", 1_200.0);
    let vendors = open(HEADLINES, &clock);
    let back_at = time("2026-03-09T16:00:00Z");
    let shut = FaultRule {
        vendor: Some(Vendor::Finnhub),
        until: Some(back_at),
        ..FaultRule::always(Fault::Unavailable)
    };
    vendors.faults.set(FaultScript {
        rules: vec![shut],
        ..FaultScript::default()
    });
    let keys = VendorKeys {
        finnhub: Some("finnhub-key".into()),
        // The simulator's word for a key that is refused.
        news_api: Some("bad".into()),
        ..VendorKeys::default()
    };
    let no_models = tempfile::tempdir().unwrap();
    let service = start(
        &pool,
        &vendors,
        &clock,
        keys,
        &NewsSettings::default(),
        no_models.path(),
    );

    let early = wait_for(&pool, "AAPL", |found| {
        found.len() == 3 && found.iter().all(|story| story.sentiment.is_some())
    })
    .await;
    assert!(
        early
            .iter()
            .all(|story| story.sources == [NewsSource::Yahoo])
    );
    let chips = early
        .iter()
        .find(|story| story.title == "Chip makers rally")
        .unwrap();
    assert_eq!(chips.tickers, [ticker("AAPL"), ticker("MSFT")]);
    let apple = early
        .iter()
        .find(|story| story.title == "Apple beats estimates")
        .unwrap();
    assert_eq!(apple.url.as_deref(), Some("https://example.com/apple"));
    let (model, sentiment) = apple.sentiment.clone().unwrap();
    assert_eq!(model, "lexicon-3");
    assert!(sentiment.score() > 0.0);

    // A page of 2024 is known since it was seen.
    let evergreen = early
        .iter()
        .find(|story| story.title.starts_with("Best phones"))
        .unwrap();
    assert_eq!(evergreen.published_at, time("2024-09-12T18:21:03Z"));
    assert!(
        evergreen.first_seen_at >= time("2026-03-09T14:30:00Z"),
        "{evergreen:?}"
    );
    assert!(evergreen.available_at.unwrap() >= evergreen.first_seen_at);

    // Finnhub comes back with the same stories under ids of its own.
    let late = wait_for(&pool, "AAPL", |found| {
        found
            .iter()
            .filter(|story| story.sources.contains(&NewsSource::Finnhub))
            .count()
            >= 2
    })
    .await;
    assert!(clock.now() >= back_at);
    assert_eq!(late.len(), 3, "no story is there twice: {late:#?}");
    assert_eq!(news(&pool, "MSFT").await.len(), 2);
    for (before, after) in early.iter().zip(&late) {
        assert_eq!(
            (before.first_seen_at, before.available_at),
            (after.first_seen_at, after.available_at)
        );
    }
    // Whose key is refused is asked about once an hour.
    let refused = requests(&vendors, Vendor::NewsApi, Endpoint::Everything);
    let hours = (clock.now() - time("2026-03-09T13:30:00Z")).num_hours() as u64;
    assert!(
        (1..=hours + 1).contains(&refused),
        "{refused} requests in {hours} hours"
    );
    service.abort();
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_daily_allowance_outlives_restarts_and_begins_anew_at_midnight(pool: PgPool) {
    let no_models = tempfile::tempdir().unwrap();
    let settings = NewsSettings {
        news_api_per_day: 3,
        ..NewsSettings::default()
    };
    let keys = VendorKeys {
        news_api: Some("news-key".into()),
        ..VendorKeys::default()
    };
    let spent = async |day: &str| {
        storage::requests_spent(&pool, "news_api", day.parse().unwrap())
            .await
            .unwrap()
    };
    let clock = clock_from("2026-03-10T13:30:00Z", 1.0);
    let vendors = open(HEADLINES, &clock);
    for start_number in 1..=5 {
        let service = start(
            &pool,
            &vendors,
            &clock,
            keys.clone(),
            &settings,
            no_models.path(),
        );
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let yahoo = requests(&vendors, Vendor::Yahoo, Endpoint::Search);
        // Each start asks once, while there is something left.
        while requests(&vendors, Vendor::Yahoo, Endpoint::Search) == yahoo
            || spent("2026-03-10").await < start_number.min(3)
        {
            assert!(tokio::time::Instant::now() < deadline);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        service.abort();
    }
    assert_eq!(spent("2026-03-10").await, 3);
    assert_eq!(requests(&vendors, Vendor::NewsApi, Endpoint::Everything), 3);

    let clock = clock_from("2026-03-10T23:00:00Z", 36_000.0);
    let vendors = open(HEADLINES, &clock);
    let service = start(&pool, &vendors, &clock, keys, &settings, no_models.path());
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while spent("2026-03-11").await < 3 {
        assert!(tokio::time::Instant::now() < deadline);
        assert_eq!(spent("2026-03-10").await, 3);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    service.abort();
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_was_left_unread_is_read_at_the_next_start(pool: PgPool) {
    let seen_at = time("2026-03-09T10:00:00Z");
    let stories: Vec<NewsArticle> = (0..100)
        .map(|number| NewsArticle {
            source: NewsSource::Yahoo,
            vendor_id: number.to_string(),
            tickers: vec![ticker("AAPL")],
            published_at: seen_at - TimeDelta::hours(number),
            title: format!("Apple shares fall, part {number}"),
            summary: None,
            publisher: None,
            url: None,
        })
        .collect();
    let desk = ingestion::NewsDesk::new(pool.clone(), &[ticker("AAPL")]);
    desk.take_in(&ticker("AAPL"), stories, seen_at)
        .await
        .unwrap();

    let clock = clock_from("2026-03-09T13:30:00Z", 1.0);
    let vendors = open(
        "ticker,published_at,first_seen,title,publisher,url\n",
        &clock,
    );
    // A model that was damaged: the lexicon takes its place.
    let models = tempfile::tempdir().unwrap();
    let damaged = models.path().join("finbert");
    std::fs::create_dir(&damaged).unwrap();
    std::fs::write(damaged.join("manifest.json"), "{").unwrap();
    std::fs::write(damaged.join("model.onnx"), "no network").unwrap();
    let settings = NewsSettings::default();
    let service = start(
        &pool,
        &vendors,
        &clock,
        VendorKeys::default(),
        &settings,
        models.path(),
    );
    let read = wait_for(&pool, "AAPL", |found| {
        found.iter().all(|story| story.sentiment.is_some())
    })
    .await;
    assert_eq!(read.len(), 100);
    for story in read {
        let (model, sentiment) = story.sentiment.unwrap();
        assert_eq!(model, "lexicon-3");
        assert!(sentiment.score() < 0.0);
        let available_at = story.available_at.unwrap();
        assert!(
            available_at >= time("2026-03-09T13:30:00Z"),
            "known since it was read, not since it was seen"
        );
    }
    service.abort();
}
