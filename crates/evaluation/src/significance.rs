//! Whether a difference is more than chance, asked of whole days: the stocks of one day move together, so that a day is
//! the smallest piece that counts as a trial.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use domain::ratio_standard_error;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// Fewer days say nothing about the spread between days.
pub const FEWEST_DAYS: usize = 5;

/// Euler's constant.
const EULER: f64 = 0.577_215_664_901_532_9;

/// A mean over days with the bounds between which it would lie on other days like these.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DailyMean {
    /// Mean over all cases.
    pub mean: f64,
    /// Lower bound at [`Self::level`], one-sided.
    pub lower: f64,
    /// Upper bound at [`Self::level`], one-sided.
    pub upper: f64,
    /// Probability with which each bound holds, such as 0.95.
    pub level: f64,
    /// Number of days.
    pub days: usize,
    /// Number of cases.
    pub cases: usize,
}

/// A question that the days cannot answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SignificanceError {
    /// Too few days.
    #[error("{found} days are too few to tell skill from luck: at least {FEWEST_DAYS} are needed")]
    TooFewDays {
        /// How many there are.
        found: usize,
    },
    /// The returns of all days are equal (as without a single trade): there is no ratio.
    #[error("the returns of all days are equal, so that they have no Sharpe ratio")]
    NoVariation,
    /// A difference is no number.
    #[error("the difference of {day} is not a finite number")]
    NotFinite {
        /// New York date.
        day: NaiveDate,
    },
}

