use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{Class, Probabilities};
use model_registry::{AbstentionRecord, Manifest};

use crate::Decision;

/// By the start of the bar (UTC): how a model tells when it is sure, as it would have in service on these decisions (in any
/// order), where its thresholds move with what comes of them. Empty for a model without conformal sets.
pub fn in_service<'a>(
    manifest: &Manifest,
    said: impl IntoIterator<Item = (&'a Decision, &'a Probabilities)>,
) -> BTreeMap<DateTime<Utc>, AbstentionRecord> {
    let Some(record) = manifest.abstention else {
        return BTreeMap::new();
    };
    let mut minutes: BTreeMap<DateTime<Utc>, Vec<(Class, [f64; 3])>> = BTreeMap::new();
    for (decision, probabilities) in said {
        let values = probabilities.to_array().map(f64::from);
        let minute = minutes.entry(decision.bar_start).or_default();
        let counts_from = decision.bar_start + TimeDelta::minutes(record.delay_minutes.into());
        if decision.resolved_at <= counts_from {
            minute.push((decision.truth, values));
        }
    }
    let mut moving = record.adaptive();
    minutes
        .into_iter()
        .map(|(bar_start, outcomes)| {
            let thresholds = moving.at(bar_start);
            moving.learn(bar_start, &outcomes);
            (
                bar_start,
                AbstentionRecord {
                    thresholds,
                    ..record
                },
            )
        })
        .collect()
}
