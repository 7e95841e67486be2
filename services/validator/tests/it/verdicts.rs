//! Who wins, who does not, and who cannot be compared.

use domain::ModelKind::{Lstm, Transformer};
use storage::{PgPool, ValidationVerdict};
use validator::Wishes;

use crate::world::{HONEST, WRONG, World, id};

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_better_challenger_becomes_champion_and_the_other_kind_is_left_alone(pool: PgPool) {
    let world = World::new(&pool).await;
    let old = world.write_model(Lstm, "lstm-old", WRONG, 8);
    let new = world.write_model(Lstm, "lstm-new", HONEST, 6);
    let other = world.write_model(Transformer, "transformer-old", HONEST, 8);
    let equal = world.write_model(Transformer, "transformer-new", HONEST, 6);
    world.promote(Lstm, &old, world.close(7)).await;
    world.promote(Transformer, &other, world.close(7)).await;
    let night = world.night_of_run(0).await;
    let outcome = world.validate(&night).await;
    assert_eq!(
        outcome.verdicts,
        [
            (new.clone(), ValidationVerdict::Wins),
            (equal.clone(), ValidationVerdict::DoesNotWin)
        ]
    );

    let record = world.record(Lstm);
    assert_eq!(
        (&record.champion, &record.previous),
        (&new, &vec![old.clone()])
    );
    let why = &record.changes[0].why;
    assert!(
        why.starts_with(&format!(
            "validator (night of {}): LSTM: the challenger wins. Its log loss is lower by 0.",
            night.session.date
        )),
        "{why}"
    );
    assert_eq!(world.record(Transformer).champion, other);
    let events = world.promotions(&new).await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (
            &events[0].previous_model_id,
            &events[0].reason,
            events[0].event_time
        ),
        (&Some(old.clone()), why, night.as_of)
    );
    assert!(world.promotions(&equal).await.is_empty());

    let reports = world.reports().await;
    assert_eq!(reports.len(), 2);
    assert_eq!(
        (
            reports[0].run_id,
            reports[0].night,
            &reports[0].champion,
            reports[0].verdict
        ),
        (
            night.run_id,
            night.session.date,
            &Some(old),
            ValidationVerdict::Wins
        )
    );
    let compared = &reports[0].report["outcome"]["compared"];
    assert_eq!(compared["sessions"], 6);
    assert_eq!(compared["tickers"], 2);
    // Every bar but the last of each session has an outcome.
    assert_eq!(compared["cases"], 2 * 6 * 389);
    let baselines = compared["baselines"].as_array().unwrap();
    let names: Vec<&str> = baselines
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["class prior", "persistence", "linear", "boosted trees"]
    );
    // Confirmed by the Transformer's champion, on days that it has not seen.
    let signals = compared["challenger"]["confirmed"]["signals"]["signals"].as_u64();
    assert!(signals.unwrap() > 500, "{signals:?}");
    assert_eq!(compared["challenger"]["coverage"]["asked"], 0.8);
    assert_eq!(compared["settings"]["round_trip_cost_bps"], 4.0);

    let page = world.page(&night, "validation");
    let summary = page["summary"].to_string();
    assert!(summary.contains("LSTM: lstm-new becomes the champion in the place of lstm-old."));
    assert!(
        summary.contains("Transformer: transformer-old stays the champion."),
        "{summary}"
    );
    assert!(
        summary.contains("LSTM challenger: not shown to be better than")
            || summary.contains("LSTM challenger: beats"),
        "{summary}"
    );
    assert_eq!(page["kinds"].as_array().unwrap().len(), 2);
    let labels = page["labels"].as_array().unwrap();
    assert!(labels.len() >= 2 * 13, "{} days and stocks", labels.len());
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_equal_challenger_changes_nothing(pool: PgPool) {
    let world = World::new(&pool).await;
    let champion = world.write_model(Lstm, "lstm-old", HONEST, 8);
    let equal = world.write_model(Lstm, "lstm-new", [0.361, 0.279, 0.36], 6);
    world.promote(Lstm, &champion, world.close(7)).await;
    let before = world.champions_file();
    let outcome = world.validate(&world.night(0)).await;
    assert!(matches!(
        outcome.verdicts[..],
        [(
            _,
            ValidationVerdict::DoesNotWin | ValidationVerdict::CannotTell
        )]
    ));
    assert_eq!(outcome.promotions, []);
    assert_eq!(world.champions_file(), before);
    assert!(world.promotions(&equal).await.is_empty());
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn too_few_days_cannot_tell_and_seen_days_are_refused_with_the_dates(pool: PgPool) {
    let world = World::new(&pool).await;
    let champion = world.write_model(Lstm, "lstm-old", WRONG, 8);
    let few = world.write_model(Lstm, "lstm-few", HONEST, 4);
    let greedy = world.write_model(Lstm, "lstm-greedy", HONEST, 0);
    world.promote(Lstm, &champion, world.close(7)).await;
    let before = world.champions_file();
    let night = world.night(0);
    let outcome = world.validate(&night).await;
    assert_eq!(
        outcome.verdicts,
        [
            (greedy, ValidationVerdict::Refused),
            (few, ValidationVerdict::CannotTell)
        ]
    );
    assert_eq!(world.champions_file(), before);
    let reports = world.reports().await;
    let reason = reports[0].report["outcome"]["not_compared"]["reason"]
        .as_str()
        .unwrap();
    for part in [
        format!(
            "the champion lstm-old has seen bars until {}",
            world.close(8)
        ),
        format!("the challenger lstm-greedy until {}", world.close(0)),
        format!("that of {}", night.session.date),
    ] {
        assert!(reason.contains(&part), "{part}: {reason}");
    }
    let statement = reports[1].report["statement"].as_str().unwrap();
    assert!(statement.contains("4 days are too few"), "{statement}");
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn of_several_winners_the_surest_is_promoted(pool: PgPool) {
    let world = World::new(&pool).await;
    let champion = world.write_model(Lstm, "lstm-old", WRONG, 9);
    let good = world.write_model(Lstm, "lstm-good", [0.25, 0.5, 0.25], 7);
    let best = world.write_model(Lstm, "lstm-best", HONEST, 8);
    let was_champion = world.write_model(Lstm, "lstm-former", HONEST, 10);
    let mut manifest = model_registry::read_artifact(&model_registry::artifact_dir(
        &world.places.models_dir,
        Lstm,
        &best,
    ))
    .unwrap();
    manifest.manifest.model_id = id("lstm-other-labels");
    manifest.manifest.labels["horizon"] = 31.into();
    let (models, tflite) = (&world.places.models_dir, &manifest.tflite);
    model_registry::write_artifact(models, manifest.manifest.clone(), tflite).unwrap();
    world.promote(Lstm, &was_champion, world.close(9)).await;
    world.promote(Lstm, &champion, world.close(8)).await;
    let night = world.night(0);
    let outcome = world.validate(&night).await;
    assert_eq!(
        outcome.verdicts,
        [
            (good, ValidationVerdict::Wins),
            (best.clone(), ValidationVerdict::Wins)
        ]
    );
    assert_eq!(world.record(Lstm).champion, best);
    let page = world.page(&night, "validation");
    let summary = page["summary"].to_string();
    for part in [
        "LSTM (lstm-good): the challenger wins",
        "2 challengers were compared at once: each bound holds with 97.50 % certainty",
        "read other features or foresee something else: 1.",
        "no signal could be confirmed",
    ] {
        assert!(summary.contains(part), "{part}: {summary}");
    }
    let level = &page["kinds"][0]["outcome"]["compared"]["settings"]["level"];
    assert!((level.as_f64().unwrap() - 0.975).abs() < 1e-12);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn only_what_is_asked_for_is_compared(pool: PgPool) {
    let world = World::new(&pool).await;
    let champion = world.write_model(Lstm, "lstm-old", WRONG, 8);
    let first = world.write_model(Lstm, "lstm-1", HONEST, 7);
    let second = world.write_model(Lstm, "lstm-2", HONEST, 6);
    let other = world.write_model(Transformer, "transformer-old", WRONG, 8);
    world.write_model(Transformer, "transformer-new", HONEST, 6);
    world.promote(Lstm, &champion, world.close(7)).await;
    world.promote(Transformer, &other, world.close(7)).await;
    let ask = async |wishes: &Wishes| world.validator().run(&world.night(0), wishes).await;
    let dry = Wishes {
        dry_run: true,
        ..Wishes::default()
    };
    let only_first = Wishes {
        challenger: Some(first.clone()),
        ..dry.clone()
    };
    let outcome = ask(&only_first).await.unwrap();
    assert_eq!(outcome.verdicts, [(first.clone(), ValidationVerdict::Wins)]);
    let only_kind = Wishes {
        kind: Some(Lstm),
        ..dry.clone()
    };
    let judged: Vec<_> = ask(&only_kind).await.unwrap().verdicts;
    assert_eq!(
        judged.iter().map(|(id, _)| id).collect::<Vec<_>>(),
        [&second, &first]
    );
    for (wrong, expected) in [
        ("lstm-3", "no model lstm-3"),
        ("lstm-old", "is or was the champion"),
    ] {
        let wishes = Wishes {
            challenger: Some(id(wrong)),
            ..dry.clone()
        };
        let error = ask(&wishes).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    assert_eq!(world.record(Lstm).champion, champion);
}
