use chrono::{DateTime, NaiveDate, Utc};
use domain::{ModelId, ModelKind};
use sqlx::PgExecutor;

use crate::{
    StorageError,
    error::{Answered as _, corrupt, failed},
};

/// How a model is doing, after hysteresis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DriftState {
    /// The market is the one it knows.
    Healthy,
    /// Something has moved.
    Degraded,
    /// It cannot be relied on.
    Critical,
}

impl DriftState {
    /// All states, the worst last.
    pub const ALL: [Self; 3] = [Self::Healthy, Self::Degraded, Self::Critical];

    /// The name in the table and in answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Critical => "critical",
        }
    }
}

/// How far the market has moved from what a model was trained on, and how it does.
#[derive(Clone, Debug, PartialEq)]
pub struct DriftReport {
    /// The model looked at.
    pub model_id: ModelId,
    /// Which rider.
    pub kind: ModelKind,
    /// The session looked at, New York date.
    pub session: NaiveDate,
    /// When it was looked at, UTC, market clock.
    pub as_of: DateTime<Utc>,
    /// How it is doing.
    pub state: DriftState,
    /// What was done about it, for people; empty for nothing.
    pub action: String,
    /// All figures, as the drift monitor writes them.
    pub report: serde_json::Value,
}

/// Stores a report. One of the same model and time that is there already stands; false then.
///
/// # Errors
/// When the database is lost.
pub async fn store_drift_report(
    executor: impl PgExecutor<'_>,
    report: &DriftReport,
) -> Result<bool, StorageError> {
    let done = sqlx::query!(
        r#"
        insert into drift_report (model_id, kind, session, as_of, state, action, report)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (model_id, as_of) do nothing
        "#,
        report.model_id.as_str(),
        report.kind.name(),
        report.session,
        report.as_of,
        report.state.name(),
        report.action,
        report.report,
    )
    .execute(executor)
    .answered()
    .await
    .map_err(failed("store a drift report"))?;
    Ok(done.rows_affected() > 0)
}

/// The newest `limit` reports of a kind or of both, made before `before` (UTC, market clock) if given, the newest first.
///
/// # Errors
/// When the database is lost.
pub async fn recent_drift_reports(
    executor: impl PgExecutor<'_>,
    kind: Option<ModelKind>,
    before: Option<DateTime<Utc>>,
    limit: u32,
) -> Result<Vec<DriftReport>, StorageError> {
    let action = "read the drift reports";
    let rows = sqlx::query!(
        r#"
        select model_id, kind, session, as_of, state, action, report
        from drift_report
        where ($1::text is null or kind = $1) and as_of < coalesce($2, 'infinity'::timestamptz)
        order by as_of desc, drift_report_id desc
        limit $3
        "#,
        kind.map(ModelKind::name),
        before,
        i64::from(limit),
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    rows.into_iter()
        .map(|row| {
            Ok(DriftReport {
                model_id: ModelId::parse(&row.model_id).map_err(corrupt(action, &row.model_id))?,
                kind: row.kind.parse().map_err(corrupt(action, &row.kind))?,
                session: row.session,
                as_of: row.as_of,
                state: DriftState::ALL
                    .into_iter()
                    .find(|known| known.name() == row.state)
                    .ok_or_else(|| {
                        corrupt(action, &row.state)(UnknownName("healthy, degraded or critical"))
                    })?,
                action: row.action,
                report: row.report,
            })
        })
        .collect()
}

/// What can be done about an episode of critical drift.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EpisodeAction {
    /// An earlier champion took over.
    RolledBack,
    /// None was better: the next night is to train.
    RetrainingRequested,
}

impl EpisodeAction {
    const ALL: [Self; 2] = [Self::RolledBack, Self::RetrainingRequested];

    /// The name in the table.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RolledBack => "rolled_back",
            Self::RetrainingRequested => "retraining_requested",
        }
    }
}

/// A stretch of critical drift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriftEpisode {
    /// Its number, ascending.
    pub episode_id: i64,
    /// Which rider.
    pub kind: ModelKind,
    /// The champion when it began.
    pub model_id: ModelId,
    /// When the drift became critical, UTC, market clock.
    pub began_at: DateTime<Utc>,
    /// When it was over, UTC, market clock; nothing while it lasts.
    pub ended_at: Option<DateTime<Utc>>,
    /// What was done about it and when, UTC, market clock.
    pub action: Option<(EpisodeAction, DateTime<Utc>)>,
    /// When a night had carried out the training that was asked for, UTC, market clock.
    pub retrained_at: Option<DateTime<Utc>>,
}

