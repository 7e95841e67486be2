//! Takes champions into use while the system runs.

use std::{
    collections::{BTreeSet, VecDeque},
    error::Error as _,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use domain::{ModelId, ModelKind};
use inference::{Champions, InferenceError, LiveChampions, Model, Refusal};
use service_kit::Clock;
use storage::{ModelEvent, ModelEventKind, PgPool, record_model_event};
use tokio::{sync::watch, task::JoinSet, time::MissedTickBehavior};
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

/// Champions that failed on what they were asked.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    champions: Arc<Champions>,
    /// Which of the two, where that is known.
    model_id: Option<ModelId>,
    why: String,
}

impl Failure {
    pub(crate) fn new(champions: Arc<Champions>, error: &InferenceError) -> Self {
        let causes = std::iter::successors(error.source(), |&cause| cause.source());
        Self {
            champions,
            model_id: error.model_id().cloned(),
            why: causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")),
        }
    }
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

/// Takes champions into use.
pub(crate) struct Loader {
    pub(crate) live: Arc<LiveChampions>,
    pub(crate) places: Places,
    /// Size of the largest batch.
    pub(crate) tickers: usize,
    pub(crate) models: watch::Sender<Models>,
    /// What failed in the live path.
    pub(crate) failures: watch::Receiver<Option<Failure>>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) diary: Diary,
    /// Compiles further batch sizes, which nobody waits for.
    pub(crate) preparing: JoinSet<Result<(), InferenceError>>,
}

