use anyhow::{Context, bail};
use mlflow::{Mlflow, MlflowSettings};
use service_kit::block_on;

use super::Registry;
use crate::cli::ModelExportArguments;

/// Newest validation reports that are looked through for the models' figures.
const REPORTS: u32 = 10_000;

/// `tandem models export`.
///
/// # Errors
/// When no server is named, or it refuses or does not answer.
pub(crate) fn run(arguments: &ModelExportArguments) -> anyhow::Result<()> {
    let Some(settings) = MlflowSettings::from_environment()? else {
        bail!(
            "MLFLOW_TRACKING_URI is not set: it names the MLflow server, such as http://127.0.0.1:5000"
        );
    };
    let registry = Registry::open(&arguments.system)?;
    let only = match &arguments.id {
        Some(text) => Some(registry.find(text)?.model_id),
        None => None,
    };
    let champions = registry.champions.read()?;
    let mlflow = Mlflow::new(settings)?;
    let exported = block_on(async {
        let reports = match registry.database().await {
            Some(pool) => storage::recent_validation_reports(&pool, None, REPORTS)
                .await
                .context("failed to read the validations' figures")?,
            None => Vec::new(),
        };
        let models_dir = &registry.models_dir;
        Ok(mlflow::export(&mlflow, models_dir, &champions, &reports, only.as_ref()).await?)
    })?;
    println!("{exported}");
    Ok(())
}
