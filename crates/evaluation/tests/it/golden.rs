//! Against scikit-learn's figures.

use domain::Class;
use evaluation::{most_probable, score};
use test_support::shared;

#[test]
fn scores_equal_scikit_learn() {
    let Some(path) = shared("golden/metrics_sklearn.json") else {
        return;
    };
    let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let truth: Vec<Class> = golden["y_true"]
        .as_array()
        .unwrap()
        .iter()
        .map(|class| Class::ALL[usize::try_from(class.as_u64().unwrap()).unwrap()])
        .collect();
    let probabilities: Vec<[f64; 3]> = serde_json::from_value(golden["probs"].clone()).unwrap();
    let scores = score(&truth, &most_probable(&probabilities), &probabilities).unwrap();

    let close = |name: &str, ours: f64, theirs: &serde_json::Value| {
        let theirs = theirs.as_f64().unwrap();
        assert!(
            (ours - theirs).abs() < 1e-9,
            "{name}: {ours} against {theirs}"
        );
    };
    close("macro F1", scores.macro_f1, &golden["macro_f1"]);
    close("MCC", scores.mcc, &golden["mcc"]);
    close("log loss", scores.log_loss, &golden["log_loss"]);
    close("Brier", scores.brier, &golden["brier"]);
    close("ECE", scores.ece, &golden["ece_15_equal_width"]);
    for class in Class::ALL {
        let ours = scores.classes[class.index()];
        close("F1", ours.f1, &golden["f1"][class.index()]);
        close(
            "precision",
            ours.precision,
            &golden["precision"][class.index()],
        );
        close("recall", ours.recall, &golden["recall"][class.index()]);
    }
    assert_eq!(
        serde_json::to_value(scores.confusion).unwrap(),
        golden["confusion"]
    );
}

#[test]
fn drift_equals_scipy() {
    let Some(path) = shared("golden/drift_scipy.json") else {
        return;
    };
    let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let sample = |name: &str| -> Vec<f64> { serde_json::from_value(golden[name].clone()).unwrap() };
    let (reference, current) = (sample("reference"), sample("current"));
    let found = evaluation::drift(&reference, &current).unwrap();
    for (name, ours) in [
        ("psi_deciles_of_reference_floor_1e4", found.psi),
        ("ks_statistic", found.ks),
        ("ks_p_value", found.ks_p_value),
        ("wasserstein", found.wasserstein),
        ("z_of_mean", found.z_of_mean),
    ] {
        let theirs = golden[name].as_f64().unwrap();
        assert!(
            (ours - theirs).abs() <= 1e-9 * theirs.abs(),
            "{name}: {ours} and {theirs}"
        );
    }
    let edges = evaluation::deciles(&reference).unwrap();
    let from_edges = evaluation::psi_of_deciles(&edges, &current).unwrap();
    assert!((from_edges - found.psi).abs() < 1e-3, "{from_edges}");
}
