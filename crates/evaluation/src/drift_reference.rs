//! What drift is measured against: bars of the training by time of day, and how far its own sessions lie apart.

use std::collections::BTreeSet;

use chrono::{DateTime, NaiveDate, Utc};
use domain::Ticker;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{
    DriftError,
    drift::{Effect, effect},
};

/// Half hours of a regular session.
pub const HALF_HOURS: usize = 13;

/// Bars kept of each half hour of the training.
const REFERENCE_BARS: usize = 60;

/// Bars of each half hour of a session that is compared with the others of the training.
const SESSION_BARS: usize = 30;

/// Sessions of the training that are compared with the others, evenly spread.
const COMPARED_SESSIONS: usize = 20;

/// Deviations beyond which a value is as far away as can be: a feature that is constant at a time of day would
/// otherwise be infinitely far from it.
const FARTHEST: f64 = 10.0;

/// All that is kept of a training so that drift can be measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DriftReference {
    /// The features of the training's bars; none where the training had too few sessions or bars.
    pub features: Option<TimesOfDay>,
    /// Shares of down, neutral and up among the training's labels: what is said without any knowledge.
    pub class_shares: [f64; 3],
    /// Probabilities of the most probable class on bars that were not fitted on, ascending.
    pub confidence: Vec<f32>,
    /// The last close of each ticker in the data of the training.
    pub closes: Vec<LastClose>,
}

/// Where a ticker's price stood.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastClose {
    /// Whose price.
    pub ticker: Ticker,
    /// Start of the bar, UTC.
    pub at: DateTime<Utc>,
    /// Close in US dollars, on the share basis of the day of the training.
    pub close: f64,
}

/// The features of one bar, and where in time it stands.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// New York date.
    pub session: NaiveDate,
    /// Half hours since the session's open, below [`HALF_HOURS`].
    pub half_hour: usize,
    /// The features, unscaled, in the order of [`TimesOfDay::features`].
    pub values: &'a [f32],
}

/// Features by time of day: a fixed number of bars of each half hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimesOfDay {
    /// Names in order.
    pub features: Vec<String>,
    /// Places of the features whose correlations with each other are compared.
    pub correlated: Vec<usize>,
    /// How many sessions there were to choose from.
    pub sessions: usize,
    /// `[half hour, bar, feature]`; a half hour in which the training had no bars is empty.
    pub half_hours: Vec<Vec<Vec<f32>>>,
    /// How far single sessions of the training lie from the others.
    pub usual: Usual,
}

/// The most that a session of the training differs from all others of it: what a day may do without being unusual. Zero
/// where there were too few sessions to tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usual {
    /// Of each feature.
    pub effects: Vec<Effect>,
    /// Of the correlations.
    pub correlation: f64,
    /// How many sessions were compared.
    pub sessions: usize,
}

/// How bars differ from the training's at the same time of day.
#[derive(Clone, Debug, PartialEq)]
pub struct Shift {
    /// Of each feature, in standard deviations of the training at the same half hour.
    pub effects: Vec<Effect>,
    /// Root mean square of the differences between both correlation matrices: features that no longer go together
    /// although each is distributed as ever.
    pub correlation: f64,
    /// How many bars were compared.
    pub bars: usize,
}

