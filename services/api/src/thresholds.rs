//! How sure the models are: moves their thresholds with what comes of their decisions, as `drift-monitor` writes it down.

use std::{collections::BTreeMap, time::Duration};

use anyhow::Context as _;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{AdaptiveThresholds, Class, ModelId, ModelKind};
use inference::{Champions, Model};
use model_registry::AbstentionRecord;
use service_kit::Clock;
use storage::{PgPool, ResolvedPrediction, resolved_predictions};
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::champions::Models;

/// A day's outcomes take a fraction of a second.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// What is older has long been outweighed.
const MEMORY: TimeDelta = TimeDelta::days(60);

/// What came of a bar is written down within this time, or not at all.
const LATEST: TimeDelta = TimeDelta::days(1);

/// One query reads so much.
const CHUNK: TimeDelta = TimeDelta::days(1);

/// The champions' thresholds as they stand.
#[derive(Clone, Debug, Default)]
pub(crate) struct Thresholds(BTreeMap<ModelId, Moving>);

#[derive(Clone, Debug)]
struct Moving {
    /// As they stand.
    thresholds: AdaptiveThresholds,
    /// As they stood after the bars that started before `settled_until` (UTC). What came of later ones is read anew each
    /// time: some of it may be written down late.
    settled: AdaptiveThresholds,
    settled_until: DateTime<Utc>,
}

impl Thresholds {
    /// How a model tells when it is sure at a bar; nothing for a model without conformal sets.
    pub(crate) fn of(&self, model: &Model, bar_start: DateTime<Utc>) -> Option<AbstentionRecord> {
        let record = model.manifest().abstention?;
        Some(match self.0.get(model.id()) {
            Some(moving) => AbstentionRecord {
                thresholds: moving.thresholds.at(bar_start),
                ..record
            },
            // As fitted, until the first look at what came of its decisions.
            None => record,
        })
    }
}

/// Learns what comes of the champions' decisions until the token is cancelled. Without a database the thresholds stay where
/// they are.
pub(crate) async fn keep_moving(
    pool: PgPool,
    clock: Clock,
    mut models: watch::Receiver<Models>,
    thresholds: watch::Sender<Thresholds>,
    interval: Duration,
    shutdown: CancellationToken,
) {
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            Ok(()) = models.changed() => (),
            _ = ticks.tick() => (),
        }
        let Some(champions) = models.borrow_and_update().champions.clone() else {
            continue;
        };
        let before = thresholds.borrow().clone();
        match learn(&pool, &champions, before, clock.now()).await {
            Ok(after) => {
                thresholds.send_replace(after);
                failing = false;
            }
            Err(error) if !failing => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "the models' thresholds stay where they are: what came of their decisions cannot be read"
                );
                failing = true;
            }
            Err(_) => (),
        }
    }
}

/// The champions' thresholds after what has become known since; those of other models are forgotten.
async fn learn(
    pool: &PgPool,
    champions: &Champions,
    mut before: Thresholds,
    now: DateTime<Utc>,
) -> anyhow::Result<Thresholds> {
    let mut after = Thresholds::default();
    for kind in ModelKind::ALL {
        let model = champions.of(kind);
        let Some(record) = model.manifest().abstention else {
            continue;
        };
        let mut moving = before.0.remove(model.id()).unwrap_or_else(|| Moving {
            thresholds: record.adaptive(),
            settled: record.adaptive(),
            settled_until: model.manifest().ranges.seen_until().max(now - MEMORY),
        });
        let known_until = now - TimeDelta::minutes(i64::from(record.delay_minutes));
        let settled_until = (known_until - LATEST).max(moving.settled_until);
        let from = moving.settled_until;
        follow(pool, model, &mut moving.settled, from, settled_until).await?;
        moving.settled_until = settled_until;
        moving.thresholds = moving.settled.clone();
        follow(
            pool,
            model,
            &mut moving.thresholds,
            settled_until,
            known_until,
        )
        .await?;
        after.0.insert(model.id().clone(), moving);
    }
    Ok(after)
}

