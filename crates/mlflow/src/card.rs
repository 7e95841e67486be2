//! What is told of a model, in MLflow's words.

use chrono::{DateTime, Utc};
use model_registry::Manifest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use storage::ValidationReport;

/// The tag by which a model's run is found.
pub(crate) const MODEL_ID: &str = "tandem.model_id";

/// The tag with the verdict of the last validation.
pub(crate) const VERDICT: &str = "tandem.verdict";

/// A parameter or a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl Pair {
    pub(crate) fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
        }
    }
}

/// A figure at a step.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Metric {
    pub(crate) key: String,
    pub(crate) value: f64,
    /// Milliseconds since the epoch. The same figure with the same time is no second one.
    pub(crate) timestamp: i64,
    pub(crate) step: i64,
}

/// The figures of a validation, by where they stand in what was found about one kind of network.
const VALIDATION_FIGURES: [(&str, &str); 13] = [
    ("champion_log_loss", "/champion/scores/log_loss"),
    ("challenger_log_loss", "/challenger/scores/log_loss"),
    ("gain", "/log_loss_gain/mean"),
    ("gain_lower_bound", "/log_loss_gain/bounds/known/lower"),
    ("gain_upper_bound", "/log_loss_gain/bounds/known/upper"),
    ("net_return_gain_bps", "/net_return_gain_bps/mean"),
    ("macro_f1", "/challenger/scores/macro_f1"),
    ("mcc", "/challenger/scores/mcc"),
    ("brier", "/challenger/scores/brier"),
    ("ece", "/challenger/scores/ece"),
    ("sessions", "/sessions"),
    ("cases", "/cases"),
    ("trials", "/settings/trials"),
];

/// The tags of a model.
pub(crate) fn tags(manifest: &Manifest) -> Vec<Pair> {
    let mut tags = vec![
        Pair::new(MODEL_ID, manifest.model_id.as_str()),
        Pair::new("tandem.kind", manifest.kind.name()),
        Pair::new("tandem.data_fingerprint", &manifest.data_fingerprint),
        Pair::new("tandem.code_version", &manifest.code_version),
        Pair::new("tandem.feature_schema", &manifest.features.hash),
        Pair::new("tandem.sha256", &manifest.tflite_sha256),
        Pair::new(
            "tandem.trained_from",
            manifest.ranges.training.start.to_rfc3339(),
        ),
        Pair::new(
            "tandem.trained_until",
            manifest.ranges.training.end.to_rfc3339(),
        ),
    ];
    // The version may say which commit it was: 0.1.0+abc1234.
    if let Some((_, commit)) = manifest.code_version.split_once('+') {
        tags.push(Pair::new("mlflow.source.git.commit", commit));
    }
    tags
}

/// The hyper-parameters and what else decides what a training gives.
pub(crate) fn parameters(manifest: &Manifest) -> Vec<Pair> {
    let mut parameters = Vec::new();
    let mut add = |key: String, value: &Value| {
        let value = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        parameters.push(Pair { key, value });
    };
    each_leaf("", &manifest.hyper_parameters, &mut add);
    each_leaf("labels", &manifest.labels, &mut add);
    add("window".to_owned(), &manifest.window.into());
    add("features".to_owned(), &manifest.features.names.len().into());
    if !parameters.iter().any(|pair: &Pair| pair.key == "seed") {
        parameters.push(Pair::new("seed", manifest.seed.to_string()));
    }
    parameters
}

/// The figures of the training: those of the whole, and those of each epoch.
pub(crate) fn training_metrics(manifest: &Manifest) -> Vec<Metric> {
    let timestamp = manifest.created_at.timestamp_millis();
    let mut figures = manifest.metrics.clone();
    let history = figures
        .pointer_mut("/training/history")
        .map_or(Value::Null, Value::take);
    let mut metrics = Vec::new();
    each_leaf("", &figures, &mut |key, value| {
        metrics.extend(metric(key, value, timestamp, 0));
    });
    for epoch in history.as_array().into_iter().flatten() {
        let step = epoch.get("epoch").and_then(Value::as_i64).unwrap_or(0);
        for (name, value) in epoch.as_object().into_iter().flatten() {
            if name != "epoch" {
                metrics.extend(metric(format!("epoch.{name}"), value, timestamp, step));
            }
        }
    }
    metrics
}

/// The figures of a validation in which the model was the challenger.
pub(crate) fn validation_metrics(report: &ValidationReport) -> Vec<Metric> {
    let Some(comparison) = report.report.pointer("/outcome/compared") else {
        // The two could not be compared.
        return Vec::new();
    };
    let night = report
        .night
        .signed_duration_since(DateTime::<Utc>::UNIX_EPOCH.date_naive());
    let figures = VALIDATION_FIGURES.iter().filter_map(|(name, pointer)| {
        metric(
            format!("validation.{name}"),
            comparison.pointer(pointer)?,
            report.created_at.timestamp_millis(),
            night.num_days(),
        )
    });
    figures.collect()
}

