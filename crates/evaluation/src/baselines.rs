use domain::Class;
use linfa::{DatasetBase, traits::Fit};
use linfa_logistic::{MultiFittedLogisticRegression, MultiLogisticRegression};
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// Penalty on the linear model's squared weights: as in scikit-learn's default, on the sum over samples.
const PENALTY: f64 = 1.0;
/// Steps of the linear model's optimiser at most.
const MAXIMUM_STEPS: u64 = 200;
/// Norm of the summed gradient at which the optimiser stops, per sample.
const GRADIENT_TOLERANCE: f64 = 1e-6;

/// A baseline cannot be fitted.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// No case to fit on.
    #[error("a baseline needs labelled cases to fit on, and there are none")]
    Empty,
    /// A class that never occurs cannot be learned.
    #[error("a fitted baseline needs cases of all three classes: there is none of class {class}")]
    MissingClass {
        /// The absent class.
        class: Class,
    },
    /// Features and labels differ in number.
    #[error("{rows} rows of features and {labels} labels do not belong together")]
    Lengths {
        /// Rows of features.
        rows: usize,
        /// Labels.
        labels: usize,
    },
    /// A feature is no number.
    #[error("feature {feature} of case {case} is not a finite number")]
    NotFinite {
        /// Row.
        case: usize,
        /// Column.
        feature: usize,
    },
    /// Another number of features than the baseline was fitted on.
    #[error("the baseline was fitted on {fitted} features and asked with {found}")]
    Features {
        /// Features fitted on.
        fitted: usize,
        /// Features given.
        found: usize,
    },
    /// The optimiser gave up.
    #[error("failed to fit the linear baseline")]
    Fit(#[source] Box<linfa_logistic::error::Error>),
    /// The trees cannot be grown.
    #[error("failed to fit the boosted trees")]
    FitTrees(#[source] Box<forust_ml::errors::ForustError>),
}

impl BaselineError {
    /// Whether features `[cases, features]` and labels `[cases]` can be learned from.
    pub(crate) fn check(features: ArrayView2<'_, f64>, labels: &[Class]) -> Result<(), Self> {
        if features.nrows() != labels.len() {
            return Err(Self::Lengths {
                rows: features.nrows(),
                labels: labels.len(),
            });
        }
        if let Some(class) = Class::ALL.into_iter().find(|class| !labels.contains(class)) {
            return Err(Self::MissingClass { class });
        }
        match features
            .indexed_iter()
            .find(|(_, value)| !value.is_finite())
        {
            Some(((case, feature), _)) => Err(Self::NotFinite { case, feature }),
            None => Ok(()),
        }
    }
}

/// Predicts for every case how often the classes occurred in the training data.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ClassPrior {
    probabilities: [f64; 3],
}

impl ClassPrior {
    /// Counts the classes of the training data, each once more than it occurred: nothing is impossible (Laplace).
    ///
    /// # Errors
    /// [`BaselineError::Empty`] without cases.
    pub fn fit(labels: &[Class]) -> Result<Self, BaselineError> {
        if labels.is_empty() {
            return Err(BaselineError::Empty);
        }
        Ok(Self {
            probabilities: smoothed(labels.iter().copied()),
        })
    }

    /// The same three probabilities for every case.
    pub const fn probabilities(&self) -> [f64; 3] {
        self.probabilities
    }
}

/// Predicts that what happened last happens again.
///
/// What happened last is the newest label whose barriers had resolved when the decision was made: anything newer would
/// look ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Persistence {
    after: [[f64; 3]; 3],
}

impl Persistence {
    /// Counts on training data, as pairs of the last resolved class and the one that followed, how often each class
    /// follows each.
    ///
    /// # Errors
    /// [`BaselineError::Empty`] without pairs.
    pub fn fit(pairs: &[(Class, Class)]) -> Result<Self, BaselineError> {
        if pairs.is_empty() {
            return Err(BaselineError::Empty);
        }
        let after = Class::ALL.map(|last| {
            smoothed(
                pairs
                    .iter()
                    .filter(|(before, _)| *before == last)
                    .map(|(_, class)| *class),
            )
        });
        Ok(Self { after })
    }

    /// Probabilities after the last resolved class. The rule's own choice is that class, whatever is most probable.
    pub const fn probabilities(&self, last: Class) -> [f64; 3] {
        self.after[last.index()]
    }
}

/// Multinomial logistic regression on the newest feature vector, standardised on the training data.
#[derive(Debug)]
pub struct LinearModel {
    mean: Array1<f64>,
    deviation: Array1<f64>,
    fitted: MultiFittedLogisticRegression<f64, usize>,
}

