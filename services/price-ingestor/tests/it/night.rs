//! As a step of the night.

use sqlx::PgPool;
use storage::{NightLock, PipelineState, Worker};

use crate::world::{World, invented, ticker, time};

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_night_hears_how_each_stock_fared_and_what_may_pass(pool: PgPool) {
    let bars = invented(&["AAPL", "KO"], "2018-03-22", "2018-03-26");
    let world = World::open(bars, "2018-03-27T05:30:00Z", 60.0).await;
    let lock = NightLock::take(&pool).await.unwrap().unwrap();
    let worker = Worker {
        host: String::new(),
        pid: 1,
    };
    let (night, at) = ("2018-03-26".parse().unwrap(), time("2018-03-27T05:30:00Z"));
    let run_id = storage::begin_run(&pool, &lock, night, &["gaps"], &worker, at)
        .await
        .unwrap()
        .run_id;
    let states = async || {
        let runs = storage::recent_runs(&pool, 1).await.unwrap();
        let tickers = runs[0].steps[0].tickers.iter();
        tickers
            .map(|row| (row.ticker.clone(), row.state, row.message.is_empty()))
            .collect::<Vec<_>>()
    };

    world.set_faults(
        r#"{"rules": [{"fault": "server_error", "endpoint": "chart", "tickers": ["AAPL"]}]}"#,
    );
    assert_eq!(world.fill_gaps(&pool, run_id).await, Some(75));
    assert_eq!(
        states().await,
        [
            (ticker("AAPL"), PipelineState::Failed, false),
            (ticker("KO"), PipelineState::Success, true)
        ]
    );

    world.set_faults(r#"{"rules": []}"#);
    assert_eq!(world.fill_gaps(&pool, run_id).await, Some(0));
    let all_well = |(_, state, _): &(_, PipelineState, bool)| *state == PipelineState::Success;
    assert!(states().await.iter().all(all_well));
    world.until_equal(&pool).await;

    // Nobody answers.
    sqlx::query("delete from price_data")
        .execute(&pool)
        .await
        .unwrap();
    world.set_faults(r#"{"rules": [{"fault": "server_error", "endpoint": "chart"}]}"#);
    assert_eq!(world.fill_gaps(&pool, run_id).await, Some(75));
}
