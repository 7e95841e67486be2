//! Earlier champions beside the present one, on what has come about lately.

use std::path::Path;

use calendar::Calendar;
use chrono::{DateTime, NaiveDate, Utc};
use domain::{Class, ModelId, ModelKind};
use evaluation::DailyMean;
use labels::{BarrierSettings, triple_barrier};
use serde::Serialize;

use crate::{
    DriftSettings,
    champion::{Champion, SessionLoss, ask, bounds, by_session, log_loss},
    market::Market,
};

/// How an earlier champion would have done in the place of the present one.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Trial {
    pub(crate) model_id: ModelId,
    /// Bars that neither has seen in training, with their outcome.
    pub(crate) outcomes: usize,
    /// Log loss of the present champion less its own: above 0 it is better.
    pub(crate) gain: f64,
    /// The same by session, in order.
    pub(crate) sessions: Vec<SessionLoss>,
    /// Bounds of the gain; none for too few sessions.
    pub(crate) bounds: Option<DailyMean>,
    /// Whether it would be a good change.
    pub(crate) better: bool,
}

/// A bar whose barriers have been touched.
struct Case {
    stock: usize,
    row: usize,
    start: DateTime<Utc>,
    label: Class,
}

/// Tries earlier champions, newest first, on the recent sessions. Those that cannot be loaded, that foresee something
/// else, or that have seen these sessions are left out.
pub(crate) fn try_previous(
    market: &Market,
    champion: &Champion,
    kind: ModelKind,
    previous: &[ModelId],
    models_dir: &Path,
    settings: &DriftSettings,
    calendar: &'static Calendar,
) -> anyhow::Result<Vec<Trial>> {
    let barriers = match champion.barriers() {
        Ok(barriers) => barriers,
        Err(error) => {
            tracing::warn!(model.id = %champion.model.id(), error = format!("{error:#}"), "no earlier champion can be tried");
            return Ok(Vec::new());
        }
    };
    let cases = cases(market, &barriers, settings, calendar);
    let said = Answers::of(champion, market, &cases)?;
    let mut trials = Vec::new();
    for model_id in previous.iter().take(settings.candidates as usize) {
        let candidate = match Champion::load(models_dir, kind, model_id) {
            Ok(candidate) => candidate,
            Err(error) => {
                tracing::warn!(model.id = %model_id, error = format!("{error:#}"), "{model_id} cannot take over");
                continue;
            }
        };
        if candidate.manifest().label_settings() != champion.manifest().label_settings() {
            tracing::info!(model.id = %model_id, "{model_id} cannot take over: it foresees another outcome");
            continue;
        }
        trials.push(trial(
            champion, &candidate, market, &cases, &said, settings,
        )?);
    }
    Ok(trials)
}

/// The bars of the recent sessions, not all of them, whose outcome is known.
fn cases(
    market: &Market,
    barriers: &BarrierSettings,
    settings: &DriftSettings,
    calendar: &'static Calendar,
) -> Vec<Case> {
    let sessions = market.sessions();
    let recent = sessions.iter().take(settings.shadow_sessions as usize);
    let Some(from) = recent.min().and_then(|date| calendar.session_on(*date)) else {
        return Vec::new();
    };
    let mut cases = Vec::new();
    for (stock, of) in market.stocks.iter().enumerate() {
        let labels = triple_barrier(&of.bars, barriers, calendar);
        let recent = labels.iter().filter(|label| label.start >= from.open);
        for label in recent.step_by(settings.shadow_stride as usize) {
            let row = of.rows.binary_search_by_key(&label.index, |row| row.bar);
            if let Ok(row) = row {
                cases.push(Case {
                    stock,
                    row,
                    start: label.start,
                    label: label.class(),
                });
            }
        }
    }
    cases
}

/// The log loss of a model on each case; none where there is no full window.
struct Answers(Vec<Option<f64>>);

impl Answers {
    fn of(champion: &Champion, market: &Market, cases: &[Case]) -> anyhow::Result<Self> {
        const CASES: usize = 256;
        let mut losses = Vec::with_capacity(cases.len());
        let mut windows = Vec::new();
        for cases in cases.chunks(CASES) {
            windows.clear();
            let scaler = champion.model.scaler();
            let full: Vec<bool> = cases
                .iter()
                .map(|case| {
                    let stock = market.stocks.get(case.stock);
                    stock.is_some_and(|stock| stock.push_window(case.row, scaler, &mut windows))
                })
                .collect();
            let count = full.iter().filter(|full| **full).count();
            let mut said = ask(&champion.model, &windows, count)?.into_iter();
            for (case, full) in cases.iter().zip(full) {
                let said = if full { said.next() } else { None };
                losses.push(said.map(|said| log_loss(&said, case.label)));
            }
        }
        Ok(Self(losses))
    }
}

fn trial(
    champion: &Champion,
    candidate: &Champion,
    market: &Market,
    cases: &[Case],
    said: &Answers,
    settings: &DriftSettings,
) -> anyhow::Result<Trial> {
    let seen_until = |model: &Champion| model.manifest().ranges.seen_until();
    let unseen_from = seen_until(champion).max(seen_until(candidate));
    let own = Answers::of(candidate, market, cases)?;
    let gains: Vec<(NaiveDate, f64)> = cases
        .iter()
        .zip(said.0.iter().zip(&own.0))
        .filter(|(case, _)| case.start >= unseen_from)
        .filter_map(|(case, (champion, own))| {
            // A session's bars share their date in UTC.
            Some((case.start.date_naive(), (*champion)? - (*own)?))
        })
        .collect();
    let outcomes = gains.len();
    let gain = gains.iter().map(|(_, gain)| gain).sum::<f64>() / outcomes.max(1) as f64;
    let sessions = by_session(&gains);
    let bounds = bounds(gains);
    // Of few sessions all must agree.
    let convincing = bounds.map_or_else(
        || sessions.iter().all(|session| session.excess > 0.0),
        |bounds| bounds.lower > 0.0,
    );
    let enough = outcomes >= settings.fewest_outcomes as usize;
    Ok(Trial {
        model_id: candidate.model.id().clone(),
        outcomes,
        gain,
        sessions,
        bounds,
        better: enough && convincing && gain >= settings.rollback_margin,
    })
}

/// The best of those that would be a good change.
pub(crate) fn best(trials: &[Trial]) -> Option<&Trial> {
    trials
        .iter()
        .filter(|trial| trial.better)
        .max_by(|left, right| left.gain.total_cmp(&right.gain))
}
