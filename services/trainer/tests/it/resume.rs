use domain::ModelKind;
use storage::{ModelEventKind, PgPool, model_events_of};

use crate::world::World;

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn killed_again_and_again_it_ends_with_the_same_models(pool: PgPool) {
    let whole = World::new(pool.clone(), None).await;
    whole.run(&[]).succeeded();
    assert!(!whole.checkpoints().exists());
    let expected: Vec<_> = whole.models();
    assert_eq!(expected.len(), 2);

    // A signal comes a little after the line of the log that it waits for: how many passes are done then is left open.
    let world = World::new(pool.clone(), None).await;
    let stopped = world.run_until("TERM", &["\"checkpoint\"", "lstm"]);
    stopped.succeeded().says("stopped");
    assert!(world.champions() == Default::default());

    let killed = world.run_until("KILL", &["\"checkpoint\"", "lstm"]);
    killed.says("training of the lstm goes on after pass ");

    // Its artifact is there, and nobody has been told.
    let killed = world.run_until("KILL", &["trained lstm-"]);
    killed.says("training of the lstm goes on after pass ");
    assert!(!world.models().is_empty());
    assert!(world.champions() == Default::default());
    // As if it had been killed in the middle of the write.
    let half = world.path("models/lstm/.writing-half");
    std::fs::create_dir(&half).unwrap();
    std::fs::write(half.join("model.tflite"), "half").unwrap();

    let killed = world.run_until("KILL", &["\"checkpoint\"", "transformer"]);
    // No pass of the LSTM is left to do.
    killed.says("training of the lstm goes on after pass 4 of at most 4");
    assert!(world.champions() == Default::default());

    // Both are written, and the champions' file cannot be.
    let lock = world.path("model_config.json.lock");
    std::fs::create_dir(&lock).unwrap();
    let failed = world.run(&[]);
    failed.failed_with(&["cannot open the lock ", &lock.display().to_string()]);
    failed.says("training of the transformer goes on after pass ");
    assert_eq!(world.models().len(), 2);
    std::fs::remove_dir(&lock).unwrap();

    let last = world.run(&[]).succeeded();
    last.says("training of the lstm goes on after pass 4 of at most 4");
    last.says("training of the transformer goes on after pass 4 of at most 4");
    let found = world.models();
    let network = |manifests: &[model_registry::Manifest]| -> Vec<String> {
        let sums = manifests.iter().map(|found| found.tflite_sha256.clone());
        sums.collect()
    };
    assert_eq!(network(&found), network(&expected));
    assert!(!world.checkpoints().exists());
    for manifest in &found {
        let champions = world.champions();
        let record = champions.of(manifest.kind).unwrap();
        assert_eq!(record.champion, manifest.model_id);
        assert_eq!(record.changes.len(), 1);
        let events = model_events_of(&pool, &manifest.model_id).await.unwrap();
        let events: Vec<_> = events.iter().map(|event| event.event).collect();
        assert_eq!(events, [ModelEventKind::Trained, ModelEventKind::Promoted]);
    }
    // The transformer's folder saw no killed writer, and the LSTM's is swept by the next that writes.
    assert!(world.leftovers(ModelKind::Transformer).is_empty());
    let next = world.run(&["--days", "80"]).succeeded();
    next.says("is a challenger");
    assert!(world.leftovers(ModelKind::Lstm).is_empty());
    assert!(!next.log.contains("goes on after pass"));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_checkpoint_of_other_settings_or_broken_is_left_aside(pool: PgPool) {
    let mut world = World::new(pool, None).await;
    world.run_until("KILL", &["\"checkpoint\"", "lstm"]);
    world.set("TANDEM__TRAINING__SEED", "7");
    let killed = world.run_until("KILL", &["\"checkpoint\"", "lstm"]);
    killed.says("is of other data, settings or code: the lstm is trained from the start");

    let file = world.checkpoints().join("lstm.checkpoint");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let whole = world.run(&[]).succeeded();
    whole.says("lstm.checkpoint is broken: the lstm is trained from the start");
    assert!(whole.log.contains("WARN"), "{}", whole.log);
    assert_eq!(world.models().len(), 2);
}
