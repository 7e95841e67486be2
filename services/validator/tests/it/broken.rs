//! What is missing or broken stops nobody else, and changes no champion.

use std::fs;

use domain::ModelKind::{Lstm, Transformer};
use storage::{PgPool, ValidationVerdict};
use validator::{Outcome, Wishes};

use crate::world::{HONEST, WRONG, World};

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_broken_challenger_is_named_and_the_others_go_on(pool: PgPool) {
    let world = World::new(&pool).await;
    let old = world.write_model(Lstm, "lstm-old", WRONG, 8);
    let torn = world.write_model(Lstm, "lstm-torn", HONEST, 6);
    let whole = world.write_model(Lstm, "lstm-whole", HONEST, 7);
    let illegible = world.write_model(Lstm, "lstm-illegible", HONEST, 7);
    let network = world.network_file(Lstm, &torn);
    let bytes = fs::read(&network).unwrap();
    fs::write(&network, &bytes[..bytes.len() / 2]).unwrap();
    let manifest = world
        .network_file(Lstm, &illegible)
        .with_file_name("model.json");
    fs::write(manifest, "{\"schema_version\": ").unwrap();
    world.promote(Lstm, &old, world.close(7)).await;
    let night = world.night(0);
    let outcome = world.validate(&night).await;
    assert_eq!(
        outcome.verdicts,
        [
            (whole.clone(), ValidationVerdict::Wins),
            (torn, ValidationVerdict::Refused)
        ]
    );
    assert_eq!(world.record(Lstm).champion, whole);
    let summary = world.page(&night, "validation")["summary"].to_string();
    assert!(
        summary.contains("lstm-torn cannot be used: ") && summary.contains("sha256"),
        "{summary}"
    );
    assert!(
        summary.contains("lstm-illegible cannot take part: "),
        "{summary}"
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_place_of_a_champion_that_cannot_be_used_is_taken(pool: PgPool) {
    let world = World::new(&pool).await;
    let old = world.write_model(Lstm, "lstm-old", HONEST, 8);
    world.write_model(Lstm, "lstm-1", WRONG, 7);
    let newest = world.write_model(Lstm, "lstm-2", WRONG, 6);
    let first = world.write_model(Transformer, "transformer-1", WRONG, 6);
    world.promote(Lstm, &old, world.close(7)).await;
    fs::remove_file(world.network_file(Lstm, &old)).unwrap();
    let night = world.night(0);
    for _ in 0..2 {
        let outcome = world.validate(&night).await;
        assert_eq!(
            outcome.verdicts,
            [
                (newest.clone(), ValidationVerdict::First),
                (first.clone(), ValidationVerdict::First)
            ]
        );
        assert_eq!(world.record(Lstm).champion, newest);
        assert_eq!(world.record(Transformer).champion, first);
        assert_eq!(world.promotions(&newest).await.len(), 1);
        let summary = world.page(&night, "validation")["summary"].to_string();
        assert!(
            summary.contains("the champion lstm-old cannot be used (")
                && summary.contains("so that lstm-2 takes its place unproved"),
            "{summary}"
        );
    }
    assert_eq!(world.record(Lstm).changes.len(), 2);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn without_a_page_nobody_is_promoted(pool: PgPool) {
    let world = World::new(&pool).await;
    let old = world.write_model(Lstm, "lstm-old", WRONG, 8);
    world.write_model(Lstm, "lstm-new", HONEST, 6);
    world.promote(Lstm, &old, world.close(7)).await;
    let before = world.champions_file();
    // Nothing can be written below a file.
    fs::write(world.path("nights"), "").unwrap();
    let night = world.night(0);
    let error = world
        .validator()
        .run(&night, &Wishes::default())
        .await
        .unwrap_err();
    assert!(format!("{error:#}").contains("nights"), "{error:#}");
    assert_eq!(world.champions_file(), before);
    fs::remove_file(world.path("nights")).unwrap();
    assert_eq!(world.validate(&night).await.promotions.len(), 1);
    assert_eq!(world.reports().await.len(), 1);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn without_models_or_bars_it_says_what_is_missing(pool: PgPool) {
    let world = World::without_bars(&pool);
    let night = world.night(0);
    assert_eq!(world.validate(&night).await, Outcome::default());
    let old = world.write_model(Lstm, "lstm-old", WRONG, 8);
    world.promote(Lstm, &old, world.close(7)).await;
    assert_eq!(world.validate(&night).await, Outcome::default());
    world.write_model(Lstm, "lstm-new", HONEST, 6);
    let before = world.champions_file();
    let error = world
        .validator()
        .run(&night, &Wishes::default())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("the database has no bars"),
        "{error:#}"
    );

    // Bars of the training only: there is nothing to judge on.
    let until = world.close(6);
    for (ticker, bars) in &world.bars {
        let end = bars.partition_point(|bar| bar.start < until);
        world.store_bars(ticker, &bars[..end]).await;
    }
    let outcome = world.validate(&night).await;
    assert!(matches!(
        outcome.verdicts[..],
        [(_, ValidationVerdict::Refused)]
    ));
    let reports = world.reports().await;
    let reason = reports[0].report["outcome"]["not_compared"]["reason"].to_string();
    assert!(reason.contains("no bars with a known outcome"), "{reason}");
    assert_eq!(world.champions_file(), before);
}
