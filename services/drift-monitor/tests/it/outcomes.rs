//! What came of predictions.

use chrono::TimeDelta;
use domain::Bar;
use labels::{BarrierSettings, triple_barrier};
use storage::{Gap, GapOutcome, GapReason, PgPool, VendorBar};

use crate::world::{Quality, World};

async fn outcomes(world: &World) -> Vec<storage::ResolvedPrediction> {
    let model = world.record().champion;
    let settings = model_registry::list_artifacts(&world.places.models_dir).unwrap();
    let name = settings[0].manifest.as_ref().unwrap().label_settings();
    let (from, to) = (world.close(11), world.close(0));
    storage::resolved_predictions(&world.pool, Some(&model), &name, from, to)
        .await
        .unwrap()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn outcomes_are_stored_once_their_barriers_are_touched_and_never_again(pool: PgPool) {
    let world = World::new(&pool).await;
    let model = world.write_model("lstm-honest", Quality::Honest);
    world.promote(&model, world.close(3));
    world.predict(&model).await;

    // At noon only what was touched and has settled by then.
    let noon = world.close(0) - TimeDelta::hours(4);
    let mut monitor = world.monitor();
    let resolved = monitor.resolve(noon).await.unwrap();
    assert!(
        resolved.stored > 1_500 && resolved.waiting > 0,
        "{resolved:?}"
    );
    let at_noon = outcomes(&world).await;
    assert_eq!(at_noon.len() as u64, resolved.stored);
    let known_until = noon - TimeDelta::minutes(15);
    for row in &at_noon {
        assert!(row.outcome.first_touch + TimeDelta::minutes(1) <= known_until);
    }

    // They are those of the labels crate on all bars.
    let settings = BarrierSettings::default();
    for (ticker, bars) in &world.bars {
        let labels = triple_barrier(bars, &settings, calendar::nyse());
        for row in at_noon.iter().filter(|row| row.outcome.ticker == *ticker) {
            let label = labels
                .iter()
                .find(|label| label.start == row.outcome.bar_start);
            let label = label.unwrap();
            assert_eq!(label.class(), row.outcome.label);
            assert_eq!(label.first_touch, row.outcome.first_touch);
        }
    }

    // A day later the vendor says that all was twice as wild; the rest is resolved, what is stored stands.
    let (ticker, bars) = &world.bars[0];
    let revised: Vec<VendorBar> = bars
        .iter()
        .map(|bar| VendorBar {
            ticker: ticker.clone(),
            bar: Bar::new(
                bar.start,
                bar.open.get(),
                bar.high.get() * 1.01,
                bar.low.get() * 0.99,
                bar.close.get(),
                bar.volume,
            )
            .unwrap(),
            source: "test",
            fetched_at: world.close(0),
        })
        .collect();
    let revised = storage::upsert_bars(&pool, &revised).await.unwrap().revised;
    assert!(revised > 0);
    let later = world.close(0) + TimeDelta::hours(30);
    let rest = monitor.resolve(later).await.unwrap();
    assert!(rest.stored > 0);
    let all = outcomes(&world).await;
    let first: Vec<_> = all
        .iter()
        .filter(|row| {
            at_noon
                .iter()
                .any(|known| known.outcome.bar_start == row.outcome.bar_start)
        })
        .filter(|row| at_noon.contains(row))
        .collect();
    assert_eq!(first.len(), at_noon.len());
    assert_eq!(monitor.resolve(later).await.unwrap().stored, 0);
    // The last bar of each session has no outcome; nothing else is missing.
    assert_eq!(rest.given_up.values().sum::<usize>(), 2 * 3);
    assert_eq!(all.len(), 2 * 3 * 389);
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_gap_is_waited_for_and_then_given_up(pool: PgPool) {
    let world = World::new(&pool).await;
    let model = world.write_model("lstm-honest", Quality::Honest);
    world.promote(&model, world.close(3));
    world.predict(&model).await;
    let (ticker, bars) = &world.bars[0];
    let start = bars[bars.len() - 100].start;
    let gap = Gap::found(
        ticker.clone(),
        start,
        start + TimeDelta::minutes(5),
        GapReason::MissingMinutes,
        5,
        start + TimeDelta::minutes(10),
    );
    let gap = std::slice::from_ref(&gap);
    storage::record_gaps(&pool, gap, gap[0].detected_at)
        .await
        .unwrap();

    let mut monitor = world.monitor();
    let resolved = monitor
        .resolve(world.close(0) + TimeDelta::hours(1))
        .await
        .unwrap();
    assert!(resolved.waiting > 0);
    let overnight = monitor
        .resolve(world.close(0) + TimeDelta::hours(25))
        .await
        .unwrap();
    assert_eq!(overnight.waiting, 0);
    let reason = "bars are missing before a barrier was touched";
    assert_eq!(overnight.given_up[reason], resolved.waiting);

    // The gap turns out to be a halt: what waited is resolved, even late.
    let closed_at = world.close(0) + TimeDelta::hours(26);
    storage::close_gap(&pool, &gap[0], GapOutcome::NoData, closed_at)
        .await
        .unwrap();
    let last = monitor
        .resolve(world.close(0) + TimeDelta::hours(27))
        .await
        .unwrap();
    assert_eq!(last.stored, resolved.waiting as u64);
}
