use axum::{Json, extract::State};
use chrono::{DateTime, NaiveDate, Utc};
use domain::Ticker;
use serde::{Deserialize, Serialize};
use storage::{Finding, Gap, QuarantineCount};
use utoipa::{IntoParams, ToSchema};

use super::{
    Query, ask,
    stocks::{limit, watched},
};
use crate::{
    error::{ApiError, ErrorBody},
    state::AppState,
};

const DEFAULT_ROWS: u32 = 1_000;
const MOST_ROWS: u32 = 20_000;

/// What is missing or doubtful in the stored bars.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DataQuality)]
pub(super) struct DataQualityBody {
    /// Market time of the answer.
    as_of: DateTime<Utc>,
    /// How many gaps are open in all.
    open_gaps: usize,
    /// The open gaps that began last, newest first.
    gaps: Vec<GapBody>,
    /// How many findings there are in all.
    total_findings: usize,
    /// The findings on the newest sessions, newest first.
    findings: Vec<FindingBody>,
    /// Rows of vendors that were refused, by ticker.
    quarantine: Vec<QuarantineBody>,
}

/// Bars that are missing: those with `start` <= time < `end`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Gap)]
struct GapBody {
    /// Whose.
    #[schema(value_type = String)]
    ticker: Ticker,
    /// First missing bar.
    start: DateTime<Utc>,
    /// First bar after the gap.
    end: DateTime<Utc>,
    /// `missing_minutes`, `missing_session` or `stopped`.
    reason: &'static str,
    /// How many bars are thought to be missing.
    expected_bars: u32,
    /// How many times they were asked for again.
    attempts: u32,
    /// When the gap was noticed.
    detected_at: DateTime<Utc>,
    /// When they were last asked for.
    last_attempt_at: Option<DateTime<Utc>>,
}

/// A session whose bars look wrong though each of them is well formed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Finding)]
struct FindingBody {
    /// Whose; `^NYSE` for all stocks together.
    #[schema(value_type = String)]
    ticker: Ticker,
    /// The session, New York date.
    session: NaiveDate,
    /// The check that failed.
    check: String,
    /// What was found, in the unit of the check.
    observed: f64,
    /// What was expected, in the same unit.
    expected: f64,
    /// What is wrong.
    detail: String,
    /// When it was found.
    found_at: DateTime<Utc>,
}

/// Refused rows of one ticker.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quarantine)]
struct QuarantineBody {
    /// Whose.
    #[schema(value_type = String)]
    ticker: Ticker,
    /// Different rows.
    rows: u64,
    /// How many times they were sent.
    occurrences: u64,
}

impl From<Gap> for GapBody {
    fn from(gap: Gap) -> Self {
        Self {
            ticker: gap.ticker,
            start: gap.start,
            end: gap.end,
            reason: gap.reason.name(),
            expected_bars: gap.expected_bars,
            attempts: gap.attempts,
            detected_at: gap.detected_at,
            last_attempt_at: gap.last_attempt_at,
        }
    }
}

impl From<Finding> for FindingBody {
    fn from(finding: Finding) -> Self {
        let Finding {
            ticker,
            session,
            check,
            observed,
            expected,
            detail,
            found_at,
        } = finding;
        Self {
            ticker,
            session,
            check,
            observed,
            expected,
            detail,
            found_at,
        }
    }
}

impl From<QuarantineCount> for QuarantineBody {
    fn from(count: QuarantineCount) -> Self {
        let QuarantineCount {
            ticker,
            rows,
            occurrences,
        } = count;
        Self {
            ticker,
            rows,
            occurrences,
        }
    }
}

/// Which stocks are meant.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DataQualityQuery {
    /// Only this stock, such as `AAPL`.
    #[param(max_length = 15)]
    ticker: Option<String>,
    /// Most gaps, and most findings, in the answer: 1 to 20000, by default 1000.
    #[param(minimum = 1, maximum = 20000)]
    limit: Option<u32>,
}

/// What is missing in the prices, what looks wrong and what was refused.
#[utoipa::path(
    get, path = "/data-quality", tag = "operations",
    params(DataQualityQuery),
    responses(
        (status = 200, body = DataQualityBody),
        (status = 400, body = ErrorBody, description = "`bad_parameter`"),
        (status = 404, body = ErrorBody, description = "`unknown_ticker`"),
    ),
)]
pub(super) async fn report(
    State(state): State<AppState>,
    Query(query): Query<DataQualityQuery>,
) -> Result<Json<DataQualityBody>, ApiError> {
    let limit = limit(query.limit, DEFAULT_ROWS, MOST_ROWS)? as usize;
    let ticker = query
        .ticker
        .as_deref()
        .map(|text| watched(&state, text))
        .transpose()?;
    let asked_for = |found: &Ticker| ticker.as_ref().is_none_or(|ticker| ticker == found);
    let as_of = state.clock.now();
    let mut gaps = ask(storage::open_gaps(&state.pool)).await?;
    gaps.retain(|gap| asked_for(&gap.ticker));
    gaps.sort_by(|left, right| {
        right
            .start
            .cmp(&left.start)
            .then_with(|| left.ticker.cmp(&right.ticker))
    });
    let ever = (NaiveDate::default(), as_of.date_naive());
    let mut findings = ask(storage::findings_between(&state.pool, None, ever.0, ever.1)).await?;
    // A day without trading is everybody's.
    findings.retain(|finding| asked_for(&finding.ticker) || finding.ticker == Finding::market());
    findings.reverse();
    let mut refused = ask(storage::quarantine_counts(
        &state.pool,
        DateTime::UNIX_EPOCH,
    ))
    .await?;
    refused.retain(|count| asked_for(&count.ticker));
    Ok(Json(DataQualityBody {
        as_of,
        open_gaps: gaps.len(),
        gaps: gaps.into_iter().take(limit).map(GapBody::from).collect(),
        total_findings: findings.len(),
        findings: findings
            .into_iter()
            .take(limit)
            .map(FindingBody::from)
            .collect(),
        quarantine: refused.into_iter().map(QuarantineBody::from).collect(),
    }))
}
