//! Nothing from the future, whatever is asked of whom.

use std::{path::PathBuf, sync::LazyLock};

use axum::{body::Body, http::Request};
use chrono::{DateTime, TimeDelta, Utc};
use market_sim::{
    Economy, Market, News, Simulator,
    market::{Actions, Basis},
};
use proptest::prelude::*;
use service_kit::Clock;
use tempfile::TempDir;
use tower::ServiceExt;

use crate::{THREE_DAYS, clock::cut, staircase, time};

const QUESTIONS: [&str; 14] = [
    "https://query1.finance.yahoo.com/v8/finance/chart/AAPL?interval=1m&range=5d&includePrePost=true",
    "https://query1.finance.yahoo.com/v8/finance/chart/AAPL?interval=1d&period1=0&period2=1600000000&events=div|split",
    "https://query1.finance.yahoo.com/v1/finance/search?q=AAPL&newsCount=20",
    "https://query2.finance.yahoo.com/v1/finance/search?q=MSFT",
    "https://newsapi.org/v2/everything?q=news&apiKey=k",
    "https://finnhub.io/api/v1/company-news?symbol=AAPL&from=2015-01-01&to=2030-01-01&token=k",
    "https://www.alphavantage.co/query?function=NEWS_SENTIMENT&tickers=AAPL&limit=1000&apikey=k",
    "https://www.alphavantage.co/query?function=NEWS_SENTIMENT&apikey=k",
    "https://www.alphavantage.co/query?function=TIME_SERIES_INTRADAY&symbol=AAPL&interval=1min&outputsize=full&apikey=k",
    "https://www.alphavantage.co/query?function=TIME_SERIES_INTRADAY&symbol=AAPL&interval=1min&month=2018-03&\
     adjusted=false&extended_hours=false&outputsize=full&apikey=k",
    "https://api.stlouisfed.org/fred/series/observations?series_id=RATE&file_type=json&api_key=k&\
     realtime_start=1776-07-04&realtime_end=9999-12-31",
    "https://api.stlouisfed.org/fred/series/vintagedates?series_id=RATE&file_type=json&api_key=k",
    "https://api.stlouisfed.org/fred/series?series_id=RATE&file_type=json&api_key=k",
    "https://fred.stlouisfed.org/graph/fredgraph.csv?id=RATE",
];

/// Stories every seven hours, a daily rate revised four days later, a split and a dividend on each day after the first.
static FILES: LazyLock<(TempDir, [PathBuf; 4])> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let start = time("2018-03-20T00:00:00Z");
    let mut news = "ticker,published_at,first_seen,title,publisher,url\n".to_owned();
    let mut sightings = "series,date,value_seen_2018_03_21,value_seen_2018_03_26\n".to_owned();
    for number in 0..40 {
        let published = start + TimeDelta::hours(7 * number);
        // Every fifth is an evergreen.
        let seen = published + TimeDelta::hours(if number % 5 == 0 { 40 } else { 20 });
        let ticker = ["AAPL", "MSFT"][number as usize % 2];
        let row = format!(
            "{ticker},{},{},news {number},Wire,https://example.com/{}\n",
            published.to_rfc3339(),
            seen.to_rfc3339(),
            number / 3
        );
        news.push_str(&row);
    }
    for day in 12..29 {
        let date = format!("2018-03-{day:02}");
        sightings.push_str(&format!("RATE,{date},{day},{}\n", f64::from(day) + 0.5));
    }
    let texts = [
        ("news.csv", &*news),
        ("economy.csv", &*sightings),
        (
            "splits.csv",
            "ticker,date,ratio\nAAPL,2018-03-26,2\nAAPL,2018-03-27,4\n",
        ),
        (
            "dividends.csv",
            "ticker,date,amount\nAAPL,2018-03-26,0.25\nAAPL,2018-03-27,1\n",
        ),
    ];
    let paths = texts.map(|(name, text)| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    });
    (folder, paths)
});

/// With or without all that is to come.
pub(crate) fn simulator(now: DateTime<Utc>, is_cut: bool) -> Simulator {
    let calendar = calendar::nyse();
    let [news, economy, splits, dividends] = FILES.1.clone();
    let mut bars = staircase(&THREE_DAYS, &[]);
    let mut actions = Actions::read(&[splits, dividends]).unwrap();
    let mut news = News::recorded(&[news]).unwrap();
    let mut economy = Economy::recorded(&[economy], calendar).unwrap();
    if is_cut {
        bars = cut(bars, now);
        actions = actions.until(now, calendar);
        news = news.until(now);
        economy = economy.until(now);
    }
    let market = Market::recorded(bars, &[], calendar)
        .unwrap()
        .with_actions(&actions, Some(Basis::Raw), calendar)
        .unwrap();
    let clock = Clock::replay(now, 1e-9, Utc::now()).unwrap();
    Simulator::new(market, calendar, clock)
        .with_news(news)
        .with_economy(economy)
}

pub(crate) async fn ask(simulator: Simulator, question: &str) -> (u16, String) {
    let request = Request::get(question.replace('|', "%7C"))
        .header("user-agent", "Mozilla/5.0")
        .body(Body::empty())
        .unwrap();
    let response = simulator.into_app().oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_knows_what_comes_later(seconds in 0..5 * 86_400i64) {
        static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());
        let now = time("2018-03-23T13:30:01Z") + TimeDelta::seconds(seconds);
        for question in QUESTIONS {
            let known = RUNTIME.block_on(ask(simulator(now, true), question));
            let whole = RUNTIME.block_on(ask(simulator(now, false), question));
            prop_assert_eq!(known.0, 200);
            prop_assert_eq!(known, whole, "{} at {}", question, now);
        }
    }
}
