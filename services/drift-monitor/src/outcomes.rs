//! What came of stored predictions: resolved once their barriers are touched, forward only, and never again.

use std::collections::BTreeMap;

use anyhow::Context as _;
use calendar::Calendar;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{BAR_SECONDS, Bar, Ticker};
use labels::{BarrierSettings, triple_barrier};
use storage::{Gap, Outcome, PgPool};

use crate::{DriftSettings, places::LabelSettings};

/// How far back the bars reach that say how volatile a price was: the exponential weights are gone long before.
const HISTORY: TimeDelta = TimeDelta::days(14);

/// What a look at the predictions without an outcome did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Outcomes stored.
    pub stored: u64,
    /// Bars whose barriers are not touched yet, or whose bars ahead are missing: they are looked at again.
    pub waiting: usize,
    /// Bars given up: their session has been over for long enough. How many, by the reason.
    pub given_up: BTreeMap<&'static str, usize>,
}

/// The last bar of a session: there is nothing to be had after it.
const END_OF_SESSION: &str = "no bar follows in the session";

/// Why a bar has no outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// A gap reaches into the time until its touch.
    Gap,
    /// It is not stored, or has no volatility, or its barriers are not touched yet.
    NoLabel,
}

impl Missing {
    const fn reason(self) -> &'static str {
        match self {
            Self::Gap => "bars are missing before a barrier was touched",
            Self::NoLabel => "the bars stored do not reach a barrier",
        }
    }
}

/// Resolves the predictions of bars from `from` (UTC) on, under each of the label settings that models were trained on.
///
/// Bars younger than the time that a vendor may revise them are not looked at. What is stored is never computed again,
/// whatever becomes of the bars.
///
/// # Errors
/// When the database is lost.
pub(crate) async fn resolve(
    pool: &PgPool,
    label_settings: &[LabelSettings],
    from: DateTime<Utc>,
    as_of: DateTime<Utc>,
    settings: &DriftSettings,
    calendar: &'static Calendar,
) -> anyhow::Result<Resolved> {
    let known_until = as_of - settings.settle();
    let mut resolved = Resolved::default();
    for LabelSettings { name, barriers } in label_settings {
        let open = storage::unresolved_predictions(pool, name, from, as_of).await?;
        let mut by_ticker: BTreeMap<Ticker, Vec<DateTime<Utc>>> = BTreeMap::new();
        for (ticker, bar_start) in open {
            if ends_session(bar_start, calendar) {
                *resolved.given_up.entry(END_OF_SESSION).or_default() += 1;
            } else {
                by_ticker.entry(ticker).or_default().push(bar_start);
            }
        }
        let tickers: Vec<Ticker> = by_ticker.keys().cloned().collect();
        let dividends = storage::dividend_factors(pool, &tickers).await?;
        for (ticker, starts) in by_ticker {
            let Some(first) = starts.first() else {
                continue;
            };
            let bars = storage::bars_between(pool, &ticker, *first - HISTORY, known_until).await?;
            // With dividends taken out, as in the labels of training.
            let factors = dividends.get(&ticker).cloned().unwrap_or_default();
            let bars: Vec<Bar> = bars
                .iter()
                .take_while(|bar| bar.close_time() <= known_until)
                .map(|bar| factors.total_return(bar))
                .collect();
            let gaps = storage::gaps_between(pool, Some(&ticker), *first, as_of).await?;
            let barriers = barriers.clone();
            let work = move || of_ticker(&ticker, &bars, &gaps, &starts, &barriers, calendar);
            let found = tokio::task::spawn_blocking(work)
                .await
                .context("resolving outcomes panicked")?;
            for (bar_start, missing) in found.missing {
                let over = calendar
                    .session_at(bar_start)
                    .is_none_or(|session| session.close + settings.give_up() < as_of);
                if over {
                    *resolved.given_up.entry(missing.reason()).or_default() += 1;
                } else {
                    resolved.waiting += 1;
                }
            }
            resolved.stored += storage::store_outcomes(pool, &found.outcomes, name, as_of).await?;
        }
    }
    Ok(resolved)
}

struct Found {
    outcomes: Vec<Outcome>,
    missing: Vec<(DateTime<Utc>, Missing)>,
}

/// Outcomes of the bars that start at `starts` (ascending), of which `bars` reach back far enough for the volatility.
fn of_ticker(
    ticker: &Ticker,
    bars: &[Bar],
    gaps: &[Gap],
    starts: &[DateTime<Utc>],
    barriers: &BarrierSettings,
    calendar: &Calendar,
) -> Found {
    let labels = triple_barrier(bars, barriers, calendar);
    let mut found = Found {
        outcomes: Vec::new(),
        missing: Vec::new(),
    };
    for start in starts {
        let label = labels
            .binary_search_by_key(start, |label| label.start)
            .ok()
            .and_then(|place| labels.get(place));
        let Some(label) = label else {
            let missing = if has_gap(gaps, *start, None) {
                Missing::Gap
            } else {
                Missing::NoLabel
            };
            found.missing.push((*start, missing));
            continue;
        };
        if has_gap(gaps, *start, Some(label.first_touch)) {
            found.missing.push((*start, Missing::Gap));
            continue;
        }
        let (Some(bar), Some(next)) = (bars.get(label.index), bars.get(label.index + 1)) else {
            continue;
        };
        // The label's return counts from the close; the first price that could be had is the next open.
        let touch = bar.close.get() * (1.0 + label.ret);
        found.outcomes.push(Outcome {
            ticker: ticker.clone(),
            bar_start: *start,
            label: label.class(),
            gross_return: touch / next.open.get() - 1.0,
            first_touch: label.first_touch,
        });
    }
    found
}

