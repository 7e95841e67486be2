//! A model with what its drift is measured against, and how it does.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use chrono::NaiveDate;
use domain::{Class, ModelId, ModelKind, Probabilities};
use evaluation::{DailyMean, DriftReference, daily_mean, effect};
use inference::Model;
use labels::BarrierSettings;
use model_registry::{Manifest, artifact_dir, read_drift_reference};
use serde::Serialize;
use storage::{DriftState, ResolvedPrediction};

use crate::{
    DriftSettings,
    findings::{Cause, Findings, state_of},
    inputs::Sample,
    market::Market,
};

/// Probability with which the bounds of a mean over days hold.
const LEVEL: f64 = 0.9;

/// Resamples of the days.
const RESAMPLES: usize = 1_000;

/// Windows asked about at once.
const BATCH: usize = 128;

/// A model that can be asked.
pub(crate) struct Champion {
    pub(crate) model: Model,
    /// What drift is measured against; none for a model that was not trained here.
    pub(crate) reference: Option<DriftReference>,
}

impl Champion {
    pub(crate) fn load(
        models_dir: &Path,
        kind: ModelKind,
        model_id: &ModelId,
    ) -> anyhow::Result<Self> {
        let folder = artifact_dir(models_dir, kind, model_id);
        let model =
            Model::load(&folder).with_context(|| format!("model {model_id} cannot be used"))?;
        let reference = read_drift_reference(&folder, model.manifest())?
            .map(|bytes| serde_json::from_slice(&bytes))
            .transpose()
            .with_context(|| {
                format!("what the drift of model {model_id} is measured against cannot be read")
            })?;
        Ok(Self { model, reference })
    }

    pub(crate) fn manifest(&self) -> &Manifest {
        self.model.manifest()
    }

    /// How the labels were made that it foresees.
    pub(crate) fn barriers(&self) -> anyhow::Result<BarrierSettings> {
        serde_json::from_value(self.manifest().labels.clone())
            .with_context(|| format!("the labels of model {} are unknown", self.model.id()))
    }
}

/// Asks a model about windows `[n, WINDOW, FEATURE_COUNT]`, scaled for it.
pub(crate) fn ask(model: &Model, windows: &[f32], n: usize) -> anyhow::Result<Vec<Probabilities>> {
    let length = windows.len() / n.max(1);
    let mut said = Vec::with_capacity(n);
    for batch in windows.chunks((BATCH * length).max(1)) {
        said.extend(model.predict(batch, batch.len() / length.max(1))?);
    }
    Ok(said)
}

/// How sure a model is of itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct ConfidenceFigures {
    /// Mean probability of the most probable class.
    pub(crate) mean: f64,
    /// The same on bars that its training kept aside for calibration.
    pub(crate) calibration_mean: f64,
    /// Largest distance between the distributions of both (Kolmogorov and Smirnov), 0 to 1.
    pub(crate) ks: f64,
    /// Windows asked about.
    pub(crate) windows: usize,
}

/// Asks the model about the bars of the sample; `None` without windows or without a reference.
pub(crate) fn check_confidence(
    champion: &Champion,
    market: &Market,
    sample: &Sample,
    settings: &DriftSettings,
    findings: &mut Findings,
) -> anyhow::Result<Option<ConfidenceFigures>> {
    let known = champion.reference.as_ref();
    let known = known.map_or(&[][..], |reference| &reference.confidence);
    let mut windows = Vec::new();
    let mut count = 0;
    for place in sample.places() {
        count += usize::from(market.push_window(place, champion.model.scaler(), &mut windows));
    }
    if known.is_empty() || count == 0 {
        return Ok(None);
    }
    let said = ask(&champion.model, &windows, count)?;
    let said: Vec<f64> = said.iter().map(|said| f64::from(said.top().1)).collect();
    let known: Vec<f64> = known.iter().map(|known| f64::from(*known)).collect();
    let Ok(effect) = effect(&known, &said) else {
        return Ok(None);
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let figures = ConfidenceFigures {
        mean: mean(&said),
        calibration_mean: mean(&known),
        ks: effect.ks,
        windows: count,
    };
    let moved = (figures.mean - figures.calibration_mean).abs();
    let state = state_of(moved, settings.degraded_confidence, f64::INFINITY);
    findings.add("confidence", Cause::Model, state, || {
        format!(
            "its most probable class gets {:.0} % on average, on calibration bars it got {:.0} %",
            figures.mean * 100.0,
            figures.calibration_mean * 100.0
        )
    });
    Ok(Some(figures))
}

/// What came of what a model said, beside what is said without any knowledge.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct OutcomeFigures {
    pub(crate) outcomes: usize,
    pub(crate) log_loss: f64,
    /// Of the class prior of its training, on the same bars.
    pub(crate) prior_log_loss: f64,
    /// Mean of the difference on each session, in order.
    pub(crate) sessions: Vec<SessionLoss>,
    /// Bounds of the difference; none for too few sessions.
    pub(crate) excess: Option<DailyMean>,
}

