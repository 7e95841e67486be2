//! The min-max scaler and the statistics that drift is measured against, both from training rows only.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use features::{
    CONTEXT_FEATURES, DAILY_ECONOMY_FEATURES, FEATURE_COUNT, FeatureSchema, FeatureVector,
    NEWS_FEATURES, SLOW_ECONOMY_FEATURES, Scaler,
};
use linfa::{DatasetBase, traits::Fit};
use linfa_preprocessing::linear_scaling::LinearScaler;
use model_registry::FeatureStatistics;
use ndarray::Array2;

use crate::{TrainingError, TrainingSettings};

/// Shares of the rows below and above which a value counts as an outlier.
const OUTLIERS: [f64; 2] = [0.005, 0.995];

/// Fits the scaler on rows whose outliers were pulled in to the 0.5th and 99.5th percentile: without that, one wild
/// minute would squash everything else into a sliver. A feature whose percentiles coincide (a rare event) keeps its
/// outliers.
///
/// Features of news or economy where `shown` is false, and those that are constant (policy rates stay for months), get
/// the range 0, which the scaler maps to 0 whatever comes later: nothing was learned of them. A feature of the bars is
/// never constant unless they are broken.
pub(crate) fn fit_scaler(
    rows: &[&FeatureVector],
    shown: &[bool; FEATURE_COUNT],
) -> Result<Scaler, TrainingError> {
    let mut records = Array2::zeros((rows.len(), FEATURE_COUNT));
    let mut silent = shown.map(|shown| !shown);
    for (feature, name) in FeatureSchema::current().names.iter().enumerate() {
        let sorted = sorted_column(rows, feature);
        let (Some(&least), Some(&most)) = (sorted.first(), sorted.last()) else {
            continue;
        };
        if least == most {
            if !CONTEXT_FEATURES.contains(&feature) {
                return Err(TrainingError::ConstantFeature { name, value: least });
            }
            silent[feature] = true;
        }
        let [low, high] = OUTLIERS.map(|share| quantile(&sorted, share));
        let (low, high) = if low < high {
            (low, high)
        } else {
            (least, most)
        };
        for (row, mut record) in rows.iter().zip(records.outer_iter_mut()) {
            record[feature] = row[feature].clamp(low, high);
        }
    }
    let scaler = LinearScaler::min_max()
        .fit(&DatasetBase::from(records))
        .map_err(TrainingError::Scaler)?;
    Ok(Scaler {
        minimum: scaler.offsets().to_vec(),
        range: scaler
            .scales()
            .iter()
            .zip(silent)
            .map(|(scale, silent)| if silent { 0.0 } else { 1.0 / scale })
            .collect(),
    })
}

/// Which features the networks are shown: those of news and economy only where enough sessions have something to say,
/// see [`TrainingSettings::news_sessions`] and [`TrainingSettings::economy_sessions`].
pub(crate) fn shown_features<'a>(
    rows: impl Iterator<Item = (DateTime<Utc>, &'a FeatureVector)>,
    settings: &TrainingSettings,
) -> [bool; FEATURE_COUNT] {
    let mut sessions: BTreeMap<NaiveDate, [bool; FEATURE_COUNT]> = BTreeMap::new();
    for (bar_start, features) in rows {
        // A session's bars share their date in UTC.
        let spoken = sessions
            .entry(bar_start.date_naive())
            .or_insert([false; FEATURE_COUNT]);
        for (spoken, value) in spoken.iter_mut().zip(features) {
            *spoken |= *value != 0.0;
        }
    }
    std::array::from_fn(|feature| {
        let needed = if DAILY_ECONOMY_FEATURES.contains(&feature) {
            settings.economy_sessions
        } else if SLOW_ECONOMY_FEATURES.contains(&feature) {
            4 * settings.economy_sessions
        } else if NEWS_FEATURES.contains(&feature) {
            settings.news_sessions
        } else {
            0
        };
        sessions.values().filter(|spoken| spoken[feature]).count() >= needed
    })
}

/// Mean, deviation, extremes and deciles of each unscaled feature.
pub(crate) fn statistics(rows: &[&FeatureVector]) -> Vec<FeatureStatistics> {
    let count = rows.len() as f64;
    let names = FeatureSchema::current().names.iter().enumerate();
    names
        .map(|(feature, name)| {
            let sorted = sorted_column(rows, feature);
            let mean = sorted.iter().map(|value| f64::from(*value)).sum::<f64>() / count;
            let squares = sorted
                .iter()
                .map(|value| (f64::from(*value) - mean).powi(2))
                .sum::<f64>();
            FeatureStatistics {
                name: (*name).to_owned(),
                mean,
                standard_deviation: (squares / count).sqrt(),
                minimum: sorted.first().copied().map_or(f64::NAN, f64::from),
                maximum: sorted.last().copied().map_or(f64::NAN, f64::from),
                deciles: std::array::from_fn(|tenth| {
                    f64::from(quantile(&sorted, (tenth + 1) as f64 / 10.0))
                }),
            }
        })
        .collect()
}

fn sorted_column(rows: &[&FeatureVector], feature: usize) -> Vec<f32> {
    let mut column: Vec<f32> = rows.iter().map(|row| row[feature]).collect();
    column.sort_unstable_by(f32::total_cmp);
    column
}

