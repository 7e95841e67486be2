use calendar::nyse;
use domain::Bar;
use features::{FeatureSchema, FeatureStream, FeatureVector, fold};
use proptest::prelude::*;

use crate::market::{Market, altered};

fn same(left: &FeatureVector, right: &FeatureVector) -> bool {
    left.iter()
        .zip(right)
        .all(|(left, right)| left.to_bits() == right.to_bits())
}

fn market() -> Vec<Bar> {
    Market {
        seed: 7,
        sessions: 9,
        missing: 0.03,
        silent: 0.02,
    }
    .bars()
}

#[test]
fn every_feature_at_t_needs_only_the_bars_up_to_t() {
    let bars = market();
    let whole = fold(&bars);
    let first = whole.iter().position(Option::is_some).unwrap();
    // Each minute of the half hours around the opens, and a sample of the rest.
    let opens: Vec<usize> = (1..bars.len())
        .filter(|t| bars[*t].start.date_naive() != bars[t - 1].start.date_naive())
        .collect();
    let near_an_open = |t: usize| opens.iter().any(|open| t.abs_diff(*open) <= 15);
    let mut checked = 0;
    for t in (first..bars.len()).filter(|t| near_an_open(*t) || t % 17 == 0) {
        let until_t = fold(&bars[..=t]);
        let (now, then) = (whole[t].unwrap(), until_t[t].unwrap());
        for (name, (now, then)) in FeatureSchema::current()
            .names
            .iter()
            .zip(now.iter().zip(&then))
        {
            assert_eq!(now.to_bits(), then.to_bits(), "{name} at {}", bars[t].start);
        }
        checked += 1;
    }
    assert!(checked > 150, "{checked}");
}

#[test]
fn every_feature_that_can_react_to_its_own_bar_does() {
    // The causality test would pass for features that are constant: these must move when the bar itself changes.
    let bars = market();
    let t = bars.len() - 1;
    let mut changed = bars.clone();
    changed[t] = altered(&bars[t], 1.01, 3);
    let (before, after) = (fold(&bars)[t].unwrap(), fold(&changed)[t].unwrap());
    for (index, name) in FeatureSchema::current().names.iter().enumerate() {
        let of_the_clock = ["minute", "hour", "day"]
            .iter()
            .any(|word| name.contains(word));
        let reacts = !of_the_clock && *name != "overnight_gap";
        assert_eq!(before[index] != after[index], reacts, "{name}");
    }
}

#[test]
fn streaming_equals_batch_bit_for_bit() {
    let bars = market();
    let batch = fold(&bars);
    // A stream that is cloned on the way (as a restart from a snapshot would) gives the same.
    let mut stream = FeatureStream::new(nyse());
    for (index, bar) in bars.iter().enumerate() {
        if index % 1_000 == 999 {
            stream = stream.clone();
        }
        let live = stream.push(bar).unwrap();
        match (live, batch[index]) {
            (Some(live), Some(batch)) => assert!(same(&live, &batch), "{}", bar.start),
            (live, batch) => assert_eq!(live, batch),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn bars_after_t_change_nothing_at_t(seed in any::<u64>(), t in 2_100_usize..3_100, factor in 0.5..2.0_f64) {
        let bars = Market { seed, sessions: 9, missing: 0.02, silent: 0.02 }.bars();
        let mut changed = bars.clone();
        for bar in &mut changed[t + 1..] {
            *bar = altered(bar, factor, 3);
        }
        let (before, after) = (fold(&bars), fold(&changed));
        for index in 0..=t {
            match (before[index], after[index]) {
                (Some(before), Some(after)) => prop_assert!(same(&before, &after)),
                (before, after) => prop_assert_eq!(before, after),
            }
        }
    }
}
