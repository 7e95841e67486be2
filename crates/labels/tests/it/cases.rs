//! Small cases whose answers are written down by hand.

use calendar::nyse;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Bar, Class};
use labels::{BarrierPath, BarrierSettings, Label, triple_barrier};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Barriers at 99 and 101 around a close of 100: too little volatility for more than the smallest target.
fn settings(horizon: usize) -> BarrierSettings {
    BarrierSettings {
        horizon,
        target_span: 2,
        minimum_target: 0.01,
        ..BarrierSettings::default()
    }
}

/// Three quiet bars, the label of the third of which is asked for, then these (open, high, low, close).
fn bars_from(first: &str, ahead: &[(f64, f64, f64, f64)]) -> Vec<Bar> {
    let quiet = [(100.0, 100.0, 100.0, 100.0); 3];
    quiet
        .iter()
        .chain(ahead)
        .enumerate()
        .map(|(minute, (open, high, low, close))| {
            let start = time(first) + TimeDelta::minutes(minute as i64);
            Bar::new(start, *open, *high, *low, *close, 100.0).unwrap()
        })
        .collect()
}

fn third_label(bars: &[Bar], settings: &BarrierSettings) -> Option<Label> {
    triple_barrier(bars, settings, nyse())
        .into_iter()
        .find(|label| label.index == 2)
}

fn first_label(ahead: &[(f64, f64, f64, f64)], horizon: usize) -> Label {
    third_label(
        &bars_from("2018-03-26T14:00:00Z", ahead),
        &settings(horizon),
    )
    .unwrap()
}

const QUIET: (f64, f64, f64, f64) = (100.0, 100.5, 99.5, 100.0);

#[test]
fn a_high_touches_the_upper_barrier() {
    let label = first_label(&[QUIET, (100.2, 101.3, 100.0, 100.4), QUIET], 3);
    assert_eq!(
        (label.bin, label.touch_index, label.class()),
        (1, 4, Class::Up)
    );
    assert_eq!(label.first_touch, time("2018-03-26T14:04:00Z"));
    assert_eq!(label.start, time("2018-03-26T14:02:00Z"));
    // Sold at the barrier, not at the high.
    assert!((label.ret - 0.01).abs() < 1e-12);
    assert_eq!(label.target, 0.01);
}

#[test]
fn a_low_touches_the_lower_barrier() {
    let label = first_label(&[(99.6, 99.7, 98.9, 99.5), QUIET, QUIET], 3);
    assert_eq!(
        (label.bin, label.touch_index, label.class()),
        (-1, 3, Class::Down)
    );
    assert!((label.ret + 0.01).abs() < 1e-12);
}

#[test]
fn reaching_the_barrier_exactly_touches_it() {
    let label = first_label(&[(100.0, 100.0, 98.9, 99.0), QUIET, QUIET], 3);
    assert_eq!(label.bin, -1);
}

#[test]
fn neither_until_the_vertical_barrier_is_neutral() {
    let label = first_label(
        &[
            QUIET,
            QUIET,
            (100.0, 100.4, 100.0, 100.3),
            (100.0, 105.0, 95.0, 100.0),
        ],
        3,
    );
    assert_eq!(
        (label.bin, label.touch_index, label.class()),
        (0, 5, Class::Neutral)
    );
    assert!((label.ret - 0.003).abs() < 1e-12);
}

#[test]
fn of_two_barriers_in_one_bar_the_lower_counts() {
    let label = first_label(&[(100.0, 102.0, 98.0, 101.5), QUIET, QUIET], 3);
    assert_eq!(label.bin, -1);
    assert!((label.ret + 0.01).abs() < 1e-12);
}

#[test]
fn a_bar_that_opens_beyond_a_barrier_touched_that_one() {
    // Opens above the upper barrier and falls through both: the open came first, and is the price one gets.
    let up = first_label(&[(101.5, 101.6, 98.0, 98.5), QUIET, QUIET], 3);
    assert_eq!(up.bin, 1);
    assert!((up.ret - 0.015).abs() < 1e-12);

    let down = first_label(&[(97.0, 102.0, 96.0, 101.5), QUIET, QUIET], 3);
    assert_eq!(down.bin, -1);
    assert!((down.ret + 0.03).abs() < 1e-12);
}

#[test]
fn closes_only_looks_past_highs_and_lows() {
    let ahead = [
        (100.0, 102.0, 98.0, 100.5),
        (100.0, 102.0, 100.0, 101.2),
        QUIET,
    ];
    let bars = bars_from("2018-03-26T14:00:00Z", &ahead);
    let label = third_label(
        &bars,
        &BarrierSettings {
            path: BarrierPath::Close,
            ..settings(3)
        },
    )
    .unwrap();
    assert_eq!((label.bin, label.touch_index), (1, 4));
    assert!((label.ret - 0.012).abs() < 1e-12);
}

