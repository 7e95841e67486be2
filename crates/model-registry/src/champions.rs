use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Utc};
use domain::{ModelId, ModelKind};
use serde::{Deserialize, Serialize};

use crate::{RegistryError, files};

/// How the reason of a change begins that went back to an earlier champion.
pub const ROLLED_BACK: &str = "rolled back";

const ADVICE: &str = "mend it, or remove it and promote a model again";

/// The models in use: the contents of `config/model_config.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Champions {
    /// The recurrent network; `None` before the first training.
    pub lstm: Option<KindRecord>,
    /// The attention network; `None` before the first training.
    pub transformer: Option<KindRecord>,
}

/// The champion of one kind and how it came to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindRecord {
    /// The model in use.
    pub champion: ModelId,
    /// Earlier champions, newest first; each once, never the champion.
    pub previous: Vec<ModelId>,
    /// Every change, newest first.
    pub changes: Vec<Change>,
}

/// One change of champion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// When, UTC.
    pub at: DateTime<Utc>,
    /// Why, for people.
    pub why: String,
    /// The champion before; `None` for the first.
    pub from: Option<ModelId>,
    /// The champion since.
    pub to: ModelId,
}

impl KindRecord {
    /// The change by which a model last ceased to be champion; none for the champion and for models that never were.
    pub fn left(&self, model_id: &ModelId) -> Option<&Change> {
        self.changes
            .iter()
            .find(|change| change.from.as_ref() == Some(model_id) || change.to == *model_id)
            .filter(|change| change.from.as_ref() == Some(model_id))
    }

    /// The change that made the champion of a moment (UTC), and when it was replaced, if it was.
    pub fn at(&self, moment: DateTime<Utc>) -> Option<(&Change, Option<DateTime<Utc>>)> {
        let place = self.changes.iter().position(|change| change.at <= moment)?;
        let next = place.checked_sub(1).and_then(|next| self.changes.get(next));
        Some((self.changes.get(place)?, next.map(|change| change.at)))
    }
}

impl Change {
    /// Whether it went back to an earlier champion because the one before did badly.
    pub fn is_rollback(&self) -> bool {
        self.why.starts_with(ROLLED_BACK)
    }
}

impl Champions {
    /// The record of one kind.
    pub const fn of(&self, kind: ModelKind) -> Option<&KindRecord> {
        match kind {
            ModelKind::Lstm => self.lstm.as_ref(),
            ModelKind::Transformer => self.transformer.as_ref(),
        }
    }

    /// Makes a model the champion of its kind. The one before, if another, becomes the newest predecessor; a
    /// predecessor that returns leaves their list. Promoting the champion again changes nothing.
    fn promote(&mut self, kind: ModelKind, to: ModelId, at: DateTime<Utc>, why: &str) {
        let slot = match kind {
            ModelKind::Lstm => &mut self.lstm,
            ModelKind::Transformer => &mut self.transformer,
        };
        let why = why.to_owned();
        let Some(record) = slot else {
            let changes = vec![Change {
                at,
                why,
                from: None,
                to: to.clone(),
            }];
            *slot = Some(KindRecord {
                champion: to,
                previous: Vec::new(),
                changes,
            });
            return;
        };
        if record.champion == to {
            return;
        }
        let from = std::mem::replace(&mut record.champion, to.clone());
        record.previous.retain(|model_id| *model_id != to);
        record.previous.insert(0, from.clone());
        record.changes.insert(
            0,
            Change {
                at,
                why,
                from: Some(from),
                to,
            },
        );
    }
}

/// The champions' file, shared by the services.
#[derive(Clone, Debug)]
pub struct ChampionsFile {
    path: PathBuf,
}

impl ChampionsFile {
    /// The file at `path`, which need not exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The champions; none of either kind while the file does not exist.
    ///
    /// # Errors
    /// [`RegistryError::Json`] with line and column when the file is broken, [`RegistryError::Io`] when the system
    /// refuses.
    pub fn read(&self) -> Result<Champions, RegistryError> {
        match fs::read(&self.path) {
            Ok(bytes) => files::from_json(&self.path, &bytes, ADVICE),
            Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(Champions::default()),
            Err(source) => Err(RegistryError::io("read", &self.path)(source)),
        }
    }

    /// Makes a model the champion of its kind, for the reason given. Promoting a predecessor is how to go back to it;
    /// promoting the champion changes nothing. Waits while another writer is at work.
    ///
    /// # Errors
    /// As [`Self::read`]; a broken file is left as it is.
    pub fn promote(
        &self,
        kind: ModelKind,
        model_id: ModelId,
        at: DateTime<Utc>,
        why: &str,
    ) -> Result<(), RegistryError> {
        let _lock = self.lock()?;
        self.promote_locked(self.read()?, kind, model_id, at, why)
    }

    /// As [`Self::promote`], for a decision that was made when `expected` was the champion. Answers whether it still was:
    /// otherwise nothing changes.
    ///
    /// # Errors
    /// As [`Self::promote`].
    pub fn promote_in_place_of(
        &self,
        expected: Option<&ModelId>,
        kind: ModelKind,
        model_id: ModelId,
        at: DateTime<Utc>,
        why: &str,
    ) -> Result<bool, RegistryError> {
        let _lock = self.lock()?;
        let before = self.read()?;
        if before.of(kind).map(|record| &record.champion) != expected {
            return Ok(false);
        }
        self.promote_locked(before, kind, model_id, at, why)?;
        Ok(true)
    }

    /// The lock must be held since before `before` was read.
    fn promote_locked(
        &self,
        before: Champions,
        kind: ModelKind,
        model_id: ModelId,
        at: DateTime<Utc>,
        why: &str,
    ) -> Result<(), RegistryError> {
        let mut after = before.clone();
        after.promote(kind, model_id, at, why);
        if after == before {
            return Ok(());
        }
        let mut json = serde_json::to_vec_pretty(&after)
            .map_err(|source| RegistryError::io("write", &self.path)(source.into()))?;
        json.push(b'\n');
        files::replace(&self.path, &json)
    }

    /// Held until dropped, also by the system when the process dies. A file of its own, as the other one is replaced.
    fn lock(&self) -> Result<File, RegistryError> {
        files::create_dirs(files::parent(&self.path))?;
        files::lock(&self.path.with_added_extension("lock"))
    }
}
