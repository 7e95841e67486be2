use calendar::nyse;
use chrono::TimeDelta;
use domain::Bar;
use labels::{BarrierPath, BarrierSettings, triple_barrier, uniqueness_weights};
use proptest::prelude::*;

/// One-bar moves (open to close, and how far high and low reach beyond), about three sessions of them.
fn bars() -> impl Strategy<Value = Vec<Bar>> {
    let step = (
        -0.004..0.004_f64,
        0.0..0.002_f64,
        0.0..0.002_f64,
        prop::bool::weighted(0.95),
    );
    prop::collection::vec(step, 700..1_100).prop_map(|steps| {
        let sessions =
            nyse().sessions("2018-11-21".parse().unwrap(), "2018-12-31".parse().unwrap());
        let minutes = sessions.iter().flat_map(|session| {
            (0..i64::from(session.minutes()))
                .map(|minute| session.open + TimeDelta::minutes(minute))
        });
        let mut price = 100.0;
        minutes
            .zip(steps)
            .filter_map(|(start, (step, above, below, present))| {
                let open = price;
                price *= 1.0 + step;
                let (high, low) = (
                    open.max(price) * (1.0 + above),
                    open.min(price) * (1.0 - below),
                );
                present.then(|| Bar::new(start, open, high, low, price, 1.0).unwrap())
            })
            .collect()
    })
}

fn settings() -> impl Strategy<Value = BarrierSettings> {
    (prop::bool::ANY, 1_usize..40, prop::bool::ANY).prop_map(|(close, horizon, within_session)| {
        BarrierSettings {
            path: if close {
                BarrierPath::Close
            } else {
                BarrierPath::HighLow
            },
            horizon,
            within_session,
            ..BarrierSettings::default()
        }
    })
}

fn altered(bar: &Bar, factor: f64) -> Bar {
    let price = |price: domain::Price| price.get() * factor;
    Bar::new(
        bar.start,
        price(bar.open),
        price(bar.high),
        price(bar.low),
        price(bar.close),
        1.0,
    )
    .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn bars_after_the_touch_change_nothing(bars in bars(), settings in settings(), part in 0.1..0.9_f64, factor in 0.7..1.4_f64) {
        let last = (bars.len() as f64 * part) as usize;
        let mut changed = bars.clone();
        for bar in &mut changed[last + 1..] {
            *bar = altered(bar, factor);
        }
        let known = |bars: &[Bar]| {
            let mut labels = triple_barrier(bars, &settings, nyse());
            labels.retain(|label| label.touch_index <= last);
            labels
        };
        prop_assert_eq!(known(&bars), known(&changed));
    }

    #[test]
    fn more_history_at_the_end_only_adds_labels(bars in bars(), settings in settings(), part in 0.1..0.9_f64) {
        let until = (bars.len() as f64 * part) as usize;
        let (all, some) = (triple_barrier(&bars, &settings, nyse()), triple_barrier(&bars[..until], &settings, nyse()));
        prop_assert_eq!(&all[..some.len()], &some[..]);
    }

    #[test]
    fn price_level_does_not_matter(bars in bars(), settings in settings(), power in -3.0..5.0_f64) {
        // Powers of two scale exactly, so that not even a touch at the last digit may differ.
        let factor = power.round().exp2();
        let scaled: Vec<Bar> = bars.iter().map(|bar| altered(bar, factor)).collect();
        prop_assert_eq!(triple_barrier(&bars, &settings, nyse()), triple_barrier(&scaled, &settings, nyse()));
    }

    #[test]
    fn labels_are_consistent(bars in bars(), settings in settings()) {
        let labels = triple_barrier(&bars, &settings, nyse());
        prop_assert!(!labels.is_empty());
        for label in &labels {
            let bars_ahead = label.touch_index - label.index;
            prop_assert!(bars_ahead >= 1 && bars_ahead <= settings.horizon);
            prop_assert!(label.target >= settings.minimum_target);
            prop_assert_eq!(bars[label.touch_index].start, label.first_touch);
            if settings.within_session {
                let session = nyse().session_at(label.start).unwrap();
                prop_assert!(session.contains(label.first_touch));
            }
            match label.bin {
                1 => prop_assert!(label.ret >= label.target),
                -1 => prop_assert!(label.ret <= -label.target),
                _ => prop_assert!(label.ret.abs() <= label.target),
            }
        }
        let weights = uniqueness_weights(&labels, bars.len());
        prop_assert_eq!(weights.len(), labels.len());
        prop_assert!(weights.iter().all(|weight| *weight > 0.0 && *weight <= 1.0 + 1e-9));
    }
}
