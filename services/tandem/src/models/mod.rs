//! The commands on models: what there is, who was champion when, who shall be.

pub(crate) mod at;
pub(crate) mod change;
pub(crate) mod export;
pub(crate) mod list;
pub(crate) mod show;

use std::{fs, io, path::Path, path::PathBuf, time::Duration};

use anyhow::{Context, bail};
use chrono::{DateTime, SubsecRound, Utc};
use domain::{ModelId, ModelKind};
use features::{FeatureSchema, WINDOW};
use model_registry::{
    Champions, ChampionsFile, Manifest, artifact_dir, list_artifacts, read_artifact,
    read_drift_reference,
};
use service_kit::{Clock, LocalSystem, SystemArguments};
use storage::{DatabaseSettings, PgPool};

/// What the database adds is worth no longer wait.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(3);

/// The models and the champions' file that a command works on.
struct Registry {
    models_dir: PathBuf,
    champions: ChampionsFile,
    database_url: Option<String>,
    clock_file: Option<PathBuf>,
    /// As they were given, for advice what to type next.
    options: String,
}

impl Registry {
    fn open(arguments: &SystemArguments) -> anyhow::Result<Self> {
        let Some(system) = LocalSystem::chosen(arguments)? else {
            return Ok(Self {
                models_dir: service_kit::models_dir(),
                champions: ChampionsFile::new(service_kit::model_config_path()),
                database_url: service_kit::database_url().ok(),
                clock_file: std::env::var_os("TANDEM_CLOCK")
                    .filter(|value| !value.is_empty() && value != "system")
                    .map(PathBuf::from),
                options: String::new(),
            });
        };
        let variable = |name| {
            system.variable(name).with_context(|| {
                format!(
                    "{} names no {name}: start the market again",
                    system.folder().display()
                )
            })
        };
        let state_dir = arguments.state_dir.as_deref().unwrap_or(Path::new("."));
        let mut options = format!(" --state-dir {}", state_dir.display());
        if let Some(market) = &arguments.market {
            options = format!("{options} --market {market}");
        }
        Ok(Self {
            models_dir: variable("TANDEM_MODELS_DIR")?.into(),
            champions: ChampionsFile::new(variable("TANDEM_MODEL_CONFIG")?),
            database_url: Some(variable("DATABASE_URL")?.into()),
            clock_file: system.variable("TANDEM_CLOCK").map(PathBuf::from),
            options,
        })
    }

    /// Market time. Must be called inside a tokio runtime.
    fn now(&self) -> anyhow::Result<DateTime<Utc>> {
        let clock = match &self.clock_file {
            Some(file) => Clock::from_file(file.clone())?,
            None => Clock::system(),
        };
        // The database keeps no more: the file and it shall tell of the same moment.
        Ok(clock.now().trunc_subsecs(6))
    }

    /// The database, if one is known; says on standard error why one that is known cannot be used.
    async fn database(&self) -> Option<PgPool> {
        let settings = DatabaseSettings {
            connect_timeout: DATABASE_TIMEOUT,
            ..DatabaseSettings::new(self.database_url.clone()?.into())
        };
        match storage::connect(&settings).await {
            Ok(pool) => Some(pool),
            Err(error) => {
                warn(
                    "the database does not answer, so its part is missing",
                    error,
                );
                None
            }
        }
    }

    /// All models with their roles: those of the champions' file first, then the spare ones, the newest first.
    fn models(&self) -> anyhow::Result<Vec<Known>> {
        let champions = self.champions.read()?;
        let mut known: Vec<Known> = list_artifacts(&self.models_dir)?
            .into_iter()
            .map(|listed| {
                let (kind, model_id) = (listed.kind, listed.model_id);
                let role = Role::of(&champions, kind, &model_id);
                self.look(kind, model_id, role)
            })
            .collect();
        for kind in ModelKind::ALL {
            let Some(record) = champions.of(kind) else {
                continue;
            };
            for model_id in [&record.champion].into_iter().chain(&record.previous) {
                let listed = |found: &Known| found.kind == kind && found.model_id == *model_id;
                if !known.iter().any(listed) {
                    let role = Role::of(&champions, kind, model_id);
                    known.push(self.look(kind, model_id.clone(), role));
                }
            }
        }
        // Stable: spare models stay in the order of their age.
        known.sort_by_key(|model| (model.kind, model.role));
        Ok(known)
    }

    fn look(&self, kind: ModelKind, model_id: ModelId, role: Role) -> Known {
        let folder = artifact_dir(&self.models_dir, kind, &model_id);
        let size_bytes = size(&folder).unwrap_or(0);
        let (manifest, problem) = match read(&folder) {
            Ok(manifest) => {
                let problem = unfit(&manifest, kind, &model_id);
                (Some(manifest), problem)
            }
            Err(error) => (None, Some(format!("broken: {error:#}"))),
        };
        Known {
            kind,
            model_id,
            role,
            manifest,
            problem,
            size_bytes,
            folder,
        }
    }

