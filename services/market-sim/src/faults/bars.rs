//! Faults within a chart: this answer is wrong, the next one may be right.

use chrono::{DateTime, Utc};
use domain::BAR_SECONDS;
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::{Due, Fault};
use crate::{
    random,
    yahoo::wire::{AdjustedClose, ChartResult, Quote, Shares},
};

/// How many rows a coarser answer puts into one.
const COARSENESS: usize = 5;

/// Bad ticks come in so many rows, among so many of the newest.
const BAD_ROWS: usize = 3;
const BAD_AMONG: usize = 30;

/// Spoils a chart as the fault says; false when there is nothing in it that it could spoil.
pub(crate) fn spoil(result: &mut ChartResult, due: &Due, now: DateTime<Utc>) -> bool {
    let is_minutes = result.meta.data_granularity == "1m";
    match due.fault {
        Fault::EmptyNoTimestamp => empty_no_timestamp(result),
        Fault::EmptyArrays => empty_arrays(result),
        Fault::EmptyNulls => empty_nulls(result),
        Fault::CoarserInterval => coarser(result, is_minutes),
        Fault::Ragged => ragged(result),
        Fault::LateBars if is_minutes => late(result, due.minutes, now),
        Fault::RevisedBars if is_minutes => provisional(result, due, now),
        Fault::BadTicks => bad_ticks(result, due),
        _ => false,
    }
}

fn rows(result: &ChartResult) -> usize {
    result.timestamp.as_ref().map_or(0, Vec::len)
}

fn set_adjusted(result: &mut ChartResult, to: Option<Vec<f64>>) {
    if let Some([adjusted]) = &mut result.indicators.adjclose {
        *adjusted = AdjustedClose { adjclose: to };
    }
}

fn empty_no_timestamp(result: &mut ChartResult) -> bool {
    let had_rows = rows(result) > 0;
    result.timestamp = None;
    result.meta.trading_periods = None;
    result.events = None;
    result.indicators.quote = [Quote::default()];
    set_adjusted(result, None);
    had_rows
}

fn empty_arrays(result: &mut ChartResult) -> bool {
    let had_rows = empty_no_timestamp(result);
    result.timestamp = Some(Vec::new());
    result.indicators.quote = [Quote {
        open: Some(Vec::new()),
        high: Some(Vec::new()),
        low: Some(Vec::new()),
        close: Some(Vec::new()),
        volume: Some(Vec::new()),
    }];
    set_adjusted(result, Some(Vec::new()));
    had_rows
}

fn empty_nulls(result: &mut ChartResult) -> bool {
    let [quote] = &mut result.indicators.quote;
    for column in prices(quote) {
        column.fill(None);
    }
    if let Some(volume) = &mut quote.volume {
        volume.fill(None);
    }
    rows(result) > 0
}

/// The columns of prices that there are: open, high, low, close.
fn prices(quote: &mut Quote) -> impl Iterator<Item = &mut Vec<Option<f64>>> {
    [
        &mut quote.open,
        &mut quote.high,
        &mut quote.low,
        &mut quote.close,
    ]
    .into_iter()
    .flatten()
}

fn coarser(result: &mut ChartResult, is_minutes: bool) -> bool {
    result.meta.data_granularity = if is_minutes { "5m" } else { "5d" };
    let had_rows = rows(result) > 0;
    let [quote] = &mut result.indicators.quote;
    let fold = |column: &mut Option<Vec<Option<f64>>>, join: fn(f64, f64) -> f64| {
        if let Some(column) = column {
            *column = column
                .chunks(COARSENESS)
                .map(|rows| rows.iter().flatten().copied().reduce(join))
                .collect();
        }
    };
    fold(&mut quote.open, |first, _| first);
    fold(&mut quote.high, f64::max);
    fold(&mut quote.low, f64::min);
    fold(&mut quote.close, |_, last| last);
    if let Some(volume) = &mut quote.volume {
        *volume = volume
            .chunks(COARSENESS)
            .map(|rows| {
                rows.iter()
                    .flatten()
                    .copied()
                    .reduce(|sum, next| Shares(sum.0 + next.0))
            })
            .collect();
    }
    if let Some(times) = &mut result.timestamp {
        *times = times.iter().copied().step_by(COARSENESS).collect();
    }
    if let Some([adjusted]) = &mut result.indicators.adjclose
        && let Some(closes) = &mut adjusted.adjclose
    {
        *closes = closes
            .chunks(COARSENESS)
            .filter_map(|rows| rows.last().copied())
            .collect();
    }
    had_rows
}