fn ends_session(bar_start: DateTime<Utc>, calendar: &Calendar) -> bool {
    let close = bar_start + TimeDelta::seconds(BAR_SECONDS);
    calendar
        .session_at(bar_start)
        .is_some_and(|session| close >= session.close)
}

/// Whether an open gap reaches into the bars after `start`, up to the touch if there is one.
fn has_gap(gaps: &[Gap], start: DateTime<Utc>, touch: Option<DateTime<Utc>>) -> bool {
    gaps.iter().any(|gap| {
        gap.closed_at.is_none() && gap.end > start && touch.is_none_or(|touch| gap.start <= touch)
    })
}

#[cfg(test)]
mod tests {
    use domain::Class;
    use storage::GapReason;

    use super::*;

    fn ticker() -> Ticker {
        Ticker::parse("AAPL").unwrap()
    }

    /// A day of prices that swing by 0.2 % in 20 minutes, so that barriers of 0.08 % are touched soon.
    fn swinging() -> Vec<Bar> {
        let open: DateTime<Utc> = "2018-03-26T13:30:00Z".parse().unwrap();
        (0..390_u32)
            .map(|minute| {
                let price = |minute: u32| 100.0 + 0.2 * (f64::from(minute) / 6.0).sin();
                let (from, to) = (price(minute), price(minute + 1));
                let start = open + TimeDelta::minutes(minute.into());
                Bar::new(start, from, from.max(to), from.min(to), to, 100.0).unwrap()
            })
            .collect()
    }

    fn barriers() -> BarrierSettings {
        BarrierSettings {
            target_span: 2,
            ..BarrierSettings::default()
        }
    }

    fn found(bars: &[Bar], gaps: &[Gap], starts: &[DateTime<Utc>]) -> Found {
        of_ticker(&ticker(), bars, gaps, starts, &barriers(), calendar::nyse())
    }

    #[test]
    fn the_return_counts_from_the_first_price_that_could_be_had() {
        let bars = swinging();
        let at = bars[100].start;
        let outcome = found(&bars, &[], &[at]).outcomes.remove(0);
        let label = triple_barrier(&bars, &barriers(), calendar::nyse());
        let label = label.iter().find(|label| label.start == at).unwrap();
        assert_eq!(outcome.label, label.class());
        assert_eq!(outcome.first_touch, label.first_touch);
        let touch = bars[100].close.get() * (1.0 + label.ret);
        let expected = touch / bars[101].open.get() - 1.0;
        assert!((outcome.gross_return - expected).abs() < 1e-15);
    }

    #[test]
    fn nothing_is_said_before_its_barrier_is_touched() {
        let bars = swinging();
        let at = bars[100].start;
        let first_touch = found(&bars, &[], &[at]).outcomes[0].first_touch;
        for known in 101..140 {
            let now = found(&bars[..known], &[], &[at]);
            if let Some(outcome) = now.outcomes.first() {
                assert_eq!(outcome, &found(&bars, &[], &[at]).outcomes[0]);
                assert!(bars[known - 1].start >= first_touch);
            } else {
                assert_eq!(now.missing, [(at, Missing::NoLabel)]);
            }
        }
    }

    #[test]
    fn a_gap_before_the_touch_is_waited_for() {
        let bars = swinging();
        let at = bars[100].start;
        let gap = |from: i64, to: i64| {
            Gap::found(
                ticker(),
                at + TimeDelta::minutes(from),
                at + TimeDelta::minutes(to),
                GapReason::MissingMinutes,
                1,
                at,
            )
        };
        assert_eq!(
            found(&bars, &[gap(1, 2)], &[at]).missing,
            [(at, Missing::Gap)]
        );
        // Before the bar, and after its touch.
        assert_eq!(found(&bars, &[gap(-5, -2), gap(60, 62)], &[at]).missing, []);
        let closed = Gap {
            closed_at: Some(at),
            ..gap(1, 2)
        };
        assert_eq!(found(&bars, &[closed], &[at]).outcomes.len(), 1);
    }

    #[test]
    fn the_last_bar_of_a_session_has_none() {
        let bars = swinging();
        let starts = [bars[388].start, bars[389].start];
        let ends = starts.map(|start| ends_session(start, calendar::nyse()));
        assert_eq!(ends, [false, true]);
        let outcomes = found(&bars, &[], &starts).outcomes;
        assert_eq!(outcomes.len(), 1);
        assert_eq!(outcomes[0].first_touch, starts[1]);
        assert_eq!(outcomes[0].label, Class::Neutral);
    }
}
