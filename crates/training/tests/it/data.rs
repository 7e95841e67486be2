use std::collections::BTreeMap;

use calendar::nyse;
use chrono::TimeDelta;
use domain::{Bar, Class, SeriesId, Ticker};
use features::{
    CONTEXT_FEATURES, Context, FEATURE_COUNT, FeatureSchema, MacroEvent, NewsEvent,
    WARM_UP_SESSIONS, WINDOW,
};
use training::{Part, TrainingError};

use crate::{build, dataset, market};

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
        bar.volume *= 50.0;
    }
    let changed = build(&bars, &Context::default()).unwrap();
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
    let dataset = build(&bars, &Context::default()).unwrap();
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
    let empty = build(&BTreeMap::new(), &Context::default());
    assert!(matches!(
        empty.unwrap_err(),
        TrainingError::TooFewSessions { found: 0, .. }
    ));
}

#[test]
fn flat_volume_is_no_feature() {
    let mut bars = market::bars(1, WARM_UP_SESSIONS + 6);
    for bar in bars.values_mut().flatten() {
        bar.volume = 100.0;
    }
    let error = build(&bars, &Context::default()).unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("feature relative_volume of T0 is "),
        "{message}"
    );
    assert!(
        message.ends_with("the feed may have stood still"),
        "{message}"
    );
}

#[test]
fn a_ticker_whose_feed_stood_still_leaves_the_others_alone() {
    let mut bars = market::bars(3, WARM_UP_SESSIONS + 6);
    let frozen = Ticker::parse("T1").unwrap();
    for bar in bars.get_mut(&frozen).unwrap() {
        *bar = Bar::new(bar.start, 100.0, 100.0, 100.0, 100.0, 0.0).unwrap();
    }
    let others = build(&bars, &Context::default()).unwrap();
    let [(ticker, error)] = others.left_out() else {
        panic!("{:?}", others.left_out());
    };
    assert_eq!(*ticker, frozen);
    assert!(
        matches!(error, TrainingError::FrozenFeature { .. }),
        "{error}"
    );
    // As if it had never been there.
    bars.remove(&frozen);
    let without = build(&bars, &Context::default()).unwrap();
    assert_eq!(others.fingerprint(), without.fingerprint());
    assert_eq!(others.scaler(), without.scaler());
    assert_eq!(others.class_counts(), without.class_counts());
    assert!(without.left_out().is_empty());
}

#[test]
fn what_is_no_number_upstream_never_becomes_a_feature() {
    let bars = market::bars(2, WARM_UP_SESSIONS + 6);
    let last = bars.values().flatten().map(|bar| bar.start).max().unwrap();
    let news = NewsEvent {
        available_at: last - TimeDelta::hours(1),
        score: f32::NAN,
    };
    let figure = MacroEvent {
        available_at: last - TimeDelta::days(2),
        series: SeriesId::parse("DGS10").unwrap(),
        period: last.date_naive(),
        value: f64::NAN,
    };
    let context = Context {
        news: [(Ticker::parse("T1").unwrap(), vec![news])].into(),
        economy: vec![figure],
    };
    let broken = build(&bars, &context).unwrap();
    assert!(broken.left_out().is_empty());
    let alone = build(&bars, &Context::default()).unwrap();
    let all = |dataset: &training::Dataset| dataset.windows(Part::Calibration, usize::MAX);
    assert_eq!(all(&broken), all(&alone));
}

#[test]
fn prices_that_hardly_move_lack_two_classes() {
    let mut bars = market::bars(2, WARM_UP_SESSIONS + 6);
    for bar in bars.values_mut().flatten() {
        // A twentieth of the moves: no barrier is ever reached.
        let still = |price: domain::Price| 100.0 + (price.get() - 100.0) / 20.0;
        *bar = Bar::new(
            bar.start,
            still(bar.open),
            still(bar.high),
            still(bar.low),
            still(bar.close),
            bar.volume,
        )
        .unwrap();
    }
    let message = build(&bars, &Context::default()).unwrap_err().to_string();
    assert!(
        message.starts_with("no training window has the label down (down 0, neutral "),
        "{message}"
    );
}

#[test]
fn events_become_features_by_when_they_were_available() {
    let bars = market::bars(2, WARM_UP_SESSIONS + 8);
    let alone = build(&bars, &Context::default()).unwrap();
    // Nothing was known: these features were constant, and stay 0.
    let width = CONTEXT_FEATURES.len();
    assert_eq!(alone.scaler().range[CONTEXT_FEATURES], vec![0.0; width]);

    let end = alone.ranges().training.end;
    let place = |name: &str| {
        let names = FeatureSchema::current().names;
        names.iter().position(|other| *other == name).unwrap()
    };
    let story = |ticker: &str, before_the_end, score| {
        let news = NewsEvent {
            available_at: end - before_the_end,
            score,
        };
        (Ticker::parse(ticker).unwrap(), vec![news])
    };
    let yields = |days: i64, value| MacroEvent {
        available_at: end - TimeDelta::days(days),
        series: SeriesId::parse("DGS10").unwrap(),
        period: (end - TimeDelta::days(days + 1)).date_naive(),
        value,
    };
    let context = Context {
        news: [story("T0", TimeDelta::hours(2), 0.5)].into(),
        economy: vec![yields(400, 2.0), yields(-1, 3.0)],
    };
    let known = build(&bars, &context).unwrap();
    assert_ne!(known.fingerprint(), alone.fingerprint());
    let range = |name| known.scaler().range[place(name)];
    assert_eq!(range("news_sentiment"), 0.5);
    // The second value came after the training part.
    assert_eq!(range("ten_year_yield"), 0.0);
    let (windows, _) = known.windows(Part::Calibration, 50);
    let yields = windows
        .iter()
        .skip(place("ten_year_yield"))
        .step_by(FEATURE_COUNT);
    assert!(yields.copied().all(|value| value == 0.0));

    // A story about somebody else is none.
    let other = Context {
        news: [story("T9", TimeDelta::hours(2), 0.5)].into(),
        economy: vec![],
    };
    assert_eq!(
        build(&bars, &other).unwrap().fingerprint(),
        alone.fingerprint()
    );
}
