use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;

use crate::Class;

/// About how far a threshold moves when all stocks' sets miss in one minute. On recorded bars of 2018 and 2026 a quarter of it
/// follows a market that changes within days too late, five points short; twice as much keeps the coverage as well, by
/// sets that swing more with chance.
const STEP: f64 = 0.008;

/// From which probability on a model holds a class possible, in service: fitted in training, then moved by what came of
/// each minute's decisions, so that the sets go on holding what happens as often as asked although markets drift.
///
/// This is adaptive conformal inference (Gibbs and Candès, 2021) with one threshold a class: a miss lowers the threshold of
/// the class that happened, a hit raises it a little, such that both cancel where the coverage is as asked. It holds over
/// time whatever the market does: below 0 a threshold always holds and so rises again, above 1 it falls. (Cut off at 0 and 1
/// it would not: misses of before, told late, would count for nothing.) Nothing is used before it was known: what came of a
/// decision counts from `delay_minutes` after it on.
///
/// A few days are short for it: a threshold that has to move by 0.05 costs a class about a point and a half of coverage in
/// them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AdaptiveThresholds {
    /// Probability with which the sets should hold what happens, between 0 and 1.
    pub coverage: f64,
    /// As fitted in training, in the order of [`Class::ALL`].
    pub thresholds: [f64; 3],
    /// Minutes after the start of a bar from which what came of its decision counts.
    pub delay_minutes: u32,
    /// Thresholds and the start of the first bar that they count for, oldest first.
    #[serde(skip)]
    steps: VecDeque<(DateTime<Utc>, [f64; 3])>,
}

impl AdaptiveThresholds {
    /// Thresholds as fitted in training, before anything happened.
    pub const fn new(coverage: f64, thresholds: [f64; 3], delay_minutes: u32) -> Self {
        Self {
            coverage,
            thresholds,
            delay_minutes,
            steps: VecDeque::new(),
        }
    }

    /// The thresholds of decisions on the bars that start then (UTC), in the order of [`Class::ALL`]. Not of bars before
    /// the last that was learned from.
    pub fn at(&self, bar_start: DateTime<Utc>) -> [f64; 3] {
        self.steps
            .iter()
            .rev()
            .find(|(from, _)| *from <= bar_start)
            .map_or(self.thresholds, |(_, thresholds)| *thresholds)
    }

    /// Takes what came of all stocks' decisions on the bars that started then (UTC), with the probabilities that the model
    /// gave; minutes ascending. It may be told at once: it does not count before its time.
    pub fn learn(&mut self, bar_start: DateTime<Utc>, outcomes: &[(Class, [f64; 3])]) {
        if outcomes.is_empty() {
            return;
        }
        let then = self.at(bar_start);
        let mut moved = self
            .steps
            .back()
            .map_or(self.thresholds, |(_, newest)| *newest);
        let share = STEP / outcomes.len() as f64;
        for (class, probabilities) in outcomes {
            let place = class.index();
            let missed = probabilities[place] < then[place];
            let pull = if missed {
                self.coverage
            } else {
                self.coverage - 1.0
            };
            moved[place] -= share * pull;
        }
        let from = bar_start + TimeDelta::minutes(i64::from(self.delay_minutes));
        self.steps.push_back((from, moved));
        // Nobody asks for earlier bars any more.
        while self
            .steps
            .get(1)
            .is_some_and(|(from, _)| *from <= bar_start)
        {
            self.steps.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FITTED: [f64; 3] = [0.3, 0.4, 0.3];

    fn minute(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    /// Twenty decisions of a minute: classes in turn, and probabilities that spread evenly over 0.2 around `middle`.
    fn outcomes(at: i64, middle: f64) -> Vec<(Class, [f64; 3])> {
        let outcome = |stock: i64| {
            let spread = ((at * 20 + stock) * 7_919 % 1_000) as f64 / 1_000.0 - 0.5;
            let class = Class::ALL[(stock % 3) as usize];
            (class, [middle + 0.2 * spread; 3])
        };
        (0..20).map(outcome).collect()
    }

    #[test]
    fn a_drifting_market_is_covered_as_asked() {
        let mut thresholds = AdaptiveThresholds::new(0.8, FITTED, 60);
        let (mut held, mut cases) = ([0.0; 3], [0.0; 3]);
        for at in 0..8_000 {
            // What the model says of everything sinks; thresholds right at first would cover less than a third in the end.
            let outcomes = outcomes(at, 0.45 - 0.1 * at as f64 / 8_000.0);
            let now = thresholds.at(minute(at));
            for (class, said) in &outcomes {
                cases[class.index()] += 1.0;
                held[class.index()] += f64::from(said[class.index()] >= now[class.index()]);
            }
            thresholds.learn(minute(at), &outcomes);
        }
        for (held, cases) in held.into_iter().zip(cases) {
            let found: f64 = held / cases;
            assert!((found - 0.8).abs() < 0.02, "{found}");
        }
        let last = thresholds.at(minute(8_000));
        assert!(last.iter().all(|it| (it - 0.29).abs() < 0.02), "{last:?}");
        // Only what may still be asked for is kept.
        assert!(thresholds.steps.len() <= 62, "{}", thresholds.steps.len());
    }

    #[test]
    fn an_outcome_counts_when_it_is_known_and_not_before() {
        let mut told = AdaptiveThresholds::new(0.8, FITTED, 60);
        assert_eq!(told.at(minute(0)), FITTED);
        told.learn(minute(0), &[(Class::Up, [0.5, 0.4, 0.1])]);
        for before in [0, 1, 59] {
            assert_eq!(told.at(minute(before)), FITTED);
        }
        // Missed: lower by the step times the coverage.
        assert_eq!(told.at(minute(60)), [0.3, 0.4, 0.3 - 0.008 * 0.8]);
        assert_eq!(told.at(minute(900)), told.at(minute(60)));
        // Held: higher by what is left.
        told.learn(minute(1), &[(Class::Down, [0.5, 0.4, 0.1])]);
        let [down, ..] = told.at(minute(61));
        assert!((down - (0.3 + 0.008 * 0.2)).abs() < 1e-12, "{down}");
        told.learn(minute(2), &[]);
        assert_eq!(told.at(minute(62)), told.at(minute(61)));
    }

    #[test]
    fn a_threshold_below_zero_comes_back_by_as_much_as_it_went() {
        // A model that gives a class next to nothing, an hour of misses, and all of them told late.
        let mut told = AdaptiveThresholds::new(0.8, [0.05; 3], 60);
        let (mut held, mut lowest) = (0.0, 1.0_f64);
        for at in 0..3_000 {
            let said = 0.001 + 0.02 * (at % 7) as f64;
            let [.., up] = told.at(minute(at));
            lowest = lowest.min(up);
            held += f64::from(said >= up);
            told.learn(minute(at), &[(Class::Up, [0.5, 0.4, said])]);
        }
        assert!(lowest < -0.05, "{lowest}");
        let found: f64 = held / 3_000.0;
        assert!((found - 0.8).abs() < 0.02, "{found}");
    }
}