/// Begins an episode of a kind unless one lasts, and gives its number; `None` when one lasts already. `at` in market
/// time, UTC.
///
/// # Errors
/// When the database is lost.
pub async fn begin_drift_episode(
    executor: impl PgExecutor<'_>,
    kind: ModelKind,
    model_id: &ModelId,
    at: DateTime<Utc>,
) -> Result<Option<i64>, StorageError> {
    sqlx::query_scalar!(
        r#"
        insert into drift_episode (kind, model_id, began_at)
        values ($1, $2, $3)
        on conflict (kind) where ended_at is null do nothing
        returning drift_episode_id
        "#,
        kind.name(),
        model_id.as_str(),
        at,
    )
    .fetch_optional(executor)
    .answered()
    .await
    .map_err(failed("begin an episode of drift"))
}

/// Claims the one action of an episode: true for the first caller only, who then does it. `at` in market time, UTC.
///
/// # Errors
/// When the database is lost.
pub async fn claim_episode_action(
    executor: impl PgExecutor<'_>,
    episode_id: i64,
    action: EpisodeAction,
    at: DateTime<Utc>,
) -> Result<bool, StorageError> {
    let done = sqlx::query!(
        "update drift_episode set action = $2, acted_at = $3 where drift_episode_id = $1 and action is null",
        episode_id,
        action.name(),
        at,
    )
    .execute(executor)
    .answered()
    .await
    .map_err(failed("act on an episode of drift"))?;
    Ok(done.rows_affected() > 0)
}

/// The kinds whose training the drift monitor has asked for by `until` and no night has carried out, with the time of the
/// request; both UTC, market clock.
///
/// # Errors
/// When the database is lost.
pub async fn retraining_requests(
    executor: impl PgExecutor<'_>,
    until: DateTime<Utc>,
) -> Result<Vec<(ModelKind, DateTime<Utc>)>, StorageError> {
    let action = "read which trainings were asked for";
    let rows = sqlx::query!(
        r#"
        select kind, acted_at as "acted_at!"
        from drift_episode
        where action = 'retraining_requested' and retrained_at is null and acted_at <= $1
        order by acted_at
        "#,
        until,
    )
    .fetch_all(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    rows.into_iter()
        .map(|row| {
            Ok((
                row.kind.parse().map_err(corrupt(action, &row.kind))?,
                row.acted_at,
            ))
        })
        .collect()
}

/// Notes at `at` that a night has trained and validated what was asked for by `until`; both UTC, market clock.
///
/// # Errors
/// When the database is lost.
pub async fn carry_out_retraining(
    executor: impl PgExecutor<'_>,
    until: DateTime<Utc>,
    at: DateTime<Utc>,
) -> Result<(), StorageError> {
    sqlx::query!(
        r#"
        update drift_episode
        set retrained_at = $2
        where action = 'retraining_requested' and retrained_at is null and acted_at <= $1
        "#,
        until,
        at,
    )
    .execute(executor)
    .answered()
    .await
    .map_err(failed("note that a training was carried out"))?;
    Ok(())
}

/// Ends the episode of a kind, if one lasts. `at` in market time, UTC.
///
/// # Errors
/// When the database is lost.
pub async fn end_drift_episode(
    executor: impl PgExecutor<'_>,
    kind: ModelKind,
    at: DateTime<Utc>,
) -> Result<(), StorageError> {
    sqlx::query!(
        "update drift_episode set ended_at = greatest($2, began_at) where kind = $1 and ended_at is null",
        kind.name(),
        at,
    )
    .execute(executor)
    .answered()
    .await
    .map_err(failed("end an episode of drift"))?;
    Ok(())
}

/// The newest episode of a kind, whether it lasts or not.
///
/// # Errors
/// When the database is lost.
pub async fn newest_drift_episode(
    executor: impl PgExecutor<'_>,
    kind: ModelKind,
) -> Result<Option<DriftEpisode>, StorageError> {
    let action = "read the episodes of drift";
    let row = sqlx::query!(
        r#"
        select drift_episode_id, kind, model_id, began_at, ended_at, action, acted_at, retrained_at
        from drift_episode
        where kind = $1
        order by drift_episode_id desc
        limit 1
        "#,
        kind.name(),
    )
    .fetch_optional(executor)
    .answered()
    .await
    .map_err(failed(action))?;
    let Some(row) = row else {
        return Ok(None);
    };
    let acted = match (row.action, row.acted_at) {
        (Some(name), Some(at)) => {
            let known = EpisodeAction::ALL
                .into_iter()
                .find(|known| known.name() == name)
                .ok_or_else(|| {
                    corrupt(action, name)(UnknownName("rolled_back or retraining_requested"))
                })?;
            Some((known, at))
        }
        _ => None,
    };
    Ok(Some(DriftEpisode {
        episode_id: row.drift_episode_id,
        kind: row.kind.parse().map_err(corrupt(action, &row.kind))?,
        model_id: ModelId::parse(&row.model_id).map_err(corrupt(action, &row.model_id))?,
        began_at: row.began_at,
        ended_at: row.ended_at,
        action: acted,
        retrained_at: row.retrained_at,
    }))
}

#[derive(Debug, thiserror::Error)]
#[error("expected {0}")]
struct UnknownName(&'static str);
