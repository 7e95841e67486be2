//! Who competes: a champion and those who want its place.

use std::{path::PathBuf, sync::Arc};

use anyhow::bail;
use domain::{ModelId, ModelKind};
use evaluation::{NamedRange, Network};
use features::{FeatureSchema, WINDOW};
use inference::Model;
use model_registry::{ChampionsFile, Listed, Manifest, artifact_dir, list_artifacts};
use validation::barriers;

use crate::night::Night;

/// Where models, the champions' file and the nights' folders lie.
#[derive(Clone, Debug)]
pub struct Places {
    /// Folder of the artifacts.
    pub models_dir: PathBuf,
    /// The champions' file.
    pub champions: ChampionsFile,
    /// Folder of the nights' folders.
    pub nights: PathBuf,
}

/// The riders of one kind.
pub(crate) struct Field {
    pub(crate) kind: ModelKind,
    pub(crate) champion: Incumbent,
    /// Newest first.
    pub(crate) challengers: Vec<Arc<Model>>,
    /// Newest first: challengers whose artifact is broken, and why.
    pub(crate) broken: Vec<(Manifest, String)>,
    /// What a reader should know of models that do not take part.
    pub(crate) remarks: Vec<String>,
}

/// The model in service.
pub(crate) enum Incumbent {
    /// None has been promoted yet.
    None,
    /// Its artifact cannot be used, and why.
    Unusable(ModelId, String),
    Usable(Arc<Model>),
}

impl Incumbent {
    pub(crate) fn usable(&self) -> Option<&Arc<Model>> {
        match self {
            Self::Usable(model) => Some(model),
            Self::None | Self::Unusable(..) => None,
        }
    }

    pub(crate) fn id(&self) -> Option<&ModelId> {
        match self {
            Self::None => None,
            Self::Unusable(model_id, _) => Some(model_id),
            Self::Usable(model) => Some(model.id()),
        }
    }
}

/// Which challengers are wanted.
pub(crate) enum Wanted<'a> {
    /// So many, the newest.
    Newest(usize),
    /// Only this one.
    Only(&'a ModelId),
    /// None: only the champion, which stands beside the other kind's.
    None,
}

impl Field {
    /// Reads champion and challengers from the disk. Challengers are the models that never were champion, read the features
    /// of this build, and foresee what the champion foresees.
    pub(crate) fn gather(
        places: &Places,
        kind: ModelKind,
        night: &Night,
        wanted: &Wanted<'_>,
    ) -> anyhow::Result<Self> {
        let champions = places.champions.read()?;
        let record = champions.of(kind);
        let (champion, previous) = match (record, wanted) {
            (None, _) => (None, Vec::new()),
            (Some(record), Wanted::Newest(_)) => night.found(record),
            // Who asks for one model wants to know how it does beside the champion in service.
            (Some(record), _) => (Some(record.champion.clone()), record.previous.clone()),
        };
        let load = |model_id: &ModelId| load(places, kind, model_id);
        let champion = match champion {
            None => Incumbent::None,
            Some(model_id) => match load(&model_id) {
                Ok(model) => Incumbent::Usable(Arc::new(model)),
                Err(reason) => Incumbent::Unusable(model_id, reason),
            },
        };
        let mut field = Self {
            kind,
            champion,
            challengers: Vec::new(),
            broken: Vec::new(),
            remarks: Vec::new(),
        };
        let (most, only) = match wanted {
            Wanted::None => return Ok(field),
            Wanted::Newest(most) => (*most, None),
            Wanted::Only(model_id) => (1, Some(*model_id)),
        };
        let mut apart = 0;
        for Listed {
            kind: found_kind,
            model_id,
            manifest,
        } in list_artifacts(&places.models_dir)?
        {
            let was_champion =
                field.champion.id() == Some(&model_id) || previous.contains(&model_id);
            let asked_for = only.is_none_or(|only| *only == model_id);
            if found_kind != kind || was_champion || !asked_for {
                continue;
            }
            let manifest = match manifest {
                Ok(manifest) => manifest,
                Err(error) => {
                    let reason = chain(&error);
                    tracing::warn!(model.id = %model_id, reason, "{model_id} cannot take part");
                    field
                        .remarks
                        .push(format!("{model_id} cannot take part: {reason}."));
                    continue;
                }
            };
            if !field.comparable(&manifest) {
                apart += 1;
            } else if field.challengers.len() < most {
                match load(&model_id) {
                    Ok(model) => field.challengers.push(Arc::new(model)),
                    Err(reason) => {
                        tracing::warn!(model.id = %model_id, reason, "{model_id} cannot take part");
                        field.broken.push((manifest, reason));
                    }
                }
            }
        }
        if apart > 0 {
            field.remarks.push(format!(
                "models that cannot be compared with the champion, as they read other features or foresee something else: \
                 {apart}."
            ));
        }
        if let Some(only) = only
            && field.challengers.is_empty()
            && field.broken.is_empty()
        {
            let why = field.remarks.first().map_or(
                "it is not below the models' folder, or it is or was the champion",
                String::as_str,
            );
            bail!("{only} cannot challenge the {kind} champion: {why}");
        }
        Ok(field)
    }

    fn comparable(&self, manifest: &Manifest) -> bool {
        let of_this_build =
            manifest.features.hash == FeatureSchema::current().hash() && manifest.window == WINDOW;
        let champion = self.champion.usable();
        of_this_build
            && champion.is_none_or(|champion| {
                champion.manifest().label_settings() == manifest.label_settings()
            })
    }

    /// Whether there is anything to be said about this kind.
    pub(crate) fn has_challengers(&self) -> bool {
        !self.challengers.is_empty() || !self.broken.is_empty()
    }
}

fn load(places: &Places, kind: ModelKind, model_id: &ModelId) -> Result<Model, String> {
    let model = Model::load(&artifact_dir(&places.models_dir, kind, model_id))
        .map_err(|error| chain(&error))?;
    if model.kind() != kind || model.id() != model_id {
        return Err(format!(
            "its artifact says that it is the {} {}",
            model.kind(),
            model.id()
        ));
    }
    // Who does not say what it foresees cannot be judged.
    barriers(model.manifest()).map_err(|error| chain(&error))?;
    Ok(model)
}

/// A model for the report.
pub(crate) fn network(manifest: &Manifest) -> Network {
    let ranges = &manifest.ranges;
    let named = [
        ("training", Some(ranges.training)),
        ("early stopping", Some(ranges.early_stopping)),
        ("calibration", ranges.calibration),
    ];
    let named = named.into_iter().filter_map(|(name, range)| {
        range.map(|range| NamedRange {
            name: name.to_owned(),
            start: range.start,
            end: range.end,
        })
    });
    Network {
        id: manifest.model_id.clone(),
        seed: manifest.seed,
        ranges: named.collect(),
        sets: manifest.abstention.map(|record| record.adaptive()),
    }
}

/// An error with its causes in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let words: Vec<String> = causes.map(ToString::to_string).collect();
    words.join(": ")
}
