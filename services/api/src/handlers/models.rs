use anyhow::Context as _;
use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use domain::{ModelId, ModelKind};
use model_registry::{ChampionsFile, Change, Manifest, Ranges};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Path;
use crate::{
    champions::{Models, Places},
    error::{ApiError, ErrorBody},
    state::AppState,
};

/// The champions of both kinds and their predecessors.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Models)]
pub(super) struct ModelsBody {
    /// The recurrent network.
    lstm: KindBody,
    /// The attention network.
    transformer: KindBody,
    /// Why what `model_config.json` names is not in use, for people; null when it is. When that file cannot be read, the
    /// champions here are those that are in use.
    problem: Option<String>,
}

/// Models of one kind, as `model_config.json` names them.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = ModelKind)]
struct KindBody {
    /// The champion; null before the first training.
    champion: Option<CardBody>,
    /// Earlier champions, newest first.
    previous: Vec<CardBody>,
    /// Every change of champion, newest first: `at`, `why`, `from`, `to`.
    #[schema(value_type = Vec<Object>)]
    changes: Vec<Change>,
}

/// The short card of a model; only the id is known where the artifact cannot be read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ModelCard)]
struct CardBody {
    /// Which model.
    #[schema(value_type = String)]
    model_id: ModelId,
    /// When its training ended.
    created_at: Option<DateTime<Utc>>,
    /// Figures on held-out bars beside their baselines.
    #[schema(value_type = Object)]
    metrics: Value,
    /// Which bars were used for what.
    #[schema(value_type = Option<Object>)]
    ranges: Option<Ranges>,
}

/// The champions and their predecessors.
#[utoipa::path(get, path = "/models", tag = "models", responses((status = 200, body = ModelsBody)))]
pub(super) async fn list(State(state): State<AppState>) -> Result<Json<ModelsBody>, ApiError> {
    let places = state.places.clone();
    let models = state.models.borrow().clone();
    let models = tokio::task::spawn_blocking(move || read_models(&places, &models))
        .await
        .context("reading the models panicked")?;
    Ok(Json(models))
}

/// One model's whole card: its `model.json`.
#[utoipa::path(
    get, path = "/models/{id}", tag = "models",
    params(("id" = String, Path, description = "Model id", pattern = "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,79}$")),
    responses(
        (status = 200, description = "`model.json`", body = Object),
        (status = 404, body = ErrorBody, description = "`unknown_model`"),
    ),
)]
pub(super) async fn one(
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Json<Manifest>, ApiError> {
    let unknown = || ApiError::UnknownModel { id: id.clone() };
    let model_id = ModelId::parse(&id).map_err(|_| unknown())?;
    let places = state.places.clone();
    let manifest = tokio::task::spawn_blocking(move || read_manifest(&places, &model_id))
        .await
        .context("reading the model panicked")??;
    manifest.map(Json).ok_or_else(unknown)
}

fn read_models(places: &Places, models: &Models) -> ModelsBody {
    let champions = match ChampionsFile::new(&places.model_config).read() {
        Ok(champions) => champions,
        Err(error) => {
            let problem = format!("{:#}", anyhow::Error::new(error));
            return in_use(models, places.without_folders(&problem));
        }
    };
    let kind = |kind| {
        let Some(record) = champions.of(kind) else {
            return KindBody::default();
        };
        KindBody {
            champion: Some(card(places, kind, &record.champion)),
            previous: record
                .previous
                .iter()
                .map(|id| card(places, kind, id))
                .collect(),
            changes: record.changes.clone(),
        }
    };
    ModelsBody {
        lstm: kind(ModelKind::Lstm),
        transformer: kind(ModelKind::Transformer),
        problem: models.trouble.clone(),
    }
}

/// What is in use, where nothing else is known.
fn in_use(models: &Models, problem: String) -> ModelsBody {
    let kind = |kind| KindBody {
        champion: models
            .champions
            .as_ref()
            .map(|champions| CardBody::from(champions.of(kind).manifest())),
        ..KindBody::default()
    };
    ModelsBody {
        lstm: kind(ModelKind::Lstm),
        transformer: kind(ModelKind::Transformer),
        problem: Some(problem),
    }
}

impl From<&Manifest> for CardBody {
    fn from(manifest: &Manifest) -> Self {
        Self {
            model_id: manifest.model_id.clone(),
            created_at: Some(manifest.created_at),
            metrics: manifest.metrics.clone(),
            ranges: Some(manifest.ranges),
        }
    }
}

fn card(places: &Places, kind: ModelKind, id: &ModelId) -> CardBody {
    let folder = model_registry::artifact_dir(&places.models_dir, kind, id);
    match model_registry::read_artifact(&folder) {
        Ok(artifact) => CardBody::from(&artifact.manifest),
        Err(error) => {
            tracing::warn!(
                model.id = %id, error = format!("{:#}", anyhow::Error::new(error)),
                "a model's artifact cannot be read"
            );
            CardBody {
                model_id: id.clone(),
                created_at: None,
                metrics: Value::Null,
                ranges: None,
            }
        }
    }
}

fn read_manifest(places: &Places, id: &ModelId) -> anyhow::Result<Option<Manifest>> {
    let folders =
        ModelKind::ALL.map(|kind| model_registry::artifact_dir(&places.models_dir, kind, id));
    let Some(folder) = folders.into_iter().find(|folder| folder.is_dir()) else {
        return Ok(None);
    };
    let artifact = model_registry::read_artifact(&folder)
        .with_context(|| format!("model {id} cannot be read"))?;
    Ok(Some(artifact.manifest))
}