impl Loader {
    /// Loads the champions now, and others whenever the champions' file names them, until the token is cancelled.
    ///
    /// What cannot be used is reported once and leaves the last good champions in use. What fails in use gives way to them.
    pub(crate) async fn run(mut self, interval: Duration, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => (),
                Ok(()) = self.failures.changed() => self.put_back().await,
                Some(prepared) = self.preparing.join_next() => {
                    match prepared {
                        Ok(Ok(())) => (),
                        // A batch of such a size will say so again when it is asked for.
                        Ok(Err(error)) => tracing::warn!(
                            error = &error as &dyn std::error::Error,
                            "a batch size is refused"
                        ),
                        Err(panic) => tracing::warn!(%panic, "preparing the champions panicked"),
                    }
                    continue;
                }
            }
            self.refresh().await;
            self.diary.write().await;
        }
    }

    /// Has champions that failed give way to the last good ones.
    async fn put_back(&mut self) {
        let Some(Failure {
            champions,
            model_id,
            why,
        }) = self.failures.borrow_and_update().clone()
        else {
            return;
        };
        let live = Arc::clone(&self.live);
        let put_back =
            tokio::task::spawn_blocking(move || live.put_back(&champions, model_id.as_ref(), &why));
        match put_back.await {
            Ok(true) => (),
            Ok(false) => tracing::error!(
                "no earlier champions can be put in the place of those that fail: train models, or promote others"
            ),
            Err(panic) => tracing::error!(%panic, "putting the last good champions back panicked"),
        }
    }

    /// Follows the champions' file.
    async fn refresh(&mut self) {
        let before = self.models.borrow().champions.clone();
        let live = Arc::clone(&self.live);
        let refreshed = tokio::task::spawn_blocking(move || live.refresh()).await;
        let trouble = refreshed
            .context("loading the champions panicked")
            .and_then(|refreshed| Ok(refreshed?))
            .err();
        let current = self.live.current();
        let is_new = match (&before, &current) {
            (Some(before), Some(current)) => !Arc::ptr_eq(before, current),
            (before, current) => before.is_some() != current.is_some(),
        };
        if let Some(champions) = current.as_ref().filter(|_| is_new) {
            self.metrics.model_loads.add(1);
            // Before they are put to use: no analysis of theirs is older than this.
            self.diary.loaded(before.as_deref(), champions);
        }
        if let Some(error) = &trouble {
            self.report(error, current.is_some());
            self.diary.refused(self.live.refusals(), current.as_deref());
        }
        self.models.send_if_modified(|models| {
            let is_over = trouble.is_none() && models.trouble.take().is_some();
            if is_new {
                models.champions.clone_from(&current);
            }
            is_new || is_over
        });
        if let Some(champions) = current.filter(|_| is_new) {
            // Often not all tickers' bars are committed together. The first batch of a size would wait for its
            // compilation, so all sizes are compiled now that the champions are in use.
            let tickers = self.tickers;
            self.preparing.spawn_blocking(move || {
                (1..tickers).try_for_each(|count| champions.prepare(count))
            });
        }
    }

    /// Says what is wrong, once.
    fn report(&self, error: &anyhow::Error, in_use: bool) {
        let stays = if in_use {
            "the last good ones stay in use"
        } else {
            "none are in use"
        };
        let found = format!("the champions on disk are refused, {stays}: {error:#}");
        let trouble = self.places.without_folders(&found);
        self.models.send_if_modified(|models| {
            if models.trouble.as_ref() == Some(&trouble) {
                return false;
            }
            tracing::error!("{found}");
            self.metrics.model_load_failures.add(1);
            models.trouble = Some(trouble);
            true
        });
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

    /// These models cannot be used; `in_use` are.
    fn refused(&mut self, refusals: Vec<Refusal>, in_use: Option<&Champions>) {
        for Refusal {
            kind,
            model_id,
            reason,
        } in refusals
        {
            let previous = in_use.map(|in_use| in_use.of(kind).id());
            if previous != Some(&model_id) && self.refused.insert(model_id.clone()) {
                self.note(kind, ModelEventKind::Refused, &model_id, previous, reason);
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

#[cfg(test)]
mod tests {
    use inference::testing::promote_random_champions;
    use model_registry::ChampionsFile;

    use super::*;

    #[sqlx::test(migrator = "storage::MIGRATOR")]
    async fn champions_that_fail_give_way_to_the_last_good_ones_at_once(pool: PgPool) {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            model_config: folder.path().join("model_config.json"),
            models_dir: folder.path().join("models"),
        };
        let file = ChampionsFile::new(&places.model_config);
        let (sender, mut models) = watch::channel(Models::default());
        let (failures, failed) = watch::channel(None);
        let loader = Loader {
            live: Arc::new(LiveChampions::new(file.clone(), &places.models_dir, 1)),
            places: places.clone(),
            tickers: 1,
            models: sender,
            failures: failed,
            metrics: Arc::default(),
            diary: Diary::new(pool, Clock::system(), 0.8),
            preparing: JoinSet::new(),
        };
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(loader.run(Duration::from_millis(20), shutdown.clone()));
        let mut in_use = async |lstm: &str| {
            let named = |models: &Models| {
                let champions = models.champions.as_ref();
                champions.is_some_and(|champions| champions.lstm.id().as_str() == lstm)
            };
            models.wait_for(named).await.unwrap().clone()
        };
        promote_random_champions(&places.models_dir, &file, 1).unwrap();
        in_use("lstm-1").await;
        promote_random_champions(&places.models_dir, &file, 2).unwrap();
        let second = in_use("lstm-2").await.champions.unwrap();

        let error = InferenceError::Unproved {
            model_id: second.lstm.id().clone(),
            problem: "for a test".to_owned(),
        };
        failures.send_replace(Some(Failure::new(second, &error)));
        in_use("lstm-1").await;
        let told = models
            .wait_for(|models| models.trouble.is_some())
            .await
            .unwrap()
            .clone();
        let trouble = told.trouble.unwrap();
        for part in [
            "the last good ones stay in use",
            "lstm-2 is refused: it failed while it was in use",
            "for a test",
        ] {
            assert!(trouble.contains(part), "{trouble}");
        }
        shutdown.cancel();
        running.await.unwrap();
    }
}