fn metric(key: String, value: &Value, timestamp: i64, step: i64) -> Option<Metric> {
    let value = value.as_f64().filter(|value| value.is_finite())?;
    Some(Metric {
        key,
        value,
        timestamp,
        step,
    })
}

/// Calls `tell` with each value that holds no others, named by its path with dots.
fn each_leaf(path: &str, value: &Value, tell: &mut impl FnMut(String, &Value)) {
    let below = |name: &str| match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                each_leaf(&below(name), value, tell);
            }
        }
        Value::Array(values) => {
            for (place, value) in values.iter().enumerate() {
                each_leaf(&below(&place.to_string()), value, tell);
            }
        }
        Value::Null => (),
        value => tell(path.to_owned(), value),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use domain::{Class, ModelId, ModelKind, Ticker};
    use evaluation::{Case, Comparison, ComparisonSettings, Network, compare};
    use serde_json::json;
    use storage::ValidationVerdict;

    use super::*;

    #[test]
    fn leaves_are_named_by_their_path() {
        let value = json!({"a": {"b": [1, {"c": "x"}]}, "d": null, "e": true});
        let mut leaves = Vec::new();
        each_leaf("", &value, &mut |key, value| {
            leaves.push((key, value.clone()))
        });
        assert_eq!(
            leaves,
            [
                ("a.b.0".to_owned(), json!(1)),
                ("a.b.1.c".to_owned(), json!("x")),
                ("e".to_owned(), json!(true)),
            ]
        );
    }

    fn report(report: Value) -> ValidationReport {
        ValidationReport {
            run_id: None,
            night: "1970-01-03".parse().unwrap(),
            kind: ModelKind::Lstm,
            champion: None,
            challenger: ModelId::parse("lstm-2").unwrap(),
            verdict: ValidationVerdict::Wins,
            report,
            created_at: DateTime::UNIX_EPOCH,
        }
    }

    /// Twelve sessions in which the challenger is surer of what happens.
    fn comparison() -> Comparison {
        let network = |id: &str| Network {
            id: ModelId::parse(id).unwrap(),
            seed: 1,
            ranges: Vec::new(),
            sets: None,
        };
        let start: DateTime<Utc> = "2018-03-01T15:00:00Z".parse().unwrap();
        let cases: Vec<Case> = (0..48)
            .map(|number: usize| {
                let bar_start = start + TimeDelta::hours(6 * number as i64);
                let happened = Class::ALL[number % 3];
                let sure = |share: f64| {
                    Class::ALL.map(|class| {
                        if class == happened {
                            share
                        } else {
                            (1.0 - share) / 2.0
                        }
                    })
                };
                Case {
                    ticker: Ticker::parse("AAPL").unwrap(),
                    session: bar_start.date_naive(),
                    bar_start,
                    truth: happened,
                    gross_return: 0.001,
                    champion: sure(0.4),
                    challenger: sure(0.5 + 0.001 * number as f64),
                }
            })
            .collect();
        let settings = ComparisonSettings {
            margin: 0.001,
            level: 0.95,
            resamples: 200,
            seed: 1,
            round_trip_cost_bps: 4.0,
            trials: 3,
        };
        let (champion, challenger) = (network("lstm-1"), network("lstm-2"));
        compare(&cases, &champion, &challenger, &[], &settings, |_, _| None).unwrap()
    }

    #[test]
    fn every_figure_is_found_where_a_validation_puts_it() {
        let comparison = comparison();
        let metrics = validation_metrics(&report(json!({ "outcome": { "compared": comparison } })));
        let names: Vec<&str> = metrics.iter().map(|metric| metric.key.as_str()).collect();
        let wanted = VALIDATION_FIGURES.map(|(name, _)| format!("validation.{name}"));
        assert_eq!(names, wanted);
        let value = |name: &str| {
            metrics
                .iter()
                .find(|metric| metric.key == name)
                .unwrap()
                .value
        };
        assert_eq!(value("validation.gain"), comparison.log_loss_gain.mean);
        assert_eq!(value("validation.trials"), 3.0);
        assert!(
            metrics.iter().all(|metric| metric.step == 2),
            "days since 1970-01-01"
        );
    }

    #[test]
    fn what_could_not_be_compared_has_no_figures() {
        let refused = report(json!({ "outcome": { "not_compared": { "reason": "seen" } } }));
        assert_eq!(validation_metrics(&refused), []);
    }
}
