use chrono::{DateTime, Utc};
use domain::ModelKind;
use model_registry::{Change, KindRecord};
use serde_json::{Value, json};
use service_kit::block_on;
use storage::{ModelEvent, ModelEventKind};

use super::{Registry, second, warn};
use crate::cli::AtArguments;

/// `tandem models at`.
///
/// # Errors
/// When the champions' file is broken.
pub(crate) fn run(arguments: &AtArguments) -> anyhow::Result<()> {
    let registry = Registry::open(&arguments.system)?;
    let champions = registry.champions.read()?;
    let loaded = block_on(loaded(&registry, arguments.time))?;
    let mut answers = Vec::new();
    for (kind, loaded) in ModelKind::ALL.into_iter().zip(loaded) {
        let record = champions.of(kind);
        let change = record.and_then(|record| record.at(arguments.time));
        if arguments.json {
            answers.push(as_json(kind, change, loaded.as_ref()));
        } else {
            println!("{kind}: {}", as_text(record, change));
            if let Some(event) = loaded {
                let since = second(event.event_time);
                println!("  the api has used {} since {since}", event.model_id);
            }
        }
    }
    if arguments.json {
        println!(
            "{:#}",
            json!({ "at": arguments.time, "champions": answers })
        );
    }
    Ok(())
}

/// What the api had in use of each kind, as far as a database says.
async fn loaded(
    registry: &Registry,
    time: DateTime<Utc>,
) -> anyhow::Result<[Option<ModelEvent>; 2]> {
    let mut loaded = [None, None];
    let Some(pool) = registry.database().await else {
        return Ok(loaded);
    };
    for (kind, loaded) in ModelKind::ALL.into_iter().zip(&mut loaded) {
        match storage::last_model_event(&pool, kind, ModelEventKind::Loaded, time).await {
            Ok(event) => *loaded = event,
            Err(error) => warn("what the api had in use is not known", error),
        }
    }
    Ok(loaded)
}

fn as_text(
    record: Option<&KindRecord>,
    change: Option<(&Change, Option<DateTime<Utc>>)>,
) -> String {
    let Some((change, until)) = change else {
        let first = record.and_then(|record| record.changes.last());
        return first.map_or_else(
            || "no champion, then or now".to_owned(),
            |first| {
                format!(
                    "no champion yet: the first, {}, came at {}",
                    first.to,
                    second(first.at)
                )
            },
        );
    };
    let until = until.map_or_else(|| "now".to_owned(), |until| second(until).to_string());
    format!(
        "{}, from {} to {until} ({})",
        change.to,
        second(change.at),
        change.why
    )
}

fn as_json(
    kind: ModelKind,
    change: Option<(&Change, Option<DateTime<Utc>>)>,
    loaded: Option<&ModelEvent>,
) -> Value {
    let (change, until) = change.unzip();
    json!({
        "kind": kind,
        "champion": change.map(|change| &change.to),
        "from": change.map(|change| change.at),
        "to": until.flatten(),
        "why": change.map(|change| &change.why),
        "in_use": loaded.map(|event| &event.model_id),
        "in_use_since": loaded.map(|event| event.event_time),
    })
}
