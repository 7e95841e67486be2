use storage::{
    NightLock, PgPool, PipelineRun, PipelineState, Worker, begin_run, finish_run, finish_step,
    newest_run, recent_runs, record_step_ticker, reopen_run, start_step, step_tickers,
};

use crate::{date, ticker, time};

const STEPS: [&str; 3] = ["gaps", "train", "validate"];

fn worker() -> Worker {
    Worker {
        host: "here".to_owned(),
        pid: 17,
    }
}

async fn begin(pool: &PgPool, lock: &NightLock, night: &str) -> PipelineRun {
    let at = time("2018-03-27T05:30:00Z");
    begin_run(pool, lock, date(night), &STEPS, &worker(), at)
        .await
        .unwrap()
}

fn states(run: &PipelineRun) -> Vec<(&str, PipelineState, u32)> {
    run.steps
        .iter()
        .map(|step| (step.step.as_str(), step.state, step.attempts))
        .collect()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn one_program_runs_the_night(pool: PgPool) {
    let mut first = NightLock::take(&pool).await.unwrap().unwrap();
    assert!(NightLock::take(&pool).await.unwrap().is_none());
    first.check().await.unwrap();
    first.release().await.unwrap();
    let second = NightLock::take(&pool).await.unwrap().unwrap();
    // A program that dies closes its connection without a word.
    drop(second);
    let mut third = None;
    for _ in 0..100 {
        third = NightLock::take(&pool).await.unwrap();
        if third.is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let mut third = third.unwrap();
    // Tests that run beside this one hold locks in databases of their own.
    sqlx::query(
        r#"
        select pg_terminate_backend(pid)
        from pg_stat_activity
        join pg_locks using (pid)
        where locktype = 'advisory' and datname = current_database() and pid <> pg_backend_pid()
        "#,
    )
    .execute(&pool)
    .await
    .unwrap();
    assert!(third.check().await.is_err());
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_unfinished_run_is_resumed_where_it_was(pool: PgPool) {
    use PipelineState::{Failed, Pending, Running, Success};

    let lock = NightLock::take(&pool).await.unwrap().unwrap();
    let run = begin(&pool, &lock, "2018-03-26").await;
    assert_eq!(
        states(&run),
        [
            ("gaps", Pending, 0),
            ("train", Pending, 0),
            ("validate", Pending, 0)
        ]
    );
    let at = time("2018-03-27T05:31:00Z");
    start_step(&pool, run.run_id, "gaps", at).await.unwrap();
    for (symbol, state, message) in [
        ("MSFT", Running, ""),
        ("MSFT", Success, "390 bars"),
        ("AAPL", Failed, "429"),
        ("AAPL", Failed, "429 again"),
    ] {
        record_step_ticker(
            &pool,
            run.run_id,
            "gaps",
            &ticker(symbol),
            state,
            message,
            at,
        )
        .await
        .unwrap();
    }
    finish_step(&pool, run.run_id, "gaps", Success, "all but AAPL", at, None)
        .await
        .unwrap();
    start_step(&pool, run.run_id, "train", at).await.unwrap();
    let retry_at = time("2018-03-27T05:40:00Z");
    finish_step(
        &pool,
        run.run_id,
        "train",
        Pending,
        "lost the database",
        at,
        Some(retry_at),
    )
    .await
    .unwrap();
    let waiting = newest_run(&pool, date("2018-03-26"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(waiting.steps[1].next_attempt_at, Some(retry_at));
    assert_eq!(waiting.steps[1].message, "lost the database");
    start_step(&pool, run.run_id, "train", at).await.unwrap();
    let running = recent_runs(&pool, 5).await.unwrap().remove(0);
    assert_eq!(
        (running.state, running.abandoned, running.worker.clone()),
        (Running, false, worker())
    );
    assert_eq!(running.steps[1].next_attempt_at, None);

    // The program dies here.
    lock.release().await.unwrap();
    let dead = recent_runs(&pool, 5).await.unwrap().remove(0);
    assert!(dead.abandoned);
    let lock = NightLock::take(&pool).await.unwrap().unwrap();
    let resumed = begin(&pool, &lock, "2018-03-26").await;
    assert_eq!(resumed.run_id, run.run_id);
    assert_eq!(
        states(&resumed),
        [
            ("gaps", Success, 1),
            ("train", Pending, 2),
            ("validate", Pending, 0)
        ]
    );
    assert_eq!(resumed.step("train").unwrap().message, "interrupted");
    let tickers: Vec<_> = resumed.steps[0]
        .tickers
        .iter()
        .map(|row| {
            (
                row.ticker.as_str(),
                row.state,
                row.attempts,
                row.message.as_str(),
            )
        })
        .collect();
    assert_eq!(
        tickers,
        [
            ("AAPL", Failed, 2, "429 again"),
            ("MSFT", Success, 1, "390 bars")
        ]
    );
    assert_eq!(resumed.steps[0].failed_tickers().count(), 1);

    // The next night leaves this one as it is, but not as if it were running.
    let next = begin(&pool, &lock, "2018-03-27").await;
    assert_ne!(next.run_id, run.run_id);
    let runs = recent_runs(&pool, 5).await.unwrap();
    assert_eq!(
        runs.iter().map(|run| run.state).collect::<Vec<_>>(),
        [Running, Pending]
    );
    assert_eq!(recent_runs(&pool, 1).await.unwrap().len(), 1);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_run_that_is_over_is_only_resumed_when_reopened(pool: PgPool) {
    use PipelineState::{Failed, Pending, Success};

    let lock = NightLock::take(&pool).await.unwrap().unwrap();
    let run = begin(&pool, &lock, "2018-03-26").await;
    let at = time("2018-03-27T05:31:00Z");
    for (step, state) in [("gaps", Success), ("train", Failed)] {
        start_step(&pool, run.run_id, step, at).await.unwrap();
        finish_step(&pool, run.run_id, step, state, "said so", at, None)
            .await
            .unwrap();
    }
    let symbol = ticker("AAPL");
    record_step_ticker(&pool, run.run_id, "train", &symbol, Success, "", at)
        .await
        .unwrap();
    finish_run(&pool, run.run_id, Failed, at).await.unwrap();
    let over = newest_run(&pool, date("2018-03-26"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((over.state, over.ended_at), (Failed, Some(at)));

    reopen_run(&pool, &lock, run.run_id, &["train"])
        .await
        .unwrap();
    let resumed = begin(&pool, &lock, "2018-03-26").await;
    assert_eq!(resumed.run_id, run.run_id);
    assert_eq!(
        states(&resumed),
        [
            ("gaps", Success, 1),
            ("train", Pending, 1),
            ("validate", Pending, 0)
        ]
    );
    assert_eq!(resumed.steps[1].tickers, []);
    finish_run(&pool, run.run_id, Success, at).await.unwrap();
    let anew = begin(&pool, &lock, "2018-03-26").await;
    assert_ne!(anew.run_id, run.run_id);
    assert_eq!(
        newest_run(&pool, date("2018-03-25")).await.unwrap(),
        None,
        "no run of another night"
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_ticker_of_an_unknown_run_is_refused(pool: PgPool) {
    let at = time("2018-03-27T05:31:00Z");
    let state = PipelineState::Success;
    let error = record_step_ticker(&pool, 5, "gaps", &ticker("AAPL"), state, "", at)
        .await
        .unwrap_err();
    assert!(error.to_string().contains("pipeline_run_id"), "{error}");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_ticker_that_failed_stays_out_of_the_later_steps(pool: PgPool) {
    use PipelineState::{Failed, Success};

    let lock = NightLock::take(&pool).await.unwrap().unwrap();
    let at = time("2018-03-27T05:30:00Z");
    let steps = ["corporate-actions", "gaps", "train"];
    let run = begin_run(&pool, &lock, date("2018-03-26"), &steps, &worker(), at)
        .await
        .unwrap();
    let all = ["AAPL", "MSFT", "NVDA"].map(ticker);
    let works_on = async |step: &str| {
        let sound = step_tickers(&pool, run.run_id, step, &all, at)
            .await
            .unwrap();
        let names: Vec<String> = sound.iter().map(ToString::to_string).collect();
        names.join(" ")
    };
    assert_eq!(works_on("corporate-actions").await, "AAPL MSFT NVDA");
    let fails = async |symbol: &str, step: &str, state| {
        record_step_ticker(&pool, run.run_id, step, &ticker(symbol), state, "404", at)
            .await
            .unwrap();
    };
    fails("NVDA", "corporate-actions", Failed).await;
    assert_eq!(works_on("gaps").await, "AAPL MSFT");
    fails("AAPL", "gaps", Failed).await;
    assert_eq!(works_on("train").await, "MSFT");
    let stored = newest_run(&pool, date("2018-03-26"))
        .await
        .unwrap()
        .unwrap();
    let told = |step: &str| -> Vec<String> {
        let failed = stored.step(step).unwrap().failed_tickers();
        failed
            .map(|row| format!("{} {}", row.ticker, row.message))
            .collect()
    };
    assert_eq!(
        told("gaps"),
        ["AAPL 404", "NVDA it failed in corporate-actions: 404"]
    );
    assert_eq!(
        told("train"),
        [
            "AAPL it failed in gaps: 404",
            "NVDA it failed in corporate-actions: 404"
        ]
    );
    // Tried once more, it is well.
    fails("NVDA", "corporate-actions", Success).await;
    assert_eq!(works_on("gaps").await, "AAPL MSFT NVDA");
}