/// Bounds of the mean of paired differences, from resampling whole days with replacement.
///
/// `differences` holds a day (New York date) and a value for each case. Of the percentile bootstrap's bound and the one
/// by Student's t over the days' sums the wider is taken: with few days the bootstrap alone is too sure of itself. The
/// same seed gives the same bounds.
///
/// # Errors
/// [`SignificanceError`] for fewer than [`FEWEST_DAYS`] days or a value that is not finite.
pub fn daily_mean(
    differences: impl IntoIterator<Item = (NaiveDate, f64)>,
    level: f64,
    resamples: usize,
    seed: u64,
) -> Result<DailyMean, SignificanceError> {
    let mut by_day: BTreeMap<NaiveDate, (f64, usize)> = BTreeMap::new();
    for (day, value) in differences {
        if !value.is_finite() {
            return Err(SignificanceError::NotFinite { day });
        }
        let (sum, count) = by_day.entry(day).or_default();
        *sum += value;
        *count += 1;
    }
    let days: Vec<(f64, usize)> = by_day.into_values().collect();
    if days.len() < FEWEST_DAYS {
        return Err(SignificanceError::TooFewDays { found: days.len() });
    }
    let mean_of = |days: &mut dyn Iterator<Item = &(f64, usize)>| {
        let (sum, count) = days.fold((0.0, 0), |(sum, count), day| (sum + day.0, count + day.1));
        sum / count as f64
    };
    let mean = mean_of(&mut days.iter());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut means: Vec<f64> = (0..resamples.max(1))
        .map(|_| {
            let mut drawn =
                (0..days.len()).filter_map(|_| days.get(rng.random_range(0..days.len())));
            mean_of(&mut drawn)
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let quantile = |share: f64| means[((means.len() - 1) as f64 * share).round() as usize];
    let blocks: Vec<(f64, f64)> = days.iter().map(|day| (day.0, day.1 as f64)).collect();
    let reach = student_reach(&blocks, level);
    Ok(DailyMean {
        mean,
        lower: quantile(1.0 - level).min(mean - reach),
        upper: quantile(level).max(mean + reach),
        level,
        days: days.len(),
        cases: days.iter().map(|day| day.1).sum(),
    })
}

/// How far the bound of a ratio of two sums lies from it, one-sided at this level: Student's t with the blocks, such as
/// whole days, as the trials. Infinite or NaN for fewer than two.
pub fn student_reach(blocks: &[(f64, f64)], level: f64) -> f64 {
    let t = StudentsT::new(0.0, 1.0, blocks.len() as f64 - 1.0)
        .map_or(f64::INFINITY, |student| student.inverse_cdf(level));
    t * ratio_standard_error(blocks)
}

/// A Sharpe ratio with what chance and the number of trials leave of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeflatedSharpe {
    /// Mean over standard deviation of the daily net returns; not annualised.
    pub sharpe: f64,
    /// The Sharpe ratio to be expected of the best of so many trials without any skill.
    pub luck: f64,
    /// Probability that the true Sharpe ratio lies above [`Self::luck`]: below 0.95 it is not shown to be skill.
    pub probability: f64,
    /// Strategies that were tried before this one was shown, itself included.
    pub trials: usize,
    /// Number of days.
    pub days: usize,
}

/// The deflated Sharpe ratio of daily net returns (Bailey and Lopez de Prado 2014), `trials` at least 1.
///
/// The variance of Sharpe ratios between trials is taken as that of an estimate without skill, 1 / (days - 1).
///
/// # Errors
/// [`SignificanceError::TooFewDays`], [`SignificanceError::NoVariation`].
pub fn deflated_sharpe(
    daily_returns: &[f64],
    trials: usize,
) -> Result<DeflatedSharpe, SignificanceError> {
    let days = daily_returns.len();
    let count = days as f64;
    let mean = daily_returns.iter().sum::<f64>() / count;
    let moment = |power| {
        daily_returns
            .iter()
            .map(|value| (value - mean).powi(power))
            .sum::<f64>()
            / count
    };
    let variance = moment(2);
    if days < FEWEST_DAYS {
        return Err(SignificanceError::TooFewDays { found: days });
    }
    // What is left of equal numbers after rounding is no variation.
    if variance.is_nan() || variance.sqrt() <= 1e-9 * mean.abs() || variance == 0.0 {
        return Err(SignificanceError::NoVariation);
    }
    let sharpe = mean / (variance * count / (count - 1.0)).sqrt();
    let (skewness, kurtosis) = (moment(3) / variance.powf(1.5), moment(4) / variance.powi(2));
    let normal = Normal::standard();
    let luck = if trials > 1 {
        let tries = trials as f64;
        let expected = (1.0 - EULER) * normal.inverse_cdf(1.0 - 1.0 / tries)
            + EULER * normal.inverse_cdf(1.0 - 1.0 / (tries * std::f64::consts::E));
        expected / (count - 1.0).sqrt()
    } else {
        0.0
    };
    let spread = (1.0 - skewness * sharpe + (kurtosis - 1.0) / 4.0 * sharpe.powi(2)).max(1e-12);
    Ok(DeflatedSharpe {
        sharpe,
        luck,
        probability: normal.cdf((sharpe - luck) * (count - 1.0).sqrt() / spread.sqrt()),
        trials,
        days,
    })
}

#[cfg(test)]
mod tests {
    use chrono::Days;
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    fn day(number: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2018, 3, 1).unwrap() + Days::new(number)
    }

    fn noise(rng: &mut ChaCha8Rng) -> f64 {
        StandardNormal.sample(rng)
    }

    #[test]
    fn no_difference_is_called_one_about_as_often_as_promised() {
        // Cases of one day share most of their noise, as stocks do.
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for days in [5, 10, 20] {
            let mut wrong = 0;
            for trial in 0..400 {
                let cases = (0..days).flat_map(|number| {
                    let common = noise(&mut rng);
                    (0..20)
                        .map(|_| (day(number), common + 0.5 * noise(&mut rng)))
                        .collect::<Vec<_>>()
                });
                let cases: Vec<_> = cases.collect();
                let found = daily_mean(cases, 0.95, 500, trial).unwrap();
                wrong += u32::from(found.lower > 0.0);
            }
            assert!(wrong <= 32, "{days} days: {wrong} of 400, promised are 20");
        }
    }

    #[test]
    fn a_clear_difference_is_seen() {
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let cases: Vec<_> = (0..2_000)
            .map(|case| (day(case % 10), 0.2 + noise(&mut rng)))
            .collect();
        let found = daily_mean(cases.clone(), 0.95, 1_000, 7).unwrap();
        assert!(
            found.lower > 0.05 && found.lower < found.mean && found.mean < found.upper,
            "{found:?}"
        );
        assert_eq!((found.days, found.cases), (10, 2_000));
        assert_eq!(found, daily_mean(cases, 0.95, 1_000, 7).unwrap());
    }

    #[test]
    fn few_days_are_refused_however_many_cases_they_hold() {
        let cases = (0..4_000).map(|case| (day(case % 4), 1.0));
        assert_eq!(
            daily_mean(cases, 0.95, 100, 1),
            Err(SignificanceError::TooFewDays { found: 4 })
        );
        let broken = (0..10).map(|case| (day(case), f64::NAN));
        assert!(matches!(
            daily_mean(broken, 0.95, 100, 1),
            Err(SignificanceError::NotFinite { .. })
        ));
    }

    #[test]
    fn trials_deflate_a_sharpe_ratio() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let returns: Vec<f64> = (0..250).map(|_| 0.1 + noise(&mut rng)).collect();
        let once = deflated_sharpe(&returns, 1).unwrap();
        let often = deflated_sharpe(&returns, 100).unwrap();
        assert_eq!(once.luck, 0.0);
        // The best of 100 tries without skill over 250 days: 2.51 deviations of 1/sqrt(249), as in the paper's formula.
        assert!(
            (often.luck - 2.530 / 249.0_f64.sqrt()).abs() < 2e-3,
            "{often:?}"
        );
        assert!(often.probability < once.probability);
        assert_eq!(
            deflated_sharpe(&[0.01; 30], 1),
            Err(SignificanceError::NoVariation)
        );
    }
}
