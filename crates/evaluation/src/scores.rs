use domain::Class;
use serde::Serialize;

use crate::reliability::top_bins;

/// How three-class probabilities and the classes chosen from them compare with what happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Scores {
    /// Number of cases.
    pub samples: usize,
    /// Counts of cases: rows are what happened, columns what was predicted, both in the order of [`Class::ALL`].
    pub confusion: [[u64; 3]; 3],
    /// Per class in the order of [`Class::ALL`].
    pub classes: [ClassScores; 3],
    /// Share of cases predicted right. Never read it alone: the largest class sets it.
    pub accuracy: f64,
    /// Unweighted mean of the three F1 scores.
    pub macro_f1: f64,
    /// Matthews correlation for several classes (Gorodkin 2004): 0 is chance, 1 is perfect.
    pub mcc: f64,
    /// Mean negative natural logarithm of the probability of what happened.
    pub log_loss: f64,
    /// Mean over cases of the squared error summed over classes: 0 to 2.
    pub brier: f64,
    /// Mean absolute difference between top probability and accuracy over 15 equal-width bins, weighted by size.
    pub ece: f64,
}

/// Scores of one class against the rest. What is undefined (no prediction, no case) counts as 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ClassScores {
    /// Share of the predictions of this class that were right.
    pub precision: f64,
    /// Share of the cases of this class that were found.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
    /// Cases of this class.
    pub support: u64,
}

/// The cases cannot be scored.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ScoreError {
    /// Nothing to score.
    #[error("there is nothing to score: no labelled case")]
    Empty,
    /// The three slices differ in length.
    #[error(
        "{truth} labels, {predicted} predicted classes and {probabilities} probabilities do not belong together"
    )]
    Lengths {
        /// Number of labels.
        truth: usize,
        /// Number of predicted classes.
        predicted: usize,
        /// Number of probability vectors.
        probabilities: usize,
    },
    /// A probability vector is none.
    #[error("case {case}: {values:?} are not probabilities")]
    Probabilities {
        /// Position of the case.
        case: usize,
        /// What was found.
        values: [f64; 3],
    },
}

/// The most probable class of each case; of equal ones the earlier in [`Class::ALL`].
pub fn most_probable(probabilities: &[[f64; 3]]) -> Vec<Class> {
    probabilities
        .iter()
        .map(|values| Class::ALL[top(values)])
        .collect()
}

/// Scores predictions of shape `[cases]` with their probabilities `[cases, 3]` against what happened `[cases]`.
///
/// # Errors
/// [`ScoreError`] without cases, for slices of different lengths, and for values that are no probabilities.
pub fn score(
    truth: &[Class],
    predicted: &[Class],
    probabilities: &[[f64; 3]],
) -> Result<Scores, ScoreError> {
    check(truth.len(), predicted.len(), probabilities)?;
    let mut confusion = [[0_u64; 3]; 3];
    for (truth, predicted) in truth.iter().zip(predicted) {
        confusion[truth.index()][predicted.index()] += 1;
    }
    let classes = Class::ALL.map(|class| class_scores(&confusion, class.index()));
    let cases = truth.len() as f64;
    let cases_with = || truth.iter().zip(probabilities);
    Ok(Scores {
        samples: truth.len(),
        confusion,
        classes,
        accuracy: (0..3).map(|class| confusion[class][class]).sum::<u64>() as f64 / cases,
        macro_f1: classes.iter().map(|class| class.f1).sum::<f64>() / 3.0,
        mcc: matthews(&confusion),
        log_loss: cases_with()
            .map(|(truth, values)| surprise(values, truth.index()))
            .sum::<f64>()
            / cases,
        brier: cases_with()
            .map(|(truth, values)| squared_error(values, truth.index()))
            .sum::<f64>()
            / cases,
        ece: calibration_error(truth, probabilities),
    })
}

/// Whether there are cases, as many of each, with probabilities that are some.
pub(crate) fn check(
    truth: usize,
    predicted: usize,
    probabilities: &[[f64; 3]],
) -> Result<(), ScoreError> {
    if truth != predicted || truth != probabilities.len() {
        return Err(ScoreError::Lengths {
            truth,
            predicted,
            probabilities: probabilities.len(),
        });
    }
    if truth == 0 {
        return Err(ScoreError::Empty);
    }
    for (case, values) in probabilities.iter().enumerate() {
        let sum: f64 = values.iter().sum();
        if !values.iter().all(|value| (0.0..=1.0).contains(value)) || (sum - 1.0).abs() > 1e-4 {
            return Err(ScoreError::Probabilities {
                case,
                values: *values,
            });
        }
    }
    Ok(())
}

