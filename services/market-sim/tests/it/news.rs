//! Headlines through the clients of all vendors that have them.

use std::collections::BTreeSet;

use domain::NewsArticle;
use market_data::{AlphaVantageClient, FinnhubClient, NewsApiClient, VendorError, YahooClient};
use market_sim::{Market, News, Simulator};

use crate::{
    client::{Running, run, standing_at},
    three_days, ticker, time,
};

const FILE: &str = "ticker,published_at,first_seen,title,publisher,url
AAPL,2018-03-26T14:00:00Z,2018-03-26T22:30:00Z,Apple rises,Wire,https://example.com/1
MSFT,2018-03-26T14:00:00Z,2018-03-26T22:30:00Z,Apple rises,Wire,https://example.com/1
AAPL,2016-01-01T00:00:00Z,2018-03-26T22:30:00Z,\"Best cards, for March\",Evergreen,https://example.com/2
AAPL,2018-03-25T09:00:00Z,2018-03-25T22:30:00Z,Old news,Wire,https://example.com/3
AAPL,2018-03-27T09:00:00Z,2018-03-27T22:30:00Z,Not yet,Wire,https://example.com/4
";

fn recorded() -> News {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("news.csv");
    std::fs::write(&path, FILE).unwrap();
    News::recorded(&[path]).unwrap()
}

fn serve(now: &str) -> Running {
    let simulator = Simulator::new(three_days(), calendar::nyse(), standing_at(now));
    run(simulator.with_news(recorded()))
}

fn titles(articles: &[NewsArticle]) -> Vec<&str> {
    articles.iter().map(|article| &*article.title).collect()
}

#[tokio::test]
async fn a_story_appears_when_it_was_published_and_an_evergreen_when_it_was_seen() {
    let apple = ticker("AAPL");
    for (now, expected) in [
        ("2018-03-26T13:59:59Z", &["Old news"][..]),
        ("2018-03-26T14:00:00Z", &["Apple rises", "Old news"]),
        (
            "2018-03-26T22:30:00Z",
            &["Best cards, for March", "Apple rises", "Old news"],
        ),
    ] {
        let running = serve(now);
        let (_folder, connection) = running.connection();
        let yahoo = YahooClient::new(&connection).unwrap();
        let articles = yahoo.headlines(&apple).await.unwrap();
        assert_eq!(titles(&articles), expected, "{now}");
        let finnhub = FinnhubClient::new(&connection, "key".into()).unwrap();
        let (from, to) = ("2015-01-01".parse().unwrap(), "2018-04-01".parse().unwrap());
        let articles = finnhub.company_news(&apple, from, to).await.unwrap();
        assert_eq!(
            titles(&articles).into_iter().collect::<BTreeSet<_>>(),
            expected.iter().copied().collect(),
            "{now}"
        );
        let alpha = AlphaVantageClient::new(&connection, "key".into()).unwrap();
        let articles = alpha
            .news(&apple, time("2015-01-01T00:00:00Z"))
            .await
            .unwrap();
        assert_eq!(articles.len(), expected.len(), "{now}");
    }
}

#[tokio::test]
async fn a_story_under_two_stocks_is_one_story() {
    let running = serve("2018-03-26T15:00:00Z");
    let (_folder, connection) = running.connection();
    let yahoo = YahooClient::new(&connection).unwrap();
    let one = yahoo.headlines(&ticker("MSFT")).await.unwrap();
    let other = yahoo.headlines(&ticker("AAPL")).await.unwrap();
    assert_eq!(one[0], other[0]);
    assert_eq!(one[0].tickers, [ticker("AAPL"), ticker("MSFT")]);
    assert_eq!(one[0].published_at, time("2018-03-26T14:00:00Z"));
    assert_eq!(one[0].publisher.as_deref(), Some("Wire"));
}

