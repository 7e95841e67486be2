use calendar::nyse;
use chrono::TimeDelta;
use domain::Class;
use features::{FEATURE_COUNT, WARM_UP_SESSIONS, WINDOW};
use labels::BarrierSettings;
use training::{Dataset, Part, TrainingError};

use crate::{dataset, market, small};

#[test]
fn parts_follow_each_other_with_a_gap_and_leave_no_class_out() {
    let dataset = dataset(3, WARM_UP_SESSIONS + 8).unwrap();
    let ranges = dataset.ranges();
    let calibration = ranges.calibration.unwrap();
    // Sessions end the labels, and the embargo of 30 minutes begins at the next open.
    for (before, after) in [
        (ranges.training.end, ranges.early_stopping.start),
        (ranges.early_stopping.end, calibration.start),
    ] {
        let open = nyse().session_at(after).unwrap().open;
        assert!(before <= open && after + TimeDelta::minutes(1) >= open + TimeDelta::minutes(30));
    }
    // Two sessions of eight (a quarter) are kept back: one for each purpose, less the embargo.
    let days = |start, end| nyse().sessions(start, end).len();
    assert_eq!(
        days(
            ranges.early_stopping.start.date_naive(),
            ranges.early_stopping.end.date_naive()
        ),
        1
    );
    assert_eq!(
        days(calibration.start.date_naive(), calibration.end.date_naive()),
        1
    );
    assert!(
        dataset.class_counts().iter().all(|count| *count > 100),
        "{:?}",
        dataset.class_counts()
    );

    let (windows, classes) = dataset.windows(Part::Calibration, 50);
    assert_eq!(
        (windows.len(), classes.len()),
        (50 * WINDOW * FEATURE_COUNT, 50)
    );
    assert!(windows.iter().all(|value| (-0.5..=1.5).contains(value)));
    assert!(Class::ALL.iter().all(|class| classes.contains(class)));
    assert_eq!(dataset.statistics().len(), FEATURE_COUNT);
}

#[test]
fn the_future_does_not_change_the_scaler() {
    let short = dataset(2, WARM_UP_SESSIONS + 8).unwrap();
    // The same past, and another market after the training part.
    let mut bars = market::bars(2, WARM_UP_SESSIONS + 8);
    let end = short.ranges().early_stopping.start - TimeDelta::minutes(60);
    for bar in bars.values_mut().flatten().filter(|bar| bar.start > end) {
        bar.volume *= 50;
    }
    let changed = Dataset::build(&bars, &BarrierSettings::default(), &small(), nyse()).unwrap();
    assert_eq!(short.scaler(), changed.scaler());
    assert_eq!(short.statistics(), changed.statistics());
    assert_ne!(short.fingerprint(), changed.fingerprint());
}

#[test]
fn a_session_in_progress_is_no_part_of_its_own() {
    let mut bars = market::bars(2, WARM_UP_SESSIONS + 9);
    let last = bars.values().flatten().map(|bar| bar.start).max().unwrap();
    let open = nyse().session_at(last).unwrap().open;
    for bars in bars.values_mut() {
        bars.retain(|bar| bar.start < open + TimeDelta::minutes(40));
    }
    let dataset = Dataset::build(&bars, &BarrierSettings::default(), &small(), nyse()).unwrap();
    let calibration = dataset.ranges().calibration.unwrap();
    assert!(calibration.start < open && calibration.end > open);
}

#[test]
fn too_little_data_is_counted() {
    let error = dataset(2, WARM_UP_SESSIONS + 2).unwrap_err();
    assert!(
        matches!(
            error,
            TrainingError::TooFewSessions {
                found: 2,
                needed: 4,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .starts_with("too little data: 2 sessions with labelled windows found, 4 needed")
    );
    let empty = Dataset::build(
        &Default::default(),
        &BarrierSettings::default(),
        &small(),
        nyse(),
    );
    assert!(matches!(
        empty.unwrap_err(),
        TrainingError::TooFewSessions { found: 0, .. }
    ));
}

#[test]
fn flat_volume_is_no_feature() {
    let mut bars = market::bars(1, WARM_UP_SESSIONS + 6);
    for bar in bars.values_mut().flatten() {
        bar.volume = 100;
    }
    let error = Dataset::build(&bars, &BarrierSettings::default(), &small(), nyse()).unwrap_err();
    assert!(error.to_string().contains("relative_volume is "), "{error}");
}
