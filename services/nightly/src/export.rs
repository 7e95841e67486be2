//! The models, shown to an MLflow server.

use anyhow::Context;
use mlflow::{Mlflow, MlflowSettings};
use model_registry::ChampionsFile;

use crate::{child::Ended, conduct::Conductor, steps::Step};

/// Newest validation reports that are looked through for the models' figures.
const REPORTS: u32 = 1_000;

/// Exports the models where a server is named.
pub(crate) async fn export(night: &Conductor) -> Ended {
    let limit = night.settings.timeout(Step::Mlflow);
    tokio::select! {
        ended = to_server(night) => ended.unwrap_or_else(Ended::from),
        () = night.token.cancelled() => Ended::Interrupted,
        () = tokio::time::sleep(limit) => {
            Ended::Passing(format!("took longer than {} s", limit.as_secs()))
        }
    }
}

async fn to_server(night: &Conductor) -> anyhow::Result<Ended> {
    let Some(settings) = MlflowSettings::from_environment()? else {
        return Ok(Ended::Done(
            "not configured: MLFLOW_TRACKING_URI is not set".to_owned(),
        ));
    };
    let mlflow = Mlflow::new(settings)?;
    let champions = ChampionsFile::new(service_kit::model_config_path()).read()?;
    let reports = storage::recent_validation_reports(&night.pool, None, REPORTS).await?;
    let models_dir = service_kit::models_dir();
    let exported = mlflow::export(&mlflow, &models_dir, &champions, &reports, None)
        .await
        .context("failed to export the models")?;
    Ok(Ended::Done(exported.to_string()))
}
