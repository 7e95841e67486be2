use chrono::{DateTime, Utc};
use domain::{ModelId, ModelKind};
use sqlx::PgExecutor;

use crate::{
    StorageError,
    error::{Answered as _, corrupt, failed},
};

/// What can happen to a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ModelEventKind {
    /// An artifact was written.
    Trained,
    /// It became champion.
    Promoted,
    /// It became champion again in place of a newer one.
    RolledBack,
    /// A service uses it.
    Loaded,
    /// A service could not use it.
    Refused,
}

impl ModelEventKind {
    const ALL: [Self; 5] = [
        Self::Trained,
        Self::Promoted,
        Self::RolledBack,
        Self::Loaded,
        Self::Refused,
    ];

    /// The name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Trained => "trained",
            Self::Promoted => "promoted",
            Self::RolledBack => "rolled_back",
            Self::Loaded => "loaded",
            Self::Refused => "refused",
        }
    }
}

/// Something that happened to a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelEvent {
    /// When, UTC, market clock.
    pub event_time: DateTime<Utc>,
    /// Which rider.
    pub kind: ModelKind,
    /// What happened.
    pub event: ModelEventKind,
    /// To which model.
    pub model_id: ModelId,
    /// The champion before it, if any.
    pub previous_model_id: Option<ModelId>,
    /// Why, for people.
    pub reason: String,
}

/// Writes down what happened to a model.
///
/// # Errors
/// When the database is lost.
pub async fn record_model_event(
    executor: impl PgExecutor<'_>,
    event: &ModelEvent,
) -> Result<(), StorageError> {
    sqlx::query!(
        r#"
        insert into model_event (event_time, kind, event, model_id, previous_model_id, reason)
        values ($1, $2, $3, $4, $5, $6)
        "#,
        event.event_time,
        event.kind.name(),
        event.event.name(),
        event.model_id.as_str(),
        event.previous_model_id.as_ref().map(ModelId::as_str),
        event.reason,
    )
    .execute(executor)
    .answered()
    .await
    .map_err(failed("record a model event"))?;
    Ok(())
}

/// The newest `limit` events, the newest first.
///
/// # Errors
/// When the database is lost.
pub async fn recent_model_events(
    executor: impl PgExecutor<'_>,
    limit: u32,
) -> Result<Vec<ModelEvent>, StorageError> {
    let action = "read the model events";
    sqlx::query_as!(
        EventRow,
        r#"
        select event_time, kind, event, model_id, previous_model_id, reason
        from model_event
        order by event_time desc, model_event_id desc
        limit $1
        "#,
        i64::from(limit),
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?
    .into_iter()
    .map(|row| row.check(action))
    .collect()
}

/// What happened to a model, the oldest first.
///
/// # Errors
/// When the database is lost.
pub async fn model_events_of(
    executor: impl PgExecutor<'_>,
    model_id: &ModelId,
) -> Result<Vec<ModelEvent>, StorageError> {
    let action = "read the events of a model";
    sqlx::query_as!(
        EventRow,
        r#"
        select event_time, kind, event, model_id, previous_model_id, reason
        from model_event
        where model_id = $1
        order by event_time, model_event_id
        "#,
        model_id.as_str(),
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?
    .into_iter()
    .map(|row| row.check(action))
    .collect()
}

/// The last event of a sort about a kind up to `until` (UTC, market clock), if there is any: with
/// [`ModelEventKind::Loaded`] it says which model was in use.
///
/// # Errors
/// When the database is lost.
pub async fn last_model_event(
    executor: impl PgExecutor<'_>,
    kind: ModelKind,
    event: ModelEventKind,
    until: DateTime<Utc>,
) -> Result<Option<ModelEvent>, StorageError> {
    let action = "read a model event";
    sqlx::query_as!(
        EventRow,
        r#"
        select event_time, kind, event, model_id, previous_model_id, reason
        from model_event
        where kind = $1 and event = $2 and event_time <= $3
        order by event_time desc, model_event_id desc
        limit 1
        "#,
        kind.name(),
        event.name(),
        until,
    )
    .fetch_optional(executor)
    .answered()
    .await
    .map_err(failed(action))?
    .map(|row| row.check(action))
    .transpose()
}

struct EventRow {
    event_time: DateTime<Utc>,
    kind: String,
    event: String,
    model_id: String,
    previous_model_id: Option<String>,
    reason: String,
}

impl EventRow {
    fn check(self, action: &'static str) -> Result<ModelEvent, StorageError> {
        let model = |text: String| ModelId::parse(&text).map_err(corrupt(action, text));
        Ok(ModelEvent {
            event_time: self.event_time,
            kind: self.kind.parse().map_err(corrupt(action, &self.kind))?,
            event: ModelEventKind::ALL
                .into_iter()
                .find(|known| known.name() == self.event)
                .ok_or_else(|| corrupt(action, &self.event)(UnknownEvent))?,
            model_id: model(self.model_id)?,
            previous_model_id: self.previous_model_id.map(model).transpose()?,
            reason: self.reason,
        })
    }
}

#[derive(Debug, thiserror::Error)]
#[error("expected trained, promoted, rolled_back, loaded or refused")]
struct UnknownEvent;
