//! What is known beside the bars reaches the models as in a fold over history, whenever and however it arrives.

use api::Timing;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Bar, CorporateAction, MACRO_SERIES, MacroObservation, NewsArticle, NewsSource, Sentiment,
    SeriesId, ShareChange,
};
use features::{MacroEvent, NewsEvent, TickerContext};
use storage::{ArticleSentiment, PgPool, Story};

use crate::{
    live::{WARM, assert_says, batch, batch_beside, day, text},
    support::{Service, TIMING, commit, minutes, promote_random_models, ticker, walk},
};

/// Stores a story about these stocks and its sentiment, both of one moment.
async fn publish(pool: &PgPool, symbols: &[&str], available_at: DateTime<Utc>, score: f32) {
    let title = format!("{symbols:?} at {available_at}");
    let story = Story {
        key: title.clone(),
        article: NewsArticle {
            source: NewsSource::Yahoo,
            vendor_id: title.clone(),
            tickers: symbols.iter().map(|symbol| ticker(symbol)).collect(),
            // An evergreen: nothing may join on it.
            published_at: available_at - TimeDelta::days(400),
            title: title.clone(),
            summary: None,
            publisher: None,
            url: None,
        },
    };
    storage::store_articles(pool, &[story], available_at)
        .await
        .unwrap();
    let unscored = storage::unscored_articles(pool, "test", 10).await.unwrap();
    let [story] = unscored.as_slice() else {
        panic!("one story without sentiment, found {unscored:?}")
    };
    let (negative, positive) = ((-score).max(0.0), score.max(0.0));
    let sentiment = ArticleSentiment {
        article_id: story.article_id,
        model: "test".to_owned(),
        sentiment: Sentiment::new(negative, 1.0 - negative - positive, positive).unwrap(),
        scored_at: available_at,
    };
    storage::store_sentiments(pool, &[sentiment]).await.unwrap();
}

fn figure(series: &str, available_at: DateTime<Utc>, value: f64) -> MacroObservation {
    MacroObservation {
        series: SeriesId::parse(series).unwrap(),
        period: (available_at - TimeDelta::days(20)).date_naive(),
        value: Some(value),
        available_at,
    }
}

/// What a fold is told: the stories and figures that a test has stored.
#[derive(Default)]
struct Known {
    news: Vec<NewsEvent>,
    economy: Vec<MacroEvent>,
}

impl Known {
    async fn publish(
        &mut self,
        pool: &PgPool,
        symbols: &[&str],
        available_at: DateTime<Utc>,
        score: f32,
    ) {
        publish(pool, symbols, available_at, score).await;
        self.news.push(NewsEvent {
            available_at,
            score,
        });
    }

    async fn release(&mut self, pool: &PgPool, figures: &[MacroObservation]) {
        storage::store_observations(pool, figures, "fred")
            .await
            .unwrap();
        self.economy
            .extend(figures.iter().filter_map(MacroEvent::from_observation));
    }