/// The most probable class; of equal ones the earlier.
pub(crate) fn top(values: &[f64; 3]) -> usize {
    (1..3).fold(0, |best, class| {
        if values[class] > values[best] {
            class
        } else {
            best
        }
    })
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn class_scores(confusion: &[[u64; 3]; 3], class: usize) -> ClassScores {
    let hits = confusion[class][class] as f64;
    let support: u64 = confusion[class].iter().sum();
    let claimed: u64 = confusion.iter().map(|row| row[class]).sum();
    ClassScores {
        precision: ratio(hits, claimed as f64),
        recall: ratio(hits, support as f64),
        f1: ratio(2.0 * hits, (support + claimed) as f64),
        support,
    }
}

fn matthews(confusion: &[[u64; 3]; 3]) -> f64 {
    let total: f64 = confusion.iter().flatten().map(|count| *count as f64).sum();
    let hits: f64 = (0..3).map(|class| confusion[class][class] as f64).sum();
    let happened = [0, 1, 2].map(|class: usize| confusion[class].iter().sum::<u64>() as f64);
    let claimed =
        [0, 1, 2].map(|class: usize| confusion.iter().map(|row| row[class]).sum::<u64>() as f64);
    let dot = |left: [f64; 3], right: [f64; 3]| -> f64 {
        (0..3).map(|class| left[class] * right[class]).sum()
    };
    let spread =
        (total * total - dot(claimed, claimed)) * (total * total - dot(happened, happened));
    ratio(hits * total - dot(happened, claimed), spread.sqrt())
}

/// What one case adds to the log loss, in nats.
pub(crate) fn surprise(values: &[f64; 3], class: usize) -> f64 {
    // As scikit-learn: the vector is normalised, and a probability of 0 costs as much as the smallest step above it.
    let sum: f64 = values.iter().sum();
    -(values[class] / sum)
        .clamp(f64::EPSILON, 1.0 - f64::EPSILON)
        .ln()
}

fn squared_error(values: &[f64; 3], class: usize) -> f64 {
    (0..3)
        .map(|other| (values[other] - f64::from(u8::from(other == class))).powi(2))
        .sum()
}

fn calibration_error(truth: &[Class], probabilities: &[[f64; 3]]) -> f64 {
    let gaps = top_bins(truth, probabilities)
        .into_iter()
        .map(|bin| bin.cases as f64 * (bin.observed - bin.predicted).abs());
    gaps.sum::<f64>() / truth.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_cannot_be_scored() {
        assert_eq!(score(&[], &[], &[]), Err(ScoreError::Empty));
        let lengths = score(&[Class::Up], &[], &[[0.2, 0.3, 0.5]]);
        assert!(matches!(
            lengths,
            Err(ScoreError::Lengths {
                truth: 1,
                predicted: 0,
                probabilities: 1
            })
        ));
        for values in [[f64::NAN, 0.5, 0.5], [0.5, 0.5, 0.5], [-0.5, 1.0, 0.5]] {
            let error = score(&[Class::Up], &[Class::Up], &[values]).unwrap_err();
            assert!(matches!(error, ScoreError::Probabilities { case: 0, .. }));
        }
    }

    #[test]
    fn a_constant_prediction_has_no_correlation() {
        let truth = [Class::Up, Class::Down, Class::Neutral, Class::Up];
        let probabilities = [[0.2, 0.5, 0.3]; 4];
        let scores = score(&truth, &most_probable(&probabilities), &probabilities).unwrap();
        assert_eq!(scores.mcc, 0.0);
        assert_eq!(scores.classes[Class::Up.index()].precision, 0.0);
        assert_eq!(scores.confusion[Class::Up.index()], [0, 2, 0]);
    }

    #[test]
    fn certainty_that_is_wrong_costs_much_but_not_everything() {
        let scores = score(&[Class::Up], &[Class::Down], &[[1.0, 0.0, 0.0]]).unwrap();
        assert!(scores.log_loss > 30.0 && scores.log_loss.is_finite());
        assert_eq!(scores.brier, 2.0);
        assert_eq!(scores.ece, 1.0);
    }
}
