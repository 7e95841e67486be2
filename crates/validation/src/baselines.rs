use domain::Class;
use evaluation::{Baseline, BaselineError, BoostedTrees, ClassPrior, LinearModel, Persistence};
use features::{FEATURE_COUNT, FeatureVector, Scaler};
use ndarray::Array2;

use crate::{Decision, ValidationError};

/// What something simple, fitted on the `known` decisions, says of those `asked`: class prior, persistence, linear model
/// and boosted trees, in this order.
///
/// The features are scaled as for the networks: an economic level that training never saw must not carry a linear model
/// away either. `threads` may grow the trees; the result does not depend on it.
///
/// # Errors
/// [`ValidationError::Baseline`] when there is nothing to learn from.
pub fn baselines(
    known: &[&Decision],
    asked: &[&Decision],
    scaler: &Scaler,
    threads: usize,
) -> Result<Vec<Baseline>, ValidationError> {
    let failed = |name: &'static str| {
        move |source: BaselineError| ValidationError::Baseline { name, source }
    };
    let baseline = |name: &str, probabilities, chosen| Baseline {
        name: name.to_owned(),
        probabilities,
        chosen,
    };
    let learned: Vec<Class> = known.iter().map(|decision| decision.truth).collect();

    let name = "class prior";
    let prior = ClassPrior::fit(&learned).map_err(failed(name))?;
    let prior = baseline(name, vec![prior.probabilities(); asked.len()], None);

    let name = "persistence";
    let pairs: Vec<(Class, Class)> = known
        .iter()
        .map(|decision| (decision.last, decision.truth))
        .collect();
    let rule = Persistence::fit(&pairs).map_err(failed(name))?;
    let last: Vec<Class> = asked.iter().map(|decision| decision.last).collect();
    let again = last.iter().map(|last| rule.probabilities(*last)).collect();
    let persistence = baseline(name, again, Some(last));

    let (known, asked) = (table(known, scaler), table(asked, scaler));
    let name = "linear";
    let linear = LinearModel::fit(known.view(), &learned).map_err(failed(name))?;
    let linear = baseline(name, linear.probabilities(asked.view()), None);

    let name = "boosted trees";
    let trees = BoostedTrees::fit(known.view(), &learned, threads)
        .and_then(|trees| trees.probabilities(asked.view()))
        .map_err(failed(name))?;
    let trees = baseline(name, trees, None);
    Ok(vec![prior, persistence, linear, trees])
}

/// Scaled features of shape `[decisions, FEATURE_COUNT]`.
fn table(decisions: &[&Decision], scaler: &Scaler) -> Array2<f64> {
    let mut table = Array2::zeros((decisions.len(), FEATURE_COUNT));
    let mut scaled: FeatureVector = [0.0; FEATURE_COUNT];
    for (mut row, decision) in table.rows_mut().into_iter().zip(decisions) {
        scaler.apply(&decision.features, &mut scaled);
        for (cell, value) in row.iter_mut().zip(scaled) {
            *cell = f64::from(value);
        }
    }
    table
}