#[test]
fn the_vertical_barrier_stays_within_the_session() {
    // The third bar is 15:57 in New York: two bars of the session are left, then comes the next morning.
    let mut bars = bars_from(
        "2018-03-26T19:55:00Z",
        &[
            QUIET,
            (100.0, 100.2, 100.0, 100.1),
            (90.0, 110.0, 90.0, 100.0),
        ],
    );
    bars[5].start = time("2018-03-27T13:30:00Z");
    let label = third_label(&bars, &settings(30)).unwrap();
    assert_eq!((label.bin, label.touch_index), (0, 4));
    assert_eq!(label.first_touch, time("2018-03-26T19:59:00Z"));
    assert!((label.ret - 0.001).abs() < 1e-12);
    // The last bar of a session has nothing ahead.
    let labels = triple_barrier(&bars, &settings(30), nyse());
    assert_eq!(
        labels.iter().map(|label| label.index).collect::<Vec<_>>(),
        [2, 3]
    );
    // Sessions joined end to end: the night's gap is the first touch.
    let joined = BarrierSettings {
        within_session: false,
        ..settings(3)
    };
    assert_eq!(third_label(&bars, &joined).unwrap().touch_index, 5);
}

#[test]
fn half_days_end_early() {
    // 2018-11-23 ended at 13:00 in New York; the third bar is 12:58.
    let mut bars = bars_from("2018-11-23T17:56:00Z", &[QUIET, (90.0, 110.0, 90.0, 100.0)]);
    bars[4].start = time("2018-11-26T14:30:00Z");
    assert_eq!(third_label(&bars, &settings(30)).unwrap().touch_index, 3);
}

#[test]
fn events_whose_vertical_barrier_the_data_do_not_reach_have_no_label() {
    // A barrier is touched at once, yet keeping only such events would favour fast ones.
    let ahead = [(100.0, 102.0, 100.0, 100.0), QUIET];
    assert_eq!(
        third_label(&bars_from("2018-03-26T14:00:00Z", &ahead), &settings(3)),
        None
    );
    assert!(third_label(&bars_from("2018-03-26T14:00:00Z", &ahead), &settings(2)).is_some());
    // The session's last bar is there: nothing can follow.
    assert!(third_label(&bars_from("2018-03-26T19:55:00Z", &ahead), &settings(3)).is_some());
}

#[test]
fn bars_outside_sessions_do_not_count() {
    let mut bars = bars_from(
        "2018-03-26T19:55:00Z",
        &[QUIET, QUIET, (90.0, 110.0, 90.0, 100.0), QUIET, QUIET],
    );
    bars[6].start = time("2018-03-27T13:30:00Z");
    bars[7].start = time("2018-03-27T13:31:00Z");
    let labels = triple_barrier(&bars, &settings(30), nyse());
    // Bar 5 is after hours; bars 6 and 7 are the beginning of a session that the data do not finish.
    assert_eq!(
        labels
            .iter()
            .map(|label| (label.index, label.touch_index))
            .collect::<Vec<_>>(),
        [(2, 4), (3, 4)]
    );
    assert!(labels.iter().all(|label| label.bin == 0));
}

#[test]
fn a_multiple_of_zero_switches_a_barrier_off() {
    let bars = bars_from(
        "2018-03-26T14:00:00Z",
        &[
            (100.0, 102.0, 98.0, 100.0),
            (98.0, 103.0, 97.0, 100.0),
            QUIET,
        ],
    );
    let no_stop = third_label(
        &bars,
        &BarrierSettings {
            stop: 0.0,
            ..settings(3)
        },
    )
    .unwrap();
    assert_eq!((no_stop.bin, no_stop.touch_index), (1, 3));
    let neither = third_label(
        &bars,
        &BarrierSettings {
            stop: 0.0,
            profit: 0.0,
            ..settings(3)
        },
    )
    .unwrap();
    assert_eq!((neither.bin, neither.touch_index), (0, 5));
}

#[test]
fn flat_prices_without_a_smallest_target_have_no_label() {
    let bars = bars_from("2018-03-26T14:00:00Z", &[(100.0, 100.0, 100.0, 100.0); 5]);
    assert!(
        triple_barrier(
            &bars,
            &BarrierSettings {
                minimum_target: 0.0,
                ..settings(2)
            },
            nyse()
        )
        .is_empty()
    );
    assert!(triple_barrier(&[], &settings(2), nyse()).is_empty());
    assert!(triple_barrier(&bars, &settings(0), nyse()).is_empty());
}
