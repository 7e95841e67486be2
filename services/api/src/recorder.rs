//! Stores what was decided, after it was published: a client does not wait for the disk.

use std::{slice, sync::Arc, time::Duration};

use anyhow::anyhow;
use chrono::{DateTime, Utc};
use domain::{Bar, Prediction, Recommendation};
use storage::{PgPool, StorageError};
use tokio::sync::{Mutex, mpsc};

use crate::metrics::Metrics;

/// Passes that may wait for a database that does not answer; then the live path waits as well.
pub(crate) const QUEUE_PASSES: usize = 1_000;

const STORE_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// Panics at one pass after which it is given up.
const MOST_PANICS: usize = 3;

/// Both predictions and the recommendation for one closed bar.
#[derive(Clone, Debug)]
pub(crate) struct Analysis {
    /// The bar that was analysed.
    pub(crate) bar: Bar,
    /// What the recurrent champion says.
    pub(crate) lstm: Prediction,
    /// What the attention champion says.
    pub(crate) transformer: Prediction,
    /// What follows.
    pub(crate) recommendation: Recommendation,
    /// Market time of the analysis, the same for all of a pass.
    pub(crate) as_of: DateTime<Utc>,
    /// Nobody could have acted on it: it belongs to the record of the bars and not to that of the models.
    pub(crate) late: bool,
}

/// What waits to be stored, in order. It outlives a recorder that panics.
#[derive(Debug)]
pub(crate) struct Queue {
    passes: mpsc::Receiver<Vec<Analysis>>,
    /// The pass that is being stored.
    current: Option<Vec<Analysis>>,
    /// How often that was begun.
    attempts: usize,
}

impl Queue {
    pub(crate) const fn new(passes: mpsc::Receiver<Vec<Analysis>>) -> Self {
        Self {
            passes,
            current: None,
            attempts: 0,
        }
    }
}

/// Stores analyses until nobody can send any more and nothing waits.
///
/// Storing twice is the same as once, so whatever failed is simply tried again, in order; only what the database refuses for
/// good is given up, with an error that names it.
pub(crate) async fn run(pool: PgPool, queue: Arc<Mutex<Queue>>, metrics: Arc<Metrics>) {
    let mut queue = queue.lock().await;
    let queue = &mut *queue;
    loop {
        if queue.current.is_none() {
            queue.current = queue.passes.recv().await;
            queue.attempts = 0;
        }
        let Some(pass) = &queue.current else { return };
        queue.attempts += 1;
        if queue.attempts > MOST_PANICS {
            lose(pass, "storing them panics", &metrics);
        } else {
            store_whatever_can_be(&pool, pass, &metrics).await;
        }
        metrics.analyses_waiting.add(-(pass.len() as i64));
        queue.current = None;
    }
}

/// A pass that is refused for good is stored one by one, so that only what is wrong with it is lost.
async fn store_whatever_can_be(pool: &PgPool, pass: &[Analysis], metrics: &Metrics) {
    match store_stubbornly(pool, pass).await {
        Ok(()) => metrics.analyses_stored.add(pass.len()),
        Err(error) if pass.len() <= 1 => {
            let why = format!("the database refuses them: {:#}", anyhow::Error::new(error));
            lose(pass, &why, metrics);
        }
        Err(_) => {
            for analysis in pass {
                Box::pin(store_whatever_can_be(
                    pool,
                    slice::from_ref(analysis),
                    metrics,
                ))
                .await;
            }
        }
    }
}

fn lose(pass: &[Analysis], why: &str, metrics: &Metrics) {
    tracing::error!(
        analyses = pass.len(), bar.start = %first_bar(pass), ticker = first_ticker(pass),
        "analyses are lost to the track record: {why}"
    );
    metrics.analyses_lost.add(pass.len());
}

/// Tries until it is done.
///
/// # Errors
/// What trying again does not help.
async fn store_stubbornly(pool: &PgPool, pass: &[Analysis]) -> Result<(), StorageError> {
    let mut retry = FIRST_RETRY;
    loop {
        let error = match tokio::time::timeout(STORE_TIMEOUT, store(pool, pass)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if !error.is_retryable() => return Err(error),
            Ok(Err(error)) => anyhow::Error::new(error),
            Err(_elapsed) => anyhow!("no answer within {} s", STORE_TIMEOUT.as_secs()),
        };
        tracing::warn!(
            error = format!("{error:#}"), analyses = pass.len(), bar.start = %first_bar(pass),
            "analyses are not stored yet; trying again"
        );
        tokio::time::sleep(retry).await;
        retry = (retry * 2).min(LONGEST_RETRY);
    }
}

async fn store(pool: &PgPool, pass: &[Analysis]) -> Result<(), StorageError> {
    let Some(first) = pass.first() else {
        return Ok(());
    };
    for late in [false, true] {
        let analyses = || pass.iter().filter(|analysis| analysis.late == late);
        let predictions: Vec<Prediction> = analyses()
            .flat_map(|analysis| [analysis.lstm.clone(), analysis.transformer.clone()])
            .collect();
        let recommendations: Vec<Recommendation> = analyses()
            .map(|analysis| analysis.recommendation.clone())
            .collect();
        if late && !predictions.is_empty() {
            storage::store_late_analyses(pool, first.as_of, &predictions, &recommendations).await?;
        } else if !predictions.is_empty() {
            storage::store_analyses(pool, first.as_of, &predictions, &recommendations).await?;
        }
    }
    Ok(())
}

fn first_bar(pass: &[Analysis]) -> DateTime<Utc> {
    pass.first()
        .map_or(DateTime::UNIX_EPOCH, |analysis| analysis.bar.start)
}

fn first_ticker(pass: &[Analysis]) -> &str {
    pass.first()
        .map_or("", |analysis| analysis.recommendation.ticker.as_str())
}
