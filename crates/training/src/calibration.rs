//! From the network's logits to probabilities that can be taken at their word.
//!
//! The classes were weighted to have the same total weight, so the logits hold evidence without a prior. The
//! probabilities are `softmax(scaled evidence + ln prior)` with the class frequencies of the training part as prior
//! (Elkan, 2001). Temperature scaling (Guo et al., 2017) is done in two parts, as the two questions differ in how well
//! they can be answered: whether the price will move, and which way. Where a network knows nothing the scale goes to 0
//! and the prior is left. How often prices move changes from week to week, as volatility does, and the newest sessions
//! know it better than the training part: a third number corrects the log odds of no move. (That of up against down has
//! no such memory and stays the training part's.) All three are fitted on bars that nothing else was fitted on.

use std::ops::Range;

use domain::Class;
use serde::{Deserialize, Serialize};

use crate::NetworkWeights;

/// Largest scale and level considered.
const LARGEST: f64 = 3.0;

/// How often each of the three is searched along.
const ROUNDS: usize = 8;

/// A prediction and what happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) logits: [f64; 3],
    pub(crate) class: Class,
}

/// What is made of a network's evidence: two inverse temperatures (1 takes it as it is, less cools an overconfident
/// network, 0 ignores it), and how often prices move.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvidenceCorrection {
    /// Of the evidence for or against a move (neutral against the other two classes).
    pub movement: f64,
    /// Of the evidence for its direction (up against down).
    pub direction: f64,
    /// Added to the log odds of no move against those of the training part.
    pub level: f64,
}

impl EvidenceCorrection {
    /// Evidence as the network gives it.
    pub(crate) const UNCHANGED: Self = Self {
        movement: 1.0,
        direction: 1.0,
        level: 0.0,
    };
    /// No evidence: the prior.
    pub(crate) const NONE: Self = Self {
        movement: 0.0,
        direction: 0.0,
        level: 0.0,
    };

    /// Scales both parts of the evidence; linear in the logits.
    fn apply(self, [down, neutral, up]: [f64; 3]) -> [f64; 3] {
        let movement = self.movement * (neutral - 0.5 * (down + up)) / 3.0;
        let direction = self.direction * 0.5 * (up - down);
        [-movement - direction, 2.0 * movement, -movement + direction]
    }
}

/// What turns evidence into probabilities.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Calibration {
    pub(crate) correction: EvidenceCorrection,
    /// Frequencies of the classes in the training part.
    pub(crate) prior: [f64; 3],
}

impl Calibration {
    /// The correction with the least log loss.
    pub(crate) fn fit(cases: &[Case], prior: [f64; 3]) -> Self {
        let mut best = EvidenceCorrection::UNCHANGED;
        let loss = |correction| Self { correction, prior }.log_loss(cases);
        // The log loss is convex in all three, so searching along one after the other finds its minimum.
        for _ in 0..ROUNDS {
            best.level = golden_section(-LARGEST..LARGEST, |level| {
                loss(EvidenceCorrection { level, ..best })
            });
            best.movement = golden_section(0.0..LARGEST, |movement| {
                loss(EvidenceCorrection { movement, ..best })
            });
            best.direction = golden_section(0.0..LARGEST, |direction| {
                loss(EvidenceCorrection { direction, ..best })
            });
        }
        Self {
            correction: best,
            prior,
        }
    }

    /// Mean negative logarithm of the probability given to what happened.
    pub(crate) fn log_loss(&self, cases: &[Case]) -> f64 {
        let surprise = |case: &Case| {
            -self.probabilities(case.logits)[case.class.index()]
                .max(1e-15)
                .ln()
        };
        cases.iter().map(surprise).sum::<f64>() / cases.len() as f64
    }

    /// Calibrated probabilities of a window with these logits.
    pub(crate) fn probabilities(&self, logits: [f64; 3]) -> [f64; 3] {
        let evidence = self.correction.apply(logits);
        let without_evidence = self.without_evidence();
        softmax(std::array::from_fn(|class| {
            evidence[class] + without_evidence[class]
        }))
    }

    /// Logarithms of what is said without evidence.
    fn without_evidence(&self) -> [f64; 3] {
        let [down, neutral, up] = self.prior.map(f64::ln);
        [down, neutral + self.correction.level, up]
    }

    /// Weights whose plain softmax gives the calibrated probabilities.
    pub(crate) fn fold_into(&self, mut weights: NetworkWeights) -> NetworkWeights {
        let head = match &mut weights {
            NetworkWeights::Lstm(lstm) => &mut lstm.head,
            NetworkWeights::Transformer(transformer) => &mut transformer.head,
        };
        for row in head.weight.as_chunks_mut::<3>().0 {
            *row = self
                .correction
                .apply(row.map(f64::from))
                .map(|value| value as f32);
        }
        let without_evidence = self.without_evidence();
        for row in head.bias.as_chunks_mut::<3>().0 {
            let evidence = self.correction.apply(row.map(f64::from));
            *row = std::array::from_fn(|class| (evidence[class] + without_evidence[class]) as f32);
        }
        weights
    }
}

