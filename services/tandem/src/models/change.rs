use anyhow::{Context, bail};
use chrono::{DateTime, Utc};
use domain::{ModelId, ModelKind};
use model_registry::{KindRecord, ROLLED_BACK, artifact_dir, read_artifact};
use service_kit::block_on;
use storage::{ModelEvent, ModelEventKind, record_model_event};

use super::{Registry, check_usable, place_of, second, warn};
use crate::cli::{PromoteArguments, RollbackArguments};

/// `tandem models promote`.
///
/// # Errors
/// When services could not use the model, it is the champion already, or the champion changes meanwhile.
pub(crate) fn promote(arguments: &PromoteArguments) -> anyhow::Result<()> {
    let registry = Registry::open(&arguments.system)?;
    let model = registry.find(&arguments.id)?;
    let (kind, model_id) = (model.kind, model.model_id);
    let champions = registry.champions.read()?;
    let champion = champions.of(kind).map(|record| &record.champion);
    if champion == Some(&model_id) {
        bail!("{model_id} is the {kind} champion already");
    }
    check_usable(&registry, kind, &model_id)
        .with_context(|| format!("{model_id} cannot be champion"))?;
    if let Some(champion) = champion
        && label_settings(&registry, kind, champion)
            .is_some_and(|theirs| label_settings(&registry, kind, &model_id) != Some(theirs))
    {
        eprintln!("note: {model_id} foresees something else than {champion}: their labels differ");
    }
    let change = Decision {
        kind,
        from: champion.cloned(),
        to: model_id,
        event: ModelEventKind::Promoted,
        why: by_hand("promoted", arguments.reason.as_deref()),
    };
    change.carry_out(&registry)?;
    if change.from.is_some() {
        println!(
            "to go back: tandem models rollback {kind}{}",
            registry.options
        );
    }
    Ok(())
}

/// `tandem models rollback`.
///
/// # Errors
/// When there is no earlier champion that could be used, or the champion changes meanwhile.
pub(crate) fn roll_back(arguments: &RollbackArguments) -> anyhow::Result<()> {
    let registry = Registry::open(&arguments.system)?;
    let kind = arguments.kind;
    let champions = registry.champions.read()?;
    let Some(record) = champions.of(kind) else {
        bail!("there is no {kind} champion to go back from: tandem models promote makes one");
    };
    let to = match &arguments.to {
        Some(text) => named(&registry, kind, record, text)?,
        None => newest_usable(&registry, kind, record)?,
    };
    let change = Decision {
        kind,
        from: Some(record.champion.clone()),
        to,
        event: ModelEventKind::RolledBack,
        why: by_hand(ROLLED_BACK, arguments.reason.as_deref()),
    };
    change.carry_out(&registry)?;
    println!(
        "to undo it: tandem models promote {}{}",
        record.champion, registry.options
    );
    Ok(())
}

/// The earlier champion that a person names.
fn named(
    registry: &Registry,
    kind: ModelKind,
    record: &KindRecord,
    text: &str,
) -> anyhow::Result<ModelId> {
    let ids: Vec<&ModelId> = record.previous.iter().collect();
    let to = place_of(text, &ids).and_then(|place| record.previous.get(place).context("lost"));
    let to = to.with_context(|| {
        format!("{text} was no {kind} champion before: tandem models promote takes any model")
    })?;
    check_usable(registry, kind, to).with_context(|| format!("{to} cannot be put back"))?;
    Ok(to.clone())
}

/// The newest earlier champion that nothing speaks against; says which were passed over.
fn newest_usable(
    registry: &Registry,
    kind: ModelKind,
    record: &KindRecord,
) -> anyhow::Result<ModelId> {
    for model_id in &record.previous {
        match objection(registry, kind, record, model_id) {
            None => return Ok(model_id.clone()),
            Some(reason) => eprintln!("passed over: {model_id}: {reason}"),
        }
    }
    bail!(
        "{} stays the {kind} champion: no earlier one can take its place (of {}); --to names one against an objection, \
         tandem models promote takes any model",
        record.champion,
        record.previous.len()
    )
}

/// What speaks against going back to an earlier champion.
fn objection(
    registry: &Registry,
    kind: ModelKind,
    record: &KindRecord,
    model_id: &ModelId,
) -> Option<String> {
    if let Some(change) = record.left(model_id)
        && change.is_rollback()
    {
        return Some(format!(
            "it was rolled back itself, at {}",
            second(change.at)
        ));
    }
    if let Err(error) = check_usable(registry, kind, model_id) {
        return Some(format!("{error:#}"));
    }
    // A champion that cannot be read is no measure of what the others should foresee.
    let wanted = label_settings(registry, kind, &record.champion)?;
    (label_settings(registry, kind, model_id) != Some(wanted))
        .then(|| "it foresees something else: its labels differ".to_owned())
}

fn label_settings(registry: &Registry, kind: ModelKind, model_id: &ModelId) -> Option<String> {
    let artifact = read_artifact(&artifact_dir(&registry.models_dir, kind, model_id)).ok()?;
    Some(artifact.manifest.label_settings())
}

fn by_hand(what: &str, reason: Option<&str>) -> String {
    reason.map_or_else(
        || format!("{what} by hand"),
        |reason| format!("{what} by hand: {reason}"),
    )
}

/// A change of champion that a person decided on.
struct Decision {
    kind: ModelKind,
    /// The champion that the person saw.
    from: Option<ModelId>,
    to: ModelId,
    event: ModelEventKind,
    why: String,
}

impl Decision {
    /// Changes the champions' file, unless the champion is another by now, then the database's diary.
    fn carry_out(&self, registry: &Registry) -> anyhow::Result<()> {
        let Self {
            kind,
            from,
            to,
            why,
            ..
        } = self;
        block_on(async {
            let at = registry.now()?;
            let file = &registry.champions;
            if !file.promote_in_place_of(from.as_ref(), *kind, to.clone(), at, why)? {
                bail!(
                    "the {kind} champion has changed meanwhile and is left alone: look again (tandem models list{})",
                    registry.options
                );
            }
            match from {
                Some(from) => println!("{to} is the {kind} champion now, in place of {from}"),
                None => println!("{to} is the first {kind} champion"),
            }
            self.write_down(registry, at).await;
            Ok(())
        })
    }

    async fn write_down(&self, registry: &Registry, at: DateTime<Utc>) {
        let Some(pool) = registry.database().await else {
            if registry.database_url.is_none() {
                eprintln!(
                    "warning: DATABASE_URL is not set, so only the champions' file tells of this change"
                );
            }
            return;
        };
        let event = ModelEvent {
            event_time: at,
            kind: self.kind,
            event: self.event,
            model_id: self.to.clone(),
            previous_model_id: self.from.clone(),
            reason: self.why.clone(),
        };
        if let Err(error) = record_model_event(&pool, &event).await {
            warn("only the champions' file tells of this change", error);
        }
    }
}
