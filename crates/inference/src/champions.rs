use std::{
    collections::HashMap,
    error::Error,
    iter,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use arc_swap::ArcSwapOption;
use domain::{ModelId, ModelKind, Probabilities, Ticker};
use features::{FEATURE_COUNT, WINDOW};
use model_registry::{ChampionsFile, KindRecord, Manifest, artifact_dir, read_artifact};

use crate::{InferenceError, LiveTicker, Model, proof::load_proved};

/// The two models in use.
#[derive(Clone, Debug)]
pub struct Champions {
    /// The recurrent network.
    pub lstm: Arc<Model>,
    /// The attention network.
    pub transformer: Arc<Model>,
}

impl Champions {
    /// Loads the champions of both kinds from below `models_dir`.
    ///
    /// # Errors
    /// [`InferenceError::NoChampion`] when a kind has none yet; otherwise as [`Model::load`], and
    /// [`InferenceError::WrongModel`] when an artifact is not the model it is named after.
    pub fn load(
        models_dir: &std::path::Path,
        champions: &model_registry::Champions,
    ) -> Result<Self, InferenceError> {
        let load = |kind: ModelKind| {
            let record = champions
                .of(kind)
                .ok_or(InferenceError::NoChampion { kind })?;
            load_champion(models_dir, kind, &record.champion).map(Arc::new)
        };
        Ok(Self {
            lstm: load(ModelKind::Lstm)?,
            transformer: load(ModelKind::Transformer)?,
        })
    }

    /// The champion of one kind.
    pub const fn of(&self, kind: ModelKind) -> &Arc<Model> {
        match kind {
            ModelKind::Lstm => &self.lstm,
            ModelKind::Transformer => &self.transformer,
        }
    }

    /// Compiles both networks for a batch of `count` windows, see [`Model::prepare`].
    ///
    /// # Errors
    /// As [`Model::prepare`].
    pub fn prepare(&self, count: usize) -> Result<(), InferenceError> {
        self.lstm.prepare(count)?;
        self.transformer.prepare(count)
    }
}

/// Loads a model as the champion of its kind is loaded, to use it or to see whether it could be.
///
/// # Errors
/// As [`Model::load`], and [`InferenceError::WrongModel`] when the artifact is not the model it is named after.
pub fn load_champion(
    models_dir: &std::path::Path,
    kind: ModelKind,
    model_id: &ModelId,
) -> Result<Model, InferenceError> {
    let model = Model::load(&artifact_dir(models_dir, kind, model_id))?;
    check_name(model.manifest(), kind, model_id)?;
    Ok(model)
}

fn check_name(
    manifest: &Manifest,
    kind: ModelKind,
    model_id: &ModelId,
) -> Result<(), InferenceError> {
    if manifest.kind == kind && manifest.model_id == *model_id {
        return Ok(());
    }
    Err(InferenceError::WrongModel {
        kind,
        model_id: model_id.clone(),
        found_kind: manifest.kind,
        found_id: manifest.model_id.clone(),
    })
}

/// The champions as a running service sees them: follows the champions' file, and keeps those it has when the new ones
/// cannot be used.
#[derive(Debug)]
pub struct LiveChampions {
    file: ChampionsFile,
    models_dir: PathBuf,
    /// Windows that batches usually have: new models are compiled for them before they are put to use.
    usual_batch: usize,
    current: ArcSwapOption<Champions>,
    found: Mutex<Found>,
}

/// What [`LiveChampions`] has found out about models.
#[derive(Debug, Default)]
struct Found {
    /// The pair before the current one: it worked until it was replaced.
    before: Option<Arc<Champions>>,
    /// Which networks are not tried again, by their sha256.
    refused: HashMap<String, Refused>,
    /// What the last look at the champions' file could not use.
    refusals: Vec<Refusal>,
}

/// Why a network is not tried again.
#[derive(Debug)]
struct Refused {
    reason: String,
    /// What took too long may do better on another day.
    until: Option<Instant>,
}

/// A champion that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind.
    pub kind: ModelKind,
    /// The model that the champions' file names.
    pub model_id: ModelId,
    /// Why not, with the causes.
    pub reason: String,
}

/// What [`LiveChampions::refresh`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refreshed {
    /// A kind has no champion yet.
    None,
    /// The champions are those of before.
    Unchanged,
    /// At least one champion is new.
    Replaced,
}

/// A network that took too long is tried again after this time: each try may cost a core for as long as it takes.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(3_600);

/// Earlier champions that are tried, the newest first, where there is nothing better.
const FALLBACKS: usize = 5;

