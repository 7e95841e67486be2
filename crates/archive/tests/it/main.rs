//! What a stretch of the past holds, on a real PostgreSQL.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

use archive::Archive;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Bar, CorporateAction, MacroObservation, NewsArticle, NewsSource, Sentiment, SeriesId,
    ShareChange, Ticker,
};
use storage::{ArticleSentiment, PgPool, Story, VendorBar};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn ticker(text: &str) -> Ticker {
    Ticker::parse(text).unwrap()
}

async fn store_bars(pool: &PgPool, ticker: &Ticker, first: &str, minutes: i64) {
    let rows: Vec<VendorBar> = (0..minutes)
        .map(|minute| {
            let start = time(first) + TimeDelta::minutes(minute);
            VendorBar {
                ticker: ticker.clone(),
                bar: Bar::new(start, 10.0, 11.0, 9.0, 10.5, 100.0).unwrap(),
                source: "test",
                fetched_at: start + TimeDelta::minutes(2),
            }
        })
        .collect();
    storage::upsert_bars(pool, &rows).await.unwrap();
}

/// A story about the stock, seen and read at a time.
async fn store_story(pool: &PgPool, ticker: &Ticker, at: DateTime<Utc>, negative: f32) {
    let story = Story {
        key: at.to_rfc3339(),
        article: NewsArticle {
            source: NewsSource::Yahoo,
            vendor_id: at.to_rfc3339(),
            tickers: vec![ticker.clone()],
            published_at: at,
            title: "A title".to_owned(),
            summary: None,
            publisher: None,
            url: None,
        },
    };
    storage::store_articles(pool, &[story], at).await.unwrap();
    for article in storage::unscored_articles(pool, "test", 10).await.unwrap() {
        let sentiment = ArticleSentiment {
            article_id: article.article_id,
            model: "test".to_owned(),
            sentiment: Sentiment::new(negative, 1.0 - negative, 0.0).unwrap(),
            scored_at: at,
        };
        storage::store_sentiments(pool, &[sentiment]).await.unwrap();
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn nothing_is_loaded_that_was_known_later(pool: PgPool) {
    let (apple, silent) = (ticker("AAPL"), ticker("MSFT"));
    store_bars(&pool, &apple, "2018-03-26T13:30:00Z", 60).await;
    let to = time("2018-03-26T14:00:00Z");
    for (at, negative) in [
        (to - TimeDelta::days(9), 0.1),
        (to, 0.2),
        (to + TimeDelta::seconds(1), 0.3),
    ] {
        store_story(&pool, &apple, at, negative).await;
    }
    let vix = |available_at, value| MacroObservation {
        series: SeriesId::parse("VIXCLS").unwrap(),
        period: "2018-03-23".parse().unwrap(),
        value: Some(value),
        available_at,
    };
    let observations = [vix(to, 24.9), vix(to + TimeDelta::minutes(1), 25.0)];
    storage::store_observations(&pool, &observations, "test")
        .await
        .unwrap();

    let from = time("2018-03-26T13:40:00Z");
    let tickers = [apple.clone(), silent.clone()];
    let loaded = Archive::load(&pool, &tickers, from, to).await.unwrap();
    assert!(!loaded.bars.contains_key(&silent));
    let bars = &loaded.bars[&apple];
    assert_eq!(bars.first().unwrap().start, from);
    assert_eq!(bars.last().unwrap().close_time(), to);
    assert_eq!(bars.len(), 20);
    let scores: Vec<f32> = loaded.context.news[&apple]
        .iter()
        .map(|event| event.score)
        .collect();
    assert_eq!(
        scores,
        [-0.2],
        "known at the end counts, a story of last week does not"
    );
    let values: Vec<f64> = loaded
        .context
        .economy
        .iter()
        .map(|event| event.value)
        .collect();
    assert_eq!(values, [24.9]);

    let before = time("2018-03-01T00:00:00Z");
    let nothing = Archive::load(&pool, &tickers, before, from - TimeDelta::days(1));
    assert_eq!(nothing.await.unwrap(), Archive::default());
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_return_across_an_ex_date_holds_the_dividend(pool: PgPool) {
    let (apple, other) = (ticker("AAPL"), ticker("MSFT"));
    for ticker in [&apple, &other] {
        store_bars(&pool, ticker, "2018-03-23T19:50:00Z", 10).await;
        store_bars(&pool, ticker, "2018-03-26T13:30:00Z", 10).await;
    }
    let dividend = CorporateAction {
        ticker: apple.clone(),
        ex_date: "2018-03-26".parse().unwrap(),
        effective_at: time("2018-03-26T13:30:00Z"),
        change: ShareChange::Dividend { amount: 0.42 },
    };
    storage::upsert_corporate_actions(&pool, &[dividend], "test", time("2018-03-26T13:31:00Z"))
        .await
        .unwrap();

    let (from, to) = (time("2018-03-23T00:00:00Z"), time("2018-03-27T00:00:00Z"));
    let tickers = [apple.clone(), other.clone()];
    let loaded = Archive::load(&pool, &tickers, from, to).await.unwrap();
    let closes = |ticker| -> Vec<f64> {
        let bars = loaded.bars[ticker].iter();
        bars.map(|bar| bar.close.get()).collect()
    };
    // All closes are 10.5, of which 0.42 was paid out: before the ex-date 10.5 * (1 - 0.42 / 10.5).
    let expected = [[10.08; 10], [10.5; 10]].concat();
    for (close, expected) in closes(&apple).into_iter().zip(expected) {
        assert!((close - expected).abs() < 1e-9, "{close} for {expected}");
    }
    assert_eq!(closes(&other), [10.5; 20]);
    assert_eq!(loaded.bars[&apple][0].volume, loaded.bars[&other][0].volume);
}
