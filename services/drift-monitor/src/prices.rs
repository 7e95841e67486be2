//! Whether the prices can be right at all: a feed that stands still, steps that no market makes, another level.

use chrono::{DateTime, TimeDelta, Utc};
use domain::{BAR_SECONDS, Bar, Ticker};
use serde::Serialize;

use crate::{
    DriftSettings,
    findings::{Cause, Findings, state_of},
    market::{Market, Stock},
};

/// What a price may move in a day, three times of which are not surprising: a bound for a price after many days.
const DAILY_STEP: f64 = 0.025;

/// Natural logarithm of how far a price may lie from its level in training, on the first day.
const LEVEL_STEP: f64 = 0.25;

/// A bar may come so late before its feed counts as silent.
const LATE: TimeDelta = TimeDelta::minutes(3);

/// Where a price stood at the end of a training, on today's share basis.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Level {
    pub(crate) ticker: Ticker,
    pub(crate) at: DateTime<Utc>,
    pub(crate) close: f64,
}

/// The stocks whose prices cannot be right.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct PriceFigures {
    /// How many stocks were looked at.
    pub(crate) stocks: usize,
    /// Without any change of price, or without a bar, for too long.
    pub(crate) frozen: Vec<Ticker>,
    /// With a step that no market makes.
    pub(crate) stepping: Vec<Ticker>,
    /// Too far from where they stood in training.
    pub(crate) on_another_level: Vec<Ticker>,
}

pub(crate) fn check(
    market: &Market,
    levels: &[Level],
    settings: &DriftSettings,
    findings: &mut Findings,
) -> PriceFigures {
    let which = |wrong: &dyn Fn(&Stock) -> bool| -> Vec<Ticker> {
        let wrong = market.stocks.iter().filter(|stock| wrong(stock));
        wrong.map(|stock| stock.ticker.clone()).collect()
    };
    let figures = PriceFigures {
        stocks: market.stocks.len(),
        frozen: which(&|stock| is_frozen(stock, market, settings)),
        stepping: which(&|stock| steps(stock, market, settings.impossible_step)),
        on_another_level: which(&|stock| {
            let level = levels.iter().find(|level| level.ticker == stock.ticker);
            level.is_some_and(|level| is_elsewhere(stock, level))
        }),
    };
    let minutes = settings.frozen_minutes;
    let step = settings.impossible_step * 100.0;
    let checks = [
        (
            "frozen_feed",
            &figures.frozen,
            format!("no change of price and no bar in {minutes} minutes"),
        ),
        (
            "impossible_step",
            &figures.stepping,
            format!("a step of more than {step:.0} % that no split explains"),
        ),
        (
            "price_level",
            &figures.on_another_level,
            "a level that cannot follow from that of the training".to_owned(),
        ),
    ];
    for (check, wrong, what) in checks {
        let share = wrong.len() as f64 / figures.stocks.max(1) as f64;
        let state = state_of(share, settings.degraded_stocks, settings.critical_stocks);
        findings.add(check, Cause::Prices, state, || {
            format!(
                "the prices of {} of {} stocks show {what}",
                wrong.len(),
                figures.stocks
            )
        });
    }
    figures
}

fn is_frozen(stock: &Stock, market: &Market, settings: &DriftSettings) -> bool {
    let today = stock.bars_of(&market.session);
    // At the close the last bar may just be on its way.
    let now = market.as_of.min(market.session.close);
    let newest = today.last().map_or(market.session.open, Bar::close_time);
    if now - newest > settings.frozen() + LATE {
        return true;
    }
    let since = newest - settings.frozen();
    let first = today.partition_point(|bar| bar.start < since);
    let recent = today.get(first..).unwrap_or_default();
    let Some(price) = recent.first().map(|bar| bar.open) else {
        return false;
    };
    // Two bars do not stand still, they may only be few.
    let enough = recent.len() as i64 * 2 * BAR_SECONDS >= settings.frozen().num_seconds();
    let still = |bar: &Bar| bar.high == price && bar.low == price;
    enough && since >= market.session.open && recent.iter().all(still)
}

fn steps(stock: &Stock, market: &Market, impossible: f64) -> bool {
    let today = stock.bars_of(&market.session);
    let Some(first) = today.first() else {
        return false;
    };
    let before = stock.bars.partition_point(|bar| bar.start < first.start);
    let mut last = before
        .checked_sub(1)
        .and_then(|place| stock.bars.get(place))
        .map(|bar| bar.close);
    let limit = impossible.ln_1p();
    today.iter().any(|bar| {
        let from = last.replace(bar.close).unwrap_or(bar.open);
        let far = |price: f64, from: f64| (price / from).ln().abs() > limit;
        far(bar.open.get(), from.get()) || far(bar.close.get(), bar.open.get())
    })
}

fn is_elsewhere(stock: &Stock, level: &Level) -> bool {
    let Some(last) = stock.bars.last() else {
        return false;
    };
    let days = ((last.start - level.at).num_hours() as f64 / 24.0).max(0.0);
    let limit = LEVEL_STEP + 3.0 * DAILY_STEP * days.max(1.0).sqrt();
    (last.close.get() / level.close).ln().abs() > limit
}