impl TimesOfDay {
    /// Chooses bars of each half hour at random (the same seed chooses the same), and compares each session with the
    /// others.
    ///
    /// `correlated` are the places of the features whose correlations matter. Observations of other half hours than those
    /// of a session are left out.
    ///
    /// # Errors
    /// [`DriftError`] for fewer than ten bars, or a feature that is not finite.
    pub fn fit(
        features: &[&str],
        correlated: &[usize],
        observations: &[Observation<'_>],
        seed: u64,
    ) -> Result<Self, DriftError> {
        let by_half_hour: Vec<Vec<&Observation<'_>>> = (0..HALF_HOURS)
            .map(|half_hour| {
                let all = observations.iter();
                all.filter(|observation| observation.half_hour == half_hour)
                    .collect()
            })
            .collect();
        let sessions: BTreeSet<NaiveDate> = observations
            .iter()
            .map(|observation| observation.session)
            .collect();
        let mut reference = Self {
            features: features.iter().map(|name| (*name).to_owned()).collect(),
            correlated: correlated.to_vec(),
            sessions: sessions.len(),
            half_hours: choose(&by_half_hour, REFERENCE_BARS, seed, |_| true),
            usual: Usual {
                effects: vec![Effect::default(); features.len()],
                correlation: 0.0,
                sessions: 0,
            },
        };
        // Also checks the numbers.
        let own: Vec<Observation<'_>> = flat(&reference.half_hours, NaiveDate::MIN).collect();
        reference.shift(&own)?;
        if sessions.len() > 1 {
            reference.usual = reference.compare_sessions(&by_half_hour, &sessions, seed)?;
        }
        Ok(reference)
    }

    fn compare_sessions(
        &self,
        by_half_hour: &[Vec<&Observation<'_>>],
        sessions: &BTreeSet<NaiveDate>,
        seed: u64,
    ) -> Result<Usual, DriftError> {
        let mut usual = self.usual.clone();
        let sessions: Vec<NaiveDate> = sessions.iter().copied().collect();
        let compared = sessions.len().min(COMPARED_SESSIONS);
        let chosen =
            (0..compared).filter_map(|place| sessions.get(place * sessions.len() / compared));
        for session in chosen {
            let own = choose(by_half_hour, SESSION_BARS, seed, |other| other == *session);
            let own: Vec<Observation<'_>> = flat(&own, *session).collect();
            // A session that has hardly begun says nothing about a day.
            if own.len() < HALF_HOURS * SESSION_BARS / 3 {
                continue;
            }
            let others = Self {
                half_hours: choose(by_half_hour, REFERENCE_BARS, seed, |other| {
                    other != *session
                }),
                ..self.clone()
            };
            let shift = others.shift(&own)?;
            for (most, effect) in usual.effects.iter_mut().zip(shift.effects) {
                *most = Effect {
                    psi: most.psi.max(effect.psi),
                    ks: most.ks.max(effect.ks),
                    wasserstein: most.wasserstein.max(effect.wasserstein),
                    z_of_mean: most.z_of_mean.max(effect.z_of_mean.abs()),
                };
            }
            usual.correlation = usual.correlation.max(shift.correlation);
            usual.sessions += 1;
        }
        Ok(usual)
    }

    /// How bars differ from the training's at the same time of day. Choose as many each time, about as many of each half
    /// hour: [`draw`] helps. Those of half hours that the training does not know are left out.
    ///
    /// # Errors
    /// [`DriftError`] for fewer than ten bars, or a feature that is not finite.
    pub fn shift(&self, current: &[Observation<'_>]) -> Result<Shift, DriftError> {
        let scales: Vec<Option<Vec<Scale>>> = self
            .half_hours
            .iter()
            .map(|bars| (!bars.is_empty()).then(|| scales(bars, self.features.len())))
            .collect();
        let own = flat(&self.half_hours, NaiveDate::MIN);
        let reference = standardised_columns(own, &scales, self.features.len());
        let current = standardised_columns(current.iter().copied(), &scales, self.features.len());
        let effects = reference
            .iter()
            .zip(&current)
            .map(|(reference, current)| {
                let effect = effect(reference, current)?;
                // Endless where the training had one value only, such as that of a quarter; no file can hold that.
                let z_of_mean = effect.z_of_mean.clamp(-FARTHEST, FARTHEST);
                Ok(Effect {
                    z_of_mean,
                    ..effect
                })
            })
            .collect::<Result<Vec<_>, DriftError>>()?;
        Ok(Shift {
            effects,
            correlation: self.correlation_shift(&reference, &current),
            bars: current.first().map_or(0, Vec::len),
        })
    }

    fn correlation_shift(&self, reference: &[Vec<f64>], current: &[Vec<f64>]) -> f64 {
        let (mut sum, mut pairs) = (0.0, 0);
        for (place, left) in self.correlated.iter().enumerate() {
            for right in self.correlated.iter().skip(place + 1) {
                let of = |columns: &[Vec<f64>]| {
                    let (left, right) = (columns.get(*left)?, columns.get(*right)?);
                    Some(correlation(left, right))
                };
                if let (Some(reference), Some(current)) = (of(reference), of(current)) {
                    sum += (reference - current).powi(2);
                    pairs += 1;
                }
            }
        }
        if pairs == 0 {
            0.0
        } else {
            (sum / f64::from(pairs)).sqrt()
        }
    }

    /// Mean of a feature in the training at a half hour, unscaled.
    pub fn mean(&self, feature: usize, half_hour: usize) -> Option<f64> {
        let bars = self.half_hours.get(half_hour)?;
        let values = bars.iter().filter_map(|bar| bar.get(feature));
        let (sum, count) = values.fold((0.0, 0), |(sum, count), value| {
            (sum + f64::from(*value), count + 1)
        });
        (count > 0).then(|| sum / f64::from(count))
    }
}

/// `wanted` different places below `count`, or all of them, ascending; the same seed draws the same.
///
/// At random and not at a fixed stride, which falls into step with stocks that take turns.
pub fn draw(count: usize, wanted: usize, seed: u64) -> Vec<usize> {
    if count <= wanted {
        return (0..count).collect();
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // Floyd's algorithm: as many draws as are wanted.
    let mut drawn = BTreeSet::new();
    for last in count - wanted..count {
        let place = random.random_range(0..=last);
        if !drawn.insert(place) {
            drawn.insert(last);
        }
    }
    drawn.into_iter().collect()
}

/// Up to `wanted` bars of each half hour, of the sessions that are wanted.
fn choose(
    by_half_hour: &[Vec<&Observation<'_>>],
    wanted: usize,
    seed: u64,
    session: impl Fn(NaiveDate) -> bool,
) -> Vec<Vec<Vec<f32>>> {
    let of_half_hour = |observations: &Vec<&Observation<'_>>| {
        let eligible: Vec<_> = observations
            .iter()
            .filter(|observation| session(observation.session))
            .collect();
        draw(eligible.len(), wanted, seed)
            .into_iter()
            .filter_map(|place| Some(eligible.get(place)?.values.to_vec()))
            .collect()
    };
    by_half_hour.iter().map(of_half_hour).collect()
}

fn flat(half_hours: &[Vec<Vec<f32>>], session: NaiveDate) -> impl Iterator<Item = Observation<'_>> {
    half_hours
        .iter()
        .enumerate()
        .flat_map(move |(half_hour, bars)| {
            bars.iter().map(move |values| Observation {
                session,
                half_hour,
                values,
            })
        })
}

#[derive(Clone, Copy)]
struct Scale {
    mean: f64,
    deviation: f64,
}

/// Mean and deviation of each feature.
fn scales(bars: &[Vec<f32>], features: usize) -> Vec<Scale> {
    let count = bars.len() as f64;
    (0..features)
        .map(|feature| {
            let values = || {
                bars.iter()
                    .filter_map(|bar| bar.get(feature))
                    .map(|value| f64::from(*value))
            };
            let mean = values().sum::<f64>() / count;
            let squares = values().map(|value| (value - mean).powi(2)).sum::<f64>();
            Scale {
                mean,
                deviation: (squares / count).sqrt(),
            }
        })
        .collect()
}

impl Scale {
    fn apply(self, value: f32) -> f64 {
        let distance = f64::from(value) - self.mean;
        // Equal but for the rounding of the mean.
        if distance.abs() <= 1e-6 * self.mean.abs().max(1e-3) {
            0.0
        } else {
            // Of a constant any distance is infinitely many deviations; what is not a number stays one.
            (distance / self.deviation).clamp(-FARTHEST, FARTHEST)
        }
    }
}

/// A column for each feature, in deviations at the same half hour.
fn standardised_columns<'a>(
    observations: impl Iterator<Item = Observation<'a>>,
    scales: &[Option<Vec<Scale>>],
    features: usize,
) -> Vec<Vec<f64>> {
    let mut columns = vec![Vec::new(); features];
    for observation in observations {
        let Some(Some(scales)) = scales.get(observation.half_hour) else {
            continue;
        };
        let values = observation.values.iter().zip(scales);
        for (column, (value, scale)) in columns.iter_mut().zip(values) {
            column.push(scale.apply(*value));
        }
    }
    columns
}

/// Pearson's; 0 where a side is constant.
fn correlation(left: &[f64], right: &[f64]) -> f64 {
    let count = left.len().min(right.len()) as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    let (left_mean, right_mean) = (mean(left), mean(right));
    let (mut both, mut left_squares, mut right_squares) = (0.0, 0.0, 0.0);
    for (left, right) in left.iter().zip(right) {
        let (left, right) = (left - left_mean, right - right_mean);
        both += left * right;
        left_squares += left * left;
        right_squares += right * right;
    }
    let scale = (left_squares * right_squares).sqrt();
    if scale > 0.0 { both / scale } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution, StandardNormal};

    use super::*;

    const FEATURES: [&str; 4] = ["clock", "noise", "follower", "constant"];

    struct Bar {
        session: NaiveDate,
        half_hour: usize,
        values: Vec<f32>,
    }

    fn day(number: u64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2018, 3, 1).unwrap() + chrono::Days::new(number)
    }

