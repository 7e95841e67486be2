use serde_json::json;

use super::{Known, Registry, Role, log_losses, minute};
use crate::cli::ListArguments;

const HEADING: [&str; 8] = [
    "KIND",
    "MODEL",
    "CREATED",
    "ROLE",
    "TRAINED UNTIL",
    "LOG LOSS",
    "PRIOR",
    "SIZE",
];

/// `tandem models list`.
///
/// # Errors
/// When the champions' file is broken, or a folder cannot be read. A broken model is listed with its reason.
pub(crate) fn run(arguments: &ListArguments) -> anyhow::Result<()> {
    let registry = Registry::open(&arguments.system)?;
    let mut models = registry.models()?;
    models.retain(|model| arguments.kind.is_none_or(|kind| model.kind == kind));
    if arguments.json {
        let models: Vec<_> = models.iter().map(as_json).collect();
        println!("{:#}", json!(models));
    } else if models.is_empty() {
        println!(
            "no models in {}: trainer makes the first ones",
            registry.models_dir.display()
        );
    } else {
        print!("{}", table(&models));
    }
    Ok(())
}

/// A model's row.
pub(super) fn as_json(model: &Known) -> serde_json::Value {
    let manifest = model.manifest.as_ref();
    let losses = manifest.and_then(log_losses);
    let (role, place) = match model.role {
        Role::Champion => ("champion", None),
        Role::Previous(place) => ("previous", Some(place)),
        Role::Spare => ("spare", None),
    };
    json!({
        "kind": model.kind,
        "model_id": model.model_id,
        "created_at": manifest.map(|manifest| manifest.created_at),
        "role": role,
        "place": place,
        "problem": model.problem,
        "trained_until": manifest.map(|manifest| manifest.ranges.seen_until()),
        "early_stopping_log_loss": losses.map(|(own, _)| own),
        "prior_log_loss": losses.map(|(_, prior)| prior),
        "size_bytes": model.size_bytes,
    })
}

/// Columns as wide as they must be; what is wrong with a model stands behind its row.
fn table(models: &[Known]) -> String {
    let rows: Vec<([String; 8], &str)> = models.iter().map(row).collect();
    let mut widths = HEADING.map(str::len);
    for (cells, _) in &rows {
        for (width, cell) in widths.iter_mut().zip(cells) {
            *width = (*width).max(cell.len());
        }
    }
    let heading = (HEADING.map(str::to_owned), "");
    let mut text = String::new();
    for (cells, problem) in std::iter::once(&heading).chain(&rows) {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(cells) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        line.push_str(problem);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn row(model: &Known) -> ([String; 8], &str) {
    let manifest = model.manifest.as_ref();
    let losses = manifest.and_then(log_losses);
    let dash = || "-".to_owned();
    let cells = [
        model.kind.to_string(),
        model.model_id.to_string(),
        manifest.map_or_else(dash, |manifest| minute(manifest.created_at).to_string()),
        model.role.to_string(),
        manifest.map_or_else(dash, |manifest| {
            minute(manifest.ranges.seen_until()).to_string()
        }),
        losses.map_or_else(dash, |(own, _)| format!("{own:.4}")),
        losses.map_or_else(dash, |(_, prior)| format!("{prior:.4}")),
        format!("{} kB", model.size_bytes.div_ceil(1_000)),
    ];
    (cells, model.problem.as_deref().unwrap_or_default())
}
