//! Sets of classes that hold what happens with a set probability (split conformal prediction, one threshold a class).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{AdaptiveThresholds, Class};
use serde::{Deserialize, Serialize};

/// How improbable a class may be and still belong to the set, one limit for each class in the order of [`Class::ALL`].
///
/// Fitted on cases that the model has not been trained on. If those of tomorrow come from the same distribution, the set
/// holds the class that happens with at least the probability asked for, for each class by itself (Vovk 2012; Sadinle,
/// Lei and Wasserman 2019). Markets drift, so that in service the limits move from there, see [`AdaptiveThresholds`], and
/// the coverage is reported on unseen days beside it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConformalSets {
    /// Probability with which the set should hold what happens, 0 to 1.
    pub coverage: f64,
    /// A class belongs to the set when its probability is at least this.
    pub thresholds: [f64; 3],
}

/// The sets cannot be fitted.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConformalError {
    /// Not a probability that can be asked for.
    #[error("a coverage of {0} cannot be asked for: it lies between 0 and 1")]
    Coverage(f64),
    /// Too few cases of a class to say anything about its tail.
    #[error(
        "{found} calibration cases of class {class} are too few for a coverage of {coverage}: it takes {needed}"
    )]
    TooFew {
        /// Which class.
        class: Class,
        /// Its cases.
        found: usize,
        /// How many it takes.
        needed: usize,
        /// What was asked for.
        coverage: f64,
    },
}

impl ConformalSets {
    /// Fits the limits on calibration cases: what happened `[cases]` and the probabilities `[cases, 3]`.
    ///
    /// # Errors
    /// [`ConformalError`] for a coverage outside 0 to 1, and for a class with too few cases.
    pub fn fit(
        truth: &[Class],
        probabilities: &[[f64; 3]],
        coverage: f64,
    ) -> Result<Self, ConformalError> {
        if !(coverage > 0.0 && coverage < 1.0) {
            return Err(ConformalError::Coverage(coverage));
        }
        let mut thresholds = [0.0; 3];
        for class in Class::ALL {
            let mut own: Vec<f64> = truth
                .iter()
                .zip(probabilities)
                .filter(|(truth, _)| **truth == class)
                .map(|(_, values)| values[class.index()])
                .collect();
            // The k-th smallest of n, k = floor((n + 1)(1 - coverage)), keeps the promise for n cases and one more.
            let rank = ((own.len() + 1) as f64 * (1.0 - coverage)).floor() as usize;
            if rank == 0 {
                return Err(ConformalError::TooFew {
                    class,
                    found: own.len(),
                    needed: (1.0 / (1.0 - coverage)).ceil() as usize - 1,
                    coverage,
                });
            }
            own.sort_by(f64::total_cmp);
            thresholds[class.index()] = own[rank - 1];
        }
        Ok(Self {
            coverage,
            thresholds,
        })
    }

    /// Which classes remain possible, in the order of [`Class::ALL`].
    pub fn set(&self, probabilities: &[f64; 3]) -> [bool; 3] {
        std::array::from_fn(|class| probabilities[class] >= self.thresholds[class])
    }

    /// How often the sets held what happened.
    pub fn covered(&self, truth: &[Class], probabilities: &[[f64; 3]]) -> Coverage {
        let mut tally = Tally::default();
        for (truth, values) in truth.iter().zip(probabilities) {
            tally.add(*truth, self.set(values));
        }
        tally.coverage()
    }
}

/// How often the sets held what happened when they are moved as in service, from their start on: by the starts of the
/// bars `[cases]` (UTC, in any order), what happened and the probabilities `[cases, 3]`.
pub fn covered_in_service(
    start: &AdaptiveThresholds,
    bar_starts: &[DateTime<Utc>],
    truth: &[Class],
    probabilities: &[[f64; 3]],
) -> Coverage {
    let mut minutes: BTreeMap<DateTime<Utc>, Vec<(Class, [f64; 3])>> = BTreeMap::new();
    for ((bar_start, truth), values) in bar_starts.iter().zip(truth).zip(probabilities) {
        minutes
            .entry(*bar_start)
            .or_default()
            .push((*truth, *values));
    }
    let mut moving = start.clone();
    let mut tally = Tally::default();
    for (bar_start, outcomes) in minutes {
        let sets = ConformalSets {
            coverage: moving.coverage,
            thresholds: moving.at(bar_start),
        };
        for (truth, values) in &outcomes {
            tally.add(*truth, sets.set(values));
        }
        moving.learn(bar_start, &outcomes);
    }
    tally.coverage()
}

/// Counts of cases by class and of sets by size.
#[derive(Default)]
struct Tally {
    held: [usize; 3],
    cases: [usize; 3],
    sizes: [usize; 4],
}

impl Tally {
    fn add(&mut self, truth: Class, set: [bool; 3]) {
        self.cases[truth.index()] += 1;
        self.held[truth.index()] += usize::from(set[truth.index()]);
        self.sizes[set.iter().filter(|inside| **inside).count()] += 1;
    }

