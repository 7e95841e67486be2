//! One look at the champions: what is measured, what state that makes, what is done.

use std::sync::Arc;

use alerts::Alert;
use anyhow::Context as _;
use chrono::{DateTime, Utc};
use domain::{ModelId, ModelKind};
use model_registry::KindRecord;
use serde::Serialize;
use storage::{DriftReport, DriftState, ResolvedPrediction, recent_drift_reports};

use crate::{
    DriftMonitor, DriftSettings,
    champion::{Champion, ConfidenceFigures, OutcomeFigures, check_confidence, check_outcomes},
    findings::{Finding, Findings},
    hysteresis::next_state,
    inputs::{self, InputFigures, Sample},
    load,
    market::Market,
    prices::{self, Level, PriceFigures},
    shadow::Trial,
};

/// What a look at a champion came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// Which rider.
    pub kind: ModelKind,
    /// The model looked at.
    pub model_id: ModelId,
    /// What was measured, before hysteresis.
    pub measured: DriftState,
    /// The state after it.
    pub state: DriftState,
    /// What was done, for people; empty for nothing.
    pub action: String,
}

/// All figures of a look at a champion.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    pub(crate) findings: Findings,
    pub(crate) prices: PriceFigures,
    pub(crate) inputs: Option<InputFigures>,
    confidence: Option<ConfidenceFigures>,
    outcomes: Option<OutcomeFigures>,
}

/// A stored report's figures.
#[derive(Serialize)]
struct Report<'a> {
    /// The state before hysteresis; the next looks count these.
    measured: &'static str,
    findings: &'a [Finding],
    prices: &'a PriceFigures,
    inputs: &'a Option<InputFigures>,
    confidence: &'a Option<ConfidenceFigures>,
    outcomes: &'a Option<OutcomeFigures>,
    /// Earlier champions on the recent outcomes, where they were tried.
    trials: &'a [Trial],
}

impl DriftMonitor {
    /// Looks at the champions with what was known at `as_of` (UTC, market clock), stores a report of each, and acts on
    /// critical drift. A second look at the same time changes nothing.
    ///
    /// # Errors
    /// When the database is lost or the champions' file is broken. A champion that cannot be used is logged and left out.
    pub async fn look(&self, as_of: DateTime<Utc>) -> anyhow::Result<Vec<Look>> {
        let champions = self.places.champions.read()?;
        if ModelKind::ALL
            .into_iter()
            .all(|kind| champions.of(kind).is_none())
        {
            tracing::info!("no champion yet: nothing to look at");
            return Ok(Vec::new());
        }
        let calendar = calendar::nyse();
        let market =
            load::market(&self.pool, &self.tickers, as_of, &self.settings, calendar).await?;
        let Some(market) = market else {
            tracing::warn!("no bars of the watched stocks: drift cannot be measured");
            return Ok(Vec::new());
        };
        let mut looks = Vec::new();
        for kind in ModelKind::ALL {
            if let Some(record) = champions.of(kind) {
                looks.extend(self.look_at(kind, record, &market).await?);
            }
        }
        Ok(looks)
    }

    async fn look_at(
        &self,
        kind: ModelKind,
        record: &KindRecord,
        market: &Arc<Market>,
    ) -> anyhow::Result<Option<Look>> {
        let as_of = market.as_of;
        let limit = self.settings.worsen_after.max(self.settings.improve_after);
        let before = recent_drift_reports(&self.pool, Some(kind), None, limit).await?;
        if before.first().is_some_and(|newest| newest.as_of >= as_of) {
            return Ok(None);
        }
        let (models_dir, model_id) = (self.places.models_dir.clone(), record.champion.clone());
        let loaded = tokio::task::spawn_blocking(move || {
            Champion::load(&models_dir, kind, &model_id).map(Arc::new)
        })
        .await
        .context("loading the champion panicked")?;
        let champion = match loaded {
            Ok(champion) => champion,
            Err(error) => {
                tracing::error!(
                    model.id = %record.champion, error = format!("{error:#}"),
                    "the {kind} champion cannot be looked at"
                );
                return Ok(None);
            }
        };
        let measured = self.measure(&champion, market).await?;
        let (state_before, state) = state(&before, &record.champion, &measured, &self.settings);
        let mut trials = Vec::new();
        let action = self
            .act(
                kind,
                record,
                state,
                &measured,
                market,
                &champion,
                &mut trials,
            )
            .await?;
        let report = Report {
            measured: measured.findings.state().name(),
            findings: measured.findings.as_slice(),
            prices: &measured.prices,
            inputs: &measured.inputs,
            confidence: &measured.confidence,
            outcomes: &measured.outcomes,
            trials: &trials,
        };
        let report = DriftReport {
            model_id: record.champion.clone(),
            kind,
            session: market.session.date,
            as_of,
            state,
            action: action.clone(),
            report: serde_json::to_value(report).context("a report is no JSON")?,
        };
        storage::store_drift_report(&self.pool, &report).await?;
        self.tell(&report, state_before, &measured.findings).await;
        Ok(Some(Look {
            kind,
            model_id: record.champion.clone(),
            measured: measured.findings.state(),
            state,
            action,
        }))
    }

