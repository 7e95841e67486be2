use std::path::Path;

use api::Timing;
use chrono::{DateTime, NaiveDate, Utc};
use domain::{Bar, ModelId, ModelKind};
use features::{FEATURE_COUNT, TickerContext, WINDOW};
use inference::{LiveTicker, Model};
use model_registry::artifact_dir;
use serde_json::Value;
use storage::PgPool;

use crate::support::{
    Service, TIMING, commit, commit_all, minutes, promote_random_models, ticker, time, walk,
};

pub(crate) fn day(day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(2018, 3, day).unwrap()
}

/// Sessions that make a window of 60 bars full.
pub(crate) const WARM: usize = features::WARM_UP_SESSIONS + 2;

/// What the models say of the last of these bars: a fold over all of them, each model asked alone.
pub(crate) fn batch(folder: &Path, ids: &[ModelId; 2], bars: &[Bar]) -> [[f32; 3]; 2] {
    batch_beside(folder, ids, bars, TickerContext::default())
}

/// The same with what was known beside the bars.
pub(crate) fn batch_beside(
    folder: &Path,
    ids: &[ModelId; 2],
    bars: &[Bar],
    context: TickerContext<'_>,
) -> [[f32; 3]; 2] {
    let mut live = LiveTicker::new();
    live.push_context(context);
    let full = bars.iter().fold(false, |_, bar| live.push(bar).unwrap());
    assert!(full);
    [
        (ModelKind::Lstm, &ids[0]),
        (ModelKind::Transformer, &ids[1]),
    ]
    .map(|(kind, id)| {
        let model = Model::load(&artifact_dir(&folder.join("models"), kind, id)).unwrap();
        let mut window = vec![0.0; WINDOW * FEATURE_COUNT];
        live.write_window(model.scaler(), &mut window);
        model.predict(&window, 1).unwrap()[0].to_array()
    })
}

