//! What is done about a champion that fails.

use std::{fs::File, time::Duration};

use chrono::TimeDelta;
use domain::Bar;
use drift_monitor::Look;
use model_registry::ChampionsFile;
use storage::{
    DriftState, EpisodeAction, ModelEventKind, PgPool, newest_drift_episode, recent_drift_reports,
    recent_model_events,
};

use crate::world::{KIND, Quality, World, id};

/// Looks again and again, half an hour apart; the last one first.
async fn look(world: &World, first_minutes: i64, times: i64) -> Vec<Look> {
    let monitor = world.monitor();
    let mut looks = Vec::new();
    for time in 0..times {
        let minutes = first_minutes + 30 * time;
        let as_of = world.close(0) + TimeDelta::minutes(minutes);
        looks.splice(0..0, monitor.look(as_of).await.unwrap());
    }
    looks
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_spoilt_champion_gives_way_to_the_one_before_and_only_once(pool: PgPool) {
    let world = World::new(&pool).await;
    let honest = world.write_model("lstm-honest", Quality::Honest);
    let spoilt = world.write_model("lstm-spoilt", Quality::Spoilt);
    world.promote(&honest, world.close(9));
    world.promote(&spoilt, world.close(3));
    world.predict(&spoilt).await;
    let as_of = world.close(0) + TimeDelta::minutes(16);
    let resolved = world.monitor().resolve(as_of).await.unwrap();
    assert!(resolved.stored > 2_000, "{resolved:?}");

    let first = look(&world, 20, 1).await;
    assert_eq!(
        (first[0].measured, first[0].state),
        (DriftState::Critical, DriftState::Healthy),
        "a single look changes nothing"
    );
    assert_eq!(world.alerts(), Vec::<String>::new());

    let second = look(&world, 50, 1).await;
    assert_eq!(second[0].state, DriftState::Critical);
    assert_eq!(world.record().champion, honest);
    assert_eq!(world.record().previous, std::slice::from_ref(&spoilt));
    assert!(
        world.record().changes[0]
            .why
            .starts_with("rolled back: on ")
    );
    let event = recent_model_events(&pool, 1).await.unwrap().remove(0);
    assert_eq!(event.event, ModelEventKind::RolledBack);
    assert_eq!(
        (event.model_id, event.previous_model_id),
        (honest.clone(), Some(spoilt.clone()))
    );
    let alerts = world.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    for part in [
        "lstm champion is critical",
        "log loss",
        "lstm-honest is the champion again",
    ] {
        assert!(alerts[0].contains(part), "{part}: {}", alerts[0]);
    }
    let report = recent_drift_reports(&pool, Some(KIND), None, 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (&report.model_id, report.state),
        (&spoilt, DriftState::Critical)
    );
    assert_eq!(report.report["trials"][0]["model_id"], "lstm-honest");
    assert!(report.report["trials"][0]["gain"].as_f64().unwrap() > 0.5);

    // Somebody insists, within the episode: it is not undone again.
    world.promote(&spoilt, world.close(0) + TimeDelta::minutes(60));
    let third = look(&world, 80, 3).await;
    assert_eq!(third[0].state, DriftState::Critical);
    assert!(third.iter().all(|look| look.action.is_empty()), "{third:?}");
    assert_eq!(world.record().champion, spoilt);
    assert_eq!(world.alerts(), Vec::<String>::new());

    // The honest one again: the episode ends after four good looks.
    world.promote(&honest, world.close(0) + TimeDelta::minutes(150));
    let healed = look(&world, 170, 4).await;
    let states: Vec<DriftState> = healed.iter().rev().map(|look| look.state).collect();
    assert_eq!(states[..3], [DriftState::Critical; 3]);
    assert_eq!(states[3], DriftState::Healthy);
    let episode = newest_drift_episode(&pool, KIND).await.unwrap().unwrap();
    assert!(episode.ended_at.is_some());
    assert_eq!(episode.action.unwrap().0, EpisodeAction::RolledBack);

    // A new episode so soon after asks for a training instead.
    world.promote(&spoilt, world.close(0) + TimeDelta::minutes(290));
    let soon = look(&world, 300, 2).await;
    assert!(soon[0].action.contains("too recent"), "{soon:?}");
    assert_eq!(world.record().champion, spoilt);
    let episode = newest_drift_episode(&pool, KIND).await.unwrap().unwrap();
    assert_eq!(
        episode.action.unwrap().0,
        EpisodeAction::RetrainingRequested
    );
    assert_eq!(world.alerts().len(), 1);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_promotion_during_a_rollback_stands(pool: PgPool) {
    let world = World::new(&pool).await;
    let honest = world.write_model("lstm-honest", Quality::Honest);
    let spoilt = world.write_model("lstm-spoilt", Quality::Spoilt);
    let fresh = world.write_model("lstm-fresh", Quality::Honest);
    world.promote(&honest, world.close(9));
    world.promote(&spoilt, world.close(3));
    world.predict(&spoilt).await;
    let as_of = world.close(0) + TimeDelta::minutes(16);
    world.monitor().resolve(as_of).await.unwrap();
    look(&world, 20, 1).await;

    // Somebody else is at the champions' file while the monitor makes up its mind.
    let path = world.places.champions.path();
    let lock = File::create(path.with_added_extension("lock")).unwrap();
    lock.lock().unwrap();
    let promotion = async {
        let waiting = "select exists (select from pg_stat_activity \
                       where datname = current_database() and state = 'idle in transaction')";
        while !sqlx::query_scalar::<_, bool>(waiting)
            .fetch_one(&pool)
            .await
            .unwrap()
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let copy = ChampionsFile::new(path.with_extension("copy"));
        std::fs::copy(path, copy.path()).unwrap();
        let at = world.close(0) + TimeDelta::minutes(45);
        copy.promote(KIND, fresh.clone(), at, "for a test").unwrap();
        std::fs::rename(copy.path(), path).unwrap();
        lock.unlock().unwrap();
    };
    let (looks, ()) = tokio::join!(look(&world, 50, 1), promotion);
    assert_eq!(looks[0].state, DriftState::Critical);
    assert_eq!(looks[0].action, "");
    assert_eq!(world.record().champion, fresh);
    assert_eq!(recent_model_events(&pool, 9).await.unwrap(), []);
    let episode = newest_drift_episode(&pool, KIND).await.unwrap().unwrap();
    assert_eq!(episode.action, None);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn with_nothing_to_go_back_to_a_person_is_told_and_a_training_requested(pool: PgPool) {
    let world = World::new(&pool).await;
    let spoilt = world.write_model("lstm-spoilt", Quality::Spoilt);
    world.promote(&spoilt, world.close(3));
    world.predict(&spoilt).await;
    let as_of = world.close(0) + TimeDelta::minutes(16);
    world.monitor().resolve(as_of).await.unwrap();
    let looks = look(&world, 20, 4).await;
    assert_eq!(looks[0].state, DriftState::Critical);
    assert_eq!(world.record().champion, spoilt);
    let alerts = world.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert!(
        alerts[0].contains("no earlier champion") && alerts[0].contains("A training is requested")
    );
    let episode = newest_drift_episode(&pool, KIND).await.unwrap().unwrap();
    assert_eq!(
        episode.action.unwrap().0,
        EpisodeAction::RetrainingRequested
    );
    assert_eq!((episode.model_id, episode.ended_at), (spoilt, None));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn an_earlier_champion_that_is_no_better_stays_where_it_is(pool: PgPool) {
    let world = World::new(&pool).await;
    let spoilt = world.write_model("lstm-spoilt", Quality::Spoilt);
    let worse = world.write_model("lstm-as-bad", Quality::Spoilt);
    world.promote(&worse, world.close(9));
    world.promote(&id("lstm-deleted"), world.close(5));
    world.promote(&spoilt, world.close(3));
    world.predict(&spoilt).await;
    let as_of = world.close(0) + TimeDelta::minutes(16);
    world.monitor().resolve(as_of).await.unwrap();
    let looks = look(&world, 20, 2).await;
    assert!(
        looks[0]
            .action
            .contains("No earlier champion would do better"),
        "{looks:?}"
    );
    assert_eq!(world.record().champion, spoilt);
    let report = recent_drift_reports(&pool, Some(KIND), None, 1)
        .await
        .unwrap()
        .remove(0);
    let trials = report.report["trials"].as_array().unwrap();
    assert_eq!((trials.len(), &trials[0]["better"]), (1, &false.into()));
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_champion_that_does_well_is_left_alone(pool: PgPool) {
    let world = World::new(&pool).await;
    let honest = world.write_model("lstm-honest", Quality::Honest);
    world.promote(&honest, world.close(3));
    world.predict(&honest).await;
    let as_of = world.close(0) + TimeDelta::minutes(16);
    world.monitor().resolve(as_of).await.unwrap();
    let looks = look(&world, 20, 3).await;
    assert!(
        looks.iter().all(|look| look.state == DriftState::Healthy),
        "{looks:?}"
    );
    let report = recent_drift_reports(&pool, Some(KIND), None, 1)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(report.report["findings"], serde_json::json!([]));
    assert!(report.report["outcomes"]["outcomes"].as_u64().unwrap() > 2_000);
    assert_eq!(report.report["inputs"]["bars"], 390);
    assert_eq!(world.alerts(), Vec::<String>::new());
    assert!(newest_drift_episode(&pool, KIND).await.unwrap().is_none());
    // The same look again is no other look.
    assert_eq!(look(&world, 80, 1).await, []);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn wrong_prices_change_no_model(pool: PgPool) {
    let mut world = World::new(&pool).await;
    let honest = world.write_model("lstm-honest", Quality::Honest);
    let before = world.write_model("lstm-before", Quality::Honest);
    world.promote(&before, world.close(9));
    world.promote(&honest, world.close(3));
    // The vendor repeats its last price from noon on.
    let noon = world.close(0) - TimeDelta::hours(4);
    for (_, bars) in &mut world.bars {
        let first = bars.partition_point(|bar| bar.start < noon);
        let price = bars[first - 1].close.get();
        for bar in &mut bars[first..] {
            *bar = Bar::new(bar.start, price, price, price, price, 100.0).unwrap();
        }
    }
    for (ticker, bars) in world.bars.clone() {
        world.store_bars(&ticker, &bars).await;
    }
    let looks = look(&world, -210, 3).await;
    assert_eq!(looks[0].state, DriftState::Critical);
    assert_eq!(world.record().champion, honest);
    let alerts = world.alerts();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert!(
        alerts[0].contains("no change of price") && alerts[0].contains("The prices are to blame")
    );
    let episode = newest_drift_episode(&pool, KIND).await.unwrap().unwrap();
    assert_eq!(episode.action, None);
}
