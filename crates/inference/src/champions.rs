use std::{path::PathBuf, sync::Arc, thread};

use arc_swap::ArcSwapOption;
use domain::{ModelId, ModelKind, Probabilities, Ticker};
use features::{FEATURE_COUNT, WINDOW};
use model_registry::{ChampionsFile, artifact_dir};

use crate::{InferenceError, LiveTicker, Model};

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
        Self::load_after(models_dir, champions, None)
    }

    /// As [`Self::load`], keeping those of the models before that are still champions.
    fn load_after(
        models_dir: &std::path::Path,
        champions: &model_registry::Champions,
        before: Option<&Self>,
    ) -> Result<Self, InferenceError> {
        let load = |kind: ModelKind| {
            let record = champions
                .of(kind)
                .ok_or(InferenceError::NoChampion { kind })?;
            match before.map(|before| before.of(kind)) {
                Some(model) if *model.id() == record.champion => Ok(Arc::clone(model)),
                _ => load_champion(models_dir, kind, &record.champion).map(Arc::new),
            }
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
    if model.kind() == kind && model.id() == model_id {
        return Ok(model);
    }
    Err(InferenceError::WrongModel {
        kind,
        model_id: model_id.clone(),
        found_kind: model.kind(),
        found_id: model.id().clone(),
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

impl LiveChampions {
    /// Nothing is loaded before the first [`Self::refresh`].
    pub fn new(file: ChampionsFile, models_dir: impl Into<PathBuf>, usual_batch: usize) -> Self {
        let current = ArcSwapOption::empty();
        Self {
            file,
            models_dir: models_dir.into(),
            usual_batch,
            current,
        }
    }

    /// The champions now; `None` until both kinds have one. Cheap. Who holds on to the answer goes on with these two
    /// models, however often they are replaced meanwhile.
    pub fn current(&self) -> Option<Arc<Champions>> {
        self.current.load_full()
    }

    /// Reads the champions' file, and when it names other models, loads them and puts them in the place of the old ones
    /// in one step. Takes file reads and some 0.3 s of computing for a new model: not for an async task's thread. Call it
    /// from one place, every few seconds or when told.
    ///
    /// # Errors
    /// As [`Champions::load`]; the champions of before stay in use.
    pub fn refresh(&self) -> Result<Refreshed, InferenceError> {
        let wanted = self.file.read()?;
        let before = self.current();
        let missing = ModelKind::ALL
            .into_iter()
            .any(|kind| wanted.of(kind).is_none());
        if missing && before.is_none() {
            return Ok(Refreshed::None);
        }
        let after = Champions::load_after(&self.models_dir, &wanted, before.as_deref())?;
        let same = |kind: ModelKind| {
            before
                .as_ref()
                .is_some_and(|before| Arc::ptr_eq(before.of(kind), after.of(kind)))
        };
        if ModelKind::ALL.into_iter().all(same) {
            return Ok(Refreshed::Unchanged);
        }
        after.prepare(self.usual_batch)?;
        tracing::info!(
            model.lstm = %after.lstm.id(),
            model.transformer = %after.transformer.id(),
            "champions loaded"
        );
        self.current.store(Some(Arc::new(after)));
        Ok(Refreshed::Replaced)
    }
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
