use std::fmt::Write as _;

use model_registry::{Change, Manifest, TimeRange};
use serde_json::{Value, json};
use service_kit::block_on;
use storage::ModelEvent;

use super::{Known, Registry, list, log_losses, second, warn};
use crate::cli::ShowArguments;

/// `tandem models show`.
///
/// # Errors
/// When there is no such model, or the champions' file is broken. A broken model is shown with its reason.
pub(crate) fn run(arguments: &ShowArguments) -> anyhow::Result<()> {
    let registry = Registry::open(&arguments.system)?;
    let model = registry.find(&arguments.id)?;
    let champions = registry.champions.read()?;
    let changes: Vec<&Change> = champions
        .of(model.kind)
        .into_iter()
        .flat_map(|record| &record.changes)
        .filter(|change| {
            change.to == model.model_id || change.from.as_ref() == Some(&model.model_id)
        })
        .collect();
    let events = block_on(async { Ok(events(&registry, &model).await) })?;
    if arguments.json {
        println!("{:#}", as_json(&model, &changes, events.as_deref()));
    } else {
        print!("{}", as_text(&model, &changes, events.as_deref()));
    }
    Ok(())
}

/// What the database tells of the model, the oldest first; none without a database.
async fn events(registry: &Registry, model: &Known) -> Option<Vec<ModelEvent>> {
    let pool = registry.database().await?;
    match storage::model_events_of(&pool, &model.model_id).await {
        Ok(events) => Some(events),
        Err(error) => {
            warn("what the database tells of it is missing", error);
            None
        }
    }
}

fn as_json(model: &Known, changes: &[&Change], events: Option<&[ModelEvent]>) -> Value {
    let events = events.map(|events| {
        let event = |event: &ModelEvent| {
            json!({
                "at": event.event_time,
                "event": event.event.name(),
                "previous": event.previous_model_id,
                "reason": event.reason,
            })
        };
        events.iter().map(event).collect::<Vec<_>>()
    });
    let mut card = list::as_json(model);
    if let Value::Object(fields) = &mut card {
        fields.insert("manifest".to_owned(), json!(model.manifest));
        fields.insert("changes".to_owned(), json!(changes));
        fields.insert("events".to_owned(), json!(events));
    }
    card
}

fn as_text(model: &Known, changes: &[&Change], events: Option<&[ModelEvent]>) -> String {
    let Known {
        kind,
        model_id,
        role,
        ..
    } = model;
    let mut text = format!("{model_id}\n\n");
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<16} {value}");
    };
    line("kind", kind.name());
    line("role", &role.to_string());
    line("folder", &model.folder.display().to_string());
    let state = match (&model.manifest, &model.problem) {
        (_, Some(problem)) => problem.as_str(),
        (Some(_), None) => "whole: the files are those whose checksums the card names",
        (None, None) => "unknown",
    };
    line("state", state);
    if let Some(manifest) = &model.manifest {
        describe(manifest, &mut line);
    }
    if !changes.is_empty() {
        text.push_str("\nin the champions' file, newest first:\n");
    }
    for change in changes {
        let what = if change.to == *model_id {
            let from = change.from.as_ref().map_or("nothing", |from| from.as_str());
            format!("champion in place of {from}")
        } else {
            format!("replaced by {}", change.to)
        };
        let _ = writeln!(text, "  {}  {what}: {}", second(change.at), change.why);
    }
    match events {
        None => {
            text.push_str("\nwithout a database nothing more is known of what happened to it\n")
        }
        Some([]) => text.push_str("\nthe database tells nothing of it\n"),
        Some(events) => {
            text.push_str("\nin the database, oldest first:\n");
            for event in events {
                let (at, name) = (second(event.event_time), event.event.name());
                let _ = writeln!(text, "  {at}  {name:<11} {}", event.reason);
            }
        }
    }
    text
}

fn describe(manifest: &Manifest, line: &mut impl FnMut(&str, &str)) {
    let range = |range: &TimeRange| format!("{} to {}", second(range.start), second(range.end));
    line("created", &second(manifest.created_at).to_string());
    line("trained on", &range(&manifest.ranges.training));
    line("stopped by", &range(&manifest.ranges.early_stopping));
    let calibration = manifest.ranges.calibration.as_ref();
    line(
        "calibrated on",
        &calibration.map_or_else(|| "nothing".to_owned(), range),
    );
    if let Some((own, prior)) = log_losses(manifest) {
        let better = if own < prior { "better" } else { "worse" };
        let by = (own - prior).abs();
        line(
            "log loss",
            &format!(
                "{own:.4}, by {by:.4} {better} than the prior's {prior:.4}, on the bars that stopped it"
            ),
        );
    }
    let mut figures = manifest.metrics.clone();
    if let Some(training) = figures.get_mut("training").and_then(Value::as_object_mut) {
        // A line for each epoch; --json has them.
        training.remove("history");
    }
    line("all figures", &figures.to_string());
    line(
        "input",
        &format!(
            "windows of {} bars of {} features (schema {}, {}): {}",
            manifest.window,
            manifest.features.names.len(),
            manifest.features.version,
            manifest
                .features
                .hash
                .get(..12)
                .unwrap_or(&manifest.features.hash),
            manifest.features.names.join(", "),
        ),
    );
    line("labels", &manifest.labels.to_string());
    line("settings", &manifest.hyper_parameters.to_string());
    line("seed", &manifest.seed.to_string());
    let abstention = manifest.abstention.as_ref();
    line(
        "abstention",
        &abstention.map_or_else(
            || "no thresholds: it never confirms".to_owned(),
            |record| {
                let (percent, cases) = (record.coverage * 100.0, record.cases);
                format!(
                    "sets that hold what happens {percent:.0} % of the time, from {cases} cases"
                )
            },
        ),
    );
    line("data", &manifest.data_fingerprint);
    line("code", &manifest.code_version);
    line("sha256", &manifest.tflite_sha256);
}
