use axum::{Json, extract::State};
use chrono::{DateTime, NaiveDate, Utc};
use domain::{ShareChange, Ticker};
use serde::Serialize;
use storage::{ActionKind, StoredAction};
use utoipa::ToSchema;

use super::{Path, ask, stocks::watched};
use crate::{
    error::{ApiError, ErrorBody},
    state::AppState,
};

/// Corporate actions of one stock.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Actions)]
pub(super) struct ActionsBody {
    /// Whose.
    #[schema(value_type = String)]
    ticker: Ticker,
    /// By ex-date, the newest first; those announced for the future too.
    actions: Vec<ActionBody>,
}

/// What a company did to its shares on a day.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Action)]
struct ActionBody {
    /// `split`, `spin_off` or `dividend`.
    kind: &'static str,
    /// First day of trading without the right, New York date.
    ex_date: NaiveDate,
    /// Open of that day's session: prices from here on are on the new basis.
    effective_at: DateTime<Utc>,
    /// Of a split: shares after for each share before. Of a spin-off: price before for each dollar of price after.
    ratio: Option<f64>,
    /// Of a dividend: US dollars per share, on the share basis of `fetched_at`.
    amount: Option<f64>,
    /// The vendor that reported it.
    source: String,
    /// When it did.
    fetched_at: DateTime<Utc>,
    /// When a person took it back; null for one that counts.
    removed_at: Option<DateTime<Utc>>,
}

impl From<StoredAction> for ActionBody {
    fn from(stored: StoredAction) -> Self {
        let (ratio, amount) = match stored.action.change {
            ShareChange::Split { ratio } | ShareChange::SpinOff { ratio } => (Some(ratio), None),
            ShareChange::Dividend { amount } => (None, Some(amount)),
        };
        Self {
            kind: ActionKind::of(stored.action.change).name(),
            ex_date: stored.action.ex_date,
            effective_at: stored.action.effective_at,
            ratio,
            amount,
            source: stored.source,
            fetched_at: stored.fetched_at,
            removed_at: stored.removed_at,
        }
    }
}

/// Splits, spin-offs and dividends of one stock.
#[utoipa::path(
    get, path = "/stocks/{ticker}/actions", tag = "stocks",
    params(("ticker" = String, Path, description = "Symbol, such as AAPL", max_length = 15)),
    responses(
        (status = 200, body = ActionsBody),
        (status = 404, body = ErrorBody, description = "`unknown_ticker`"),
    ),
)]
pub(super) async fn list(
    State(state): State<AppState>,
    Path(ticker): Path<String>,
) -> Result<Json<ActionsBody>, ApiError> {
    let ticker = watched(&state, &ticker)?;
    let mut stored = ask(storage::corporate_actions(&state.pool, &ticker)).await?;
    stored.sort_by_key(|stored| std::cmp::Reverse(stored.action.ex_date));
    Ok(Json(ActionsBody {
        ticker,
        actions: stored.into_iter().map(ActionBody::from).collect(),
    }))
}
