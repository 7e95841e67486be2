//! What a model says of the sessions that it has not seen: stored once, so that each night adds its session.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::Context as _;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{Probabilities, Ticker};
use inference::Model;
use storage::{PgPool, ValidationPrediction, store_validation_predictions, validation_predictions};
use validation::{Answer, Decision, ValidationError};

use crate::{
    night::Night,
    past::{Labelled, Past},
};

/// Two computations of the same return differ by rounding only, far below this.
const SAME_RETURN: f64 = 1e-9;

/// What a model says, by stock and start of the bar.
pub(crate) type Said = BTreeMap<(Ticker, DateTime<Utc>), Probabilities>;

/// What the model says of the decisions from `from` on, and the sessions of which it was asked now.
///
/// What is stored is taken from there if it was stored with the outcome that the bars give today. Where one outcome of a
/// stock's session is missing or another, as after a revision or a filled gap, the whole session of this stock is asked
/// and stored anew: what changed an outcome may have changed every window after it.
pub(crate) async fn said(
    pool: &PgPool,
    past: &Arc<Past>,
    labelled: &Arc<Labelled>,
    model: &Arc<Model>,
    from: DateTime<Utc>,
    night: &Night,
) -> anyhow::Result<(Said, BTreeSet<NaiveDate>)> {
    let end = night.session.close + TimeDelta::microseconds(1);
    let stored = validation_predictions(pool, &[model.id()], &labelled.settings, from, end).await?;
    let mut said = Said::new();
    let mut outcomes = BTreeMap::new();
    for row in stored {
        let key = (row.ticker, row.bar_start);
        outcomes.insert(key.clone(), (row.label, row.gross_return));
        said.insert(key, row.probabilities);
    }
    let judged = || {
        let decisions = labelled.decisions.iter();
        decisions.filter(move |decision| decision.bar_start >= from)
    };
    let is_stored = |decision: &Decision| {
        let key = (decision.ticker.clone(), decision.bar_start);
        outcomes.get(&key).is_some_and(|(label, gross_return)| {
            *label == decision.truth && (gross_return - decision.gross_return).abs() < SAME_RETURN
        })
    };
    let missing: BTreeSet<(Ticker, NaiveDate)> = judged()
        .filter(|decision| !is_stored(decision))
        .map(|decision| (decision.ticker.clone(), decision.session()))
        .collect();
    let sessions: BTreeSet<NaiveDate> = missing.iter().map(|(_, session)| *session).collect();
    if missing.is_empty() {
        return Ok((said, sessions));
    }
    let (asked_past, asked_model, asked_for) =
        (Arc::clone(past), Arc::clone(model), missing.clone());
    let ask = move || ask(&asked_past, &asked_model, &asked_for);
    let answers = tokio::task::spawn_blocking(ask)
        .await
        .context("asking a model panicked")??;

    said.retain(|(ticker, start), _| !missing.contains(&(ticker.clone(), start.date_naive())));
    let mut rows = Vec::new();
    for decision in judged() {
        let key = (decision.ticker.clone(), decision.bar_start);
        if let Some(probabilities) = answers.get(&key) {
            said.insert(key, *probabilities);
            rows.push(ValidationPrediction {
                model_id: model.id().clone(),
                ticker: decision.ticker.clone(),
                bar_start: decision.bar_start,
                probabilities: *probabilities,
                label: decision.truth,
                gross_return: decision.gross_return,
            });
        }
    }
    store_validation_predictions(pool, &rows, &labelled.settings, night.as_of).await?;
    tracing::info!(
        model.id = %model.id(),
        sessions = sessions.len(),
        predictions = rows.len(),
        "asked {} about sessions that it has not seen",
        model.id()
    );
    Ok((said, sessions))
}

/// Asks about the sessions of the stocks named, on all cores.
fn ask(
    past: &Past,
    model: &Model,
    wanted: &BTreeSet<(Ticker, NaiveDate)>,
) -> Result<Said, ValidationError> {
    let tickers: BTreeSet<&Ticker> = wanted.iter().map(|(ticker, _)| ticker).collect();
    let tickers: Vec<&Ticker> = tickers.into_iter().collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut said = Said::new();
        while let Some(ticker) = tickers.get(next.fetch_add(1, Ordering::Relaxed)) {
            let Some(bars) = past.archive.bars.get(*ticker) else {
                continue;
            };
            let context = past.archive.context.of(ticker);
            // A session's bars have the same date in UTC.
            let is_wanted =
                |start: DateTime<Utc>| wanted.contains(&((*ticker).clone(), start.date_naive()));
            let answers = validation::answers(model, bars, context, |bar| is_wanted(bar.start))?;
            said.extend(answers.into_iter().filter_map(|answer| {
                let Answer {
                    index,
                    probabilities,
                } = answer;
                Some((((*ticker).clone(), bars.get(index)?.start), probabilities))
            }));
        }
        Ok(said)
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut said = Said::new();
        for worker in workers {
            let found = worker
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            said.extend(found?);
        }
        Ok(said)
    })
}