impl LinearModel {
    /// Fits on features of shape `[cases, features]` and their labels `[cases]`.
    ///
    /// # Errors
    /// [`BaselineError`] when shapes differ, a class is absent, a feature is no number or the optimiser fails.
    pub fn fit(features: ArrayView2<'_, f64>, labels: &[Class]) -> Result<Self, BaselineError> {
        BaselineError::check(features, labels)?;
        let mean = features.mean_axis(Axis(0)).ok_or(BaselineError::Empty)?;
        // A constant feature carries nothing; dividing by 1 keeps it at 0.
        let deviation = features
            .std_axis(Axis(0), 0.0)
            .mapv(|value| if value > 0.0 { value } else { 1.0 });
        let standardised = standardise(features, &mean, &deviation);
        let targets: Array1<usize> = labels.iter().map(|class| class.index()).collect();
        let fitted = MultiLogisticRegression::default()
            .alpha(PENALTY)
            .max_iterations(MAXIMUM_STEPS)
            .gradient_tolerance(GRADIENT_TOLERANCE * labels.len() as f64)
            .fit(&DatasetBase::new(standardised, targets))
            .map_err(|error| BaselineError::Fit(Box::new(error)))?;
        Ok(Self {
            mean,
            deviation,
            fitted,
        })
    }

    /// Probabilities of shape `[cases, 3]` for features of shape `[cases, features]`.
    pub fn probabilities(&self, features: ArrayView2<'_, f64>) -> Vec<[f64; 3]> {
        let unordered =
            self.fitted
                .predict_probabilities(&standardise(features, &self.mean, &self.deviation));
        let columns = self.fitted.classes();
        unordered
            .rows()
            .into_iter()
            .map(|row| {
                let mut values = [0.0; 3];
                for (class, value) in columns.iter().zip(row) {
                    values[*class] = *value;
                }
                values
            })
            .collect()
    }
}

fn standardise(
    features: ArrayView2<'_, f64>,
    mean: &Array1<f64>,
    deviation: &Array1<f64>,
) -> Array2<f64> {
    (&features - mean) / deviation
}

fn smoothed(classes: impl Iterator<Item = Class>) -> [f64; 3] {
    let mut counts = [1.0; 3];
    for class in classes {
        counts[class.index()] += 1.0;
    }
    let total: f64 = counts.iter().sum();
    counts.map(|count| count / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prior_is_how_often_each_class_occurred() {
        let mut labels = vec![Class::Neutral; 596];
        labels.extend([Class::Up; 200]);
        labels.extend([Class::Down; 201]);
        let prior = ClassPrior::fit(&labels).unwrap().probabilities();
        assert_eq!(prior, [0.202, 0.597, 0.201]);
        assert!(matches!(ClassPrior::fit(&[]), Err(BaselineError::Empty)));
    }

    #[test]
    fn persistence_learns_how_sticky_the_classes_are() {
        let mut pairs = vec![(Class::Up, Class::Up); 97];
        pairs.push((Class::Up, Class::Down));
        let persistence = Persistence::fit(&pairs).unwrap();
        assert!(
            (persistence.probabilities(Class::Up)[Class::Up.index()] - 98.0 / 101.0).abs() < 1e-12
        );
        assert_eq!(
            persistence.probabilities(Class::Down),
            [1.0 / 3.0; 3],
            "never seen: no opinion"
        );
    }

    #[test]
    fn the_linear_model_finds_a_linear_rule_on_any_scale() {
        let cases = 600;
        let value = |case: usize| (case % 30) as f64 / 10.0 - 1.5;
        let features = Array2::from_shape_fn((cases, 3), |(case, feature)| match feature {
            0 => 1e4 + 100.0 * value(case),
            1 => ((case * 7919) % 13) as f64,
            _ => 5.0,
        });
        let labels: Vec<Class> = (0..cases)
            .map(|case| match value(case) {
                low if low < -0.5 => Class::Down,
                high if high > 0.5 => Class::Up,
                _ => Class::Neutral,
            })
            .collect();
        let model = LinearModel::fit(features.view(), &labels).unwrap();
        let probabilities = model.probabilities(features.view());
        let hits = probabilities
            .iter()
            .zip(&labels)
            .filter(|(values, label)| crate::most_probable(&[**values])[0] == **label)
            .count();
        assert!(hits as f64 > 0.95 * cases as f64, "{hits} of {cases}");
        assert!(
            probabilities
                .iter()
                .all(|values| (values.iter().sum::<f64>() - 1.0).abs() < 1e-9)
        );
    }

    #[test]
    fn the_linear_model_names_an_absent_class() {
        let features = Array2::zeros((4, 2));
        let error = LinearModel::fit(
            features.view(),
            &[Class::Up, Class::Down, Class::Up, Class::Down],
        )
        .unwrap_err();
        assert!(error.to_string().contains("neutral"));
    }
}
