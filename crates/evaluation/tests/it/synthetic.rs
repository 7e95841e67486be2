//! Invented decisions whose days differ, as markets do.

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use domain::{AdaptiveThresholds, Class, ModelId, Ticker};
use evaluation::{Baseline, Case, ClassPrior, ComparisonSettings, NamedRange, Network};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

pub(crate) const TICKERS: [&str; 4] = ["AAPL", "JPM", "KO", "XOM"];

pub(crate) fn settings() -> ComparisonSettings {
    ComparisonSettings {
        margin: 0.001,
        level: 0.95,
        resamples: 500,
        seed: 7,
        round_trip_cost_bps: 4.0,
        trials: 12,
    }
}

pub(crate) fn day(number: u64) -> NaiveDate {
    NaiveDate::from_ymd_opt(2018, 3, 1).unwrap() + Days::new(number)
}

pub(crate) fn start(day: NaiveDate, minute: i64) -> DateTime<Utc> {
    day.and_hms_opt(14, 30, 0).unwrap().and_utc() + TimeDelta::minutes(minute)
}

pub(crate) fn ticker(text: &str) -> Ticker {
    Ticker::parse(text).unwrap()
}

/// Sight of a network that sees nothing, whatever error its day adds.
pub(crate) const BLIND: f64 = -9.0;

/// How well a network sees: 1 knows the true probabilities, 0 nothing of them, above 1 exaggerates.
pub(crate) fn blurred(truth: [f64; 3], sight: f64) -> [f64; 3] {
    let weights = truth.map(|value| value.powf(sight));
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| weight / sum)
}

/// Days on which all stocks share a drift, and networks that see a part of the probabilities, with an error that the
/// whole day shares.
pub(crate) fn cases(days: u64, champion: f64, challenger: f64, seed: u64) -> Vec<Case> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let noise = |size: f64, rng: &mut ChaCha8Rng| -> f64 {
        let value: f64 = StandardNormal.sample(rng);
        size * value
    };
    let mut cases = Vec::new();
    for number in 0..days {
        let drift = noise(0.8, &mut rng);
        let errors = [noise(0.3, &mut rng), noise(0.3, &mut rng)];
        for name in TICKERS {
            for minute in 0..40 {
                let lean = drift + noise(0.5, &mut rng);
                let odds = [(-lean).exp(), 1.2, lean.exp()];
                let sum: f64 = odds.iter().sum();
                let truth = odds.map(|odd| odd / sum);
                let draw: f64 = rng.random_range(0.0..1.0);
                let happened = match draw {
                    low if low < truth[0] => Class::Down,
                    middle if middle < truth[0] + truth[1] => Class::Neutral,
                    _ => Class::Up,
                };
                let said = |sight: f64, error: f64| blurred(truth, (sight + error).max(0.0));
                cases.push(Case {
                    ticker: ticker(name),
                    session: day(number),
                    bar_start: start(day(number), minute),
                    truth: happened,
                    gross_return: match happened {
                        Class::Down => -0.0012,
                        Class::Neutral => noise(0.0003, &mut rng),
                        Class::Up => 0.0012,
                    },
                    champion: said(champion, errors[0]),
                    challenger: said(challenger, errors[1]),
                });
            }
        }
    }
    cases
}

pub(crate) fn network(id: &str, seed: u64) -> Network {
    let range = |name: &str, from: u64, to: u64| NamedRange {
        name: name.into(),
        start: start(day(from), 0) - TimeDelta::days(40),
        end: start(day(to), 390) - TimeDelta::days(40),
    };
    Network {
        id: ModelId::parse(id).unwrap(),
        seed,
        ranges: vec![
            range("training", 0, 19),
            range("early stopping", 20, 22),
            range("calibration", 23, 25),
        ],
        sets: Some(AdaptiveThresholds::new(0.8, [0.12, 0.21, 0.13], 60)),
    }
}

/// The shares of what happened on these very days: no answer that is always the same does better.
pub(crate) fn prior(cases: &[Case]) -> Baseline {
    let truth: Vec<Class> = cases.iter().map(|case| case.truth).collect();
    Baseline {
        name: "class prior".into(),
        probabilities: vec![ClassPrior::fit(&truth).unwrap().probabilities(); cases.len()],
        chosen: None,
    }
}
