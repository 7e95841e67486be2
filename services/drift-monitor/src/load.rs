//! From the database to a [`Market`].

use std::sync::Arc;

use anyhow::Context as _;
use archive::Archive;
use calendar::Calendar;
use chrono::{DateTime, Utc};
use domain::{CorporateAction, ShareChange, Ticker};
use evaluation::LastClose;
use features::WARM_UP_SESSIONS;
use storage::PgPool;

use crate::{
    DriftSettings,
    market::{Market, begun},
    prices::Level,
};

/// Sessions before the one looked at whose features are needed: the five that say what the volatility was, before each
/// half hour of the session before, and one to spare for holes.
const SESSIONS_BEFORE: usize = 7;

/// Reads the bars of the last sessions with what was known beside them, and computes the features; `None` without bars.
pub(crate) async fn market(
    pool: &PgPool,
    tickers: &[Ticker],
    as_of: DateTime<Utc>,
    settings: &DriftSettings,
    calendar: &'static Calendar,
) -> anyhow::Result<Option<Arc<Market>>> {
    let sessions = SESSIONS_BEFORE.max(settings.shadow_sessions as usize) + WARM_UP_SESSIONS;
    let Some(mut first) = begun(as_of, calendar) else {
        return Ok(None);
    };
    for _ in 0..sessions {
        first = calendar.previous_session(first.date).unwrap_or(first);
    }
    let Archive { bars, context } = Archive::load(pool, tickers, first.open, as_of).await?;
    if bars.is_empty() {
        return Ok(None);
    }
    let compute = move || Market::new(bars, &context, as_of, calendar).map(Arc::new);
    tokio::task::spawn_blocking(compute)
        .await
        .context("computing the features panicked")
}

/// Where prices stood at the end of a training, brought to today's share basis by what changed it since.
pub(crate) async fn levels(
    pool: &PgPool,
    closes: &[LastClose],
    trained_at: DateTime<Utc>,
    as_of: DateTime<Utc>,
) -> anyhow::Result<Vec<Level>> {
    let mut levels = Vec::with_capacity(closes.len());
    for LastClose { ticker, at, close } in closes {
        let factor: f64 = storage::corporate_actions(pool, ticker)
            .await?
            .into_iter()
            .filter(|stored| stored.removed_at.is_none())
            .map(|stored| stored.action)
            .filter(|action| trained_at < action.effective_at && action.effective_at <= as_of)
            .map(|action| price_factor(&action))
            .product();
        levels.push(Level {
            ticker: ticker.clone(),
            at: *at,
            close: close * factor,
        });
    }
    Ok(levels)
}

fn price_factor(action: &CorporateAction) -> f64 {
    match action.change {
        ShareChange::Split { ratio } | ShareChange::SpinOff { ratio } => 1.0 / ratio,
        ShareChange::Dividend { .. } => 1.0,
    }
}
