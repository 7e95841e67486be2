//! How far a sample has moved from a reference: effect sizes, which do not grow with the sample as p values do.

use serde::{Deserialize, Serialize};

/// Shares below this count as this in the population stability index: an empty bin would make it infinite.
const SMALLEST_SHARE: f64 = 1e-4;

/// The inner edges of ten bins that hold equal shares of the reference.
pub type Deciles = [f64; 9];

/// How a sample differs from a reference.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// Population stability index over the reference's deciles: below 0.1 is calm, above 0.25 is a shift by the usual
    /// reading, which holds for samples of several hundred.
    pub psi: f64,
    /// Largest distance between both distribution functions (Kolmogorov and Smirnov), 0 to 1.
    pub ks: f64,
    /// Probability of such a distance if both came from one distribution. Gets ever smaller with the sample: for the
    /// record, not for decisions.
    pub ks_p_value: f64,
    /// Area between both distribution functions (Wasserstein's first distance), in the values' own unit.
    pub wasserstein: f64,
    /// Difference of the means in standard deviations of the reference.
    pub z_of_mean: f64,
}

/// The samples cannot be compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DriftError {
    /// Too few values.
    #[error("{found} values are too few to compare: at least {needed} are needed")]
    TooFew {
        /// How many there are.
        found: usize,
        /// How many it takes.
        needed: usize,
    },
    /// A value is no number.
    #[error("value {place} of the {sample} is {value}, not a finite number")]
    NotFinite {
        /// `reference` or `current`.
        sample: &'static str,
        /// Its position.
        place: usize,
        /// The value.
        value: f64,
    },
}

/// Compares a sample with a reference, both in any order.
///
/// # Errors
/// [`DriftError`] for fewer than ten values on a side or one that is not finite.
pub fn drift(reference: &[f64], current: &[f64]) -> Result<Drift, DriftError> {
    let effect = effect(reference, current)?;
    Ok(Drift {
        psi: effect.psi,
        ks: effect.ks,
        ks_p_value: ks_p_value(reference.len(), current.len(), effect.ks),
        wasserstein: effect.wasserstein,
        z_of_mean: effect.z_of_mean,
    })
}

/// [`Drift`] without the probability, which takes most of the time and decides nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Effect {
    /// As [`Drift::psi`].
    pub psi: f64,
    /// As [`Drift::ks`].
    pub ks: f64,
    /// As [`Drift::wasserstein`].
    pub wasserstein: f64,
    /// As [`Drift::z_of_mean`].
    pub z_of_mean: f64,
}

/// As [`drift`], without the probability.
///
/// # Errors
/// As [`drift`].
pub fn effect(reference: &[f64], current: &[f64]) -> Result<Effect, DriftError> {
    let reference = sorted("reference", reference)?;
    let current = sorted("current", current)?;
    let edges = deciles_of(&reference);
    let (mean, deviation) = moments(&reference);
    let (ks, wasserstein) = distances(&reference, &current);
    Ok(Effect {
        psi: psi(&shares(&edges, &reference), &shares(&edges, &current)),
        ks,
        wasserstein,
        z_of_mean: standardised(moments(&current).0 - mean, deviation),
    })
}

/// Population stability index of a sample against the deciles of a reference that is not at hand itself: each bin then
/// is taken to hold a tenth.
///
/// # Errors
/// As [`drift`].
pub fn psi_of_deciles(reference: &Deciles, current: &[f64]) -> Result<f64, DriftError> {
    let current = sorted("current", current)?;
    Ok(psi(&[0.1; 10], &shares(reference, &current)))
}

/// The deciles of a sample, interpolated linearly as numpy does.
///
/// # Errors
/// As [`drift`].
pub fn deciles(sample: &[f64]) -> Result<Deciles, DriftError> {
    Ok(deciles_of(&sorted("reference", sample)?))
}

fn sorted(sample: &'static str, values: &[f64]) -> Result<Vec<f64>, DriftError> {
    const NEEDED: usize = 10;
    if values.len() < NEEDED {
        return Err(DriftError::TooFew {
            found: values.len(),
            needed: NEEDED,
        });
    }
    if let Some((place, value)) = values
        .iter()
        .enumerate()
        .find(|(_, value)| !value.is_finite())
    {
        return Err(DriftError::NotFinite {
            sample,
            place,
            value: *value,
        });
    }
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    Ok(sorted)
}

fn deciles_of(sorted: &[f64]) -> Deciles {
    std::array::from_fn(|decile| {
        let place = (decile + 1) as f64 / 10.0 * (sorted.len() - 1) as f64;
        let (below, part) = (place.floor() as usize, place.fract());
        let above = (below + 1).min(sorted.len() - 1);
        sorted[below] + (sorted[above] - sorted[below]) * part
    })
}