    fn context(&self) -> TickerContext<'_> {
        TickerContext {
            news: &self.news,
            economy: &self.economy,
        }
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn live_features_with_news_and_figures_equal_a_fold_over_history(pool: PgPool) {
    let starts = minutes(WARM, day(26));
    let bars = walk(11, &starts);
    let known = starts.len() - 20;
    let close = |place: usize| bars[place].close_time();
    commit(&pool, "AAPL", &bars[..known]).await;
    let mut context = Known::default();
    // Before the start: a story of two days ago, one of a few minutes ago, somebody else's, and all series.
    context
        .publish(&pool, &["AAPL"], close(known - 700), 0.75)
        .await;
    context
        .publish(&pool, &["MSFT", "AAPL"], close(known - 5), -0.5)
        .await;
    publish(&pool, &["MSFT"], close(known - 4), -0.5).await;
    for (place, series) in MACRO_SERIES.into_iter().enumerate() {
        let past = |days| close(0) - TimeDelta::days(days);
        let value = 4.0 + place as f64;
        let figures = [
            figure(series, past(366), value),
            figure(series, past(1), value + 0.5),
            figure(series, close(known - 40), value + 1.0),
        ];
        context.release(&pool, &figures).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let ids = promote_random_models(folder.path(), 11);
    let service = Service::start_in(folder, &pool, &["AAPL"]).await;
    let first = service
        .wait_for("/stocks", |answer| {
            !answer["stocks"][0]["analysis"].is_null()
        })
        .await;
    let said = |bars: &[Bar], context: &Known| {
        let expected = batch_beside(service.folder.path(), &ids, bars, context.context());
        // The models do read it.
        assert_ne!(expected, batch(service.folder.path(), &ids, bars));
        expected
    };
    assert_says(
        &first["stocks"][0]["analysis"],
        said(&bars[..known], &context),
    );

    let (mut socket, _) = service.socket().await;
    for place in known..known + 8 {
        match place - known {
            // At the very close of the bar, told before it comes.
            0 => context.publish(&pool, &["AAPL"], close(place), 0.9).await,
            // A moment too late for this bar.
            1 => {
                context
                    .publish(&pool, &["AAPL"], close(place) + TimeDelta::seconds(1), -0.9)
                    .await
            }
            // Late: it was available for the bars of half an hour, that of the window's beginning and a day ago.
            3 => {
                context
                    .publish(&pool, &["AAPL"], close(place - 30), 0.3)
                    .await
            }
            4 => {
                context
                    .release(&pool, &[figure("VIXCLS", close(place - 55), 33.0)])
                    .await
            }
            5 => {
                context
                    .publish(&pool, &["AAPL"], close(place - 400), 0.6)
                    .await
            }
            // A revision.
            6 => {
                let mut revised = figure("CPIAUCSL", close(known - 40), 0.0);
                revised.available_at = close(place) - TimeDelta::seconds(20);
                revised.value = Some(12.5);
                context.release(&pool, &[revised]).await;
            }
            _ => (),
        }
        commit(&pool, "AAPL", &bars[place..=place]).await;
        let analysis = socket.next_of("analysis", "AAPL").await;
        assert_eq!(analysis["bar"]["time"], text(bars[place].start));
        assert_says(&analysis, said(&bars[..=place], &context));
    }

    // A restart finds the same.
    let folder = service.stop().await;
    let service = Service::start_in(folder, &pool, &["AAPL"]).await;
    let restarted = service
        .wait_for("/stocks", |answer| {
            !answer["stocks"][0]["analysis"].is_null()
        })
        .await;
    let expected = batch_beside(
        service.folder.path(),
        &ids,
        &bars[..known + 8],
        context.context(),
    );
    assert_says(&restarted["stocks"][0]["analysis"], expected);
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_split_changes_all_bars_in_memory_at_once(pool: PgPool) {
    let starts = minutes(WARM, day(26));
    let bars = walk(12, &starts);
    let known = starts.len() - 300;
    commit(&pool, "AAPL", &bars[..known]).await;
    let folder = tempfile::tempdir().unwrap();
    let ids = promote_random_models(folder.path(), 12);
    let service = Service::start_in(folder, &pool, &["AAPL"]).await;
    service
        .wait_for("/stocks", |answer| {
            !answer["stocks"][0]["analysis"].is_null()
        })
        .await;
    let (mut socket, _) = service.socket().await;

    // Effective between the fetch of the bars so far and that of the next.
    let split = CorporateAction {
        ticker: ticker("AAPL"),
        ex_date: Utc::now().date_naive(),
        effective_at: Utc::now(),
        change: ShareChange::Split { ratio: 4.0 },
    };
    storage::upsert_corporate_actions(&pool, &[split], "yahoo", Utc::now())
        .await
        .unwrap();
    let stored = |end: usize| {
        let pool = pool.clone();
        let (from, to) = (bars[0].start, bars[end].start);
        async move {
            storage::bars_between(&pool, &ticker("AAPL"), from, to)
                .await
                .unwrap()
        }
    };
    let adjusted = stored(known).await;
    assert!((adjusted[0].close.get() - bars[0].close.get() / 4.0).abs() < 1e-9);

    // The new bar is stored on the new basis.
    let quarter = |bar: &Bar| {
        let price = |price: domain::Price| price.get() / 4.0;
        let (open, high) = (price(bar.open), price(bar.high));
        Bar::new(
            bar.start,
            open,
            high,
            price(bar.low),
            price(bar.close),
            bar.volume,
        )
        .unwrap()
    };
    for (place, bar) in bars.iter().enumerate().skip(known).take(3) {
        commit(&pool, "AAPL", &[quarter(bar)]).await;
        let analysis = socket.next_of("analysis", "AAPL").await;
        assert_eq!(analysis["bar"]["time"], text(bar.start));
        let history = stored(place + 1).await;
        assert_says(&analysis, batch(service.folder.path(), &ids, &history));
    }
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_bar_that_brings_its_split_along_is_analysed_on_the_new_basis(pool: PgPool) {
    let starts = minutes(WARM, day(26));
    let bars = walk(14, &starts);
    let known = starts.len() - 300;
    commit(&pool, "AAPL", &bars[..known]).await;
    let folder = tempfile::tempdir().unwrap();
    let ids = promote_random_models(folder.path(), 14);
    let service = Service::start_in(folder, &pool, &["AAPL"]).await;
    service
        .wait_for("/stocks", |answer| {
            !answer["stocks"][0]["analysis"].is_null()
        })
        .await;
    let (mut socket, _) = service.socket().await;

    // As the price ingestor stores the first answer of an ex-date: bars and action together.
    let now = Utc::now();
    let split = CorporateAction {
        ticker: ticker("AAPL"),
        ex_date: now.date_naive(),
        effective_at: now,
        change: ShareChange::Split { ratio: 4.0 },
    };
    let [open, high, low, close] = {
        let bar = &bars[known];
        [bar.open, bar.high, bar.low, bar.close].map(|price| price.get() / 4.0)
    };
    let first = Bar::new(starts[known], open, high, low, close, bars[known].volume).unwrap();
    let row = storage::VendorBar {
        ticker: ticker("AAPL"),
        bar: first,
        source: "yahoo",
        fetched_at: Utc::now(),
    };
    let mut transaction = storage::begin(&pool).await.unwrap();
    storage::write_corporate_actions(&mut transaction, &[split], "yahoo", Utc::now())
        .await
        .unwrap();
    storage::write_bars(&mut transaction, &[row]).await.unwrap();
    storage::commit(transaction).await.unwrap();

    // The first analysis of that bar knows nothing of a step.
    let analysis = socket.next_of("analysis", "AAPL").await;
    assert_eq!(analysis["bar"]["time"], text(first.start));
    let (from, to) = (bars[0].start, bars[known + 1].start);
    let history = storage::bars_between(&pool, &ticker("AAPL"), from, to)
        .await
        .unwrap();
    assert!((history[0].close.get() - bars[0].close.get() / 4.0).abs() < 1e-9);
    assert_says(&analysis, batch(service.folder.path(), &ids, &history));
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn revisions_and_stories_that_nobody_told_of_are_found(pool: PgPool) {
    let starts = minutes(WARM, day(26));
    let bars = walk(13, &starts);
    let known = starts.len() - 100;
    commit(&pool, "AAPL", &bars[..known]).await;
    commit(&pool, "MSFT", &bars[..known]).await;
    let timing = Timing {
        safety_seconds: 0.05,
        ..TIMING
    };
    let folder = tempfile::tempdir().unwrap();
    let ids = promote_random_models(folder.path(), 13);
    let service = Service::start_with(folder, &pool, &["AAPL", "MSFT"], timing).await;
    service
        .wait_for("/stocks", |answer| {
            !answer["stocks"][1]["analysis"].is_null()
        })
        .await;
    // All past the storage crate, so without a notice: restated bars (by less than what begins a history), a story, a
    // figure.
    let (bar, published) = (bars[known - 20].start, bars[known - 30].start);
    sqlx::query(
        "update price_data set open = 1.25 * open, high = 1.25 * high, low = 1.25 * low, close = 1.25 * close
         where ticker = 'MSFT' and bar_start <= $1",
    )
    .bind(bar)
    .execute(&pool)
    .await
    .unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(format!(
        "insert into news_article (story_key, title, published_at, first_seen_at, available_at)
         values ('lost', 'Lost', '{published}', '{published}', '{published}');
         insert into news_article_ticker (ticker, article_id, first_seen_at)
         select 'MSFT', article_id, first_seen_at from news_article;
         insert into news_sentiment (article_id, model, negative, neutral, positive, scored_at)
         select article_id, 'test', 0, 0.5, 0.5, first_seen_at from news_article;
         insert into macro_observation (series, period, available_at, value, source)
         values ('DGS10', '2018-03-20', '{published}', 2.9, 'fred')",
    )))
    .execute(&pool)
    .await
    .unwrap();
    // Two rounds over two stocks.
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;

    let (mut socket, _) = service.socket().await;
    commit(&pool, "MSFT", &bars[known..=known]).await;
    let analysis = socket.next_of("analysis", "MSFT").await;
    let history =
        storage::bars_between(&pool, &ticker("MSFT"), bars[0].start, bars[known + 1].start)
            .await
            .unwrap();
    let context = Known {
        news: vec![NewsEvent {
            available_at: published,
            score: 0.5,
        }],
        economy: vec![MacroEvent {
            available_at: published,
            series: SeriesId::parse("DGS10").unwrap(),
            period: "2018-03-20".parse().unwrap(),
            value: 2.9,
        }],
    };
    let expected = batch_beside(service.folder.path(), &ids, &history, context.context());
    assert_ne!(
        expected,
        batch(service.folder.path(), &ids, &bars[..=known])
    );
    assert_says(&analysis, expected);
    service.stop().await;
}
