use axum::{Json, extract::State};
use chrono::{DateTime, NaiveDate, Utc};
use domain::Ticker;
use serde::{Deserialize, Serialize};
use storage::{PipelineRun, PipelineStep, StepTicker};
use utoipa::{IntoParams, ToSchema};

use super::{Query, ask, stocks::limit};
use crate::{
    champions::Places,
    error::{ApiError, ErrorBody},
    state::AppState,
};

const DEFAULT_RUNS: u32 = 10;
const MOST_RUNS: u32 = 200;

/// What the nights did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PipelineRuns)]
pub(super) struct RunsBody {
    /// The runs, newest first.
    runs: Vec<RunBody>,
}

/// A run of the nightly pipeline.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PipelineRun)]
struct RunBody {
    /// Number of the run.
    run_id: i64,
    /// Session that the night follows, New York date.
    night: NaiveDate,
    /// `PENDING` when it was interrupted, `RUNNING`, `SUCCESS` or `FAILED`.
    state: &'static str,
    /// Whether the program died that was running it; the next start of the night goes on with it.
    abandoned: bool,
    /// When it began.
    started_at: DateTime<Utc>,
    /// When it ended; null while it is unfinished.
    ended_at: Option<DateTime<Utc>>,
    /// Its steps in their order.
    steps: Vec<StepBody>,
}

/// A step of a run.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PipelineStep)]
struct StepBody {
    /// Name of the step, such as `train`.
    step: String,
    /// `PENDING`, `RUNNING`, `SUCCESS` or `FAILED`.
    state: &'static str,
    /// How many times it was begun.
    attempts: u32,
    /// When it was last begun.
    started_at: Option<DateTime<Utc>>,
    /// When its last attempt ended.
    ended_at: Option<DateTime<Utc>>,
    /// What came of it.
    message: String,
    /// When it is tried again after a failure that may pass.
    next_attempt_at: Option<DateTime<Utc>>,
    /// How the stocks fared, where the step works on them one by one.
    tickers: Vec<StepTickerBody>,
}

/// How a stock fared in a step.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PipelineStepTicker)]
struct StepTickerBody {
    /// The stock.
    #[schema(value_type = String)]
    ticker: Ticker,
    /// `PENDING`, `RUNNING`, `SUCCESS` or `FAILED`.
    state: &'static str,
    /// How many times it was tried to the end.
    attempts: u32,
    /// When the last try ended.
    ended_at: Option<DateTime<Utc>>,
    /// What came of it.
    message: String,
}

impl RunBody {
    fn new(run: PipelineRun, places: &Places) -> Self {
        let steps = run.steps.into_iter();
        Self {
            run_id: run.run_id,
            night: run.night,
            state: run.state.name(),
            abandoned: run.abandoned,
            started_at: run.started_at,
            ended_at: run.ended_at,
            steps: steps.map(|step| StepBody::new(step, places)).collect(),
        }
    }
}

impl StepBody {
    fn new(step: PipelineStep, places: &Places) -> Self {
        let tickers = step.tickers.into_iter();
        Self {
            step: step.step,
            state: step.state.name(),
            attempts: step.attempts,
            started_at: step.started_at,
            ended_at: step.ended_at,
            message: places.without_folders(&step.message),
            next_attempt_at: step.next_attempt_at,
            tickers: tickers
                .map(|row| StepTickerBody::new(row, places))
                .collect(),
        }
    }
}

impl StepTickerBody {
    fn new(row: StepTicker, places: &Places) -> Self {
        Self {
            ticker: row.ticker,
            state: row.state.name(),
            attempts: row.attempts,
            ended_at: row.ended_at,
            message: places.without_folders(&row.message),
        }
    }
}

/// How many runs are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RunsQuery {
    /// Most runs in the answer: 1 to 200, by default 10.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// What the nights did, step by step and stock by stock.
#[utoipa::path(
    get, path = "/pipeline/runs", tag = "operations",
    params(RunsQuery),
    responses(
        (status = 200, body = RunsBody),
        (status = 400, body = ErrorBody, description = "`bad_parameter`"),
    ),
)]
pub(super) async fn runs(
    State(state): State<AppState>,
    Query(query): Query<RunsQuery>,
) -> Result<Json<RunsBody>, ApiError> {
    let limit = limit(query.limit, DEFAULT_RUNS, MOST_RUNS)?;
    let runs = ask(storage::recent_runs(&state.pool, limit))
        .await?
        .into_iter();
    Ok(Json(RunsBody {
        runs: runs.map(|run| RunBody::new(run, &state.places)).collect(),
    }))
}
