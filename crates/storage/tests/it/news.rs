use std::time::Duration;

use domain::{NewsArticle, NewsSource, Sentiment};
use storage::{
    ArticleCounts, ArticleSentiment, Channel, Listener, NewsScore, Notice, PgPool, Story,
    news_events, news_page, store_articles, store_sentiments, unscored_articles,
};
use tokio::time::timeout;

use crate::{ticker, time};

const SEEN: &str = "2026-03-09T14:00:00Z";
const LATER: &str = "2026-03-09T15:00:00Z";

fn story(key: &str, source: NewsSource, vendor_id: &str, symbols: &[&str]) -> Story {
    Story {
        key: key.to_owned(),
        article: NewsArticle {
            source,
            vendor_id: vendor_id.to_owned(),
            tickers: symbols.iter().map(|symbol| ticker(symbol)).collect(),
            published_at: time("2026-03-09T13:55:00Z"),
            title: format!("Title of {key}"),
            summary: None,
            publisher: Some("Reuters".to_owned()),
            url: Some(format!("https://example.com/{key}")),
        },
    }
}

fn counts(stored: u64, merged: u64, known: u64) -> ArticleCounts {
    ArticleCounts {
        stored,
        merged,
        known,
    }
}

async fn store(pool: &PgPool, stories: &[Story], first_seen_at: &str) -> ArticleCounts {
    store_articles(pool, stories, time(first_seen_at))
        .await
        .unwrap()
}

/// Scores all that `model` has not read: `positive`, the rest neutral.
async fn score(pool: &PgPool, model: &str, positive: f32, scored_at: &str) -> u64 {
    let rows: Vec<_> = unscored_articles(pool, model, 100)
        .await
        .unwrap()
        .into_iter()
        .map(|article| ArticleSentiment {
            article_id: article.article_id,
            model: model.to_owned(),
            sentiment: Sentiment::new(0.0, 1.0 - positive, positive).unwrap(),
            scored_at: time(scored_at),
        })
        .collect();
    store_sentiments(pool, &rows).await.unwrap()
}

