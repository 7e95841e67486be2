//! Takes champions into use while the system runs.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use inference::{Champions, LiveChampions, Refreshed};
use model_registry::ChampionsFile;
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::metrics::Metrics;

/// The champions in use, replaced as a whole.
#[derive(Clone, Debug, Default)]
pub(crate) struct Models {
    /// Both models; none before the first promotion.
    pub(crate) champions: Option<Arc<Champions>>,
    /// Why what lies on disk now is not in use, for people.
    pub(crate) trouble: Option<String>,
}

/// Where champions come from.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// The champions' file.
    pub(crate) model_config: PathBuf,
    /// The folder of the artifacts.
    pub(crate) models_dir: PathBuf,
}

/// Loads the champions now, and others whenever the champions' file names them, until the token is cancelled.
///
/// What cannot be loaded is reported once and leaves the last good champions in use. `tickers` is the size of the
/// largest batch.
pub(crate) async fn keep_loaded(
    places: Places,
    tickers: usize,
    models: watch::Sender<Models>,
    metrics: Arc<Metrics>,
    interval: Duration,
    shutdown: CancellationToken,
) {
    let file = ChampionsFile::new(places.model_config);
    let live = Arc::new(LiveChampions::new(file, places.models_dir, tickers));
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => (),
        }
        let refreshing = Arc::clone(&live);
        let refreshed = tokio::task::spawn_blocking(move || refreshing.refresh()).await;
        match refreshed
            .context("loading the champions panicked")
            .and_then(|refreshed| Ok(refreshed?))
        {
            Ok(Refreshed::Replaced) => {
                metrics.model_loads.add(1);
                models.send_replace(Models {
                    champions: live.current(),
                    trouble: None,
                });
                if let Some(champions) = live.current() {
                    prepare_smaller_batches(champions, tickers).await;
                }
            }
            Ok(Refreshed::None | Refreshed::Unchanged) => {
                models.send_if_modified(|models| models.trouble.take().is_some());
            }
            Err(error) => report(&error, &models, &metrics),
        }
    }
}

fn report(error: &anyhow::Error, models: &watch::Sender<Models>, metrics: &Metrics) {
    models.send_if_modified(|models| {
        let stays = if models.champions.is_some() {
            "the last good ones stay in use"
        } else {
            "none are in use"
        };
        let trouble = format!("the champions on disk are refused, {stays}: {error:#}");
        if models.trouble.as_ref() == Some(&trouble) {
            return false;
        }
        tracing::error!("{trouble}");
        metrics.model_load_failures.add(1);
        models.trouble = Some(trouble);
        true
    });
}

/// Often not all tickers' bars are committed together. The first batch of a size would wait for its compilation, so
/// all sizes are compiled now, after the champions were put to use.
async fn prepare_smaller_batches(champions: Arc<Champions>, tickers: usize) {
    let prepared = tokio::task::spawn_blocking(move || {
        (1..tickers).try_for_each(|count| champions.prepare(count))
    });
    match prepared.await {
        Ok(Ok(())) => (),
        // A batch of such a size will say so again when it is asked for.
        Ok(Err(error)) => tracing::warn!(
            error = format!("{:#}", anyhow::Error::new(error)),
            "a batch size is refused"
        ),
        Err(panic) => tracing::warn!(%panic, "preparing the champions panicked"),
    }
}
