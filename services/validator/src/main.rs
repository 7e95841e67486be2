//! The validator: see the library's page.

use std::process::ExitCode;

use anyhow::Context;
use chrono::NaiveDate;
use clap::Parser;
use domain::{ModelId, ModelKind, Policy, Universe};
use model_registry::ChampionsFile;
use service_kit::{Clock, Passing, Shutdown};
use storage::StorageError;
use validator::{Night, Places, ValidationSettings, Validator, Wishes};

/// What is said when a person stops it.
const STOPPED: &str = "stopped: calling again goes on with what is stored";

/// Compares the champions with those who want their place, and promotes who is proved better.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Promote nothing; what is found is written down, marked.
    #[arg(long)]
    dry_run: bool,
    /// Only this kind: lstm or transformer.
    #[arg(long)]
    kind: Option<ModelKind>,
    /// Only this challenger.
    #[arg(long, value_parser = ModelId::parse)]
    challenger: Option<ModelId>,
}

#[tokio::main]
async fn main() -> ExitCode {
    service_kit::exit_code(run(Arguments::parse()).await, |cause| {
        cause.downcast_ref().is_some_and(StorageError::is_retryable)
    })
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    service_kit::init_telemetry()?;
    let shutdown = Shutdown::on_signals()
        .context("failed to listen for signals")?
        .token();
    let clock = Clock::from_environment()?;
    let settings: ValidationSettings = service_kit::load_settings("validation")?;
    settings.check()?;
    let policy: Policy = service_kit::load_settings("policy")?;
    policy.check()?;
    let universe: Universe = service_kit::load_settings("universe")?;
    let run_id = service_kit::run_id();
    let night = Night::of(night()?, run_id, clock.now(), calendar::nyse())?;
    tracing::info!(night = %night.session.date, market_time = %night.as_of, "validator starts");
    let validator = Validator {
        pool: storage::open(service_kit::database_url()?).await?,
        places: Places {
            models_dir: service_kit::models_dir(),
            champions: ChampionsFile::new(service_kit::model_config_path()),
            nights: service_kit::nights_dir(),
        },
        tickers: universe.symbols(),
        settings,
        policy,
    };
    let wishes = Wishes {
        dry_run: arguments.dry_run,
        kind: arguments.kind,
        challenger: arguments.challenger,
    };
    match shutdown
        .run_until_cancelled(validator.run(&night, &wishes))
        .await
    {
        Some(ended) => ended.map(|_| ()),
        // A night's step that somebody stopped is to be tried again.
        None if run_id.is_some() => Err(Passing(STOPPED.to_owned()).into()),
        None => {
            tracing::info!("{STOPPED}");
            Ok(())
        }
    }
}

/// The session that the night follows, New York date, as `nightly` names it.
fn night() -> anyhow::Result<Option<NaiveDate>> {
    let text = std::env::var("TANDEM_NIGHT").unwrap_or_default();
    if text.is_empty() {
        return Ok(None);
    }
    let date = text
        .parse()
        .with_context(|| format!("TANDEM_NIGHT={text:?} is no date such as 2018-03-26"))?;
    Ok(Some(date))
}