async fn events(pool: &PgPool, symbol: &str) -> Vec<NewsScore> {
    news_events(
        pool,
        &[ticker(symbol)],
        time("2026-01-01T00:00:00Z"),
        time("2027-01-01T00:00:00Z"),
    )
    .await
    .unwrap()
    .into_iter()
    .map(|(found, event)| {
        assert_eq!(found, ticker(symbol));
        event
    })
    .collect()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_story_is_one_row_whoever_reports_it(pool: PgPool) {
    let first = [
        story("a", NewsSource::Yahoo, "1", &["AAPL"]),
        story("b", NewsSource::Yahoo, "2", &["AAPL", "MSFT"]),
    ];
    assert_eq!(store(&pool, &first, SEEN).await, counts(2, 0, 0));
    assert_eq!(store(&pool, &first, LATER).await, counts(0, 0, 2));
    // Another source; the same source under another id; the same report under another stock; and twice in one call.
    let more = [
        story("a", NewsSource::Finnhub, "77", &["AAPL"]),
        story("a", NewsSource::Finnhub, "78", &["AAPL"]),
        story("a", NewsSource::Yahoo, "1", &["AAPL", "NVDA"]),
        story("c", NewsSource::Finnhub, "79", &["AAPL"]),
        story("c", NewsSource::Finnhub, "79", &["AAPL"]),
    ];
    assert_eq!(store(&pool, &more, LATER).await, counts(1, 3, 1));

    let page = news_page(&pool, &ticker("AAPL"), None, 10).await.unwrap();
    let titles: Vec<_> = page.iter().map(|article| article.title.as_str()).collect();
    assert_eq!(titles, ["Title of c", "Title of b", "Title of a"]);
    let a = &page[2];
    assert_eq!(a.sources, [NewsSource::Finnhub, NewsSource::Yahoo]);
    assert_eq!(a.tickers, [ticker("AAPL"), ticker("NVDA")]);
    assert_eq!(a.first_seen_at, time(SEEN));
    assert_eq!((a.available_at, &a.sentiment), (None, &None));

    let before = Some((page[1].first_seen_at, page[1].article_id));
    assert_eq!(
        news_page(&pool, &ticker("AAPL"), before, 10).await.unwrap(),
        page[2..]
    );
    assert_eq!(
        news_page(&pool, &ticker("AAPL"), None, 1).await.unwrap(),
        page[..1]
    );
    assert_eq!(store(&pool, &[], SEEN).await, counts(0, 0, 0));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_story_keeps_its_text_and_times_when_it_is_dated_anew(pool: PgPool) {
    store(
        &pool,
        &[story("a", NewsSource::Yahoo, "1", &["AAPL"])],
        SEEN,
    )
    .await;
    let before = news_page(&pool, &ticker("AAPL"), None, 1).await.unwrap();
    let mut redated = story("a", NewsSource::Yahoo, "1", &["AAPL"]);
    redated.article.published_at = time("2026-04-01T00:00:00Z");
    redated.article.title = "Another title".to_owned();
    assert_eq!(store(&pool, &[redated], LATER).await, counts(0, 0, 1));
    assert_eq!(
        news_page(&pool, &ticker("AAPL"), None, 1).await.unwrap(),
        before
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_story_is_available_since_its_first_sentiment_and_never_moves(pool: PgPool) {
    store(
        &pool,
        &[story("a", NewsSource::Yahoo, "1", &["AAPL"])],
        SEEN,
    )
    .await;
    assert_eq!(events(&pool, "AAPL").await, []);
    assert_eq!(
        score(&pool, "lexicon-1", 0.25, "2026-03-09T14:00:30Z").await,
        1
    );
    let first = events(&pool, "AAPL").await;
    assert_eq!(first[0].available_at, time("2026-03-09T14:00:30Z"));
    assert_eq!(first[0].score, 0.25);

    // A better model later: another score, the same time.
    assert_eq!(score(&pool, "finbert-1", 0.75, LATER).await, 1);
    let second = events(&pool, "AAPL").await;
    assert_eq!(
        second,
        [NewsScore {
            score: 0.75,
            ..first[0]
        }]
    );
    // What a model said first stands.
    let again = ArticleSentiment {
        article_id: first[0].article_id,
        model: "finbert-1".to_owned(),
        sentiment: Sentiment::new(1.0, 0.0, 0.0).unwrap(),
        scored_at: time("2026-03-09T16:00:00Z"),
    };
    assert_eq!(store_sentiments(&pool, &[again]).await.unwrap(), 0);
    assert_eq!(events(&pool, "AAPL").await, second);
    assert_eq!(store_sentiments(&pool, &[]).await.unwrap(), 0);

    let page = news_page(&pool, &ticker("AAPL"), None, 1).await.unwrap();
    assert_eq!(page[0].available_at, Some(first[0].available_at));
    assert_eq!(
        page[0].sentiment.as_ref().map(|(model, _)| model.as_str()),
        Some("finbert-1")
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_score_dated_before_the_story_was_seen_does_not_make_it_older(pool: PgPool) {
    store(
        &pool,
        &[story("a", NewsSource::Yahoo, "1", &["AAPL"])],
        SEEN,
    )
    .await;
    score(&pool, "lexicon-1", 0.5, "2026-03-09T13:00:00Z").await;
    assert_eq!(events(&pool, "AAPL").await[0].available_at, time(SEEN));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_stock_knows_a_story_since_it_was_filed_under_it(pool: PgPool) {
    store(
        &pool,
        &[story("a", NewsSource::Yahoo, "1", &["AAPL"])],
        SEEN,
    )
    .await;
    score(&pool, "lexicon-1", 0.5, SEEN).await;
    store(
        &pool,
        &[story("a", NewsSource::Yahoo, "1", &["MSFT"])],
        LATER,
    )
    .await;
    assert_eq!(events(&pool, "AAPL").await[0].available_at, time(SEEN));
    assert_eq!(events(&pool, "MSFT").await[0].available_at, time(LATER));
    let page = news_page(&pool, &ticker("MSFT"), None, 1).await.unwrap();
    assert_eq!(page[0].first_seen_at, time(LATER));
    assert_eq!(page[0].available_at, Some(time(LATER)));

    let between = async |from: &str, to: &str| {
        let both = [ticker("MSFT"), ticker("AAPL")];
        news_events(&pool, &both, time(from), time(to))
            .await
            .unwrap()
            .into_iter()
            .map(|(ticker, _)| ticker.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(between(SEEN, LATER).await, ["AAPL"]);
    assert_eq!(between(LATER, "2026-03-10T00:00:00Z").await, ["MSFT"]);
    assert_eq!(
        between(SEEN, "2026-03-10T00:00:00Z").await,
        ["AAPL", "MSFT"]
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_newest_stories_are_scored_first_and_once(pool: PgPool) {
    let stories: Vec<_> = (0..5)
        .map(|number| {
            let key = number.to_string();
            story(&key, NewsSource::Yahoo, &key, &["AAPL"])
        })
        .collect();
    for story in &stories {
        store(&pool, std::slice::from_ref(story), SEEN).await;
    }
    let unscored = unscored_articles(&pool, "lexicon-1", 2).await.unwrap();
    let titles: Vec<_> = unscored
        .iter()
        .map(|article| article.title.as_str())
        .collect();
    assert_eq!(titles, ["Title of 4", "Title of 3"]);
    assert_eq!(score(&pool, "lexicon-1", 0.5, LATER).await, 5);
    assert_eq!(unscored_articles(&pool, "lexicon-1", 9).await.unwrap(), []);
    assert_eq!(
        unscored_articles(&pool, "finbert-1", 9)
            .await
            .unwrap()
            .len(),
        5
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn two_writers_at_once_store_a_story_once(pool: PgPool) {
    let stories: Vec<_> = (0..300)
        .map(|number| {
            let key = number.to_string();
            story(&key, NewsSource::Yahoo, &key, &["AAPL", "MSFT"])
        })
        .collect();
    let mut others: Vec<_> = stories
        .iter()
        .map(|story| Story {
            article: NewsArticle {
                source: NewsSource::Finnhub,
                ..story.article.clone()
            },
            ..story.clone()
        })
        .collect();
    others.reverse();
    let (first, second) = tokio::join!(store(&pool, &stories, SEEN), store(&pool, &others, LATER));
    assert_eq!(first.stored + second.stored, 300);
    assert_eq!(first.merged + second.merged, 300);
    let page = news_page(&pool, &ticker("AAPL"), None, 1_000)
        .await
        .unwrap();
    assert_eq!(page.len(), 300);
    assert!(page.iter().all(|article| article.sources.len() == 2));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_text_with_a_nul_does_not_stop_the_others(pool: PgPool) {
    let mut odd = story("a", NewsSource::Yahoo, "1", &["AAPL"]);
    odd.article.title = "Profit\0 up".to_owned();
    let stories = [odd, story("b", NewsSource::Yahoo, "2", &[])];
    assert_eq!(store(&pool, &stories, SEEN).await, counts(2, 0, 0));
    let page = news_page(&pool, &ticker("AAPL"), None, 9).await.unwrap();
    assert_eq!(page[0].title, "Profit up");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn listeners_hear_whose_stories_were_scored(pool: PgPool) {
    let mut listener = Listener::connect(&pool, &[Channel::NewsScored])
        .await
        .unwrap();
    store(
        &pool,
        &[story("a", NewsSource::Yahoo, "1", &["MSFT", "AAPL"])],
        SEEN,
    )
    .await;
    score(&pool, "lexicon-1", 0.5, LATER).await;
    assert_eq!(
        timeout(Duration::from_secs(10), listener.next())
            .await
            .unwrap(),
        Notice::NewsScored {
            tickers: Some(vec![ticker("AAPL"), ticker("MSFT")])
        }
    );
}
