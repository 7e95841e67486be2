//! What is done about critical drift: once in an episode, and never for the worse.

use std::sync::Arc;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use domain::{ModelId, ModelKind};
use model_registry::{KindRecord, ROLLED_BACK};
use storage::{
    DriftEpisode, DriftState, EpisodeAction, ModelEvent, ModelEventKind, begin_drift_episode,
    claim_episode_action, end_drift_episode, newest_drift_episode, recent_model_events,
    record_model_event,
};

use crate::{
    DriftMonitor,
    champion::Champion,
    look::Measured,
    market::Market,
    shadow::{Trial, best, try_previous},
};

/// Model events among which an earlier rollback is looked for.
const RECENT_EVENTS: u32 = 200;

impl DriftMonitor {
    /// Does what the state asks for and says what was done; nothing unless the drift is critical and this episode has
    /// seen no action yet.
    #[expect(clippy::too_many_arguments, reason = "all that is known of the look")]
    pub(crate) async fn act(
        &self,
        kind: ModelKind,
        record: &KindRecord,
        state: DriftState,
        measured: &Measured,
        market: &Arc<Market>,
        champion: &Arc<Champion>,
        trials: &mut Vec<Trial>,
    ) -> anyhow::Result<String> {
        let as_of = market.as_of;
        if state == DriftState::Healthy {
            end_drift_episode(&self.pool, kind, as_of).await?;
        }
        if state != DriftState::Critical {
            return Ok(String::new());
        }
        let begun = begin_drift_episode(&self.pool, kind, &record.champion, as_of).await?;
        let Some(episode) = newest_drift_episode(&self.pool, kind).await? else {
            return Ok(String::new());
        };
        // A state outlasts what it was about: what is over needs no action.
        if episode.action.is_some() || measured.findings.state() < DriftState::Critical {
            return Ok(String::new());
        }
        if self.finish_rollback(&episode, record).await? {
            return Ok(String::new());
        }
        if measured.findings.prices_are_wrong() {
            // Said once: the alert of the change of state has gone out with it.
            return Ok(begun.map_or(String::new(), |_| {
                "The prices are to blame: no model is changed, and nothing should be learned from them. Mend the feed."
                    .to_owned()
            }));
        }
        if self.cools_down(kind, as_of).await? {
            let why = "An earlier rollback is too recent for another.";
            return self.request_retraining(&episode, why, as_of).await;
        }
        *trials = self.try_previous(kind, record, market, champion).await?;
        match best(trials) {
            Some(trial) => self.roll_back(kind, record, &episode, trial, as_of).await,
            None => {
                let why = if trials.is_empty() {
                    "There is no earlier champion to go back to."
                } else {
                    "No earlier champion would do better on the recent sessions."
                };
                self.request_retraining(&episode, why, as_of).await
            }
        }
    }

    async fn try_previous(
        &self,
        kind: ModelKind,
        record: &KindRecord,
        market: &Arc<Market>,
        champion: &Arc<Champion>,
    ) -> anyhow::Result<Vec<Trial>> {
        let (market, champion) = (Arc::clone(market), Arc::clone(champion));
        let previous = record.previous.clone();
        let (models_dir, settings) = (self.places.models_dir.clone(), self.settings.clone());
        let calendar = calendar::nyse();
        tokio::task::spawn_blocking(move || {
            try_previous(
                &market,
                &champion,
                kind,
                &previous,
                &models_dir,
                &settings,
                calendar,
            )
        })
        .await
        .context("trying earlier champions panicked")?
    }

    /// Puts an earlier champion back. The episode's action is claimed, and committed only when the champions' file is
    /// changed: of two monitors one acts, and one that dies in between is finished by [`Self::finish_rollback`].
    async fn roll_back(
        &self,
        kind: ModelKind,
        record: &KindRecord,
        episode: &DriftEpisode,
        trial: &Trial,
        as_of: DateTime<Utc>,
    ) -> anyhow::Result<String> {
        let mut transaction = self
            .pool
            .begin()
            .await
            .context("failed to begin a rollback")?;
        let id = episode.episode_id;
        let action = EpisodeAction::RolledBack;
        if !claim_episode_action(&mut *transaction, id, action, as_of).await? {
            return Ok(String::new());
        }
        let (from, to) = (&record.champion, &trial.model_id);
        let why = format!(
            "{ROLLED_BACK}: on {} outcomes of {} recent sessions the log loss of {to} is {:.3} lower than that of {from}",
            trial.outcomes,
            trial.sessions.len(),
            trial.gain
        );
        record_model_event(&mut *transaction, &event(kind, from, to, &why, as_of)).await?;
        let (champions, model_id, reason) =
            (self.places.champions.clone(), to.clone(), why.clone());
        // Waits for other writers of the file. What one of them has promoted meanwhile has not failed yet.
        let expected = from.clone();
        let is_done = tokio::task::spawn_blocking(move || {
            champions.promote_in_place_of(Some(&expected), kind, model_id, as_of, &reason)
        })
        .await
        .context("promoting panicked")??;
        if !is_done {
            tracing::info!(model.id = %from, "{from} is no longer the champion: nothing is rolled back");
            return Ok(String::new());
        }
        transaction
            .commit()
            .await
            .context("failed to end a rollback")?;
        tracing::warn!(model.id = %to, "{why}");
        Ok(format!("{to} is the champion again, {why}."))
    }

    /// Whether a monitor died between changing the champions' file and saying so: then it is said now.
    async fn finish_rollback(
        &self,
        episode: &DriftEpisode,
        record: &KindRecord,
    ) -> anyhow::Result<bool> {
        let since = record.changes.iter();
        let done = since
            .take_while(|change| change.at >= episode.began_at)
            .find(|change| change.is_rollback());
        let Some(change) = done else {
            return Ok(false);
        };
        let (id, action) = (episode.episode_id, EpisodeAction::RolledBack);
        if claim_episode_action(&self.pool, id, action, change.at).await? {
            let from = change.from.as_ref().unwrap_or(&episode.model_id);
            let event = event(episode.kind, from, &change.to, &change.why, change.at);
            record_model_event(&self.pool, &event).await?;
        }
        Ok(true)
    }

    async fn request_retraining(
        &self,
        episode: &DriftEpisode,
        why: &str,
        as_of: DateTime<Utc>,
    ) -> anyhow::Result<String> {
        let (id, action) = (episode.episode_id, EpisodeAction::RetrainingRequested);
        if claim_episode_action(&self.pool, id, action, as_of).await? {
            Ok(format!("{why} A training is requested."))
        } else {
            Ok(String::new())
        }
    }

    async fn cools_down(&self, kind: ModelKind, as_of: DateTime<Utc>) -> anyhow::Result<bool> {
        let events = recent_model_events(&self.pool, RECENT_EVENTS).await?;
        Ok(events.iter().any(|event| {
            event.kind == kind
                && event.event == ModelEventKind::RolledBack
                && event.event_time > as_of - self.settings.cool_down()
        }))
    }
}

fn event(
    kind: ModelKind,
    from: &ModelId,
    to: &ModelId,
    why: &str,
    at: DateTime<Utc>,
) -> ModelEvent {
    ModelEvent {
        event_time: at,
        kind,
        event: ModelEventKind::RolledBack,
        model_id: to.clone(),
        previous_model_id: Some(from.clone()),
        reason: why.to_owned(),
    }
}