/// Moves the thresholds by what came of a model's decisions on the bars that started in this stretch (UTC).
async fn follow(
    pool: &PgPool,
    model: &Model,
    thresholds: &mut AdaptiveThresholds,
    mut from: DateTime<Utc>,
    until: DateTime<Utc>,
) -> anyhow::Result<()> {
    let settings = model.manifest().label_settings();
    while from < until {
        let to = until.min(from + CHUNK);
        let read = resolved_predictions(pool, Some(model.id()), &settings, from, to);
        let resolved = tokio::time::timeout(READ_TIMEOUT, read)
            .await
            .context("no answer from the database")?
            .context("the outcomes of predictions cannot be read")?;
        move_thresholds(thresholds, &resolved);
        from = to;
    }
    Ok(())
}

/// `resolved` are one model's, by time.
fn move_thresholds(thresholds: &mut AdaptiveThresholds, resolved: &[ResolvedPrediction]) {
    for minute in resolved.chunk_by(|left, right| left.outcome.bar_start == right.outcome.bar_start)
    {
        let outcomes: Vec<(Class, [f64; 3])> = minute
            .iter()
            .map(|resolved| {
                let said = resolved.prediction.probabilities.to_array();
                (resolved.outcome.label, said.map(f64::from))
            })
            .collect();
        if let Some(first) = minute.first() {
            thresholds.learn(first.outcome.bar_start, &outcomes);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use domain::{Prediction, Probabilities, Ticker};
    use model_registry::ChampionsFile;
    use storage::{Outcome, store_analyses, store_outcomes};

    use super::*;

    #[sqlx::test(migrator = "storage::MIGRATOR")]
    async fn what_came_of_decisions_moves_the_thresholds_once(pool: PgPool) {
        let folder = tempfile::tempdir().unwrap();
        let file = ChampionsFile::new(folder.path().join("model_config.json"));
        inference::testing::promote_random_champions(folder.path(), &file, 1).unwrap();
        let champions = Champions::load(folder.path(), &file.read().unwrap()).unwrap();
        let lstm = &champions.lstm;
        let fitted = lstm.manifest().abstention.unwrap();
        let minute = |minute: i64| {
            Utc.with_ymd_and_hms(2018, 3, 26, 14, 30, 0).unwrap() + TimeDelta::minutes(minute)
        };

        // A rise to which the LSTM gave too little; of the Transformer nothing is known.
        let ticker = Ticker::parse("AAPL").unwrap();
        let prediction = Prediction {
            ticker: ticker.clone(),
            bar_start: minute(0),
            kind: ModelKind::Lstm,
            model_id: lstm.id().clone(),
            probabilities: Probabilities::new([0.5, 0.4, 0.1]).unwrap(),
        };
        store_analyses(&pool, minute(1), &[prediction], &[])
            .await
            .unwrap();
        let outcome = Outcome {
            ticker,
            bar_start: minute(0),
            label: Class::Up,
            gross_return: 0.001,
            first_touch: minute(9),
        };
        let settings = lstm.manifest().label_settings();
        store_outcomes(&pool, &[outcome], &settings, minute(11))
            .await
            .unwrap();

        let look = |thresholds, at| learn(&pool, &champions, thresholds, at);
        let early = look(Thresholds::default(), minute(60)).await.unwrap();
        assert_eq!(early.of(lstm, minute(60)), Some(fitted));
        let late = look(early, minute(61)).await.unwrap();
        let moved = late.of(lstm, minute(61)).unwrap();
        let [down, neutral, up] = moved.thresholds;
        assert_eq!(
            [down, neutral],
            [fitted.thresholds[0], fitted.thresholds[1]]
        );
        assert!((fitted.thresholds[2] - up - 0.0064).abs() < 1e-9, "{up}");
        assert_eq!(
            (moved.coverage, moved.moves),
            (fitted.coverage, fitted.moves)
        );
        assert_eq!(
            late.of(&champions.transformer, minute(61)),
            champions.transformer.manifest().abstention
        );

        // Neither looking again, nor after the outcomes are settled, nor starting anew changes what follows from them.
        let again = look(late, minute(90)).await.unwrap();
        assert_eq!(again.of(lstm, minute(90)), Some(moved));
        let settled = look(again, minute(3_000)).await.unwrap();
        assert_eq!(settled.of(lstm, minute(3_000)), Some(moved));
        let anew = look(Thresholds::default(), minute(90)).await.unwrap();
        assert_eq!(anew.of(lstm, minute(90)), Some(moved));
    }
}
