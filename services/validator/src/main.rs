//! The validator: see the library's page.

use std::process::ExitCode;

use anyhow::Context;
use chrono::NaiveDate;
use clap::Parser;
use domain::{ModelId, ModelKind, Policy, Ticker, Universe};
use model_registry::ChampionsFile;
use service_kit::{CheckArguments, Clock, Passing, SettingsProblems, Shutdown};
use storage::{PipelineState, StorageError, record_step_ticker};
use validator::{Night, Places, ValidationSettings, Validator, Wishes};

/// The night's step that this program does.
const STEP: &str = "validate";

/// What is said when a person stops it.
const STOPPED: &str = "stopped: calling again goes on with what is stored";

/// Compares the champions with those who want their place, and promotes who is proved better.
///
/// Exit codes: 0 done; 1 failed for good; 75 failed in a way that may pass, call again.
#[derive(Parser)]
#[command(version, max_term_width = 110, after_help = service_kit::environment_help(&ENVIRONMENT))]
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
    #[command(flatten)]
    check: CheckArguments,
}

/// The variables that it reads beside those of all programs.
const ENVIRONMENT: [&str; 6] = [
    "TANDEM_CONFIG",
    "DATABASE_URL",
    "TANDEM_CLOCK",
    "TANDEM_MODELS_DIR",
    "TANDEM_MODEL_CONFIG",
    "TANDEM_NIGHTS_DIR",
];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.check.check_settings {
        return service_kit::check_settings(Settings::load());
    }
    service_kit::exit_code(run(arguments).await, |cause| {
        cause.downcast_ref().is_some_and(StorageError::is_retryable)
    })
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    service_kit::init_telemetry()?;
    let shutdown = Shutdown::on_signals()
        .context("failed to listen for signals")?
        .token();
    let Settings {
        validation,
        policy,
        tickers,
        clock,
        night,
        database_url,
    } = Settings::load()?;
    let run_id = service_kit::run_id();
    let night = Night::of(night, run_id, clock.now(), calendar::nyse())?;
    tracing::info!(night = %night.session.date, market_time = %night.as_of, "validator starts");
    let pool = storage::open(database_url).await?;
    let tickers = match run_id {
        Some(run_id) => storage::step_tickers(&pool, run_id, STEP, &tickers, clock.now()).await?,
        None => tickers,
    };
    let validator = Validator {
        pool: pool.clone(),
        places: Places {
            models_dir: service_kit::models_dir(),
            champions: ChampionsFile::new(service_kit::model_config_path()),
            nights: service_kit::nights_dir(),
        },
        tickers: tickers.clone(),
        settings: validation,
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
        Some(ended) => {
            ended?;
            if let Some(run_id) = run_id {
                let state = PipelineState::Success;
                for ticker in &tickers {
                    record_step_ticker(&pool, run_id, STEP, ticker, state, "", clock.now()).await?;
                }
            }
            Ok(())
        }
        // A night's step that somebody stopped is to be tried again.
        None if run_id.is_some() => Err(Passing(STOPPED.to_owned()).into()),
        None => {
            tracing::info!("{STOPPED}");
            Ok(())
        }
    }
}

/// Everything that it needs to know from outside.
struct Settings {
    validation: ValidationSettings,
    policy: Policy,
    tickers: Vec<Ticker>,
    clock: Clock,
    night: Option<NaiveDate>,
    database_url: String,
}

impl Settings {
    /// Reads the settings file and the environment.
    fn load() -> Result<Self, SettingsProblems> {
        SettingsProblems::collect(|problems| {
            let validation = problems.section();
            let policy = problems.section();
            let universe = problems.section::<Universe>();
            let clock = problems.note(Clock::from_environment());
            let night = problems.note(night());
            let database_url = problems.note(service_kit::database_url());
            Some(Self {
                validation: validation?,
                policy: policy?,
                tickers: universe?.symbols(),
                clock: clock?,
                night: night?,
                database_url: database_url?,
            })
        })
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