    /// 390 bars of a day: the clock rises, the follower follows the noise, and both are larger in the morning.
    fn bars(number: u64, change: impl Fn(&mut [f32])) -> Vec<Bar> {
        let mut random = ChaCha8Rng::seed_from_u64(number);
        (0..390)
            .map(|minute| {
                let size = if minute < 60 { 3.0 } else { 1.0 };
                let mut noise = || {
                    let value: f32 = StandardNormal.sample(&mut random);
                    value * size
                };
                let (first, second) = (noise(), noise());
                let mut values = vec![minute as f32 / 390.0, first, first + 0.1 * second, 7.0];
                change(&mut values);
                Bar {
                    session: day(number),
                    half_hour: minute / 30,
                    values,
                }
            })
            .collect()
    }

    fn observations(bars: &[Bar]) -> Vec<Observation<'_>> {
        bars.iter()
            .map(|bar| Observation {
                session: bar.session,
                half_hour: bar.half_hour,
                values: &bar.values,
            })
            .collect()
    }

    fn reference() -> TimesOfDay {
        let training: Vec<Bar> = (0..8).flat_map(|number| bars(number, |_| ())).collect();
        TimesOfDay::fit(&FEATURES, &[1, 2], &observations(&training), 1).unwrap()
    }

    fn shift(bars: &[Bar]) -> Shift {
        reference().shift(&observations(bars)).unwrap()
    }

    #[test]
    fn another_day_like_them_is_within_what_is_usual() {
        let reference = reference();
        assert_eq!((reference.sessions, reference.usual.sessions), (8, 8));
        assert!(
            reference
                .half_hours
                .iter()
                .all(|bars| bars.len() == REFERENCE_BARS)
        );
        let shift = shift(&bars(99, |_| ()));
        assert_eq!(shift.bars, 390);
        for (effect, usual) in shift.effects.iter().zip(&reference.usual.effects) {
            assert!(effect.psi <= 2.0 * usual.psi + 0.1, "{effect:?} {usual:?}");
            assert!(effect.ks <= 2.0 * usual.ks + 0.1, "{effect:?} {usual:?}");
        }
        assert!(shift.correlation < 0.05, "{}", shift.correlation);
        // A constant that stays what it was has not moved.
        assert_eq!(shift.effects[3], Effect::default());
    }

    #[test]
    fn what_changes_on_a_single_day_can_be_written_and_read() {
        // As an economic figure does: without that day it is constant.
        let release = |values: &mut [f32]| values[3] = 8.0;
        let training = (0..7).flat_map(|number| bars(number, |_| ()));
        let training: Vec<Bar> = training.chain(bars(7, release)).collect();
        let reference = TimesOfDay::fit(&FEATURES, &[1, 2], &observations(&training), 1).unwrap();
        assert_eq!(reference.usual.effects[3].z_of_mean, FARTHEST);
        let json = serde_json::to_string(&reference).unwrap();
        let read: TimesOfDay = serde_json::from_str(&json).unwrap();
        assert_eq!(read.usual, reference.usual);
    }

    #[test]
    fn the_time_of_day_counts() {
        // The morning's size in the afternoon: over the whole day nothing would be unusual.
        let mut turned = bars(99, |_| ());
        for bar in &mut turned {
            bar.half_hour = HALF_HOURS - 1 - bar.half_hour;
        }
        let (turned, as_it_was) = (shift(&turned), shift(&bars(99, |_| ())));
        assert!(turned.effects[0].ks > 0.4, "{:?}", turned.effects[0]);
        let moved = [turned, as_it_was].map(|shift| shift.effects[1].wasserstein);
        assert!(moved[0] > 2.0 * moved[1], "{moved:?}");
    }

    #[test]
    fn sees_what_moves_and_what_no_longer_goes_together() {
        let moved = shift(&bars(99, |values| values[1] += 4.0));
        assert!(moved.effects[1].psi > 1.0 && moved.effects[1].z_of_mean > 0.5);
        let mut apart = bars(99, |_| ());
        let other: Vec<f32> = bars(98, |_| ()).iter().map(|bar| bar.values[2]).collect();
        for (bar, other) in apart.iter_mut().zip(other) {
            bar.values[2] = other;
        }
        let apart = shift(&apart);
        assert!(apart.effects[2].psi < 0.3, "{:?}", apart.effects[2]);
        assert!(apart.correlation > 0.7, "{}", apart.correlation);
        let constant = shift(&bars(99, |values| values[3] = 8.0));
        assert_eq!(constant.effects[3].ks, 1.0);
    }

    #[test]
    fn refuses_what_is_no_number() {
        let broken = bars(99, |values| values[1] = f32::NAN);
        let error = reference().shift(&observations(&broken)).unwrap_err();
        assert!(matches!(error, DriftError::NotFinite { .. }), "{error}");
        assert!(matches!(
            TimesOfDay::fit(&FEATURES, &[], &[], 1),
            Err(DriftError::TooFew { .. })
        ));
    }

    #[test]
    fn drawing_is_fair_and_repeatable() {
        assert_eq!(draw(3, 5, 1), [0, 1, 2]);
        let drawn = draw(1_000, 100, 7);
        assert_eq!(drawn, draw(1_000, 100, 7));
        assert_eq!(drawn.len(), 100);
        assert!(drawn.is_sorted() && drawn.iter().all(|place| *place < 1_000));
        let mean = drawn.iter().sum::<usize>() as f64 / 100.0;
        assert!((mean - 500.0).abs() < 120.0, "{mean}");
    }

    #[test]
    fn survives_being_written_down() {
        let reference = DriftReference {
            features: Some(reference()),
            class_shares: [0.25, 0.5, 0.25],
            confidence: vec![0.4, 0.5],
            closes: vec![LastClose {
                ticker: Ticker::parse("AAPL").unwrap(),
                at: DateTime::UNIX_EPOCH,
                close: 172.5,
            }],
        };
        let text = serde_json::to_string(&reference).unwrap();
        assert_eq!(
            serde_json::from_str::<DriftReference>(&text).unwrap(),
            reference
        );
    }
}
