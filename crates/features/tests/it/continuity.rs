//! No feature reaches across what is not there.

use std::ops::Range;

use chrono::{DateTime, Utc};
use domain::Bar;
use features::{FeatureSchema, FeatureVector, WARM_UP_SESSIONS};

use crate::market::{Market, altered, fold};

/// Eight full sessions of 390 minutes.
fn market() -> Vec<Bar> {
    Market {
        seed: 13,
        sessions: 8,
        missing: 0.0,
        silent: 0.0,
    }
    .bars()
}

fn without(bars: &[Bar], gone: Range<usize>) -> Vec<Bar> {
    [&bars[..gone.start], &bars[gone.end..]].concat()
}

fn starts_with_features(bars: &[Bar]) -> Vec<DateTime<Utc>> {
    let with = bars.iter().zip(fold(bars)).filter(|(_, row)| row.is_some());
    with.map(|(bar, _)| bar.start).collect()
}

fn feature(row: &FeatureVector, name: &str) -> f32 {
    let names = FeatureSchema::current().names;
    row[names.iter().position(|other| *other == name).unwrap()]
}

/// Bars after a hole that have no features: the signal of MACD 12/26/9 begins with the 34th.
const SILENT: usize = 33;

#[test]
fn no_feature_takes_in_the_move_across_a_hole() {
    let bars = market();
    let session = 6 * 390;
    // Two hours are missing from the seventh session.
    let gone = session + 60..session + 180;
    let holed = without(&bars, gone.clone());
    let expected: Vec<_> = (5 * 390..bars.len())
        .filter(|index| !(gone.start..gone.end + SILENT).contains(index))
        .map(|index| bars[index].start)
        .collect();
    assert_eq!(starts_with_features(&holed), expected);
    // The same two hours with another move across them: what follows is the same.
    let moved: Vec<Bar> = holed
        .iter()
        .map(|bar| {
            let is_later = bar.start > bars[gone.start].start;
            altered(bar, if is_later { 1.3 } else { 1.0 }, 1)
        })
        .collect();
    for (index, (row, moved)) in fold(&holed).iter().zip(fold(&moved)).enumerate() {
        assert_eq!(row.is_some(), moved.is_some(), "{index}");
        let (Some(row), Some(moved)) = (row, moved) else {
            continue;
        };
        for (name, (row, moved)) in FeatureSchema::current()
            .names
            .iter()
            .zip(row.iter().zip(moved))
        {
            assert!(
                (row - moved).abs() < 1e-5,
                "{name} of bar {index}: {row}, {moved}"
            );
        }
    }
}

#[test]
fn ten_silent_minutes_are_no_hole() {
    let bars = market();
    let at = 6 * 390 + 60;
    let rows = |minutes: usize| {
        let rest = without(&bars, at..at + minutes);
        bars.len() - 5 * 390 - starts_with_features(&rest).len()
    };
    assert_eq!(rows(10), 10);
    assert_eq!(rows(11), 11 + SILENT);
}

#[test]
fn the_gap_after_a_session_that_was_cut_short_is_unknown() {
    let bars = market();
    let opens = 6 * 390;
    let cut = without(&bars, opens - 120..opens);
    let features = fold(&cut);
    let next = opens - 120;
    assert!(features[next..next + SILENT].iter().all(Option::is_none));
    let gap = |row: &Option<FeatureVector>| feature(&row.unwrap(), "overnight_gap");
    assert_eq!(gap(&features[next + SILENT]), 0.0);
    assert_ne!(gap(&fold(&bars)[opens + SILENT]), 0.0);
}

#[test]
fn another_level_is_another_history_with_its_own_warm_up() {
    let bars = Market {
        seed: 13,
        sessions: 2 * WARM_UP_SESSIONS + 2,
        missing: 0.0,
        silent: 0.0,
    }
    .bars();
    // Another company takes the ticker over before the seventh session opens.
    let taken_over = 6 * 390;
    let reused: Vec<Bar> = bars
        .iter()
        .enumerate()
        .map(|(index, bar)| altered(bar, if index < taken_over { 1.0 } else { 15.0 }, 1))
        .collect();
    let (features, fresh) = (fold(&reused), fold(&reused[taken_over..]));
    assert_eq!(features[..taken_over], fold(&bars)[..taken_over]);
    assert_eq!(features[taken_over..], fresh);
    let first = fresh.iter().position(Option::is_some).unwrap();
    assert!(first >= WARM_UP_SESSIONS * 210, "{first}");
    // In the middle of a session the rest of it is no whole session.
    let broken: Vec<Bar> = bars
        .iter()
        .enumerate()
        .map(|(index, bar)| altered(bar, if index < 500 { 1.0 } else { 15.0 }, 1))
        .collect();
    let first = fold(&broken).iter().position(Option::is_some).unwrap();
    assert_eq!(
        bars[first].start.date_naive(),
        bars[(2 + WARM_UP_SESSIONS) * 390].start.date_naive()
    );
}
