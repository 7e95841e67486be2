use calendar::nyse;
use chrono::TimeDelta;
use domain::Bar;
use features::{
    CONTEXT_FEATURES, FEATURE_COUNT, FeatureSchema, FeatureStream, FeatureVector, MACRO_HORIZON,
    NewsEvent, fold,
};
use proptest::prelude::*;

use crate::market::{Events, Market, altered};

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

fn events(bars: &[Bar]) -> Events {
    Events::around(bars, 7, MACRO_HORIZON)
}

#[test]
fn every_feature_at_t_needs_only_what_was_known_at_t() {
    let bars = market();
    let events = events(&bars);
    let whole = fold(&bars, events.context());
    let first = whole.iter().position(Option::is_some).unwrap();
    // Each minute of the half hours around the opens, and a sample of the rest.
    let opens: Vec<usize> = (1..bars.len())
        .filter(|t| bars[*t].start.date_naive() != bars[t - 1].start.date_naive())
        .collect();
    let near_an_open = |t: usize| opens.iter().any(|open| t.abs_diff(*open) <= 15);
    let mut checked = 0;
    for t in (first..bars.len()).filter(|t| near_an_open(*t) || t % 17 == 0) {
        let known = events.until(bars[t].close_time());
        let until_t = fold(&bars[..=t], known.context());
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
    let events = events(&bars);
    let (before, after) = (
        fold(&bars, events.context())[t].unwrap(),
        fold(&changed, events.context())[t].unwrap(),
    );
    for (index, name) in FeatureSchema::current().names.iter().enumerate() {
        let of_the_clock = ["minute", "hour", "day"]
            .iter()
            .any(|word| name.contains(word));
        let reacts =
            !of_the_clock && *name != "overnight_gap" && !CONTEXT_FEATURES.contains(&index);
        assert_eq!(before[index] != after[index], reacts, "{name}");
    }
}

#[test]
fn every_feature_of_news_and_economy_moves() {
    let bars = market();
    // Quarterly figures do not move within two weeks: several worlds.
    let vectors: Vec<FeatureVector> = (7..10)
        .flat_map(|seed| fold(&bars, Events::around(&bars, seed, MACRO_HORIZON).context()))
        .flatten()
        .collect();
    for index in CONTEXT_FEATURES {
        let name = FeatureSchema::current().names[index];
        let values: std::collections::HashSet<u32> = vectors
            .iter()
            .map(|vector| vector[index].to_bits())
            .collect();
        assert!(values.len() > 1, "{name} is always {}", vectors[0][index]);
        assert!(
            vectors.iter().all(|vector| vector[index].abs() <= 20.0),
            "{name}"
        );
    }
    // Nothing known is nothing said.
    let nothing = Events {
        news: vec![],
        economy: vec![],
    };
    for vector in fold(&bars, nothing.context()).iter().flatten() {
        assert_eq!(
            vector[CONTEXT_FEATURES],
            [0.0; FEATURE_COUNT - CONTEXT_FEATURES.start]
        );
    }
}

#[test]
fn an_event_counts_from_the_bar_at_whose_close_it_is_available() {
    let bars = market();
    let t = bars.len() - 100;
    let story = |microseconds| {
        let available_at = bars[t].close_time() + TimeDelta::microseconds(microseconds);
        let events = Events {
            news: vec![NewsEvent {
                available_at,
                score: 0.5,
            }],
            economy: vec![],
        };
        let features = fold(&bars, events.context());
        (t - 1..=t + 1)
            .map(|bar| features[bar].unwrap()[CONTEXT_FEATURES.start] > 0.0)
            .collect::<Vec<_>>()
    };
    assert_eq!(story(0), [false, true, true]);
    assert_eq!(story(1), [false, false, true]);
}

#[test]
fn the_order_of_events_does_not_matter_and_late_ones_count_from_the_next_bar_on() {
    let bars = market();
    let mut events = events(&bars);
    let batch = fold(&bars, events.context());
    events.shuffle(99);
    let mut stream = FeatureStream::new(nyse());
    let t = bars.len() - 700;
    let late = |available_at| available_at <= bars[t].close_time();
    // All that was known at t comes after t, the rest at once.
    events
        .news
        .iter()
        .filter(|event| !late(event.available_at))
        .for_each(|event| stream.push_news(*event));
    events
        .economy
        .iter()
        .filter(|event| !late(event.available_at))
        .for_each(|event| stream.push_macro(event));
    for (place, bar) in bars.iter().enumerate() {
        let live = stream.push(bar).unwrap();
        if place == t {
            events
                .news
                .iter()
                .filter(|event| late(event.available_at))
                .for_each(|event| stream.push_news(*event));
            events
                .economy
                .iter()
                .filter(|event| late(event.available_at))
                .for_each(|event| stream.push_macro(event));
            assert_eq!(
                live.unwrap()[CONTEXT_FEATURES],
                [0.0; FEATURE_COUNT - CONTEXT_FEATURES.start]
            );
        }
        if place > t {
            assert!(
                same(&live.unwrap(), &batch[place].unwrap()),
                "{}",
                bar.start
            );
        }
    }
}

#[test]
fn streaming_equals_batch_bit_for_bit() {
    let bars = market();
    let events = events(&bars);
    let batch = fold(&bars, events.context());
    // A stream that is cloned on the way (as a restart from a snapshot would) gives the same.
    let mut stream = FeatureStream::new(nyse());
    let mut known = bars[0].start - MACRO_HORIZON;
    for (index, bar) in bars.iter().enumerate() {
        if index % 1_000 == 999 {
            stream = stream.clone();
        }
        // Events arrive as time goes on.
        let new = |available_at| available_at > known && available_at <= bar.close_time();
        events
            .news
            .iter()
            .filter(|event| new(event.available_at))
            .for_each(|event| stream.push_news(*event));
        events
            .economy
            .iter()
            .filter(|event| new(event.available_at))
            .for_each(|event| stream.push_macro(event));
        known = bar.close_time();
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
    fn nothing_after_t_changes_anything_at_t(seed in any::<u64>(), t in 2_100_usize..3_100, factor in 0.5..2.0_f64) {
        let bars = Market { seed, sessions: 9, missing: 0.02, silent: 0.02 }.bars();
        let events = Events::around(&bars, seed, TimeDelta::days(400));
        // Other stories and figures after t: none of the old ones, and ones of another market.
        let mut others = events.until(bars[t].close_time());
        let later = |available_at| available_at > bars[t].close_time();
        let replacement = Events::around(&bars, seed ^ 1, TimeDelta::days(400));
        others.news.extend(replacement.news.iter().filter(|event| later(event.available_at)));
        others.economy.extend(replacement.economy.iter().filter(|event| later(event.available_at)).cloned());
        let mut changed = bars.clone();
        for bar in &mut changed[t + 1..] {
            *bar = altered(bar, factor, 3);
        }
        let (before, after) = (fold(&bars, events.context()), fold(&changed, others.context()));
        for index in 0..=t {
            match (before[index], after[index]) {
                (Some(before), Some(after)) => prop_assert!(same(&before, &after)),
                (before, after) => prop_assert_eq!(before, after),
            }
        }
    }
}