/// Where a convex function is least in a range.
fn golden_section(Range { start, end }: Range<f64>, function: impl Fn(f64) -> f64) -> f64 {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (start, end);
    let (mut left, mut right) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut at_left, mut at_right) = (function(left), function(right));
    for _ in 0..24 {
        if at_left < at_right {
            (high, right, at_right) = (right, left, at_left);
            left = high - ratio * (high - low);
            at_left = function(left);
        } else {
            (low, left, at_left) = (left, right, at_right);
            right = low + ratio * (high - low);
            at_right = function(right);
        }
    }
    0.5 * (low + high)
}

/// `e^x` over their sum.
pub(crate) fn softmax(logits: [f64; 3]) -> [f64; 3] {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let powers = logits.map(|logit| (logit - largest).exp());
    let sum: f64 = powers.iter().sum();
    powers.map(|power| power / sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::testing::random_lstm;

    const EVEN: [f64; 3] = [1.0 / 3.0; 3];

    fn close(found: [f64; 3], expected: [f64; 3]) {
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < 3e-4, "{found} {expected}");
        }
    }

    #[test]
    fn overconfidence_is_cooled_by_as_much_as_it_is_wrong() {
        // Of four that are said to rise two do, one falls and one does neither: log odds (0, 0, ln 2), of which three
        // times as much is claimed. The same of four that are said to stay where they are.
        let claim = 3.0 * 2.0_f64.ln();
        let (rise, stay) = ([0.0, 0.0, claim], [0.0, claim, 0.0]);
        let [down, neutral, up] = Class::ALL;
        let mut cases = Vec::new();
        for (logits, classes) in [
            (rise, [up, up, down, neutral]),
            (stay, [neutral, neutral, down, up]),
        ] {
            cases.extend(classes.map(|class| Case { logits, class }));
        }
        let fitted = Calibration::fit(&cases, EVEN);
        close(fitted.probabilities(rise), [0.25, 0.25, 0.5]);
        close(fitted.probabilities(stay), [0.25, 0.5, 0.25]);
        let EvidenceCorrection {
            movement,
            direction,
            level,
        } = fitted.correction;
        for (found, expected) in [(movement, 1.0 / 3.0), (direction, 1.0 / 3.0), (level, 0.0)] {
            assert!((found - expected).abs() < 1e-3, "{:?}", fitted.correction);
        }
    }

    #[test]
    fn how_often_prices_move_follows_the_newest_sessions_but_not_where_to() {
        let logits = [0.0; 3];
        let up = Case {
            logits,
            class: Class::Up,
        };
        let neutral = Case {
            logits,
            class: Class::Neutral,
        };
        let fitted = Calibration::fit(&[up, up, up, up, neutral], [0.3, 0.5, 0.2]);
        close(fitted.probabilities(logits), [0.48, 0.2, 0.32]);
    }

    #[test]
    fn each_question_has_its_own_scale() {
        let logits = [0.3, -1.1, 0.5];
        let all = Calibration {
            correction: EvidenceCorrection::UNCHANGED,
            prior: EVEN,
        };
        close(all.probabilities(logits), softmax(logits));
        let none = Calibration {
            correction: EvidenceCorrection::NONE,
            prior: [0.5, 0.25, 0.25],
        };
        close(none.probabilities(logits), [0.5, 0.25, 0.25]);
        let correction = EvidenceCorrection {
            movement: 1.0,
            direction: 0.0,
            level: 0.0,
        };
        let [down, neutral, up] = Calibration {
            correction,
            prior: EVEN,
        }
        .probabilities(logits);
        assert!((down - up).abs() < 1e-12 && neutral < 0.2);
    }

    #[test]
    fn folding_changes_nothing_but_the_place() {
        let NetworkWeights::Lstm(mut lstm) = random_lstm(4, 3, 1, 5) else {
            unreachable!()
        };
        let output = [0.3, -0.7, 0.2];
        let logits = |head: &crate::DenseWeights| -> [f64; 3] {
            std::array::from_fn(|class| {
                f64::from(head.bias[class])
                    + (0..3)
                        .map(|k| output[k] * f64::from(head.weight[k * 3 + class]))
                        .sum::<f64>()
            })
        };
        let correction = EvidenceCorrection {
            movement: 0.7,
            direction: 0.2,
            level: -0.4,
        };
        let calibration = Calibration {
            correction,
            prior: [0.2, 0.5, 0.3],
        };
        let expected = calibration.probabilities(logits(&lstm.head));
        if let NetworkWeights::Lstm(folded) =
            calibration.fold_into(NetworkWeights::Lstm(lstm.clone()))
        {
            lstm = folded;
        }
        close(softmax(logits(&lstm.head)), expected);
    }
}