    fn coverage(&self) -> Coverage {
        let all: usize = self.cases.iter().sum();
        Coverage {
            classes: std::array::from_fn(|class| {
                self.held[class] as f64 / self.cases[class] as f64
            }),
            all: self.held.iter().sum::<usize>() as f64 / all as f64,
            sizes: self.sizes.map(|count| count as f64 / all as f64),
        }
    }
}

/// How often conformal sets held what happened.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// For the cases of each class in the order of [`Class::ALL`]; NaN without a case.
    pub classes: [f64; 3],
    /// For all cases; NaN without a case.
    pub all: f64,
    /// Shares of sets with no, one, two and three classes: what the coverage costs.
    pub sizes: [f64; 4],
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Cases whose classes happen with exactly the probabilities given.
    fn honest(count: usize, seed: u64) -> (Vec<Class>, Vec<[f64; 3]>) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..count)
            .map(|_| {
                let parts: [f64; 3] = std::array::from_fn(|_| rng.random_range(0.05..1.0));
                let sum: f64 = parts.iter().sum();
                let values = parts.map(|part| part / sum);
                let draw: f64 = rng.random_range(0.0..1.0);
                let class = if draw < values[0] {
                    Class::ALL[0]
                } else if draw < values[0] + values[1] {
                    Class::ALL[1]
                } else {
                    Class::ALL[2]
                };
                (class, values)
            })
            .unzip()
    }

    #[test]
    fn unseen_cases_are_covered_as_asked_for_each_class() {
        let (truth, probabilities) = honest(20_000, 1);
        let (unseen, unseen_probabilities) = honest(30_000, 2);
        for coverage in [0.7, 0.8, 0.9, 0.95] {
            let sets = ConformalSets::fit(&truth, &probabilities, coverage).unwrap();
            let covered = sets.covered(&unseen, &unseen_probabilities);
            for class in covered.classes {
                assert!((class - coverage).abs() < 0.02, "{coverage}: {covered:?}");
            }
            assert!((covered.sizes.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn in_service_the_sets_follow_what_happens() {
        // The model has become worse than it knows: on unseen days it says nothing but noise.
        let (truth, probabilities) = honest(5_000, 1);
        let (_, noise) = honest(20_000, 5);
        let (unseen, _) = honest(20_000, 2);
        let sets = ConformalSets::fit(&truth, &probabilities, 0.8).unwrap();
        let before = sets.covered(&unseen, &noise);
        assert!((before.all - 0.8).abs() > 0.05, "{before:?}");
        let start = AdaptiveThresholds::new(0.8, sets.thresholds, 60);
        let bar_starts: Vec<DateTime<Utc>> = (0..20_000)
            .map(|case| DateTime::UNIX_EPOCH + chrono::TimeDelta::minutes(case / 2))
            .collect();
        let covered = covered_in_service(&start, &bar_starts, &unseen, &noise);
        for share in covered.classes.into_iter().chain([covered.all]) {
            assert!((share - 0.8).abs() < 0.02, "{covered:?}");
        }
        // The order in which they are told is of no account.
        let backwards = |values: &[[f64; 3]]| values.iter().rev().copied().collect::<Vec<_>>();
        let (starts, truth): (Vec<_>, Vec<_>) = bar_starts
            .iter()
            .copied()
            .zip(unseen.iter().copied())
            .rev()
            .unzip();
        let again = covered_in_service(&start, &starts, &truth, &backwards(&noise));
        assert!((again.all - covered.all).abs() < 1e-3, "{again:?}");
    }

    #[test]
    fn a_bad_model_is_covered_too_by_larger_sets() {
        let (truth, probabilities) = honest(6_000, 3);
        // Always the same answer: it knows nothing.
        let constant = vec![[0.3, 0.4, 0.3]; truth.len()];
        let knowing = ConformalSets::fit(&truth, &probabilities, 0.8).unwrap();
        let ignorant = ConformalSets::fit(&truth, &constant, 0.8).unwrap();
        assert_eq!(ignorant.set(&[0.3, 0.4, 0.3]), [true; 3]);
        let size = |coverage: Coverage| {
            (0..4)
                .map(|count| count as f64 * coverage.sizes[count])
                .sum::<f64>()
        };
        assert!(
            size(knowing.covered(&truth, &probabilities))
                < size(ignorant.covered(&truth, &constant))
        );
    }

    #[test]
    fn too_few_cases_are_refused() {
        let (truth, probabilities) = honest(10, 4);
        let error = ConformalSets::fit(&truth, &probabilities, 0.99).unwrap_err();
        assert!(
            matches!(error, ConformalError::TooFew { needed: 99, .. }),
            "{error}"
        );
        assert!(ConformalSets::fit(&truth, &probabilities, 1.0).is_err());
    }
}