pub(crate) fn assert_says(analysis: &Value, expected: [[f32; 3]; 2]) {
    for (kind, expected) in ["lstm", "transformer"].into_iter().zip(expected) {
        for (class, expected) in ["down", "neutral", "up"].into_iter().zip(expected) {
            let found = analysis["predictions"][kind][class].as_f64().unwrap();
            assert!(
                (found - f64::from(expected)).abs() < 1e-5,
                "{kind} {class}: {found} instead of {expected}"
            );
        }
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_committed_bar_becomes_a_price_and_an_analysis(pool: PgPool) {
    let starts = minutes(WARM, day(26));
    let [aapl, msft] = [walk(1, &starts), walk(2, &starts)];
    let known = starts.len() - 200;
    commit_all(&pool, &[("AAPL", &aapl[..known]), ("MSFT", &msft[..known])]).await;
    let folder = tempfile::tempdir().unwrap();
    let ids = promote_random_models(folder.path(), 1);
    let service = Service::start_in(folder, &pool, &["AAPL", "MSFT"]).await;
    service
        .wait_for("/stocks", |answer| {
            !answer["stocks"][1]["analysis"].is_null()
        })
        .await;
    let (mut socket, snapshot) = service.socket().await;
    assert_eq!(
        snapshot["stocks"][0]["analysis"]["bar"]["time"],
        text(aapl[known - 1].start)
    );

    commit_all(
        &pool,
        &[
            ("AAPL", &aapl[known..=known]),
            ("MSFT", &msft[known..=known]),
        ],
    )
    .await;
    for (symbol, bars) in [("AAPL", &aapl), ("MSFT", &msft)] {
        let price = socket.next_of("price", symbol).await;
        assert_eq!(price["bar"]["time"], text(bars[known].start));
        assert_eq!(price["price"], bars[known].close.get());
        // Monday is measured from Friday's last close.
        let friday = bars
            .iter()
            .rev()
            .find(|bar| bar.start < time("2018-03-26T00:00:00Z"))
            .unwrap();
        let change = bars[known].close.get() - friday.close.get();
        assert!((price["change"].as_f64().unwrap() - change).abs() < 1e-4);
    }
    for (symbol, bars) in [("AAPL", &aapl), ("MSFT", &msft)] {
        // The board replaces messages: prices and analyses of both came in one publication.
        let stock = service
            .wait_for("/stocks", |answer| {
                answer["stocks"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|stock| stock["analysis"]["bar"]["time"] == text(bars[known].start))
            })
            .await;
        let stocks = stock["stocks"].as_array().unwrap();
        let stock = stocks
            .iter()
            .find(|stock| stock["ticker"] == symbol)
            .unwrap();
        let analysis = &stock["analysis"];
        assert_says(
            analysis,
            batch(service.folder.path(), &ids, &bars[..=known]),
        );
        assert_eq!(analysis["predictions"]["lstm"]["model_id"], ids[0].as_str());
        assert!(
            analysis["recommendation"]["disclaimer"]
                .as_str()
                .unwrap()
                .contains("not investment advice")
        );
        assert!(analysis["timing"]["total_ms"].as_f64().unwrap() > 0.0);
    }

    let stored = service
        .wait_for("/stocks/AAPL/predictions", |answer| {
            answer["predictions"].as_array().unwrap().len() == 2
        })
        .await;
    assert_eq!(
        stored["predictions"][0]["bar_time"],
        text(aapl[known].start)
    );
    assert_eq!(
        stored["predictions"][0]["lstm"]["model_id"],
        ids[0].as_str()
    );
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_analysis_is_sent_to_the_client(pool: PgPool) {
    let starts = minutes(WARM, day(26));
    let bars = walk(1, &starts);
    let known = starts.len() - 10;
    commit(&pool, "AAPL", &bars[..known]).await;
    let folder = tempfile::tempdir().unwrap();
    let ids = promote_random_models(folder.path(), 1);
    let service = Service::start_in(folder, &pool, &["AAPL"]).await;
    service
        .wait_for("/stocks", |answer| {
            !answer["stocks"][0]["analysis"].is_null()
        })
        .await;
    let (mut socket, _) = service.socket().await;
    for place in known..known + 5 {
        commit(&pool, "AAPL", &bars[place..=place]).await;
        let analysis = socket.next_of("analysis", "AAPL").await;
        assert_eq!(analysis["bar"]["time"], text(bars[place].start));
        assert_says(
            &analysis,
            batch(service.folder.path(), &ids, &bars[..=place]),
        );
    }
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn late_and_revised_bars_give_what_a_fold_over_the_history_gives(pool: PgPool) {
    let starts = minutes(WARM, day(26));
    let mut bars = walk(3, &starts);
    let known = starts.len() - 10;
    // The bar of twenty minutes ago is late, the one of ten minutes ago is revised later on.
    let (late, revised) = (known - 20, known - 10);
    commit_all(
        &pool,
        &[("AAPL", &bars[..late]), ("AAPL", &bars[late + 1..known])],
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let ids = promote_random_models(folder.path(), 3);
    let service = Service::start_in(folder, &pool, &["AAPL"]).await;
    service
        .wait_for("/stocks", |answer| {
            !answer["stocks"][0]["analysis"].is_null()
        })
        .await;
    let (mut socket, _) = service.socket().await;

    // In one commit: the notice of a second one could let a pass read the next bar before the revision is announced.
    commit_all(
        &pool,
        &[("AAPL", &bars[late..=late]), ("AAPL", &bars[known..=known])],
    )
    .await;
    let analysis = socket.next_of("analysis", "AAPL").await;
    assert_says(
        &analysis,
        batch(service.folder.path(), &ids, &bars[..=known]),
    );

    let old = bars[revised];
    let close = old.close.get() * 1.01;
    bars[revised] = Bar::new(
        old.start,
        old.open.get(),
        close,
        old.low.get(),
        close,
        9_999.0,
    )
    .unwrap();
    // In one commit with the next bar, as a vendor's answer brings them.
    commit_all(
        &pool,
        &[
            ("AAPL", &bars[revised..=revised]),
            ("AAPL", &bars[known + 1..known + 2]),
        ],
    )
    .await;
    let analysis = socket.next_of("analysis", "AAPL").await;
    assert_eq!(analysis["bar"]["time"], text(bars[known + 1].start));
    assert_says(
        &analysis,
        batch(service.folder.path(), &ids, &bars[..known + 2]),
    );
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn of_many_bars_in_one_commit_only_the_newest_is_analysed(pool: PgPool) {
    let starts = minutes(WARM, day(26));
    let bars = walk(4, &starts);
    let service = {
        let folder = tempfile::tempdir().unwrap();
        promote_random_models(folder.path(), 4);
        Service::start_in(folder, &pool, &["AAPL"]).await
    };
    let (mut socket, snapshot) = service.socket().await;
    assert_eq!(snapshot["status"]["phase"], "backfilling");
    assert_eq!(snapshot["stocks"][0]["price"], Value::Null);

    commit(&pool, "AAPL", &bars).await;
    let analysis = socket.next_of("analysis", "AAPL").await;
    assert_eq!(analysis["bar"]["time"], text(bars.last().unwrap().start));
    service
        .wait_for("/health", |answer| answer["phase"] == "running")
        .await;
    let stored = service
        .wait_for("/stocks/AAPL/predictions", |answer| {
            !answer["predictions"].as_array().unwrap().is_empty()
        })
        .await;
    assert_eq!(stored["predictions"].as_array().unwrap().len(), 1);
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_restart_continues_and_stores_nothing_twice(pool: PgPool) {
    let starts = minutes(WARM, day(26));
    let bars = walk(5, &starts);
    let known = starts.len() - 3;
    commit(&pool, "AAPL", &bars[..known]).await;
    let mut folder = tempfile::tempdir().unwrap();
    promote_random_models(folder.path(), 5);
    for _ in 0..2 {
        let service = Service::start_in(folder, &pool, &["AAPL"]).await;
        service
            .wait_for("/stocks", |answer| {
                !answer["stocks"][0]["analysis"].is_null()
            })
            .await;
        folder = service.stop().await;
    }
    let stored = storage::predictions_page(&pool, &ticker("AAPL"), None, 10)
        .await
        .unwrap();
    assert_eq!(stored.len(), 1);
    // What is committed while nobody listens is found at the next start.
    commit(&pool, "AAPL", &bars[known..]).await;
    let service = Service::start_in(folder, &pool, &["AAPL"]).await;
    let newest = text(bars.last().unwrap().start);
    service
        .wait_for("/stocks", |answer| {
            answer["stocks"][0]["analysis"]["bar"]["time"] == newest
        })
        .await;
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_bar_that_nobody_told_of_is_found(pool: PgPool) {
    let bars = walk(6, &minutes(2, day(26)));
    commit(&pool, "AAPL", &bars[..500]).await;
    let timing = Timing {
        safety_seconds: 0.1,
        ..TIMING
    };
    let service = Service::start_with(tempfile::tempdir().unwrap(), &pool, &["AAPL"], timing).await;
    // Written past the storage crate, so without a notice.
    sqlx::query(
        "insert into price_data (ticker, bar_start, open, high, low, close, volume, source, fetched_at)
         select ticker, bar_start + interval '1 minute', 123, 124, 122, 123.25, volume, source, now()
         from price_data order by bar_start desc limit 1",
    )
    .execute(&pool)
    .await
    .unwrap();
    service
        .wait_for("/stocks", |answer| answer["stocks"][0]["price"] == 123.25)
        .await;
    service.stop().await;
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn bars_that_came_before_the_notice_was_handled_are_not_skipped(pool: PgPool) {
    let starts = minutes(WARM, day(26));
    let bars = walk(8, &starts);
    let known = starts.len() - 300;
    commit(&pool, "AAPL", &bars[..known]).await;
    let folder = tempfile::tempdir().unwrap();
    let ids = promote_random_models(folder.path(), 8);
    let service = Service::start_in(folder, &pool, &["AAPL"]).await;
    service
        .wait_for("/stocks", |answer| {
            !answer["stocks"][0]["analysis"].is_null()
        })
        .await;
    // A hundred commits in a row: however they are merged into passes, nothing is left out of the features.
    for place in known..known + 100 {
        commit(&pool, "AAPL", &bars[place..=place]).await;
    }
    let newest = text(bars[known + 99].start);
    let answer = service
        .wait_for("/stocks", |answer| {
            answer["stocks"][0]["analysis"]["bar"]["time"] == newest
        })
        .await;
    let expected = batch(service.folder.path(), &ids, &bars[..known + 100]);
    assert_says(&answer["stocks"][0]["analysis"], expected);
    service.stop().await;
}

pub(crate) fn text(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
