//! What nobody needs any more: data older than the settings keep, models that nothing names with what they said of unseen
//! days, and folders of old nights.

use std::{collections::BTreeSet, io, path::Path};

use anyhow::Context;
use chrono::{Days, NaiveDate};
use domain::ModelId;
use model_registry::{ChampionsFile, list_artifacts, remove_unneeded};

use crate::{child::Ended, conduct::Conductor};

/// Cleans up. The champions with their history, the models of stored predictions and the newest challengers stay.
pub(crate) async fn clean_up(night: &Conductor) -> Ended {
    remove(night).await.map_or_else(Ended::from, Ended::Done)
}

/// What was removed, in words.
async fn remove(night: &Conductor) -> anyhow::Result<String> {
    storage::apply_retention(&night.pool, &night.retention, night.clock.now()).await?;
    let models = storage::models_of_predictions(&night.pool).await?;
    let spare = night.settings.spare_models;
    let nights = night.nights.clone();
    let oldest = night
        .session
        .date
        .checked_sub_days(Days::new(night.settings.keep_nights_days.into()));
    let work = move || -> anyhow::Result<(String, Vec<ModelId>)> {
        let removed_models = clean_models(models.into_iter().collect(), spare)?;
        let removed_nights = match oldest {
            Some(oldest) => clean_nights(&nights, oldest)?,
            None => 0,
        };
        let message =
            format!("removed {removed_models} models and the folders of {removed_nights} nights");
        let kept = list_artifacts(&service_kit::models_dir())?.into_iter();
        Ok((message, kept.map(|kept| kept.model_id).collect()))
    };
    let (message, kept) = tokio::task::spawn_blocking(work)
        .await
        .context("cleaning up crashed")??;
    // Without a model the folder is more likely not there than empty.
    if !kept.is_empty() {
        storage::keep_validation_predictions_of(&night.pool, &kept).await?;
    }
    Ok(message)
}

fn clean_models(named: BTreeSet<ModelId>, spare: usize) -> anyhow::Result<usize> {
    let champions = ChampionsFile::new(service_kit::model_config_path()).read()?;
    let removed = remove_unneeded(&service_kit::models_dir(), &champions, &named, spare)?;
    for (kind, model_id) in &removed {
        tracing::info!(model.id = %model_id, "removed the {kind} {model_id}: nothing names it");
    }
    Ok(removed.len())
}

/// Removes the folders of the nights before `oldest` and says how many; other files are none of ours.
fn clean_nights(nights: &Path, oldest: NaiveDate) -> anyhow::Result<usize> {
    let entries = match std::fs::read_dir(nights) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries,
    };
    let failed = || format!("failed to clean up {}", nights.display());
    let mut removed = 0;
    for entry in entries.with_context(failed)? {
        let entry = entry.with_context(failed)?;
        let is_old = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<NaiveDate>().ok())
            .is_some_and(|night| night < oldest);
        if is_old {
            std::fs::remove_dir_all(entry.path())
                .with_context(|| format!("failed to remove {}", entry.path().display()))?;
            removed += 1;
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_old_nights_go() {
        let nights = tempfile::tempdir().unwrap();
        for name in ["2018-03-01", "2018-03-26", "notes"] {
            std::fs::create_dir(nights.path().join(name)).unwrap();
        }
        let oldest = "2018-03-26".parse().unwrap();
        assert_eq!(clean_nights(nights.path(), oldest).unwrap(), 1);
        assert_eq!(clean_nights(nights.path(), oldest).unwrap(), 0);
        assert!(!nights.path().join("2018-03-01").exists());
        assert!(nights.path().join("notes").exists());
        assert_eq!(clean_nights(&nights.path().join("no"), oldest).unwrap(), 0);
    }
}
