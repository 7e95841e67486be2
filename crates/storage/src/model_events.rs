use chrono::{DateTime, Utc};
use domain::{ModelId, ModelKind};
use sqlx::PgExecutor;

use crate::{
    StorageError,
    error::{corrupt, failed},
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
    let rows = sqlx::query!(
        r#"
        select event_time, kind, event, model_id, previous_model_id, reason
        from model_event
        order by event_time desc, model_event_id desc
        limit $1
        "#,
        i64::from(limit),
    )
    .fetch_all(executor)
    .await
    .map_err(failed(action))?;
    rows.into_iter()
        .map(|row| {
            let model = |text: String| ModelId::parse(&text).map_err(corrupt(action, text));
            Ok(ModelEvent {
                event_time: row.event_time,
                kind: row.kind.parse().map_err(corrupt(action, &row.kind))?,
                event: ModelEventKind::ALL
                    .into_iter()
                    .find(|known| known.name() == row.event)
                    .ok_or_else(|| corrupt(action, &row.event)(UnknownEvent))?,
                model_id: model(row.model_id)?,
                previous_model_id: row.previous_model_id.map(model).transpose()?,
                reason: row.reason,
            })
        })
        .collect()
}

#[derive(Debug, thiserror::Error)]
#[error("expected trained, promoted, rolled_back, loaded or refused")]
struct UnknownEvent;