impl LiveChampions {
    /// Nothing is loaded before the first [`Self::refresh`].
    pub fn new(file: ChampionsFile, models_dir: impl Into<PathBuf>, usual_batch: usize) -> Self {
        Self {
            file,
            models_dir: models_dir.into(),
            usual_batch,
            current: ArcSwapOption::empty(),
            found: Mutex::default(),
        }
    }

    /// The champions now; `None` until both kinds have one. Cheap. Who holds on to the answer goes on with these two
    /// models, however often they are replaced meanwhile.
    pub fn current(&self) -> Option<Arc<Champions>> {
        self.current.load_full()
    }

    /// What the last [`Self::refresh`] could not use.
    pub fn refusals(&self) -> Vec<Refusal> {
        self.found().refusals.clone()
    }

    /// Reads the champions' file, and when it names other models, has them prove themselves and puts them in the place of
    /// the old ones in one step. Takes file reads and some 0.5 s of computing for a new model, at the most 30 s for one
    /// that never comes to an end: not for an async task's thread. Call it from one place, every few seconds or when told.
    ///
    /// # Errors
    /// As [`Champions::load`], [`InferenceError::Unproved`] and [`InferenceError::Refused`]; the champions of before stay
    /// in use. Where nothing is in use yet, the newest of the earlier champions that can be used are.
    pub fn refresh(&self) -> Result<Refreshed, InferenceError> {
        let wanted = self.file.read()?;
        let before = self.current();
        let missing = ModelKind::ALL
            .into_iter()
            .any(|kind| wanted.of(kind).is_none());
        if missing && before.is_none() {
            return Ok(Refreshed::None);
        }
        let [lstm, transformer] = ModelKind::ALL.map(|kind| {
            let record = wanted.of(kind).ok_or(InferenceError::NoChampion { kind })?;
            match before.as_ref().map(|before| before.of(kind)) {
                // One that failed and that nothing could replace is named for as long as it is champion.
                Some(model)
                    if *model.id() == record.champion
                        && self.refusal(&model.manifest().tflite_sha256).is_none() =>
                {
                    Ok(Arc::clone(model))
                }
                _ => self.try_model(kind, &record.champion),
            }
        });
        let refusals = [
            (ModelKind::Lstm, &lstm),
            (ModelKind::Transformer, &transformer),
        ]
        .into_iter()
        .filter_map(|(kind, loaded)| {
            Some(Refusal {
                kind,
                model_id: wanted.of(kind)?.champion.clone(),
                reason: chain(loaded.as_ref().err()?),
            })
        });
        self.found().refusals = refusals.collect();
        let after = match (lstm, transformer) {
            (Ok(lstm), Ok(transformer)) => Champions { lstm, transformer },
            (Err(error), _) | (_, Err(error)) => {
                if before.is_none() {
                    self.fall_back(&wanted);
                }
                return Err(error);
            }
        };
        let same = |kind: ModelKind| {
            before
                .as_ref()
                .is_some_and(|before| Arc::ptr_eq(before.of(kind), after.of(kind)))
        };
        if ModelKind::ALL.into_iter().all(same) {
            return Ok(Refreshed::Unchanged);
        }
        self.put_to_use(after);
        self.found().before = before;
        Ok(Refreshed::Replaced)
    }

    /// Takes a pair out of use that failed while it ran, and puts the last good one back; where there is none, the newest
    /// earlier champions that can be used. The model that failed, or both where none is named, is refused until its
    /// artifact is another. Takes as long as [`Self::refresh`] may.
    ///
    /// Answers whether another pair is in use now. One that nothing can replace stays: it may fail now and then only.
    pub fn put_back(&self, failed: &Arc<Champions>, model_id: Option<&ModelId>, why: &str) -> bool {
        let in_use = |pair: &Arc<Champions>| Arc::ptr_eq(pair, failed);
        if !self.current().as_ref().is_some_and(in_use) {
            return true;
        }
        let before = {
            let mut found = self.found();
            for model in [&failed.lstm, &failed.transformer] {
                if model_id.is_none_or(|bad| bad == model.id()) {
                    let reason = format!("it failed while it was in use: {why}");
                    let refused = Refused {
                        reason,
                        until: None,
                    };
                    found
                        .refused
                        .insert(model.manifest().tflite_sha256.clone(), refused);
                }
            }
            found.before.take().filter(|pair| {
                ModelKind::ALL.into_iter().all(|kind| {
                    let sha256 = &pair.of(kind).manifest().tflite_sha256;
                    !found.refused.contains_key(sha256)
                })
            })
        };
        match before {
            Some(before) => self.put_to_use(before.as_ref().clone()),
            None => match self.file.read() {
                Ok(wanted) => self.fall_back(&wanted),
                // `refresh` will say so.
                Err(_) => return false,
            },
        }
        !self.current().as_ref().is_some_and(in_use)
    }