/// Shares of a sorted sample in the ten bins; a value on an edge belongs to the bin above it.
fn shares(edges: &Deciles, sorted: &[f64]) -> [f64; 10] {
    let below = |edge: f64| sorted.partition_point(|value| *value < edge);
    let mut counted = 0;
    std::array::from_fn(|bin| {
        let end = edges.get(bin).map_or(sorted.len(), |edge| below(*edge));
        let count = end - counted;
        counted = end;
        count as f64 / sorted.len() as f64
    })
}

fn psi(reference: &[f64; 10], current: &[f64; 10]) -> f64 {
    let floored = |share: &f64| share.max(SMALLEST_SHARE);
    reference
        .iter()
        .map(floored)
        .zip(current.iter().map(floored))
        .map(|(reference, current)| (current - reference) * (current / reference).ln())
        .sum()
}

/// Mean and standard deviation, with one degree of freedom taken for the mean.
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / (count - 1.0);
    (mean, variance.sqrt())
}

/// A difference in deviations: of a constant reference any difference is infinitely many.
fn standardised(difference: f64, deviation: f64) -> f64 {
    if difference == 0.0 {
        0.0
    } else {
        difference / deviation
    }
}

/// The largest distance between the distribution functions of two sorted samples, and the area between them.
fn distances(left: &[f64], right: &[f64]) -> (f64, f64) {
    let (mut i, mut j) = (0, 0);
    let (mut largest, mut area) = (0.0_f64, 0.0);
    let mut last = None;
    while i < left.len() || j < right.len() {
        let value = match (left.get(i), right.get(j)) {
            (Some(left), Some(right)) => left.min(*right),
            (Some(value), None) | (None, Some(value)) => *value,
            (None, None) => break,
        };
        let gap = (i as f64 / left.len() as f64 - j as f64 / right.len() as f64).abs();
        if let Some(last) = last {
            area += gap * (value - last);
        }
        largest = largest.max(gap);
        while left.get(i) == Some(&value) {
            i += 1;
        }
        while right.get(j) == Some(&value) {
            j += 1;
        }
        last = Some(value);
    }
    (largest, area)
}

/// The exact probability that two samples of one continuous distribution lie `distance` apart or more.
///
/// Every interleaving of both samples is a path on a grid from (0, 0) to (m, n), all equally probable; counted are those
/// that leave the band (Hodges 1957). Grows with m times n.
fn ks_p_value(m: usize, n: usize, distance: f64) -> f64 {
    // Distances are multiples of 1 / (m n): compared as whole numbers.
    let limit = (distance * (m * n) as f64).round() as i64;
    let outside = |i: usize, j: usize| ((i * n) as i64 - (j * m) as i64).abs() >= limit;
    // left[j]: probability that a path to (i, j) has left the band.
    let mut left = vec![0.0_f64; n + 1];
    for i in 0..=m {
        for j in 0..=n {
            left[j] = if outside(i, j) {
                1.0
            } else {
                let steps = (i + j).max(1) as f64;
                let from_below = if i > 0 { left[j] } else { 0.0 };
                let from_left = if j > 0 { left[j - 1] } else { 0.0 };
                (from_below * i as f64 + from_left * j as f64) / steps
            };
        }
    }
    left[n]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: u32) -> Vec<f64> {
        (0..count)
            .map(|number| f64::from(number * 37 % 101))
            .collect()
    }

    #[test]
    fn a_sample_does_not_differ_from_itself() {
        let sample = numbers(500);
        let same = drift(&sample, &sample).unwrap();
        assert_eq!(
            (same.psi, same.ks, same.wasserstein, same.z_of_mean),
            (0.0, 0.0, 0.0, 0.0)
        );
        assert_eq!(same.ks_p_value, 1.0);
    }

    #[test]
    fn a_frozen_reference_makes_every_difference_endless() {
        let frozen = drift(&[1.0; 100], &[2.0; 100]).unwrap();
        assert_eq!(frozen.z_of_mean, f64::INFINITY);
        assert_eq!((frozen.ks, frozen.wasserstein), (1.0, 1.0));
        assert_eq!(drift(&[1.0; 100], &[1.0; 100]).unwrap().z_of_mean, 0.0);
    }

    #[test]
    fn refuses_what_cannot_be_compared() {
        let few = drift(&numbers(9), &numbers(500)).unwrap_err();
        assert_eq!(
            few,
            DriftError::TooFew {
                found: 9,
                needed: 10
            }
        );
        let mut broken = numbers(50);
        broken[7] = f64::NAN;
        let error = drift(&numbers(50), &broken).unwrap_err();
        assert!(error.to_string().contains("value 7 of the current"));
    }

    #[test]
    fn small_samples_by_hand() {
        // Of the 6 interleavings of two and two values, 2 keep them fully apart.
        assert!((ks_p_value(2, 2, 1.0) - 2.0 / 6.0).abs() < 1e-15);
        assert_eq!(ks_p_value(2, 2, 0.5), 1.0);
    }
}
