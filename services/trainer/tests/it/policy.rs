use domain::ModelKind;
use model_registry::{MANIFEST_FILE, artifact_dir};
use storage::PgPool;

use crate::world::World;

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn labels_must_pay_for_the_round_trip(pool: PgPool) {
    let mut world = World::new(pool, None).await;
    world.set("TANDEM__POLICY__ROUND_TRIP_COST_BPS", "8.0");
    let run = world.run(&[]);
    run.failed_with(&["labels.minimum_target", "policy.round_trip_cost_bps"]);
    world.set("TANDEM__POLICY__ROUND_TRIP_COST_BPS", "7.9");
    world.set("TANDEM__POLICY__COVERAGE", "1.0");
    let run = world.run(&[]);
    run.failed_with(&["[policy] coverage = 1 cannot be used"]);
    assert!(!world.path("models/lstm").exists());
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_model_knows_when_it_is_sure_and_one_of_old_form_is_replaced(pool: PgPool) {
    let mut world = World::new(pool, None).await;
    world.set("TANDEM__POLICY__COVERAGE", "0.7");
    world.run(&[]).succeeded();
    let first = world.models();
    for manifest in &first {
        let record = manifest.abstention.unwrap();
        assert_eq!((record.coverage, record.cases), (0.7, 200));
        assert!(record.thresholds.iter().all(|it| (0.05..0.6).contains(it)));
        let [down, neutral, up] = record.moves;
        assert!(down < -2.0 && neutral.abs() < 2.0 && up > 2.0, "{record:?}");
    }

    // As a version before wrote it.
    let lstm = &first[0];
    let folder = artifact_dir(&world.path("models"), ModelKind::Lstm, &lstm.model_id);
    let file = folder.join(MANIFEST_FILE);
    let json = std::fs::read_to_string(&file).unwrap();
    let old = json.replace("\"schema_version\": 3", "\"schema_version\": 2");
    assert_ne!(old, json);
    std::fs::write(&file, old).unwrap();
    world.set("TANDEM__TRAINING__SEED", "7");
    let run = world.run(&[]).succeeded();
    run.says("is the champion: the champion before cannot be used");
    run.says("transformer-");
    run.says("is a challenger");
    let champion = &world
        .champions()
        .of(ModelKind::Lstm)
        .unwrap()
        .champion
        .clone();
    assert_ne!(champion, &lstm.model_id);
}
