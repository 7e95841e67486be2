use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use domain::{ModelId, ModelKind};
use model_registry::{
    Artifact, Champions, MANIFEST_FILE, NETWORK_FILE, RegistryError, artifact_dir, list_artifacts,
    read_artifact,
};
use storage::ValidationReport;

use crate::{
    Mlflow, MlflowError,
    card::{self, Pair},
    client::{Run, RunInfo},
};

/// The alias of the champion's version.
const CHAMPION: &str = "champion";

/// The state of a run of which everything has arrived.
const FINISHED: &str = "FINISHED";

/// What an export came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Models that are new on the server.
    pub new: Vec<ModelId>,
    /// How many were there already.
    pub known: usize,
    /// Models whose artifacts cannot be read.
    pub broken: Vec<ModelId>,
}

impl fmt::Display for Exported {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { new, known, broken } = self;
        write!(
            formatter,
            "models new on the server: {}, there before: {known}",
            new.len()
        )?;
        if !broken.is_empty() {
            write!(formatter, ", that cannot be read: {}", broken.len())?;
        }
        Ok(())
    }
}

/// Brings the models of the folder, or `only` this one, to the server, with the figures of their validations, and lets
/// the alias follow the champions. Doing it twice is the same as once.
///
/// # Errors
/// [`MlflowError`]; what had arrived until then is not sent again.
pub async fn export(
    mlflow: &Mlflow,
    models_dir: &Path,
    champions: &Champions,
    validations: &[ValidationReport],
    only: Option<&ModelId>,
) -> Result<Exported, MlflowError> {
    let experiment_id = mlflow.experiment().await?;
    let mut runs: BTreeMap<String, Run> = BTreeMap::new();
    for run in mlflow.runs(&experiment_id).await? {
        let tag = run.data.tags.iter().find(|tag| tag.key == card::MODEL_ID);
        if let Some(model_id) = tag.map(|tag| tag.value.clone()) {
            runs.insert(model_id, run);
        }
    }
    let mut exported = Exported::default();
    for (kind, model_id) in models(models_dir).await? {
        if only.is_some_and(|only| *only != model_id) {
            continue;
        }
        let known = runs.get(model_id.as_str());
        if let Some(run) = known.filter(|run| run.info.status == FINISHED) {
            log_validations(mlflow, &run.info, &model_id, validations).await?;
            exported.known += 1;
            continue;
        }
        let files = match read(artifact_dir(models_dir, kind, &model_id)).await {
            Ok(files) => files,
            Err(MlflowError::Registry(error)) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(model.id = %model_id, error, "{model_id} cannot be exported");
                exported.broken.push(model_id);
                continue;
            }
            Err(error) => return Err(error),
        };
        let run = send(mlflow, &experiment_id, known, files, validations).await?;
        tracing::info!(model.id = %model_id, run = run.info.run_id, "{model_id} is exported");
        runs.insert(model_id.to_string(), run);
        exported.new.push(model_id);
    }
    for kind in ModelKind::ALL {
        let champion = champions.of(kind).map(|record| &record.champion);
        let run = champion.and_then(|champion| Some((champion, runs.get(champion.as_str())?)));
        follow_champion(mlflow, kind, run).await?;
    }
    Ok(exported)
}

/// An artifact's files.
struct Files {
    artifact: Artifact,
    manifest_json: Vec<u8>,
}

/// Sends everything that belongs to a model: into `known`, a run that was interrupted, or into a new one.
async fn send(
    mlflow: &Mlflow,
    experiment_id: &str,
    known: Option<&Run>,
    files: Files,
    validations: &[ValidationReport],
) -> Result<Run, MlflowError> {
    let Files {
        artifact: Artifact { manifest, tflite },
        manifest_json,
    } = files;
    let tags = card::tags(&manifest);
    let at = manifest.created_at.timestamp_millis();
    let run = match known {
        Some(run) => run.clone(),
        None => {
            let name = manifest.model_id.as_str();
            mlflow.begin(experiment_id, name, at, &tags).await?
        }
    };
    let run_id = &run.info.run_id;
    let (parameters, metrics) = (
        card::parameters(&manifest),
        card::training_metrics(&manifest),
    );
    mlflow.log(run_id, &parameters, &metrics, &tags).await?;
    mlflow.upload(&run.info, NETWORK_FILE, tflite).await?;
    mlflow
        .upload(&run.info, MANIFEST_FILE, manifest_json)
        .await?;
    version(mlflow, manifest.kind, &manifest.model_id, &run.info).await?;
    log_validations(mlflow, &run.info, &manifest.model_id, validations).await?;
    mlflow.finish(run_id, at).await?;
    Ok(run)
}

/// Adds the figures of all validations in which the model was the challenger, and the last verdict. Dry runs decide
/// nothing and do not count.
async fn log_validations(
    mlflow: &Mlflow,
    run: &RunInfo,
    model_id: &ModelId,
    validations: &[ValidationReport],
) -> Result<(), MlflowError> {
    let is_dry = |report: &ValidationReport| report.report["dry_run"] == true;
    let own = || {
        let reports = validations.iter();
        reports.filter(|report| report.challenger == *model_id && !is_dry(report))
    };
    let metrics: Vec<_> = own().flat_map(card::validation_metrics).collect();
    let last = own().max_by_key(|report| report.created_at);
    let tags = last.map(|report| Pair::new(card::VERDICT, report.verdict.name()));
    mlflow
        .log(&run.run_id, &[], &metrics, tags.as_slice())
        .await
}

/// The version of the registered model that is this model; it is registered when it is not.
async fn version(
    mlflow: &Mlflow,
    kind: ModelKind,
    model_id: &ModelId,
    run: &RunInfo,
) -> Result<String, MlflowError> {
    let name = registered_name(kind);
    if let Some(version) = mlflow.version(&name, &run.run_id).await? {
        return Ok(version);
    }
    let tags = [Pair::new(card::MODEL_ID, model_id.as_str())];
    mlflow.register(&name, run, &tags).await
}

/// Lets the alias name the champion; nothing when there is none, or the server does not have it.
async fn follow_champion(
    mlflow: &Mlflow,
    kind: ModelKind,
    champion: Option<(&ModelId, &Run)>,
) -> Result<(), MlflowError> {
    let name = registered_name(kind);
    let Some((model_id, run)) = champion else {
        return mlflow.clear_alias(&name, CHAMPION).await;
    };
    let version = version(mlflow, kind, model_id, &run.info).await?;
    mlflow.set_alias(&name, CHAMPION, &version).await
}

fn registered_name(kind: ModelKind) -> String {
    format!("tandem-{kind}")
}

/// The models of the folder, whole or not.
async fn models(models_dir: &Path) -> Result<Vec<(ModelKind, ModelId)>, MlflowError> {
    let models_dir = models_dir.to_owned();
    let listed = aside(move || list_artifacts(&models_dir)).await?;
    Ok(listed
        .into_iter()
        .map(|listed| (listed.kind, listed.model_id))
        .collect())
}

async fn read(folder: PathBuf) -> Result<Files, MlflowError> {
    aside(move || {
        let artifact = read_artifact(&folder)?;
        let path = folder.join(MANIFEST_FILE);
        let manifest_json = std::fs::read(&path).map_err(|source| RegistryError::Io {
            action: "read",
            path,
            source,
        })?;
        Ok(Files {
            artifact,
            manifest_json,
        })
    })
    .await
}

/// Runs what reads files on a thread that may wait.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RegistryError> + Send + 'static,
) -> Result<T, MlflowError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(MlflowError::Crashed)??)
}
