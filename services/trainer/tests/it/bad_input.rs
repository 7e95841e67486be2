use domain::ModelKind;
use storage::{NightLock, PgPool, PipelineState, Worker, begin_run, newest_run};

use crate::world::{Run, World};

/// A bad night: the models and the champions' file are as before.
fn leaves_the_champions_alone(world: &World, bad_night: impl FnOnce(&World) -> Run) -> Run {
    let before = std::fs::read(world.path("model_config.json")).unwrap();
    let models = world.models();
    let run = bad_night(world);
    assert_eq!(
        std::fs::read(world.path("model_config.json")).unwrap(),
        before
    );
    assert_eq!(world.models(), models);
    for kind in ModelKind::ALL {
        assert!(world.leftovers(kind).is_empty(), "{}", run.log);
    }
    run
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn bad_nights_are_explained_and_the_next_one_works(pool: PgPool) {
    let mut world = World::new(pool, Some("T2")).await;
    world.run(&[]).succeeded();
    assert_eq!(world.models().len(), 2);

    let run = leaves_the_champions_alone(&world, |world| world.run(&["--days", "9"]));
    run.failed_with(&["too little data: ", "load more days of bars"]);

    // No price moves by a twentieth within half an hour.
    world.set("TANDEM__LABELS__MINIMUM_TARGET", "0.05");
    let run = leaves_the_champions_alone(&world, |world| world.run(&[]));
    run.failed_with(&[
        "no training window has the label down (down 0, neutral ",
        "change the barriers in the [labels] section",
    ]);
    world.unset("TANDEM__LABELS__MINIMUM_TARGET");

    let settings = std::fs::read_to_string(world.path("tandem.toml")).unwrap();
    let only_frozen: Vec<&str> = settings
        .lines()
        .filter(|line| !line.contains("\"T0\"") && !line.contains("\"T1\""))
        .collect();
    std::fs::write(world.path("tandem.toml"), only_frozen.join("\n")).unwrap();
    let run = leaves_the_champions_alone(&world, |world| world.run(&[]));
    run.failed_with(&["of T2 is ", "the feed may have stood still"]);
    std::fs::write(world.path("tandem.toml"), settings).unwrap();

    world.set("TANDEM__TRAINING__SEED", "2");
    let run = leaves_the_champions_alone(&world, World::run_without_room);
    let folder = world.path("models/lstm").display().to_string();
    run.failed_with(&[
        "no room to write ",
        &folder,
        "free some on that disk",
        "training goes on, and would begin anew if it were stopped",
    ]);

    let run = world.run(&[]).succeeded();
    run.says("is a challenger");
    assert_eq!(world.models().len(), 4);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_failed_ticker_leaves_the_others_alone(pool: PgPool) {
    let mut world = World::new(pool, Some("T1")).await;
    let settings = std::fs::read_to_string(world.path("tandem.toml")).unwrap();
    let unknown = "{ ticker = \"T9\", name = \"Nine\", sector = \"Made up\" },";
    let settings = settings.replace("tickers = [", &format!("tickers = [\n  {unknown}"));
    std::fs::write(world.path("tandem.toml"), settings).unwrap();
    let lock = NightLock::take(&world.pool).await.unwrap().unwrap();
    let worker = Worker {
        host: "here".to_owned(),
        pid: 17,
    };
    let (night, at) = (
        "2018-01-18".parse().unwrap(),
        "2018-01-18T05:30:00Z".parse().unwrap(),
    );
    let run = begin_run(&world.pool, &lock, night, &["train"], &worker, at)
        .await
        .unwrap();
    world.set("TANDEM_RUN_ID", &run.run_id.to_string());
    let trained = world.run(&[]).succeeded();
    trained.says("T1 is left out of the training");
    assert_eq!(world.models().len(), 2);

    let run = newest_run(&world.pool, night).await.unwrap().unwrap();
    let step = run.step("train").unwrap();
    let fates: Vec<_> = step
        .tickers
        .iter()
        .map(|row| (row.ticker.as_str(), row.state))
        .collect();
    assert_eq!(
        fates,
        [
            ("T0", PipelineState::Success),
            ("T1", PipelineState::Failed),
            ("T2", PipelineState::Success),
            ("T9", PipelineState::Failed),
        ]
    );
    let messages: Vec<_> = step.failed_tickers().map(|row| &row.message).collect();
    assert!(
        messages[0].contains("the feed may have stood still"),
        "{messages:?}"
    );
    assert_eq!(messages[1], "the database has no bars of it");
}