    /// The model of that id, or the only one whose id begins so.
    fn find(&self, text: &str) -> anyhow::Result<Known> {
        let mut models = self.models()?;
        let place = place_of(
            text,
            &models
                .iter()
                .map(|model| &model.model_id)
                .collect::<Vec<_>>(),
        )
        .with_context(|| {
            format!(
                "`tandem models list{}` shows the models in {}",
                self.options,
                self.models_dir.display()
            )
        })?;
        Ok(models.swap_remove(place))
    }
}

/// A model's place in the list by its id, or by how it begins.
fn place_of(text: &str, ids: &[&ModelId]) -> anyhow::Result<usize> {
    if let Some(place) = ids.iter().position(|id| id.as_str() == text) {
        return Ok(place);
    }
    let begins = |id: &ModelId| !text.is_empty() && id.as_str().starts_with(text);
    let mut matches = (0..).zip(ids).filter(|(_, id)| begins(id));
    match (matches.next(), matches.next()) {
        (Some((place, _)), None) => Ok(place),
        (None, _) => bail!("there is no model {text:?}"),
        (Some(_), Some(_)) => bail!("several models begin with {text:?}: write more of the id"),
    }
}

/// A model in the folder of models, or one that the champions' file names.
#[derive(Debug)]
struct Known {
    kind: ModelKind,
    model_id: ModelId,
    role: Role,
    /// What is known of it; none when its artifact cannot be read, or its checksums are wrong.
    manifest: Option<Manifest>,
    /// Why it could not be used.
    problem: Option<String>,
    /// Of all its files.
    size_bytes: u64,
    folder: PathBuf,
}

/// What a model is to the champions' file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    /// In use.
    Champion,
    /// An earlier champion, 1 the newest.
    Previous(usize),
    /// Never in use.
    Spare,
}

impl Role {
    fn of(champions: &Champions, kind: ModelKind, model_id: &ModelId) -> Self {
        let Some(record) = champions.of(kind) else {
            return Self::Spare;
        };
        if record.champion == *model_id {
            return Self::Champion;
        }
        let place = record
            .previous
            .iter()
            .position(|previous| previous == model_id);
        place.map_or(Self::Spare, |place| Self::Previous(place + 1))
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Champion => formatter.pad("champion"),
            Self::Previous(place) => formatter.pad(&format!("previous {place}")),
            Self::Spare => formatter.pad("spare"),
        }
    }
}

/// The early-stopping log loss of a model and the prior's on the same bars, nats.
fn log_losses(manifest: &Manifest) -> Option<(f64, f64)> {
    let score = manifest.metrics.pointer("/training/early_stopping")?;
    let figure = |name| score.get(name).and_then(serde_json::Value::as_f64);
    Some((figure("log_loss")?, figure("prior_log_loss")?))
}

/// Reads an artifact with all its checksums.
fn read(folder: &Path) -> anyhow::Result<Manifest> {
    let manifest = read_artifact(folder)?.manifest;
    read_drift_reference(folder, &manifest)?;
    Ok(manifest)
}

/// Why this build's services refuse a model that is whole, as far as its manifest tells.
fn unfit(manifest: &Manifest, kind: ModelKind, model_id: &ModelId) -> Option<String> {
    let (schema, features) = (FeatureSchema::current(), &manifest.features);
    if manifest.kind != kind || manifest.model_id != *model_id {
        let (kind, model_id) = (manifest.kind, &manifest.model_id);
        Some(format!(
            "broken: the folder holds the {kind} model {model_id}"
        ))
    } else if features.hash != schema.hash() {
        let (found, expected) = (features.version, schema.version);
        Some(format!(
            "other features: schema {found}, this version has {expected}"
        ))
    } else if manifest.window != WINDOW {
        Some(format!(
            "other windows: {} bars, this version has {WINDOW}",
            manifest.window
        ))
    } else {
        None
    }
}

/// Checks that services could use a model, by loading it as they do.
fn check_usable(registry: &Registry, kind: ModelKind, model_id: &ModelId) -> anyhow::Result<()> {
    let model = inference::load_champion(&registry.models_dir, kind, model_id)?;
    read_drift_reference(
        &artifact_dir(&registry.models_dir, kind, model_id),
        model.manifest(),
    )?;
    Ok(())
}

fn size(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

/// Tells of something that the command can do without.
fn warn(what: &str, error: impl Into<anyhow::Error>) {
    eprintln!("warning: {what}: {:#}", error.into());
}

fn minute(time: DateTime<Utc>) -> impl std::fmt::Display {
    time.format("%Y-%m-%d %H:%M")
}

fn second(time: DateTime<Utc>) -> impl std::fmt::Display {
    time.format("%Y-%m-%d %H:%M:%S UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_found_by_how_its_id_begins() {
        let ids = ["lstm-1", "lstm-10", "transformer-1"].map(|id| ModelId::parse(id).unwrap());
        let ids: Vec<&ModelId> = ids.iter().collect();
        let found = |text| place_of(text, &ids).map_err(|error| error.to_string());
        assert_eq!(found("lstm-1"), Ok(0), "as it is");
        assert_eq!(found("lstm-10"), Ok(1));
        assert_eq!(found("t"), Ok(2));
        assert!(found("lstm").unwrap_err().contains("write more"));
        assert!(found("").unwrap_err().contains("no model"));
        assert!(found("gru").unwrap_err().contains("\"gru\""));
    }
}