fn ragged(result: &mut ChartResult) -> bool {
    let had_rows = rows(result) > 0;
    let [quote] = &mut result.indicators.quote;
    for column in [&mut quote.open, &mut quote.low, &mut quote.close]
        .into_iter()
        .flatten()
    {
        column.pop();
    }
    if let Some(volume) = &mut quote.volume {
        volume.truncate(volume.len().saturating_sub(2));
    }
    had_rows
}

fn late(result: &mut ChartResult, minutes: u32, now: DateTime<Utc>) -> bool {
    let until = now.timestamp() - i64::from(minutes) * BAR_SECONDS;
    let Some(times) = &mut result.timestamp else {
        return false;
    };
    let before = times.len();
    // Rows come in order of time.
    let kept = times.partition_point(|time| time + BAR_SECONDS <= until);
    if kept == 0 {
        return empty_no_timestamp(result);
    }
    times.truncate(kept);
    let [quote] = &mut result.indicators.quote;
    for column in prices(quote) {
        column.truncate(kept);
    }
    if let Some(volume) = &mut quote.volume {
        volume.truncate(kept);
    }
    kept < before
}

/// Closed bars of the last minutes get less volume and a close between open and close. The same bar is told the same
/// way again until it is final.
fn provisional(result: &mut ChartResult, due: &Due, now: DateTime<Utc>) -> bool {
    let now = now.timestamp();
    let young = |time: i64| {
        let end = time + BAR_SECONDS;
        time % BAR_SECONDS == 0 && end <= now && end > now - i64::from(due.minutes) * BAR_SECONDS
    };
    let symbol = result.meta.symbol.clone();
    let [quote] = &mut result.indicators.quote;
    let (Some(times), Some(open), Some(close), Some(volume)) = (
        &result.timestamp,
        &quote.open,
        &mut quote.close,
        &mut quote.volume,
    ) else {
        return false;
    };
    let mut changed = false;
    for (((time, open), close), volume) in times.iter().zip(open).zip(close).zip(volume) {
        let (Some(open), Some(close), Some(volume)) = (open, close, volume) else {
            continue;
        };
        if !young(*time) || volume.0 == 0.0 {
            continue;
        }
        let mut lot = random::stream(0, &format!("{symbol} {time} provisional"), None);
        volume.0 = (volume.0 * lot.random_range(0.5..0.95)).floor();
        let part = lot.random_range(0.2..0.8);
        *close = f64::from((*open + (*close - *open) * part) as f32);
        changed = true;
    }
    changed
}

fn bad_ticks(result: &mut ChartResult, due: &Due) -> bool {
    let mut lot = ChaCha8Rng::seed_from_u64(due.seed);
    let [quote] = &mut result.indicators.quote;
    let Quote {
        open: Some(open),
        high: Some(high),
        low: Some(low),
        close: Some(close),
        volume: Some(volume),
    } = quote
    else {
        return false;
    };
    // Rows that have traded: neither the last trade nor a minute without figures.
    let mut candidates: Vec<_> = open
        .iter_mut()
        .zip(high)
        .zip(low)
        .zip(close)
        .zip(volume)
        .filter_map(|((((open, high), low), close), volume)| {
            let traded = volume.is_some_and(|volume| volume.0 > 0.0);
            let prices = (
                open.as_mut()?,
                high.as_mut()?,
                low.as_mut()?,
                close.as_mut()?,
            );
            traded.then_some(prices)
        })
        .rev()
        .take(BAD_AMONG)
        .collect();
    let mut spoilt = false;
    for _ in 0..BAD_ROWS.min(candidates.len()) {
        let (open, high, low, close) =
            candidates.swap_remove(lot.random_range(0..candidates.len()));
        match lot.random_range(0..4) {
            // Higher low than high.
            0 => *high = *low * 0.98,
            // No price at all.
            1 => (*low, *close) = (0.0, 0.0),
            // A decimal point in the wrong place.
            2 => {
                for price in [open, high, low, close] {
                    *price *= 10.0;
                }
            }
            // Opened where it never traded.
            _ => *open = *high * 1.3,
        }
        spoilt = true;
    }
    spoilt
}
