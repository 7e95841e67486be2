//! News, economy, corporate actions and the quality of the bars.

use chrono::NaiveDate;
use domain::{
    CorporateAction, MacroObservation, NewsArticle, NewsSource, Sentiment, SeriesId, ShareChange,
};
use serde_json::{Value, json};
use storage::{ArticleSentiment, Finding, Gap, GapReason, PgPool, RefusedRow, Story};

use crate::support::{Service, ticker, time};

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn story(place: usize, tickers: &[&str]) -> Story {
    let article = NewsArticle {
        source: NewsSource::Yahoo,
        vendor_id: place.to_string(),
        tickers: tickers.iter().map(|symbol| ticker(symbol)).collect(),
        published_at: time("2018-03-26T13:00:00Z"),
        title: format!("Story {place}"),
        summary: None,
        publisher: Some("Reuters".to_owned()),
        url: Some(format!("https://example.com/{place}")),
    };
    Story {
        key: format!("story-{place}"),
        article,
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn news_are_paged_newest_first_and_say_which_model_read_them(pool: PgPool) {
    let seen = [time("2018-03-26T14:00:00Z"), time("2018-03-26T15:00:00Z")];
    // Several of one answer have one time.
    let early: Vec<Story> = (0..3).map(|place| story(place, &["AAPL"])).collect();
    storage::store_articles(&pool, &early, seen[0])
        .await
        .unwrap();
    let late = [story(3, &["AAPL", "MSFT"]), story(4, &["MSFT"])];
    storage::store_articles(&pool, &late, seen[1])
        .await
        .unwrap();
    let page = storage::news_page(&pool, &ticker("AAPL"), None, 1)
        .await
        .unwrap();
    let reading = ArticleSentiment {
        article_id: page[0].article_id,
        model: "lexicon-1".to_owned(),
        sentiment: Sentiment::new(0.25, 0.25, 0.5).unwrap(),
        scored_at: time("2018-03-26T15:00:05Z"),
    };
    storage::store_sentiments(&pool, &[reading]).await.unwrap();

    let service = Service::start(&pool, &["AAPL", "MSFT"]).await;
    let (status, first) = service.get("/stocks/aapl/news?limit=2").await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(
        first["news"][0],
        json!({
            "title": "Story 3",
            "summary": null,
            "publisher": "Reuters",
            "url": "https://example.com/3",
            "published_at": "2018-03-26T13:00:00Z",
            "first_seen_at": "2018-03-26T15:00:00Z",
            "available_at": "2018-03-26T15:00:05Z",
            "sources": ["yahoo"],
            "tickers": ["AAPL", "MSFT"],
            "sentiment": {
                "model": "lexicon-1", "negative": 0.25, "neutral": 0.25, "positive": 0.5, "score": 0.25
            },
        })
    );
    assert_eq!(first["news"][1]["sentiment"], Value::Null);
    let cursor = first["next_cursor"].as_str().unwrap();
    let (_, second) = service
        .get(&format!("/stocks/AAPL/news?limit=2&cursor={cursor}"))
        .await;
    let titles = |page: &Value| -> Vec<String> {
        let news = page["news"].as_array().unwrap().iter();
        news.map(|story| story["title"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = [titles(&first), titles(&second)].concat();
    assert_eq!(all, ["Story 3", "Story 2", "Story 1", "Story 0"]);
    let (_, msft) = service.get("/stocks/MSFT/news").await;
    assert_eq!(titles(&msft), ["Story 4", "Story 3"]);
    assert_eq!(msft["next_cursor"], Value::Null);
    service.stop().await;
}

fn observation(
    series: &str,
    period: &str,
    value: Option<f64>,
    available_at: &str,
) -> MacroObservation {
    MacroObservation {
        series: SeriesId::parse(series).unwrap(),
        period: date(period),
        value,
        available_at: time(available_at),
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_economy_is_shown_as_it_is_known_now(pool: PgPool) {
    let observations = [
        observation("UNRATE", "2018-01-01", Some(4.1), "2018-02-02T14:00:00Z"),
        observation("UNRATE", "2018-02-01", Some(4.1), "2018-03-09T14:00:00Z"),
        observation("UNRATE", "2018-02-01", Some(4.2), "2018-04-06T14:00:00Z"),
        observation("VIXCLS", "2018-03-23", Some(24.87), "2018-03-24T05:00:00Z"),
        observation("VIXCLS", "2018-03-30", None, "2018-03-31T05:00:00Z"),
        observation("GDP", "2018-01-01", Some(20_000.0), "2999-01-01T00:00:00Z"),
    ];
    storage::store_observations(&pool, &observations, "fred")
        .await
        .unwrap();
    let service = Service::start(&pool, &["AAPL"]).await;
    let (status, answer) = service.get("/macro").await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(
        answer["series"],
        json!([
            {
                "series": "UNRATE", "period": "2018-02-01", "value": 4.2, "available_at": "2018-04-06T14:00:00Z",
                "previous_period": "2018-01-01", "change": 0.1
            },
            {
                "series": "VIXCLS", "period": "2018-03-23", "value": 24.87, "available_at": "2018-03-24T05:00:00Z",
                "previous_period": null, "change": null
            },
        ]),
        "what is published in a thousand years is not known"
    );
    let (_, history) = service.get("/macro?series=unrate&history=2").await;
    assert_eq!(history["series"].as_array().unwrap().len(), 1);
    assert_eq!(
        history["series"][0]["history"],
        json!([
            { "period": "2018-02-01", "value": 4.1, "available_at": "2018-03-09T14:00:00Z" },
            { "period": "2018-02-01", "value": 4.2, "available_at": "2018-04-06T14:00:00Z" },
        ])
    );
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_is_missing_or_doubtful_is_listed(pool: PgPool) {
    let found_at = time("2018-03-26T21:00:00Z");
    let gap = |symbol: &str, start: &str, end: &str| {
        Gap::found(
            ticker(symbol),
            time(start),
            time(end),
            GapReason::MissingMinutes,
            3,
            found_at,
        )
    };
    let gaps = [
        gap("AAPL", "2018-03-26T14:00:00Z", "2018-03-26T14:03:00Z"),
        gap("AAPL", "2018-03-26T15:00:00Z", "2018-03-26T15:03:00Z"),
        gap("MSFT", "2018-03-26T14:30:00Z", "2018-03-26T14:33:00Z"),
    ];
    storage::record_gaps(&pool, &gaps, found_at).await.unwrap();
    let finding = Finding {
        ticker: ticker("AAPL"),
        session: date("2018-03-26"),
        check: "session_volume".to_owned(),
        observed: 5.0,
        expected: 1.0,
        detail: "five times the usual volume".to_owned(),
        found_at,
    };
    storage::store_findings(&pool, &[finding]).await.unwrap();
    let refused = RefusedRow {
        source: "yahoo",
        ticker: ticker("MSFT"),
        event_time: Some(found_at),
        reason: "steps by more than half without a split".to_owned(),
        payload: Value::Null,
    };
    storage::quarantine(&pool, &[refused], found_at)
        .await
        .unwrap();

    let service = Service::start(&pool, &["AAPL", "MSFT"]).await;
    let (status, all) = service.get("/data-quality?limit=2").await;
    assert_eq!(status, 200, "{all}");
    assert_eq!(all["open_gaps"], 3);
    let starts: Vec<&str> = all["gaps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|gap| gap["start"].as_str().unwrap())
        .collect();
    assert_eq!(starts, ["2018-03-26T15:00:00Z", "2018-03-26T14:30:00Z"]);
    assert_eq!(all["gaps"][0]["reason"], "missing_minutes");
    assert_eq!(
        all["quarantine"],
        json!([{ "ticker": "MSFT", "rows": 1, "occurrences": 1 }])
    );
    let (_, msft) = service.get("/data-quality?ticker=MSFT").await;
    assert_eq!(
        (&msft["open_gaps"], &msft["total_findings"]),
        (&1.into(), &0.into())
    );
    let (_, aapl) = service.get("/data-quality?ticker=AAPL").await;
    assert_eq!(
        aapl["findings"],
        json!([{
            "ticker": "AAPL", "session": "2018-03-26", "check": "session_volume", "observed": 5.0, "expected": 1.0,
            "detail": "five times the usual volume", "found_at": "2018-03-26T21:00:00Z"
        }])
    );
    assert_eq!(aapl["quarantine"], json!([]));
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn corporate_actions_are_listed_newest_first(pool: PgPool) {
    let action = |day: &str, change: ShareChange| CorporateAction {
        ticker: ticker("AAPL"),
        ex_date: date(day),
        effective_at: time(&format!("{day}T13:30:00Z")),
        change,
    };
    let actions = [
        action("2014-06-09", ShareChange::Split { ratio: 7.0 }),
        action("2018-02-09", ShareChange::Dividend { amount: 0.63 }),
    ];
    let fetched_at = time("2018-03-26T12:00:00Z");
    storage::upsert_corporate_actions(&pool, &actions, "yahoo", fetched_at)
        .await
        .unwrap();
    let service = Service::start(&pool, &["AAPL"]).await;
    let (status, answer) = service.get("/stocks/AAPL/actions").await;
    assert_eq!(status, 200, "{answer}");
    let newest = &answer["actions"][0];
    assert_eq!(
        (&newest["kind"], &newest["amount"]),
        (&"dividend".into(), &0.63.into())
    );
    assert_eq!(newest["ratio"], Value::Null);
    assert_eq!(answer["actions"][1]["ratio"], 7.0);
    assert_eq!(answer["actions"][1]["ex_date"], "2014-06-09");
    service.stop().await;
}
