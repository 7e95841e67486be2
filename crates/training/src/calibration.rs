//! From the network's logits to probabilities that can be taken at their word.
//!
//! The classes were weighted to have the same total weight, so the logits hold evidence without a prior. The
//! probabilities are `softmax(scaled evidence + ln prior)` with the class frequencies of the training part as prior
//! (Elkan, 2001). Temperature scaling (Guo et al., 2017) is done in two parts, as the two questions differ in how well
//! they can be answered: whether the price will move, and which way. Both scales are fitted on bars that nothing else
//! was fitted on. Where a network knows nothing the scale goes to 0 and the prior is left.

use domain::Class;
use serde::{Deserialize, Serialize};

use crate::NetworkWeights;

/// Largest scale considered.
const LARGEST: f64 = 3.0;

/// A prediction and what happened.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) logits: [f64; 3],
    pub(crate) class: Class,
}

/// Inverse temperatures of a network's evidence: 1 takes it as it is, less cools an overconfident network, 0 ignores it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvidenceScales {
    /// Of the evidence for or against a move (neutral against the other two classes).
    pub movement: f64,
    /// Of the evidence for its direction (up against down).
    pub direction: f64,
}

impl EvidenceScales {
    /// Evidence as the network gives it.
    pub(crate) const UNCHANGED: Self = Self {
        movement: 1.0,
        direction: 1.0,
    };
    /// No evidence: the prior.
    pub(crate) const NONE: Self = Self {
        movement: 0.0,
        direction: 0.0,
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
    pub(crate) scales: EvidenceScales,
    /// Frequencies of the classes in the training part.
    pub(crate) prior: [f64; 3],
}

impl Calibration {
    /// The scales with the least log loss.
    pub(crate) fn fit(cases: &[Case], prior: [f64; 3]) -> Self {
        // The log loss is convex in both scales, so searching along one after the other finds its minimum.
        let mut best = Self {
            scales: EvidenceScales::UNCHANGED,
            prior,
        };
        for _ in 0..6 {
            best.scales.movement = golden_section(|movement| {
                let scales = EvidenceScales {
                    movement,
                    ..best.scales
                };
                Self { scales, prior }.log_loss(cases)
            });
            best.scales.direction = golden_section(|direction| {
                let scales = EvidenceScales {
                    direction,
                    ..best.scales
                };
                Self { scales, prior }.log_loss(cases)
            });
        }
        best
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

    fn probabilities(&self, logits: [f64; 3]) -> [f64; 3] {
        let evidence = self.scales.apply(logits);
        softmax(std::array::from_fn(|class| {
            evidence[class] + self.prior[class].ln()
        }))
    }

    /// Weights whose plain softmax gives the calibrated probabilities.
    pub(crate) fn fold_into(&self, mut weights: NetworkWeights) -> NetworkWeights {
        let head = match &mut weights {
            NetworkWeights::Lstm(lstm) => &mut lstm.head,
            NetworkWeights::Transformer(transformer) => &mut transformer.head,
        };
        for row in head.weight.as_chunks_mut::<3>().0 {
            *row = self
                .scales
                .apply(row.map(f64::from))
                .map(|value| value as f32);
        }
        for row in head.bias.as_chunks_mut::<3>().0 {
            let evidence = self.scales.apply(row.map(f64::from));
            *row = std::array::from_fn(|class| (evidence[class] + self.prior[class].ln()) as f32);
        }
        weights
    }
}

/// Where a convex function of `0..=LARGEST` is least.
fn golden_section(function: impl Fn(f64) -> f64) -> f64 {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = (0.0, LARGEST);
    for _ in 0..24 {
        let (left, right) = (high - ratio * (high - low), low + ratio * (high - low));
        if function(left) < function(right) {
            high = right;
        } else {
            low = left;
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
        // Of four moves two go up, one down and one nowhere: log odds (0, 0, ln 2), of which three times as much is
        // claimed.
        let logits = [0.0, 0.0, 3.0 * 2.0_f64.ln()];
        let cases: Vec<Case> = [Class::Up, Class::Up, Class::Down, Class::Neutral]
            .map(|class| Case { logits, class })
            .to_vec();
        let fitted = Calibration::fit(&cases, EVEN);
        close(fitted.probabilities(logits), [0.25, 0.25, 0.5]);
        for scale in [fitted.scales.direction, fitted.scales.movement] {
            assert!((scale - 1.0 / 3.0).abs() < 1e-3, "{:?}", fitted.scales);
        }
    }

    #[test]
    fn each_question_has_its_own_scale() {
        let logits = [0.3, -1.1, 0.5];
        let all = Calibration {
            scales: EvidenceScales::UNCHANGED,
            prior: EVEN,
        };
        close(all.probabilities(logits), softmax(logits));
        let none = Calibration {
            scales: EvidenceScales::NONE,
            prior: [0.5, 0.25, 0.25],
        };
        close(none.probabilities(logits), [0.5, 0.25, 0.25]);
        let scales = EvidenceScales {
            movement: 1.0,
            direction: 0.0,
        };
        let [down, neutral, up] = Calibration {
            scales,
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
        let scales = EvidenceScales {
            movement: 0.7,
            direction: 0.2,
        };
        let calibration = Calibration {
            scales,
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
