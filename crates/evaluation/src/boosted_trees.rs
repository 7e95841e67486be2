use domain::Class;
use forust_ml::{GradientBooster, Matrix, objective::ObjectiveType};
use ndarray::{ArrayView2, Axis};

use crate::BaselineError;

/// Trees for each class. Markets drift: on later days of the training data the log loss was lowest after 10 to 20 trees
/// at this learning rate and rose again from there on, whatever the size of the trees.
const TREES: usize = 20;
/// Share of each tree's correction that is taken.
const LEARNING_RATE: f32 = 0.05;
/// Leaves of a tree: enough for interactions of a few features.
const LEAVES: usize = 16;
/// Depth of a tree.
const DEPTH: usize = 6;
/// Least weight of a leaf (sum of p (1 - p) over its cases): neighbouring bars share their outcomes, so that a leaf
/// needs many of them to hold more than one event.
const LEAF_WEIGHT: f32 = 200.0;
/// Penalty on squared leaf values.
const PENALTY: f32 = 10.0;
/// Histogram bins of a feature.
const BINS: u16 = 64;

/// Gradient-boosted trees on the newest feature vector: one booster for each class against the rest, whose
/// probabilities are normalised to sum to 1.
///
/// Nothing in it is drawn at random (neither rows nor columns are sampled), so that the same cases give the same bits,
/// whatever the number of threads.
pub struct BoostedTrees {
    boosters: [GradientBooster; 3],
    features: usize,
}

impl BoostedTrees {
    /// Fits on features of shape `[cases, features]` and their labels `[cases]`, on `threads` threads (at least 1).
    ///
    /// # Errors
    /// [`BaselineError`] when shapes differ, a class is absent or the features are no numbers.
    pub fn fit(
        features: ArrayView2<'_, f64>,
        labels: &[Class],
        threads: usize,
    ) -> Result<Self, BaselineError> {
        BaselineError::check(features, labels)?;
        let columns = columns(features);
        let data = Matrix::new(&columns, features.nrows(), features.ncols());
        let booster = |class: Class| {
            let targets: Vec<f64> = labels
                .iter()
                .map(|label| f64::from(u8::from(*label == class)))
                .collect();
            let mut booster = GradientBooster::default()
                .set_objective_type(ObjectiveType::LogLoss)
                .set_iterations(TREES)
                .set_learning_rate(LEARNING_RATE)
                .set_max_leaves(LEAVES)
                .set_max_depth(DEPTH)
                .set_min_leaf_weight(LEAF_WEIGHT)
                .set_l2(PENALTY)
                .set_nbins(BINS)
                .set_parallel(threads > 1)
                .set_num_threads(Some(threads));
            booster
                .fit_unweighted(&data, &targets, None)
                .map_err(|error| BaselineError::FitTrees(Box::new(error)))?;
            Ok(booster)
        };
        let [down, neutral, up] = Class::ALL;
        Ok(Self {
            boosters: [booster(down)?, booster(neutral)?, booster(up)?],
            features: features.ncols(),
        })
    }

    /// Probabilities of shape `[cases, 3]` for features of shape `[cases, features]`.
    ///
    /// # Errors
    /// [`BaselineError::Features`] for another number of features than was fitted on.
    pub fn probabilities(
        &self,
        features: ArrayView2<'_, f64>,
    ) -> Result<Vec<[f64; 3]>, BaselineError> {
        if features.ncols() != self.features {
            return Err(BaselineError::Features {
                fitted: self.features,
                found: features.ncols(),
            });
        }
        let columns = columns(features);
        let data = Matrix::new(&columns, features.nrows(), features.ncols());
        let [down, neutral, up] = [0, 1, 2].map(|class: usize| {
            let log_odds = self.boosters[class].predict(&data, false);
            log_odds
                .into_iter()
                .map(|odds| 1.0 / (1.0 + (-odds).exp()))
                .collect::<Vec<f64>>()
        });
        Ok(down
            .into_iter()
            .zip(neutral)
            .zip(up)
            .map(|((down, neutral), up)| {
                let sum = down + neutral + up;
                [down / sum, neutral / sum, up / sum]
            })
            .collect())
    }
}

/// Column after column, as the booster wants it.
fn columns(features: ArrayView2<'_, f64>) -> Vec<f64> {
    features
        .axis_iter(Axis(1))
        .flat_map(|column| column.to_vec())
        .collect()
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;
    use crate::{LinearModel, most_probable, score};

    /// The class depends on whether two features have the same sign: nothing that a line can separate.
    fn crossed(cases: usize) -> (Array2<f64>, Vec<Class>) {
        let value = |case: usize, step: usize| ((case * step) % 1_009) as f64 / 504.5 - 1.0;
        let features = Array2::from_shape_fn((cases, 4), |(case, feature)| match feature {
            0 => value(case, 383),
            1 => value(case, 619),
            2 => 7.0,
            _ => value(case, 97),
        });
        let labels = features
            .rows()
            .into_iter()
            .map(|row| match row[0] * row[1] {
                product if product > 0.1 => Class::Up,
                product if product < -0.1 => Class::Down,
                _ => Class::Neutral,
            })
            .collect();
        (features, labels)
    }

    #[test]
    fn trees_find_what_a_line_cannot() {
        let (features, labels) = crossed(8_000);
        let (unseen, truth) = crossed(9_000);
        let (unseen, truth) = (unseen.slice_move(ndarray::s![8_000.., ..]), &truth[8_000..]);
        let trees = BoostedTrees::fit(features.view(), &labels, 1).unwrap();
        let linear = LinearModel::fit(features.view(), &labels).unwrap();
        let trees = trees.probabilities(unseen.view()).unwrap();
        let linear = linear.probabilities(unseen.view());
        let log_loss = |probabilities: &[[f64; 3]]| {
            score(truth, &most_probable(probabilities), probabilities)
                .unwrap()
                .log_loss
        };
        let (trees, linear) = (log_loss(&trees), log_loss(&linear));
        assert!(trees < linear - 0.1, "{trees} and {linear}");
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let (features, labels) = crossed(4_000);
        let once = BoostedTrees::fit(features.view(), &labels, 1).unwrap();
        let again = BoostedTrees::fit(features.view(), &labels, 3).unwrap();
        assert_eq!(
            once.probabilities(features.view()).unwrap(),
            again.probabilities(features.view()).unwrap()
        );
    }

    #[test]
    fn refuses_what_cannot_be_learned() {
        let (mut features, labels) = crossed(300);
        let fit = |features: &Array2<f64>, labels: &[Class]| {
            BoostedTrees::fit(features.view(), labels, 1).err().unwrap()
        };
        assert!(matches!(
            fit(&features, &[Class::Up; 300]),
            BaselineError::MissingClass { class: Class::Down }
        ));
        assert!(matches!(
            fit(&features, &labels[..299]),
            BaselineError::Lengths {
                rows: 300,
                labels: 299
            }
        ));
        let trees = BoostedTrees::fit(features.view(), &labels, 1).unwrap();
        assert!(matches!(
            trees.probabilities(features.slice(ndarray::s![.., ..2])),
            Err(BaselineError::Features {
                fitted: 4,
                found: 2
            })
        ));
        features[[7, 1]] = f64::NAN;
        assert!(matches!(
            fit(&features, &labels),
            BaselineError::NotFinite {
                case: 7,
                feature: 1
            }
        ));
    }
}
