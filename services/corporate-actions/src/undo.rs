//! Taking an action back, and restoring it.

use anyhow::Context;
use chrono::NaiveDate;
use domain::Ticker;
use storage::{ActionKind, PgPool, StoredAction};

/// An action as a person names it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Named {
    ticker: Ticker,
    ex_date: NaiveDate,
    kind: ActionKind,
}

impl Named {
    /// Reads ticker, ex-date and kind.
    pub(crate) fn parse(words: &[String]) -> anyhow::Result<Self> {
        let [ticker, ex_date, kind] = words else {
            anyhow::bail!("expected TICKER DATE KIND, such as AAPL 2020-08-31 split");
        };
        Ok(Self {
            ticker: Ticker::parse(ticker)?,
            ex_date: ex_date
                .parse()
                .with_context(|| format!("{ex_date:?} is no date such as 2020-08-31"))?,
            kind: kind.parse()?,
        })
    }
}

pub(crate) async fn remove(pool: &PgPool, named: &Named) -> anyhow::Result<()> {
    let Named {
        ticker,
        ex_date,
        kind,
    } = named;
    if !storage::remove_corporate_action(pool, ticker, *ex_date, *kind).await? {
        let stored = listed(pool, ticker, |row| row.removed_at.is_none()).await?;
        anyhow::bail!("{ticker} has no {kind} of {ex_date} to be taken back; stored are {stored}");
    }
    tracing::info!(instrument.symbol = %ticker, "{ticker}: the {kind} of {ex_date} was taken back");
    Ok(())
}

pub(crate) async fn restore(pool: &PgPool, named: &Named) -> anyhow::Result<()> {
    let Named {
        ticker,
        ex_date,
        kind,
    } = named;
    if !storage::restore_corporate_action(pool, ticker, *ex_date, *kind).await? {
        let removed = listed(pool, ticker, |row| row.removed_at.is_some()).await?;
        anyhow::bail!(
            "{ticker} has no {kind} of {ex_date} that was taken back; taken back are {removed}"
        );
    }
    tracing::info!(instrument.symbol = %ticker, "{ticker}: the {kind} of {ex_date} counts again");
    Ok(())
}

async fn listed(
    pool: &PgPool,
    ticker: &Ticker,
    filter: fn(&StoredAction) -> bool,
) -> anyhow::Result<String> {
    let rows = storage::corporate_actions(pool, ticker).await?;
    let names: Vec<String> = rows
        .iter()
        .filter(|row| filter(row))
        .map(|row| {
            format!(
                "{} {}",
                row.action.ex_date,
                ActionKind::of(row.action.change)
            )
        })
        .collect();
    Ok(if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_named_by_ticker_day_and_kind() {
        let parse = |text: &str| {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            Named::parse(&words)
        };
        let named = parse("aapl 2020-08-31 split").unwrap();
        assert_eq!(named.ticker.as_str(), "AAPL");
        assert_eq!(named.kind, ActionKind::Split);
        for (text, message) in [
            ("AA?L 2020-08-31 split", "is not a ticker"),
            ("AAPL 31.8.2020 split", "is no date such as 2020-08-31"),
            (
                "AAPL 2020-08-31 merger",
                "expected split, spin_off or dividend",
            ),
            ("AAPL 2020-08-31", "expected TICKER DATE KIND"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