    async fn measure(
        &self,
        champion: &Arc<Champion>,
        market: &Arc<Market>,
    ) -> anyhow::Result<Measured> {
        let as_of = market.as_of;
        let closes = champion.reference.as_ref();
        let closes = closes.map_or(&[][..], |reference| &reference.closes);
        let trained_at = champion.manifest().created_at;
        let levels = load::levels(&self.pool, closes, trained_at, as_of).await?;
        let sessions = market.sessions();
        let sessions = sessions
            .iter()
            .take(self.settings.outcome_sessions as usize);
        let first = sessions
            .min()
            .and_then(|date| calendar::nyse().session_on(*date));
        let resolved = match first {
            Some(first) => {
                storage::resolved_predictions(
                    &self.pool,
                    Some(champion.model.id()),
                    &champion.manifest().label_settings(),
                    first.open,
                    as_of,
                )
                .await?
            }
            None => Vec::new(),
        };
        let (champion, market) = (Arc::clone(champion), Arc::clone(market));
        let settings = self.settings.clone();
        tokio::task::spawn_blocking(move || {
            measure(&champion, &market, &levels, &resolved, &settings)
        })
        .await
        .context("measuring drift panicked")?
    }

    /// Tells a person when the state became worse or something was done, and the log in any case.
    async fn tell(&self, report: &DriftReport, before: DriftState, findings: &Findings) {
        let DriftReport {
            model_id,
            kind,
            state,
            action,
            ..
        } = report;
        tracing::info!(
            model.id = %model_id,
            state = state.name(),
            measured = findings.state().name(),
            "the {kind} champion is {}", state.name()
        );
        if *state <= before && action.is_empty() {
            return;
        }
        let mut text = format!(
            "{model_id} was {} and is {}.\n{}",
            before.name(),
            state.name(),
            findings.text()
        );
        if !action.is_empty() {
            text.push('\n');
            text.push_str(action);
        }
        let alert = Alert {
            subject: format!("Tandem: the {kind} champion is {}", state.name()),
            text,
        };
        self.alerts.send(&alert).await;
    }
}

/// Everything that can be measured without the database.
fn measure(
    champion: &Champion,
    market: &Market,
    levels: &[Level],
    resolved: &[ResolvedPrediction],
    settings: &DriftSettings,
) -> anyhow::Result<Measured> {
    let mut measured = Measured::default();
    let findings = &mut measured.findings;
    measured.prices = prices::check(market, levels, settings, findings);
    let sample = Sample::of(market);
    let reference = champion.reference.as_ref();
    if let Some(reference) = reference.and_then(|reference| reference.features.as_ref()) {
        let scaler = champion.model.scaler();
        measured.inputs = inputs::check(market, &sample, reference, scaler, settings, findings)?;
    }
    measured.confidence = check_confidence(champion, market, &sample, settings, findings)?;
    measured.outcomes = check_outcomes(champion, resolved, settings, findings);
    Ok(measured)
}

/// The state before and after a look, from the reports before it (newest first). The state stays with the kind, so that
/// a change of champion alone heals nothing; what counts towards a change are looks at the same model.
fn state(
    before: &[DriftReport],
    model_id: &ModelId,
    measured: &Measured,
    settings: &DriftSettings,
) -> (DriftState, DriftState) {
    let state_before = before
        .first()
        .map_or(DriftState::Healthy, |newest| newest.state);
    let own = before
        .iter()
        .take_while(|report| report.model_id == *model_id)
        .map_while(|report| {
            let name = report.report.get("measured")?.as_str()?;
            DriftState::ALL
                .into_iter()
                .find(|state| state.name() == name)
        });
    let newest_first: Vec<DriftState> =
        [measured.findings.state()].into_iter().chain(own).collect();
    let state = next_state(
        state_before,
        &newest_first,
        settings.worsen_after as usize,
        settings.improve_after as usize,
    );
    (state_before, state)
}
