//! No label reaches across what is not there, and half an hour is half an hour.

use std::{collections::BTreeMap, fs::File, ops::Range};

use calendar::nyse;
use chrono::{DateTime, TimeDelta, Utc};
use domain::Bar;
use flate2::read::GzDecoder;
use labels::{BarrierSettings, Label, triple_barrier};

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Two sessions in which every minute trades: prices that swing within a thousandth.
fn bars() -> Vec<Bar> {
    let sessions = nyse().sessions("2018-03-26".parse().unwrap(), "2018-03-27".parse().unwrap());
    let starts = sessions
        .iter()
        .flat_map(|session| (0..390).map(|minute| session.open + TimeDelta::minutes(minute)));
    starts
        .enumerate()
        .map(|(number, start)| {
            let close = 100.0 + (number % 7) as f64 / 100.0;
            Bar::new(start, close, close + 0.01, close - 0.01, close, 100.0).unwrap()
        })
        .collect()
}

fn without(gone: Range<usize>) -> Vec<Bar> {
    let kept = |index: &usize| !gone.contains(index);
    let bars = bars();
    (0..bars.len())
        .filter(kept)
        .map(|index| bars[index])
        .collect()
}

fn labels(bars: &[Bar]) -> Vec<Label> {
    triple_barrier(bars, &BarrierSettings::default(), nyse())
}

/// Minutes of the first session whose bars have a label.
fn labelled(bars: &[Bar]) -> Vec<i64> {
    let open = time("2018-03-26T13:30:00Z");
    let minutes = labels(bars)
        .into_iter()
        .map(|label| (label.start - open).num_minutes());
    minutes.filter(|minute| *minute < 390).collect()
}

#[test]
fn the_horizon_is_minutes_of_trading() {
    let at = |bars: &[Bar]| {
        let label = labels(bars).into_iter().find(|label| label.index == 99);
        let label = label.unwrap();
        (label.bin, label.first_touch - label.start)
    };
    assert_eq!(at(&bars()), (0, TimeDelta::minutes(30)));
    // Five minutes without a trade shorten the time by no bar, and do not make it longer.
    assert_eq!(at(&without(110..115)), (0, TimeDelta::minutes(30)));
    assert_eq!(at(&without(125..131)), (0, TimeDelta::minutes(25)));
    // A touch in the thirty-first minute is too late, however many bars there were.
    let mut bars = without(110..115);
    let late = bars
        .iter()
        .position(|bar| bar.start == time("2018-03-26T15:40:00Z"));
    let late = late.unwrap();
    bars[late] = Bar::new(bars[late].start, 100.0, 103.0, 100.0, 103.0, 1.0).unwrap();
    assert_eq!(at(&bars), (0, TimeDelta::minutes(30)));
}

#[test]
fn nothing_is_labelled_across_a_hole() {
    let whole = labelled(&bars());
    assert_eq!(whole, (60..389).collect::<Vec<_>>());
    // Eleven minutes are missing after minute 199: the vertical barriers from minute 170 on lie beyond it.
    let holed = labelled(&without(200..211));
    let expected: Vec<i64> = (60..170).chain(212..389).collect();
    assert_eq!(holed, expected);
    // Ten are a silence.
    let silent = labelled(&without(200..210));
    assert_eq!(silent, (60..200).chain(210..389).collect::<Vec<_>>());
}

#[test]
fn a_session_that_was_cut_short_has_no_labels_beyond_its_data() {
    assert_eq!(labelled(&without(300..390)), (60..270).collect::<Vec<_>>());
    // In its last minutes nobody traded: the session is over all the same.
    assert_eq!(labelled(&without(385..390)), (60..384).collect::<Vec<_>>());
    // The same at the end of the data is not known to be over.
    let until = |end: usize| labelled(&bars()[..end]);
    assert_eq!(until(385), (60..355).collect::<Vec<_>>());
    assert_eq!(until(390), (60..389).collect::<Vec<_>>());
}

#[test]
fn a_thin_stock_is_labelled_through_its_silences() {
    // Every third minute trades.
    let thin: Vec<Bar> = bars().into_iter().step_by(3).collect();
    let found = labels(&thin);
    assert!(found.len() > 180, "{}", found.len());
    for label in &found {
        assert!(label.first_touch - label.start <= TimeDelta::minutes(30));
    }
    // Twenty-seven further minutes are a silence for it, where eleven are a hole for others.
    let quieter = [&thin[..100], &thin[109..]].concat();
    let around = |label: &&Label| (90..100).contains(&label.index);
    assert_eq!(labels(&quieter).iter().filter(around).count(), 10);
}

#[test]
fn the_volatility_begins_anew_at_another_price_level() {
    let mut bars = bars();
    for bar in &mut bars[390..] {
        let price = |price: domain::Price| price.get() * 15.0;
        *bar = Bar::new(
            bar.start,
            price(bar.open),
            price(bar.high),
            price(bar.low),
            price(bar.close),
            100.0,
        )
        .unwrap();
    }
    let found = labels(&bars);
    let second: Vec<&Label> = found.iter().filter(|label| label.index >= 390).collect();
    let own = labels(&bars[390..]);
    assert_eq!(second.len(), own.len());
    assert!(
        second
            .iter()
            .zip(&own)
            .all(|(one, other)| one.target == other.target)
    );
    let first = found.iter().filter(|label| label.index < 390);
    assert_eq!(first.count(), labelled(&self::bars()).len());
}

/// Bars of a file with faults by their starts.
fn recorded(name: &str) -> Option<Vec<Bar>> {
    let path = test_support::shared(&format!("faults/inputs/{name}"))?;
    let mut reader = csv::Reader::from_reader(GzDecoder::new(File::open(path).unwrap()));
    let bar = |record: csv::StringRecord| {
        let number = |column: usize| record[column].parse().unwrap();
        Bar::new(
            record[1].parse().unwrap(),
            number(2),
            number(3),
            number(4),
            number(5),
            number(6),
        )
        .unwrap()
    };
    Some(
        reader
            .records()
            .map(|record| bar(record.unwrap()))
            .collect(),
    )
}

#[test]
fn a_hole_of_four_hours_makes_no_label_and_no_volatility() {
    let (Some(base), Some(holed)) = (
        recorded("base_8_sessions.csv.gz"),
        recorded("hole_four_hours.csv.gz"),
    ) else {
        return;
    };
    let (base, holed) = (labels(&base), labels(&holed));
    let by_start: BTreeMap<_, _> = base.iter().map(|label| (label.start, label)).collect();
    let (begin, end) = (time("2018-02-22T15:30:00Z"), time("2018-02-22T19:30:00Z"));
    let half_an_hour = TimeDelta::minutes(30);
    for label in &holed {
        assert!(label.first_touch - label.start <= half_an_hour, "{label:?}");
        assert!(
            label.start < begin - half_an_hour || label.start >= end,
            "{label:?}"
        );
        let right = by_start[&label.start];
        assert!(label.target < 2.0 * right.target, "{label:?}");
        if label.start < begin || label.start > end + TimeDelta::days(4) {
            assert_eq!(
                (label.bin, label.first_touch),
                (right.bin, right.first_touch)
            );
            assert!(
                (label.target / right.target - 1.0).abs() < 1e-3,
                "{label:?}"
            );
        }
    }
    let gone = base.len() - holed.len();
    // The four hours, the half hour before them, and the bar that has no move of its own.
    assert_eq!(gone, 240 + 30 + 1);
}
