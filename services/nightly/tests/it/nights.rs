use domain::{ModelId, ModelKind, Ticker};
use sqlx::PgPool;
use storage::{EpisodeAction, NightLock, PipelineState, record_step_ticker};

use crate::world::{NIGHT, World, eventually, mail_server, webhook};

use PipelineState::{Failed, Pending, Running, Success};

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_night_does_its_steps_in_order_and_once(pool: PgPool) {
    let world = World::new(pool);
    for (program, step) in [
        ("corporate-actions", "actions"),
        ("price-ingestor", "gaps"),
        ("trainer", "train"),
        ("validator", "validate"),
    ] {
        let script =
            format!("echo \"{step} $TANDEM_RUN_ID $TANDEM_NIGHT $*\" >> $SCRATCH/done\necho fine");
        world.program(program, &script);
    }
    std::fs::remove_file(world.path("programs/macro-ingestor")).unwrap();
    assert_eq!(world.run(&[]).await, 0);
    let run = world.newest().await;
    assert_eq!(
        (run.night.to_string().as_str(), run.state),
        (NIGHT, Success)
    );
    let id = run.run_id;
    assert_eq!(
        world.lines("done"),
        [
            format!("actions {id} {NIGHT} --once"),
            format!("gaps {id} {NIGHT} --once --review"),
            // The last session before the five held out: 23, 26, 27, 28 and 29 March.
            format!("train {id} {NIGHT} --until 2018-03-22T20:00:00Z"),
            format!("validate {id} {NIGHT} "),
        ]
    );
    assert!(
        run.steps
            .iter()
            .all(|step| step.state == Success && step.attempts == 1)
    );
    assert_eq!(
        run.step("economy").unwrap().message,
        "macro-ingestor is not installed"
    );
    assert_eq!(world.lines(&format!("nights/{NIGHT}/train.log")), ["fine"]);
    let report =
        std::fs::read_to_string(world.path(&format!("nights/{NIGHT}/report.json"))).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["steps"][3]["step"], "train");

    // What is done is not done again, unless a person asks for it.
    assert_eq!(world.run(&[]).await, 0);
    assert_eq!(world.run(&["--retry"]).await, 0);
    assert_eq!(world.lines("done").len(), 4);
    assert_eq!(world.run(&["--step", "validate"]).await, 0);
    assert_eq!(world.lines("done").len(), 5);
    assert_eq!(world.newest().await.run_id, id);
    assert_eq!(world.step("validate").await, (Success, 2));
    assert_eq!(world.newest().await.state, Success);
    assert_eq!(world.run(&["--again"]).await, 0);
    assert_eq!(world.lines("done").len(), 9);
    assert_ne!(world.newest().await.run_id, id);
    // Another night is another run.
    assert_eq!(world.run(&["--night", "2018-03-28"]).await, 0);
    assert!(world.lines("done")[11].ends_with("2018-03-28 --until 2018-03-21T20:00:00Z"));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_passes_is_tried_again_and_what_does_not_is_told_once(pool: PgPool) {
    let mut world = World::new(pool);
    let (address, posts) = webhook();
    let (server, mails) = mail_server();
    world.set("TANDEM_ALERT_WEBHOOK", address);
    world.set("TANDEM_ALERT_SMTP_URL", server);
    world.set("TANDEM_ALERT_TO", "quant@example.com".to_owned());
    // Lost at first, there at the second try.
    world.program(
        "price-ingestor",
        "echo try >> $SCRATCH/tries\n\
         [ $(wc -l < $SCRATCH/tries) -ge 2 ] || { echo 'Error: lost the vendor' >&2; exit 75; }",
    );
    // Stays away, though trying again might have helped.
    world.program("macro-ingestor", "echo 'no figures today' >&2; exit 75");
    // Nothing helps.
    world.program(
        "trainer",
        "echo try >> $SCRATCH/trainings\n\
         printf 'begins\\nError: too little data\\n\\nCaused by:\\n    3 sessions\\n' >&2; exit 1",
    );
    assert_eq!(world.run(&[]).await, 1);
    assert_eq!(world.step("gaps").await, (Success, 2));
    assert_eq!(world.step("economy").await, (Failed, 3));
    assert_eq!(world.step("train").await, (Failed, 1));
    assert_eq!(world.step("validate").await, (Pending, 0));
    assert_eq!(world.step("report").await, (Success, 1));
    let run = world.newest().await;
    assert_eq!(run.state, Failed);
    assert_eq!(
        run.step("economy").unwrap().message,
        "no figures today (tried 3 times)"
    );
    assert_eq!(
        run.step("train").unwrap().message,
        "too little data: 3 sessions"
    );
    let told = posts.all();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].contains("economy failed"), "{told:?}");
    assert!(
        told[1].contains(&format!("night of {NIGHT}: train failed"))
            && told[1].contains("too little data: 3 sessions"),
        "{told:?}"
    );
    let mails = mails.all();
    assert_eq!(mails.len(), 2, "{mails:?}");
    assert!(mails[1].contains("Subject: Tandem, night of") && mails[1].contains("too little data"));

    // It stays so until a person says otherwise.
    assert_eq!(world.run(&[]).await, 1);
    assert!(world.log().contains("--retry"));
    assert_eq!(world.lines("trainings").len(), 1);
    world.program("trainer", "exit 0");
    world.program("macro-ingestor", "exit 0");
    assert_eq!(world.run(&["--retry"]).await, 0);
    let again = world.newest().await;
    assert_eq!((again.run_id, again.state), (run.run_id, Success));
    assert_eq!(world.step("gaps").await, (Success, 2));
    assert_eq!(world.step("validate").await, (Success, 1));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_stock_that_fails_stops_no_other(pool: PgPool) {
    let mut world = World::new(pool.clone());
    let (address, posts) = webhook();
    world.set("TANDEM_ALERT_WEBHOOK", address);
    // Waits until the stocks are recorded, as a step's program does through the database.
    world.program(
        "price-ingestor",
        "touch $SCRATCH/begun\nwhile [ ! -e $SCRATCH/recorded ]; do sleep 0.05; done\n\
         echo 'Error: 1 stock failed' >&2; exit 75",
    );
    let nightly = world.start(&[]);
    eventually("the gaps are looked for", async || {
        world.path("begun").exists()
    })
    .await;
    let run_id = world.newest().await.run_id;
    for (symbol, state, message) in [
        ("AAPL", Failed, "429 Too Many Requests"),
        ("MSFT", Success, "12 bars"),
    ] {
        let ticker = Ticker::parse(symbol).unwrap();
        let at = chrono::Utc::now();
        record_step_ticker(&pool, run_id, "gaps", &ticker, state, message, at)
            .await
            .unwrap();
    }
    std::fs::write(world.path("recorded"), "").unwrap();
    assert_eq!(nightly.ended().await.code(), Some(0));
    assert_eq!(world.step("gaps").await, (Success, 3));
    assert_eq!(world.step("train").await, (Success, 1));
    let run = world.newest().await;
    assert_eq!(
        run.step("gaps").unwrap().message,
        "1 of 2 stocks failed: AAPL: 429 Too Many Requests"
    );
    let told = posts.all();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("gaps left stocks behind"), "{told:?}");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_training_that_the_drift_monitor_asked_for_is_carried_out_once(pool: PgPool) {
    let world = World::new(pool.clone());
    assert_eq!(world.run(&["--requested"]).await, 0);
    assert!(storage::recent_runs(&pool, 1).await.unwrap().is_empty());

    request_training(&pool).await;
    // Without a training it is not carried out, though a person may have the validation done,
    world.program("trainer", "exit 1");
    assert_eq!(world.run(&["--requested", "--quick"]).await, 1);
    assert_eq!(world.run(&["--step", "validate"]).await, 0);
    assert!(!is_retrained(&pool).await);
    // nor without a validation of what is trained.
    world.program("trainer", "echo \"$*\" >> $SCRATCH/trainings");
    world.program("validator", "exit 1");
    assert_eq!(world.run(&["--requested", "--retry", "--quick"]).await, 1);
    assert!(!is_retrained(&pool).await);
    world.program("validator", "exit 0");
    assert_eq!(world.run(&["--requested", "--retry", "--quick"]).await, 0);
    assert!(is_retrained(&pool).await);
    let trained = ["--until 2018-03-22T20:00:00Z --quick"];
    assert_eq!(world.lines("trainings"), trained);
    assert_eq!(world.run(&["--requested", "--again"]).await, 0);
    assert_eq!(world.lines("trainings"), trained, "once");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn killed_before_it_notes_a_training_it_does_so_when_it_is_resumed(pool: PgPool) {
    let world = World::new(pool.clone());
    world.program("trainer", "echo \"$*\" >> $SCRATCH/trainings");
    assert_eq!(world.run(&[]).await, 0);
    // As the run is when its program dies between the validation and the note.
    request_training(&pool).await;
    for statement in [
        "update pipeline_run set state = 'RUNNING', ended_at = null",
        "update pipeline_step set state = 'PENDING' where step in ('mlflow', 'cleanup', 'report')",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    assert_eq!(world.run(&["--requested"]).await, 0);
    assert_eq!(world.newest().await.state, Success);
    assert_eq!(world.lines("trainings").len(), 1);
    assert!(is_retrained(&pool).await);
}

/// Asks for a training as the drift monitor does, at the last session that the clock of these tests has seen.
async fn request_training(pool: &PgPool) {
    let at = "2018-03-29T18:30:00Z".parse().unwrap();
    let champion = ModelId::parse("lstm-1").unwrap();
    let episode = storage::begin_drift_episode(pool, ModelKind::Lstm, &champion, at)
        .await
        .unwrap();
    let action = EpisodeAction::RetrainingRequested;
    assert!(
        storage::claim_episode_action(pool, episode.unwrap(), action, at)
            .await
            .unwrap()
    );
}

async fn is_retrained(pool: &PgPool) -> bool {
    let episode = storage::newest_drift_episode(pool, ModelKind::Lstm).await;
    episode.unwrap().unwrap().retrained_at.is_some()
}

/// A trainer that says which process it is and then stays until a file appears.
const PATIENT_TRAINER: &str = "\
    echo $$ >> $SCRATCH/trainings
    while [ ! -e $SCRATCH/trained ]; do sleep 0.05; done";

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn killed_in_a_step_it_goes_on_with_that_step(pool: PgPool) {
    let world = World::new(pool);
    world.program("corporate-actions", "echo done >> $SCRATCH/actions");
    world.program("trainer", PATIENT_TRAINER);
    let nightly = world.start(&[]);
    eventually("the training begins", async || {
        !world.lines("trainings").is_empty()
    })
    .await;
    nightly.signal("KILL");
    nightly.ended().await;
    // The database notices that the connection is gone.
    eventually("the run is known to be abandoned", async || {
        world.newest().await.abandoned
    })
    .await;
    assert_eq!(world.step("train").await, (Running, 1));

    // The process of the first training lives on, as this one does not look at its input: it is waited for.
    let resumed = world.start(&[]);
    eventually("the step is taken up again", async || {
        world.step("train").await == (Running, 2)
    })
    .await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(world.lines("trainings").len(), 1, "never two at once");
    std::fs::write(world.path("trained"), "").unwrap();
    assert_eq!(resumed.ended().await.code(), Some(0));
    assert_eq!(world.lines("trainings").len(), 2);
    assert_eq!(world.lines("actions").len(), 1);
    let run = world.newest().await;
    assert_eq!((run.state, run.abandoned), (Success, false));
    assert_eq!(storage::recent_runs(&world.pool, 9).await.unwrap().len(), 1);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn asked_to_end_it_ends_the_step_and_can_be_resumed(pool: PgPool) {
    let world = World::new(pool);
    world.program(
        "trainer",
        "trap 'echo asked >> $SCRATCH/asked; exit 0' TERM\n\
         echo $$ >> $SCRATCH/trainings\n\
         while [ ! -e $SCRATCH/trained ]; do sleep 0.05; done",
    );
    let nightly = world.start(&[]);
    eventually("the training begins", async || {
        !world.lines("trainings").is_empty()
    })
    .await;
    nightly.signal("TERM");
    assert_eq!(nightly.ended().await.code(), Some(75));
    assert_eq!(world.lines("asked"), ["asked"]);
    assert_eq!(world.step("train").await, (Pending, 1));
    let run = world.newest().await;
    assert_eq!((run.state, run.ended_at), (Pending, None));

    std::fs::write(world.path("trained"), "").unwrap();
    assert_eq!(world.run(&[]).await, 0);
    assert_eq!(world.step("train").await, (Success, 2));
    assert_eq!(world.step("gaps").await, (Success, 1));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_second_start_says_who_is_at_it(pool: PgPool) {
    let world = World::new(pool);
    world.program("trainer", PATIENT_TRAINER);
    let first = world.start(&[]);
    eventually("the training begins", async || {
        !world.lines("trainings").is_empty()
    })
    .await;
    assert_eq!(world.run(&["--night", "2018-03-28"]).await, 75);
    let pid = world.newest().await.worker.pid;
    let log = world.log();
    assert!(
        log.contains("another nightly is running") && log.contains(&format!("process {pid} on ")),
        "{log}"
    );
    std::fs::write(world.path("trained"), "").unwrap();
    assert_eq!(first.ended().await.code(), Some(0));
    assert_eq!(storage::recent_runs(&world.pool, 9).await.unwrap().len(), 1);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_step_that_takes_too_long_is_ended_and_tried_again(pool: PgPool) {
    let mut world = World::new(pool);
    world.set("TANDEM__NIGHTLY__STEP_TIMEOUT_S", "1".to_owned());
    // Its helper would outlive it.
    world.program(
        "price-ingestor",
        "echo try >> $SCRATCH/tries\n\
         [ $(wc -l < $SCRATCH/tries) -ge 2 ] && exit 0\n\
         sleep 60 &\n\
         echo $! > $SCRATCH/helper\n\
         wait",
    );
    assert_eq!(world.run(&[]).await, 0);
    assert_eq!(world.step("gaps").await, (Success, 2));
    let helper = world.lines("helper").remove(0);
    let stat = std::fs::read_to_string(format!("/proc/{helper}/stat")).unwrap_or_default();
    // Ended, or a zombie that nobody has collected yet.
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_step_killed_by_a_signal_is_tried_again(pool: PgPool) {
    let world = World::new(pool);
    world.program(
        "trainer",
        "echo try >> $SCRATCH/trainings\n\
         case $(wc -l < $SCRATCH/trainings) in\n\
         1) kill -KILL $$ ;;\n\
         2) echo 'epoch 3' ; kill -TERM $$ ;;\n\
         esac",
    );
    assert_eq!(world.run(&[]).await, 0);
    assert_eq!(world.step("train").await, (Success, 3));
    let log = world.log();
    assert!(
        log.contains("tried again") && log.contains("SIGTERM") && log.contains("epoch 3"),
        "{log}"
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_lost_database_is_waited_for_between_the_steps(pool: PgPool) {
    let world = World::new(pool);
    world.program("trainer", PATIENT_TRAINER);
    let nightly = world.start(&[]);
    eventually("the training begins", async || {
        !world.lines("trainings").is_empty()
    })
    .await;
    // All connections of the program are cut, the one that holds the lock among them.
    sqlx::query(
        "select pg_terminate_backend(pid) from pg_stat_activity \
         where datname = current_database() and pid <> pg_backend_pid() and application_name = 'tandem'",
    )
    .execute(&world.pool)
    .await
    .unwrap();
    std::fs::write(world.path("trained"), "").unwrap();
    assert_eq!(nightly.ended().await.code(), Some(0));
    assert_eq!(world.newest().await.state, Success);
    assert!(world.log().contains("the database was lost for a while"));
    assert!(NightLock::take(&world.pool).await.unwrap().is_some());
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_cannot_be_run_says_why(pool: PgPool) {
    let mut world = World::new(pool);
    // Good Friday, and a session that is not over on the clock of these tests.
    assert_eq!(world.run(&["--night", "2018-03-30"]).await, 1);
    assert!(world.log().contains("2018-03-30 is no session"));
    assert_eq!(world.run(&["--night", "2018-04-02"]).await, 1);
    assert!(world.log().contains("its night comes after that"));
    std::fs::remove_file(world.path("programs/trainer")).unwrap();
    assert_eq!(world.run(&[]).await, 1);
    let run = world.newest().await;
    let message = &run.step("train").unwrap().message;
    assert!(
        message.contains("failed to start") && message.contains("programs/trainer"),
        "{message}"
    );
    world.set("TANDEM_ALERT_TO", "quant@example.com".to_owned());
    assert_eq!(world.run(&[]).await, 1);
    assert!(world.log().contains("TANDEM_ALERT_SMTP_URL"));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_failed_export_leaves_the_other_steps_alone(pool: PgPool) {
    let mut world = World::new(pool);
    assert_eq!(world.run(&[]).await, 0);
    assert_eq!(
        world.newest().await.step("mlflow").unwrap().message,
        "not configured: MLFLOW_TRACKING_URI is not set"
    );

    let (address, posts) = webhook();
    world.set("TANDEM_ALERT_WEBHOOK", address);
    // Nobody listens there: that may pass, but does not.
    world.set("MLFLOW_TRACKING_URI", "http://127.0.0.1:9".to_owned());
    assert_eq!(world.run(&["--again"]).await, 1);
    assert_eq!(world.step("mlflow").await, (Failed, 3));
    for step in ["validate", "cleanup", "report"] {
        assert_eq!(world.step(step).await, (Success, 1), "{step}");
    }
    let run = world.newest().await;
    let message = &run.step("mlflow").unwrap().message;
    assert!(
        message.contains("http://127.0.0.1:9/") && message.contains("tried 3 times"),
        "{message}"
    );
    let told = posts.all();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("mlflow failed"), "{told:?}");

    // What no waiting helps is not tried again.
    world.set("MLFLOW_TRACKING_URI", "file:///mlruns".to_owned());
    assert_eq!(world.run(&["--again"]).await, 1);
    assert_eq!(world.step("mlflow").await, (Failed, 1));
}