#[tokio::test]
async fn newsapi_is_a_day_late_and_a_month_deep() {
    let running = serve("2018-03-27T13:59:59Z");
    let (_folder, connection) = running.connection();
    let client = NewsApiClient::new(&connection, "key".into()).unwrap();
    let (apple, words) = (ticker("AAPL"), "\"Apple\" OR AAPL");
    let (from, to) = (time("2018-03-20T00:00:00Z"), time("2018-03-28T00:00:00Z"));
    let articles = client.articles(&apple, words, from, to).await.unwrap();
    assert_eq!(titles(&articles), ["Old news"], "filed under AAPL");
    let running = serve("2018-03-27T14:00:00Z");
    let (_folder, connection) = running.connection();
    let client = NewsApiClient::new(&connection, "key".into()).unwrap();
    let articles = client.articles(&apple, words, from, to).await.unwrap();
    assert_eq!(titles(&articles), ["Apple rises", "Old news"]);
    let both = "\"Apple\" AND (rises OR soars)";
    let articles = client.articles(&apple, both, from, to).await.unwrap();
    assert_eq!(titles(&articles), ["Apple rises"]);
    let none = client.articles(&apple, "Nokia", from, to).await.unwrap();
    assert_eq!(titles(&none), [""; 0]);
    let early = time("2018-02-01T00:00:00Z");
    let refused = client.articles(&apple, words, early, to).await;
    assert!(
        matches!(refused, Err(VendorError::Period { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn keys_are_looked_at_and_budgets_end() {
    let running = serve("2018-03-27T15:00:00Z");
    let (_folder, connection) = running.connection();
    let apple = ticker("AAPL");
    let (from, to) = (time("2018-03-20T00:00:00Z"), time("2018-03-28T00:00:00Z"));

    let wrong = NewsApiClient::new(&connection, "bad".into()).unwrap();
    let refused = wrong.articles(&apple, "Apple", from, to).await;
    assert!(
        matches!(refused, Err(VendorError::KeyRefused { .. })),
        "{refused:?}"
    );
    let wrong = FinnhubClient::new(&connection, "bad".into()).unwrap();
    let refused = wrong.check("2018-03-26".parse().unwrap()).await;
    assert!(
        matches!(refused, Err(VendorError::KeyRefused { .. })),
        "{refused:?}"
    );
    let wrong = AlphaVantageClient::new(&connection, "bad".into()).unwrap();
    let refused = wrong.check().await;
    assert!(
        matches!(refused, Err(VendorError::KeyRefused { .. })),
        "{refused:?}"
    );

    let newsapi = NewsApiClient::new(&connection, "key".into()).unwrap();
    for _ in 0..100 {
        newsapi.articles(&apple, "Apple", from, to).await.unwrap();
    }
    let spent = newsapi.articles(&apple, "Apple", from, to).await;
    assert!(
        matches!(spent, Err(VendorError::BudgetSpent { .. })),
        "{spent:?}"
    );
    let alpha = AlphaVantageClient::new(&connection, "key".into()).unwrap();
    for _ in 0..25 {
        alpha.news(&apple, from).await.unwrap();
    }
    let spent = alpha.news(&apple, from).await;
    assert!(
        matches!(spent, Err(VendorError::BudgetSpent { .. })),
        "{spent:?}"
    );
    let finnhub = FinnhubClient::new(&connection, "key".into()).unwrap();
    let day = "2018-03-26".parse().unwrap();
    for _ in 0..60 {
        finnhub.check(day).await.unwrap();
    }
    let limited = finnhub.check(day).await;
    assert!(
        matches!(limited, Err(VendorError::RateLimited { .. })),
        "{limited:?}"
    );
    // Another key has its own.
    let other = AlphaVantageClient::new(&connection, "other".into()).unwrap();
    other.news(&apple, from).await.unwrap();
}

#[tokio::test]
async fn an_invented_market_has_invented_headlines() {
    let market = || Market::generated(1, &[], calendar::nyse());
    let headlines = async |now: &str| {
        let running = run(Simulator::new(market(), calendar::nyse(), standing_at(now)));
        let (_folder, connection) = running.connection();
        let yahoo = YahooClient::new(&connection).unwrap();
        yahoo.headlines(&ticker("AAPL")).await.unwrap()
    };
    let evening = headlines("2026-06-15T23:00:00Z").await;
    assert_eq!(evening.len(), 10);
    for article in &evening {
        assert_eq!(article.publisher.as_deref(), Some("Simulated Newswire"));
        assert!(article.title.contains("Apple Inc."), "{}", article.title);
        let words = article.title.to_lowercase();
        assert!(
            words.contains("simulat") || words.contains("invented"),
            "{words}"
        );
    }
    assert_eq!(evening, headlines("2026-06-15T23:00:00Z").await);
    // What was there in the morning is there in the evening, unchanged.
    let morning = headlines("2026-06-15T14:00:00Z").await;
    let newest = time("2026-06-15T14:00:00Z");
    for article in &morning {
        assert!(article.published_at <= newest);
    }
    let kept = morning.iter().filter(|article| evening.contains(article));
    assert!(kept.count() >= 6);
}
