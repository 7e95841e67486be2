//! One night after the other, twice, and half.

use std::collections::BTreeSet;

use domain::{Bar, ModelKind::Lstm};
use storage::{PgPool, ValidationVerdict};
use validator::Wishes;

use crate::world::{HONEST, WRONG, World};

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn each_night_adds_its_session_and_only_that_is_asked_about(pool: PgPool) {
    let world = World::new(&pool).await;
    let champion = world.write_model(Lstm, "lstm-old", HONEST, 9);
    world.write_model(Lstm, "lstm-new", HONEST, 7);
    world.promote(Lstm, &champion, world.close(8)).await;
    let first = world.validate(&world.night(1)).await;
    assert_eq!(first.asked.len(), 6, "{first:?}");
    let second = world.validate(&world.night(0)).await;
    assert_eq!(second.asked, BTreeSet::from([world.night(0).session.date]));
    let sessions: Vec<_> = world
        .reports()
        .await
        .iter()
        .map(|report| report.report["outcome"]["compared"]["sessions"].clone())
        .collect();
    assert_eq!(sessions, [6, 7]);

    // What is stored is what the networks say.
    sqlx::query("delete from validation_prediction")
        .execute(&pool)
        .await
        .unwrap();
    let third = world.validate(&world.night(0)).await;
    assert_eq!((third.verdicts, third.asked.len()), (second.verdicts, 7));
    let reports = world.reports().await;
    let log_loss = |place: usize| {
        let compared = &reports[place].report["outcome"]["compared"];
        compared["challenger"]["scores"]["log_loss"]
            .as_f64()
            .unwrap()
    };
    let last = reports.len() - 1;
    // Rounding differs with the windows that are asked about at once.
    assert!((log_loss(1) - log_loss(last)).abs() < 1e-6);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_session_whose_bars_were_revised_is_asked_about_again(pool: PgPool) {
    let world = World::new(&pool).await;
    let champion = world.write_model(Lstm, "lstm-old", HONEST, 9);
    world.write_model(Lstm, "lstm-new", HONEST, 7);
    world.promote(Lstm, &champion, world.close(8)).await;
    world.validate(&world.night(0)).await;
    assert_eq!(world.validate(&world.night(0)).await.asked, BTreeSet::new());
    let (ticker, bars) = &world.bars[0];
    let session = world.night(2).session;
    let day: Vec<Bar> = bars
        .iter()
        .filter(|bar| session.contains(bar.start))
        .map(|bar| {
            let (open, close) = (bar.open.get(), bar.close.get());
            let (high, low) = (bar.high.get() * 1.01, bar.low.get() * 0.99);
            Bar::new(bar.start, open, high, low, close, bar.volume).unwrap()
        })
        .collect();
    world.store_bars(ticker, &day).await;
    let again = world.validate(&world.night(0)).await;
    assert_eq!(again.asked, BTreeSet::from([session.date]));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_second_validation_of_a_night_comes_to_the_same_and_changes_nothing(pool: PgPool) {
    let world = World::new(&pool).await;
    let old = world.write_model(Lstm, "lstm-old", WRONG, 9);
    let new = world.write_model(Lstm, "lstm-new", HONEST, 7);
    world.write_model(Lstm, "lstm-waits", WRONG, 8);
    world.promote(Lstm, &old, world.close(8)).await;
    let night = world.night_of_run(1).await;
    let first = world.validate(&night).await;
    assert_eq!(world.record(Lstm).champion, new);
    let (file, page) = (world.champions_file(), world.page(&night, "validation"));
    let later = validator::Night {
        as_of: night.as_of + chrono::TimeDelta::minutes(9),
        ..night
    };
    let second = world.validate(&later).await;
    assert_eq!(
        (&second.verdicts, &second.promotions),
        (&first.verdicts, &first.promotions)
    );
    assert_eq!(world.champions_file(), file);
    assert_eq!(world.promotions(&new).await.len(), 1);
    assert_eq!(world.reports().await.len(), 2);
    let again = world.page(&night, "validation");
    assert_eq!(
        (&again["kinds"], &again["summary"]),
        (&page["kinds"], &page["summary"])
    );

    // The next night begins with the new champion.
    let next = world.validate(&world.night(0)).await;
    assert_eq!(next.promotions, []);
    assert!(
        world
            .reports()
            .await
            .iter()
            .any(|report| report.champion.as_ref() == Some(&new))
    );
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_dry_run_changes_nothing_and_says_so(pool: PgPool) {
    let world = World::new(&pool).await;
    let old = world.write_model(Lstm, "lstm-old", WRONG, 8);
    let new = world.write_model(Lstm, "lstm-new", HONEST, 6);
    world.promote(Lstm, &old, world.close(7)).await;
    let before = world.champions_file();
    let night = world.night(0);
    let wishes = Wishes {
        dry_run: true,
        ..Wishes::default()
    };
    let outcome = world.validator().run(&night, &wishes).await.unwrap();
    assert_eq!(outcome.verdicts, [(new.clone(), ValidationVerdict::Wins)]);
    assert_eq!(outcome.promotions.len(), 1);
    assert_eq!(world.champions_file(), before);
    assert!(world.promotions(&new).await.is_empty());
    let page = world.page(&night, "validation-dry-run");
    assert_eq!(page["dry_run"], true);
    assert!(page["summary"].to_string().contains("were this no dry run"));
    assert!(
        !world
            .places
            .nights
            .join(night.session.date.to_string())
            .join("validation.html")
            .exists()
    );
    assert_eq!(world.reports().await[0].report["dry_run"], true);

    // In earnest what was asked is known already.
    let outcome = world.validate(&night).await;
    assert_eq!(outcome.asked, BTreeSet::new());
    assert_eq!(world.record(Lstm).champion, new);
    assert_eq!(world.reports().await.len(), 2);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn what_died_before_it_said_so_is_finished(pool: PgPool) {
    let world = World::new(&pool).await;
    let old = world.write_model(Lstm, "lstm-old", WRONG, 8);
    let new = world.write_model(Lstm, "lstm-new", HONEST, 6);
    world.promote(Lstm, &old, world.close(7)).await;
    let night = world.night(0);
    // The file is changed and the event is missing.
    let why = format!("validator (night of {}): it was better", night.session.date);
    let champions = &world.places.champions;
    champions
        .promote(Lstm, new.clone(), night.as_of, &why)
        .unwrap();
    let file = world.champions_file();
    world.validate(&night).await;
    assert_eq!(world.champions_file(), file);
    let events = world.promotions(&new).await;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0].reason, &events[0].previous_model_id),
        (&why, &Some(old))
    );
}