    fn put_to_use(&self, champions: Champions) {
        tracing::info!(
            model.lstm = %champions.lstm.id(),
            model.transformer = %champions.transformer.id(),
            "champions loaded"
        );
        self.current.store(Some(Arc::new(champions)));
    }

    /// Puts to use of each kind the champion, or the newest of the earlier ones that can be used.
    fn fall_back(&self, wanted: &model_registry::Champions) {
        let usable = |kind: ModelKind| {
            let KindRecord {
                champion, previous, ..
            } = wanted.of(kind)?;
            iter::once(champion)
                .chain(previous.iter().take(FALLBACKS))
                .find_map(|model_id| self.try_model(kind, model_id).ok())
        };
        if let (Some(lstm), Some(transformer)) =
            (usable(ModelKind::Lstm), usable(ModelKind::Transformer))
        {
            self.put_to_use(Champions { lstm, transformer });
        }
    }

    /// Loads a model that has proved itself, unless the same bytes were found out before.
    fn try_model(&self, kind: ModelKind, model_id: &ModelId) -> Result<Arc<Model>, InferenceError> {
        let artifact = read_artifact(&artifact_dir(&self.models_dir, kind, model_id))?;
        check_name(&artifact.manifest, kind, model_id)?;
        let sha256 = artifact.manifest.tflite_sha256.clone();
        let refused = |reason: &str| InferenceError::Refused {
            model_id: model_id.clone(),
            reason: reason.to_owned(),
        };
        if let Some(reason) = self.refusal(&sha256) {
            return Err(refused(&reason));
        }
        load_proved(artifact, self.usual_batch)
            .map(Arc::new)
            .map_err(|error| {
                let until = match error {
                    InferenceError::Network { .. } | InferenceError::Answer { .. } => None,
                    InferenceError::Unproved { .. } => Some(Instant::now() + TRY_AGAIN_AFTER),
                    // Quickly found again.
                    _ => return error,
                };
                let reason = chain(&error);
                let error = refused(&reason);
                self.found()
                    .refused
                    .insert(sha256, Refused { reason, until });
                error
            })
    }

    /// Why a network is not tried again, if it is not.
    fn refusal(&self, sha256: &str) -> Option<String> {
        self.found()
            .refused
            .get(sha256)
            .filter(|known| known.until.is_none_or(|until| Instant::now() < until))
            .map(|known| known.reason.clone())
    }

    /// What was found is plain data: whoever panicked while holding it left it whole.
    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error with its causes.
fn chain(error: &InferenceError) -> String {
    let causes = iter::successors(error.source(), |&cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What both models say of one ticker's newest bar.
#[derive(Clone, Debug, PartialEq)]
pub struct DualPrediction {
    /// Whose bar.
    pub ticker: Ticker,
    /// The LSTM's probabilities.
    pub lstm: Probabilities,
    /// The Transformer's probabilities.
    pub transformer: Probabilities,
    /// The stock's realised volatility at the bar, a fraction of the price.
    pub volatility: f64,
}

/// Asks both models about the newest windows of all tickers: one batch each, the two models on two threads. The answers
/// are in the tickers' order.
///
/// # Errors
/// [`InferenceError::NotReady`] for a ticker without a full window; otherwise as [`Model::predict`].
pub fn predict_both(
    champions: &Champions,
    tickers: &[(Ticker, &LiveTicker)],
) -> Result<Vec<DualPrediction>, InferenceError> {
    if let Some((ticker, _)) = tickers.iter().find(|(_, live)| !live.is_ready()) {
        return Err(InferenceError::NotReady {
            ticker: ticker.clone(),
        });
    }
    let ask = |model: &Model| {
        let mut windows = vec![0.0; tickers.len() * WINDOW * FEATURE_COUNT];
        for ((_, live), out) in tickers
            .iter()
            .zip(windows.chunks_exact_mut(WINDOW * FEATURE_COUNT))
        {
            live.write_window(model.scaler(), out);
        }
        model.predict(&windows, tickers.len())
    };
    let (lstm, transformer) = thread::scope(|scope| {
        let lstm = scope.spawn(|| ask(&champions.lstm));
        let transformer = ask(&champions.transformer);
        // tract's panics are errors already; one of ours goes on to the caller.
        let lstm = lstm
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (lstm, transformer)
    });
    let answers = lstm?.into_iter().zip(transformer?);
    Ok(tickers
        .iter()
        .zip(answers)
        .map(|((ticker, live), (lstm, transformer))| DualPrediction {
            ticker: ticker.clone(),
            lstm,
            transformer,
            volatility: live.volatility(),
        })
        .collect())
}
