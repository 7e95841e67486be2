//! Takes champions into use while the system runs.

use std::{
    collections::{BTreeSet, VecDeque},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use domain::{ModelId, ModelKind};
use inference::{Champions, LiveChampions, Model, Refreshed, load_champion};
use model_registry::ChampionsFile;
use service_kit::Clock;
use storage::{ModelEvent, ModelEventKind, PgPool, record_model_event};
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{folders::without_folders, metrics::Metrics};

/// The live path does not wait for the diary, but new champions do.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

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

impl Places {
    /// A text for clients: without the folders of this machine.
    pub(crate) fn without_folders(&self, text: &str) -> String {
        without_folders(text, &[&self.models_dir, &self.model_config])
    }
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
    mut diary: Diary,
    shutdown: CancellationToken,
) {
    let file = ChampionsFile::new(&places.model_config);
    let live = Arc::new(LiveChampions::new(file, &places.models_dir, tickers));
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            _ = ticks.tick() => (),
        }
        let before = live.current();
        let refreshing = Arc::clone(&live);
        let refreshed = tokio::task::spawn_blocking(move || refreshing.refresh()).await;
        match refreshed
            .context("loading the champions panicked")
            .and_then(|refreshed| Ok(refreshed?))
        {
            Ok(Refreshed::Replaced) => {
                metrics.model_loads.add(1);
                if let Some(champions) = live.current() {
                    // Before they are put to use: no analysis of theirs is older than this.
                    diary.loaded(before.as_deref(), &champions);
                }
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
            Err(error) => {
                if report(&error, &places, &models, &metrics) {
                    diary.refused(&places, before.as_deref()).await;
                }
            }
        }
        diary.write().await;
    }
}

/// Events that wait for a database; older ones are given up, as the log has them.
const WAITING_EVENTS: usize = 100;

/// Writes down which models are in use since when, and which were refused.
pub(crate) struct Diary {
    pool: PgPool,
    clock: Clock,
    /// What the settings ask of models.
    coverage: f64,
    /// What is not in the database yet, the oldest first.
    waiting: VecDeque<ModelEvent>,
    /// Models whose refusal was written down since they were last in use.
    refused: BTreeSet<ModelId>,
}

impl Diary {
    pub(crate) const fn new(pool: PgPool, clock: Clock, coverage: f64) -> Self {
        Self {
            pool,
            clock,
            coverage,
            waiting: VecDeque::new(),
            refused: BTreeSet::new(),
        }
    }

    /// Both kinds' models are about to be used from the next analysis on.
    fn loaded(&mut self, before: Option<&Champions>, champions: &Champions) {
        for kind in ModelKind::ALL {
            let model_id = champions.of(kind).id();
            let previous = before.map(|before| before.of(kind).id());
            if previous == Some(model_id) {
                continue;
            }
            self.refused.remove(model_id);
            say_how_sure(champions.of(kind), self.coverage);
            let reason = match previous {
                Some(_) => "the api uses it for every analysis from here on",
                None => "the api has started and uses it",
            };
            let event = ModelEventKind::Loaded;
            self.note(kind, event, model_id, previous, reason.to_owned());
        }
    }

    /// Something on disk cannot be used: finds out which models.
    async fn refused(&mut self, places: &Places, in_use: Option<&Champions>) {
        let Ok(champions) = ChampionsFile::new(&places.model_config).read() else {
            // It names no model.
            return;
        };
        for kind in ModelKind::ALL {
            let previous = in_use.map(|in_use| in_use.of(kind).id());
            let Some(record) = champions.of(kind) else {
                continue;
            };
            let model_id = record.champion.clone();
            if previous == Some(&model_id) || self.refused.contains(&model_id) {
                continue;
            }
            let (models_dir, asked) = (places.models_dir.clone(), model_id.clone());
            let load = move || load_champion(&models_dir, kind, &asked).err();
            if let Ok(Some(error)) = tokio::task::spawn_blocking(load).await {
                let reason = format!("{:#}", anyhow::Error::new(error));
                self.note(kind, ModelEventKind::Refused, &model_id, previous, reason);
                self.refused.insert(model_id);
            }
        }
    }

    fn note(
        &mut self,
        kind: ModelKind,
        event: ModelEventKind,
        model_id: &ModelId,
        previous: Option<&ModelId>,
        reason: String,
    ) {
        if self.waiting.len() == WAITING_EVENTS {
            self.waiting.pop_front();
        }
        self.waiting.push_back(ModelEvent {
            event_time: self.clock.now(),
            kind,
            event,
            model_id: model_id.clone(),
            previous_model_id: previous.cloned(),
            reason,
        });
    }

    /// Stores what waits. What the database does not take now it may take at the next look.
    async fn write(&mut self) {
        while let Some(event) = self.waiting.front() {
            let stored = record_model_event(&self.pool, event);
            match tokio::time::timeout(STORE_TIMEOUT, stored).await {
                Ok(Err(error)) if !error.is_retryable() => tracing::warn!(
                    model.id = %event.model_id, error = &error as &dyn std::error::Error,
                    "a model event is lost: the database refuses it"
                ),
                Ok(Ok(())) => (),
                // The live path says when the database is away.
                Ok(Err(_)) | Err(_) => return,
            }
            self.waiting.pop_front();
        }
    }
}

/// A model keeps the coverage that it was calibrated with, whatever the settings ask of the next one.
fn say_how_sure(model: &Model, asked: f64) {
    let model_id = model.id();
    match model.manifest().abstention {
        Some(record) if record.coverage == asked => (),
        Some(record) => tracing::info!(
            model.id = %model_id,
            "{model_id} is sure at a coverage of {}, which it was calibrated with; the {asked} of [policy] count from the next training on",
            record.coverage
        ),
        None => tracing::warn!(
            model.id = %model_id,
            "{model_id} has no calibration to tell when it is sure: with it every recommendation is a hold, until a model trained on more bars takes its place"
        ),
    }
}

/// Says what is wrong, once; answers whether it was new.
fn report(
    error: &anyhow::Error,
    places: &Places,
    models: &watch::Sender<Models>,
    metrics: &Metrics,
) -> bool {
    models.send_if_modified(|models| {
        let stays = if models.champions.is_some() {
            "the last good ones stay in use"
        } else {
            "none are in use"
        };
        let found = format!("the champions on disk are refused, {stays}: {error:#}");
        let trouble = places.without_folders(&found);
        if models.trouble.as_ref() == Some(&trouble) {
            return false;
        }
        tracing::error!("{found}");
        metrics.model_load_failures.add(1);
        models.trouble = Some(trouble);
        true
    })
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