/// One session's difference of log losses, model less prior.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct SessionLoss {
    pub(crate) session: NaiveDate,
    pub(crate) excess: f64,
    pub(crate) outcomes: usize,
}

/// Compares what was said with what came of it; `None` for too few outcomes or an unknown prior.
pub(crate) fn check_outcomes(
    champion: &Champion,
    resolved: &[ResolvedPrediction],
    settings: &DriftSettings,
    findings: &mut Findings,
) -> Option<OutcomeFigures> {
    let prior = champion.reference.as_ref()?.class_shares;
    if resolved.len() < settings.fewest_outcomes as usize {
        return None;
    }
    let (mut own, mut without) = (0.0, 0.0);
    let mut differences = Vec::new();
    for row in resolved {
        let label = row.outcome.label;
        let said = log_loss(&row.prediction.probabilities, label);
        let prior = surprise(prior.get(label.index()).copied().unwrap_or(0.0));
        own += said;
        without += prior;
        // A session's bars share their date in UTC.
        differences.push((row.outcome.bar_start.date_naive(), said - prior));
    }
    let count = resolved.len() as f64;
    let figures = OutcomeFigures {
        outcomes: resolved.len(),
        log_loss: own / count,
        prior_log_loss: without / count,
        sessions: by_session(&differences),
        excess: bounds(differences),
    };
    let mean = figures.log_loss - figures.prior_log_loss;
    // Single sessions scatter: the fewer there are, the more it takes.
    let wanted = f64::from(settings.outcome_sessions);
    let scatter = (wanted / figures.sessions.len() as f64).max(1.0).sqrt();
    let state = state_of(
        mean,
        settings.degraded_excess_loss * scatter,
        settings.critical_excess_loss * scatter,
    );
    // A mean that luck explains is no failure; of few sessions all must agree.
    let convincing = figures.excess.map_or_else(
        || figures.sessions.iter().all(|session| session.excess > 0.0),
        |excess| excess.lower > 0.0,
    );
    let state = if convincing {
        state
    } else {
        DriftState::Healthy
    };
    findings.add("outcomes", Cause::Model, state, || {
        format!(
            "the log loss of {} resolved predictions in {} sessions is {:.3}, by {mean:.3} worse than that of the class \
             shares of its training",
            figures.outcomes,
            figures.sessions.len(),
            figures.log_loss
        )
    });
    Some(figures)
}

pub(crate) fn by_session(differences: &[(NaiveDate, f64)]) -> Vec<SessionLoss> {
    let mut sessions: BTreeMap<NaiveDate, (f64, usize)> = BTreeMap::new();
    for (session, difference) in differences {
        let (sum, count) = sessions.entry(*session).or_default();
        *sum += difference;
        *count += 1;
    }
    let of_session = |(session, (sum, outcomes)): (NaiveDate, (f64, usize))| SessionLoss {
        session,
        excess: sum / outcomes as f64,
        outcomes,
    };
    sessions.into_iter().map(of_session).collect()
}

/// Bounds of a mean of paired differences over sessions; none for too few.
pub(crate) fn bounds(differences: Vec<(NaiveDate, f64)>) -> Option<DailyMean> {
    daily_mean(differences, LEVEL, RESAMPLES, 1).ok()
}

pub(crate) fn log_loss(said: &Probabilities, happened: Class) -> f64 {
    surprise(f64::from(said.of(happened)))
}

/// What was ruled out and happened costs much, but not everything.
fn surprise(probability: f64) -> f64 {
    -probability.max(1e-15).ln()
}
