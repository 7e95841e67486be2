//! A challenger becomes champion.

use anyhow::Context as _;
use chrono::TimeDelta;
use domain::{ModelId, ModelKind};
use model_registry::{ChampionsFile, Change};
use service_kit::Passing;
use storage::{ModelEvent, ModelEventKind, PgPool, model_events_of, record_model_event};

use crate::night::Night;

/// A change of champion that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// Which rider.
    pub kind: ModelKind,
    /// The champion before; nothing for the first.
    pub from: Option<ModelId>,
    /// The champion since.
    pub to: ModelId,
    /// Why, for people.
    pub why: String,
}

/// Puts the model into the champions' file, which decides, and then writes down that it happened. Doing it again changes
/// nothing, and finishes what a run left undone that died in between.
pub(crate) async fn promote(
    pool: &PgPool,
    champions: &ChampionsFile,
    promotion: &Promotion,
    night: &Night,
) -> anyhow::Result<()> {
    let (file, due, night) = (champions.clone(), promotion.clone(), *night);
    // Waits for other writers of the file.
    let change = tokio::task::spawn_blocking(move || put(&file, &due, &night))
        .await
        .context("promoting panicked")?
        .with_context(|| format!("failed to promote {}", promotion.to))?;
    if !is_recorded(pool, &change).await? {
        let event = ModelEvent {
            event_time: change.at,
            kind: promotion.kind,
            event: ModelEventKind::Promoted,
            model_id: change.to,
            previous_model_id: change.from,
            reason: change.why,
        };
        record_model_event(pool, &event).await?;
    }
    Ok(())
}

/// Changes the file, and gives the change that made the model champion.
fn put(file: &ChampionsFile, due: &Promotion, night: &Night) -> anyhow::Result<Change> {
    let record = || -> anyhow::Result<_> { Ok(file.read()?.of(due.kind).cloned()) };
    let found = record()?;
    let is_done = found
        .as_ref()
        .is_some_and(|record| record.champion == due.to);
    // A model that came since this night's first validation may be better than whom that one promoted.
    let own = found.as_ref().and_then(|record| night.own_change(record));
    let from = own.map(|change| &change.to).or(due.from.as_ref());
    let to = due.to.clone();
    if !is_done && !file.promote_in_place_of(from, due.kind, to, night.as_of, &due.why)? {
        return Err(Passing(format!(
            "the {} champion was changed while its challengers were compared: validate again",
            due.kind
        ))
        .into());
    }
    let changes = record()?.map(|record| record.changes).unwrap_or_default();
    let newest = changes.into_iter().find(|change| change.to == due.to);
    newest.context("the champions' file does not tell of the change")
}

async fn is_recorded(pool: &PgPool, change: &Change) -> anyhow::Result<bool> {
    let events = model_events_of(pool, &change.to).await?;
    // The database keeps microseconds.
    let is_it = |event: &ModelEvent| {
        event.event == ModelEventKind::Promoted
            && (event.event_time - change.at).abs() < TimeDelta::milliseconds(1)
    };
    Ok(events.iter().any(is_it))
}
