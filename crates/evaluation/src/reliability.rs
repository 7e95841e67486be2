use domain::Class;
use serde::{Deserialize, Serialize};

use crate::scores::{ScoreError, check, top};

/// Equal-width bins of a probability, as in Guo et al. (2017).
const BINS: usize = 15;

/// Whether what is given 60 % happens in 60 of 100 cases: the figures of a reliability diagram.
///
/// Each probability falls into one of 15 bins of equal width, open below and closed above; empty bins are left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Of the most probable class, whichever it is. The expected calibration error is the mean gap of these bins.
    pub top: Vec<ReliabilityBin>,
    /// Of each class in the order of [`Class::ALL`].
    pub classes: [Vec<ReliabilityBin>; 3],
}

/// The cases whose probability lies in one bin.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReliabilityBin {
    /// Mean probability given.
    pub predicted: f64,
    /// Share in which it happened.
    pub observed: f64,
    /// Number of cases.
    pub cases: usize,
}

/// Bins probabilities `[cases, 3]` and compares them with what happened `[cases]`.
///
/// # Errors
/// [`ScoreError`] without cases, for slices of different lengths, and for values that are no probabilities.
pub fn reliability(truth: &[Class], probabilities: &[[f64; 3]]) -> Result<Reliability, ScoreError> {
    check(truth.len(), truth.len(), probabilities)?;
    Ok(Reliability {
        top: top_bins(truth, probabilities),
        classes: Class::ALL.map(|class| {
            bins(
                truth
                    .iter()
                    .zip(probabilities)
                    .map(|(truth, values)| (values[class.index()], *truth == class)),
            )
        }),
    })
}

/// Bins of the most probable class; the inputs are checked.
pub(crate) fn top_bins(truth: &[Class], probabilities: &[[f64; 3]]) -> Vec<ReliabilityBin> {
    bins(truth.iter().zip(probabilities).map(|(truth, values)| {
        let predicted = top(values);
        (values[predicted], predicted == truth.index())
    }))
}

fn bins(cases: impl Iterator<Item = (f64, bool)>) -> Vec<ReliabilityBin> {
    let mut sums = [(0.0, 0_usize, 0_usize); BINS];
    for (probability, happened) in cases {
        // 0.2 belongs to the bin that ends there; 0 to the first.
        let bin = ((probability * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
        let (sum, hits, count) = &mut sums[bin];
        *sum += probability;
        *hits += usize::from(happened);
        *count += 1;
    }
    sums.iter()
        .filter(|(_, _, count)| *count > 0)
        .map(|(sum, hits, count)| ReliabilityBin {
            predicted: sum / *count as f64,
            observed: *hits as f64 / *count as f64,
            cases: *count,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{most_probable, score};

    #[test]
    fn bins_hold_means_and_shares() {
        let truth = [Class::Up, Class::Up, Class::Down, Class::Neutral];
        let probabilities = [
            [0.1, 0.3, 0.6],
            [0.1, 0.28, 0.62],
            [0.1, 0.28, 0.62],
            [0.0, 1.0, 0.0],
        ];
        let found = reliability(&truth, &probabilities).unwrap();
        // 0.6 ends the 9th bin, 0.62 lies in the 10th.
        let expected = [(0.6, 1.0, 1), (0.62, 0.5, 2), (1.0, 1.0, 1)];
        assert_eq!(found.top.len(), 3);
        for (bin, (predicted, observed, cases)) in found.top.iter().zip(expected) {
            assert!((bin.predicted - predicted).abs() < 1e-12, "{found:?}");
            assert_eq!((bin.observed, bin.cases), (observed, cases));
        }
        let down = &found.classes[Class::Down.index()];
        assert_eq!(down.len(), 2);
        assert_eq!((down[0].predicted, down[0].observed), (0.0, 0.0));
        assert_eq!((down[1].cases, down[1].observed), (3, 1.0 / 3.0));
        for class in &found.classes {
            assert_eq!(class.iter().map(|bin| bin.cases).sum::<usize>(), 4);
        }
        let ece = score(&truth, &most_probable(&probabilities), &probabilities)
            .unwrap()
            .ece;
        assert!((ece - (0.4 + 2.0 * 0.12) / 4.0).abs() < 1e-12, "{ece}");
    }

    #[test]
    fn refuses_what_is_no_probability() {
        assert_eq!(reliability(&[], &[]), Err(ScoreError::Empty));
        assert!(reliability(&[Class::Up], &[[0.5; 3]]).is_err());
    }
}