/// Linear interpolation between the neighbouring order statistics (type 7 of Hyndman and Fan, 1996).
fn quantile(sorted: &[f32], share: f64) -> f32 {
    let place = share * (sorted.len().saturating_sub(1)) as f64;
    #[expect(clippy::cast_sign_loss, reason = "a share of a length is not negative")]
    let below = place.floor() as usize;
    let fraction = (place - place.floor()) as f32;
    match (sorted.get(below), sorted.get(below + 1)) {
        (Some(low), Some(high)) => low + (high - low) * fraction,
        (Some(last), None) => *last,
        _ => f32::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [bool; FEATURE_COUNT] = [true; FEATURE_COUNT];

    fn rows(values: impl Fn(usize) -> f32) -> Vec<FeatureVector> {
        (0..1_001)
            .map(|row| std::array::from_fn(|feature| values(row) + feature as f32))
            .collect()
    }

    #[test]
    fn an_outlier_does_not_squash_the_rest() {
        let rows = rows(|row| if row == 500 { 1e6 } else { row as f32 });
        let rows: Vec<&FeatureVector> = rows.iter().collect();
        let scaler = fit_scaler(&rows, &ALL).unwrap();
        assert!(
            (scaler.minimum[0] - 5.0).abs() < 1.0,
            "{}",
            scaler.minimum[0]
        );
        assert!((scaler.range[0] - 990.0).abs() < 3.0, "{}", scaler.range[0]);
    }

    #[test]
    fn a_rare_event_keeps_its_range_and_a_constant_is_refused() {
        let rare = rows(|row| if row == 500 { 2.0 } else { 0.0 });
        let rare: Vec<&FeatureVector> = rare.iter().collect();
        assert_eq!(fit_scaler(&rare, &ALL).unwrap().range[0], 2.0);
        let constant = rows(|_| 3.0);
        let constant: Vec<&FeatureVector> = constant.iter().collect();
        let error = fit_scaler(&constant, &ALL).unwrap_err().to_string();
        assert!(
            error.contains(FeatureSchema::current().names[0]) && error.contains("is 3 in"),
            "{error}"
        );
    }

    #[test]
    fn what_was_constant_in_training_says_nothing_later() {
        let level = CONTEXT_FEATURES.start + 9;
        let mut rows = rows(|row| row as f32);
        rows.iter_mut().for_each(|row| row[level] = 4.33);
        let scaler = fit_scaler(&rows.iter().collect::<Vec<_>>(), &ALL).unwrap();
        scaler.check().unwrap();
        let mut scaled = [0.0; FEATURE_COUNT];
        for later in [4.33, 4.08, 0.0, 20.0] {
            let mut row = rows[700];
            row[level] = later;
            scaler.apply(&row, &mut scaled);
            assert_eq!(scaled[level], 0.0);
            assert!((scaled[0] - 0.7).abs() < 0.01);
        }
    }

    #[test]
    fn the_networks_are_shown_what_enough_sessions_speak_of() {
        let settings = TrainingSettings {
            news_sessions: 5,
            economy_sessions: 8,
            ..TrainingSettings::default()
        };
        let start: DateTime<Utc> = "2018-01-02T15:00:00Z".parse().unwrap();
        let shown = |sessions: i64| {
            let mut silent = [1.0; FEATURE_COUNT];
            silent[NEWS_FEATURES.start] = 0.0;
            // A stock with news beside one without, and as many days without any.
            let rows: Vec<_> = (0..sessions)
                .flat_map(|day| {
                    [
                        (day, [1.0; FEATURE_COUNT]),
                        (day, silent),
                        (day + 100, silent),
                    ]
                })
                .map(|(day, features)| (start + chrono::TimeDelta::days(day), features))
                .collect();
            let rows = rows.iter().map(|(at, features)| (*at, features));
            let shown = shown_features(rows, &settings);
            assert!(shown[..NEWS_FEATURES.start].iter().all(|shown| *shown));
            [NEWS_FEATURES, DAILY_ECONOMY_FEATURES, SLOW_ECONOMY_FEATURES]
                .map(|features| shown[features.start])
        };
        assert_eq!(shown(3), [false, false, false]);
        assert_eq!(shown(4), [false, true, false]);
        assert_eq!(shown(5), [true, true, false]);
        assert_eq!(shown(16), [true, true, true]);
    }

    #[test]
    fn deciles_and_moments_by_hand() {
        let rows = rows(|row| row as f32);
        let rows: Vec<&FeatureVector> = rows.iter().collect();
        let first = statistics(&rows).remove(0);
        assert_eq!(
            (first.mean, first.minimum, first.maximum),
            (500.0, 0.0, 1000.0)
        );
        assert_eq!(
            first.deciles,
            [
                100.0, 200.0, 300.0, 400.0, 500.0, 600.0, 700.0, 800.0, 900.0
            ]
        );
        // Variance of 0..=n is n (n + 2) / 12.
        assert!((first.standard_deviation - (1000.0_f64 * 1002.0 / 12.0).sqrt()).abs() < 1e-9);
    }
}
