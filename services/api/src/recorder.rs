//! Stores what was decided, after it was published: a client does not wait for the disk.

use std::{sync::Arc, time::Duration};

use anyhow::anyhow;
use chrono::{DateTime, Utc};
use domain::{Bar, Prediction, Recommendation};
use storage::{PgPool, StorageError};
use tokio::sync::mpsc;

use crate::metrics::Metrics;

/// Passes that may wait for a database that does not answer; then the live path waits as well.
pub(crate) const QUEUE_PASSES: usize = 1_000;

const STORE_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// Both predictions and the recommendation for one closed bar.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    /// The bar that was analysed.
    pub(crate) bar: Bar,
    /// What the recurrent champion says.
    pub(crate) lstm: Prediction,
    /// What the attention champion says.
    pub(crate) transformer: Prediction,
    /// What follows.
    pub(crate) recommendation: Recommendation,
    /// Market time of the decision, the same for all of a pass.
    pub(crate) as_of: DateTime<Utc>,
}

/// Stores decisions until the live path ends and nothing waits any more.
///
/// Storing twice is the same as once, so whatever failed is simply tried again; only what the database refuses for
/// good is given up, with an error that names it.
pub(crate) async fn run(
    pool: PgPool,
    mut decisions: mpsc::Receiver<Vec<Decision>>,
    metrics: Arc<Metrics>,
) {
    while let Some(pass) = decisions.recv().await {
        match store_stubbornly(&pool, &pass).await {
            Ok(()) => metrics.analyses_stored.add(pass.len()),
            Err(error) => {
                tracing::error!(
                    error = format!("{error:#}"), analyses = pass.len(), bar.start = %first_bar(&pass),
                    "the database refuses analyses: they are lost to the track record"
                );
                metrics.analyses_lost.add(pass.len());
            }
        }
        metrics.analyses_waiting.add(-(pass.len() as i64));
    }
}

async fn store_stubbornly(pool: &PgPool, pass: &[Decision]) -> anyhow::Result<()> {
    let mut retry = FIRST_RETRY;
    loop {
        let error = match tokio::time::timeout(STORE_TIMEOUT, store(pool, pass)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if !error.is_retryable() => return Err(error.into()),
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

async fn store(pool: &PgPool, pass: &[Decision]) -> Result<(), StorageError> {
    let Some(first) = pass.first() else {
        return Ok(());
    };
    let predictions: Vec<Prediction> = pass
        .iter()
        .flat_map(|decision| [decision.lstm.clone(), decision.transformer.clone()])
        .collect();
    let recommendations: Vec<Recommendation> = pass
        .iter()
        .map(|decision| decision.recommendation.clone())
        .collect();
    storage::store_analyses(pool, first.as_of, &predictions, &recommendations).await?;
    Ok(())
}

fn first_bar(pass: &[Decision]) -> DateTime<Utc> {
    pass.first()
        .map_or(DateTime::UNIX_EPOCH, |decision| decision.bar.start)
}
