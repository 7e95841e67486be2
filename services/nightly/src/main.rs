#![doc = include_str!("../README.md")]

mod child;
mod cleanup;
mod conduct;
mod export;
mod list;
mod night;
mod report;
mod settings;
mod steps;

use std::{path::PathBuf, process::ExitCode};

use alerts::{Alert, AlertSettings, Alerts};
use anyhow::Context;
use chrono::NaiveDate;
use clap::Parser;
use mlflow::MlflowSettings;
use service_kit::{CheckArguments, Clock, EXIT_PASSING, SettingsProblems, Shutdown};
use storage::{RetentionSettings, StorageError};

use crate::{
    conduct::{Conductor, Ending, Wishes},
    settings::NightlySettings,
    steps::Step,
};

/// Runs the night's steps and writes down what came of them.
///
/// Exit codes: 0 all is done; 1 a step failed; 75 not done, call again: interrupted, or another night is under way.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110, after_help = service_kit::environment_help(&ENVIRONMENT))]
struct Arguments {
    /// Session that the night follows, New York date; by default the last one that has closed.
    #[arg(long)]
    night: Option<NaiveDate>,
    /// Only this step, also if it is done already.
    #[arg(long, value_enum)]
    step: Option<Step>,
    /// Try again what failed for good.
    #[arg(long)]
    retry: bool,
    /// Begin a new run, though the night's is complete.
    #[arg(long, conflicts_with_all = ["step", "retry"])]
    again: bool,
    /// Only if the drift monitor has asked for a training that no night has carried out yet.
    #[arg(long)]
    requested: bool,
    /// Train as trainer --quick does: a genuine training of demo size.
    #[arg(long)]
    quick: bool,
    /// Show the newest runs with their steps, and end.
    #[arg(long, conflicts_with_all = ["night", "step", "retry", "again"])]
    list: bool,
    /// Folder of the steps' programs; by default that of this program.
    #[arg(long)]
    programs: Option<PathBuf>,
    #[command(flatten)]
    check: CheckArguments,
}

/// The variables that it and its steps read beside those of all programs.
const ENVIRONMENT: [&str; 15] = [
    "TANDEM_CONFIG",
    "DATABASE_URL",
    "TANDEM_CLOCK",
    "TANDEM_MODELS_DIR",
    "TANDEM_MODEL_CONFIG",
    "TANDEM_NIGHTS_DIR",
    "TANDEM_VENDOR_ADDRESS",
    "TANDEM_VENDOR_CA",
    "ALPHA_VANTAGE_API_KEY",
    "FRED_API_KEY",
    "TANDEM_ALERT_WEBHOOK",
    "TANDEM_ALERT_SMTP_URL",
    "TANDEM_ALERT_TO",
    "TANDEM_ALERT_FROM",
    "MLFLOW_TRACKING_URI",
];

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.check.check_settings {
        return service_kit::check_settings(SettingsProblems::collect(|problems| {
            // A night goes on without its export, which fails alone.
            problems.note(MlflowSettings::from_environment());
            Settings::load(problems)
        }));
    }
    match start(arguments).await {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Failed) => ExitCode::FAILURE,
        Ok(Ending::Unfinished | Ending::Busy) => EXIT_PASSING.into(),
        // The database may be back when it is tried again.
        Err(error) => service_kit::exit_code(Err(error), |cause| {
            cause.downcast_ref().is_some_and(StorageError::is_retryable)
        }),
    }
}

/// Everything that a night needs to know from outside.
struct Settings {
    nightly: NightlySettings,
    retention: RetentionSettings,
    clock: Clock,
    database_url: String,
}

impl Settings {
    /// Reads the settings file and the environment.
    fn load(problems: &mut SettingsProblems) -> Option<Self> {
        let nightly = problems.section();
        let retention = problems.section();
        let clock = problems.note(Clock::from_environment());
        problems.note(Alerts::new(AlertSettings::from_environment()));
        let database_url = problems.note(service_kit::database_url());
        Some(Self {
            nightly: nightly?,
            retention: retention?,
            clock: clock?,
            database_url: database_url?,
        })
    }
}

async fn start(arguments: Arguments) -> anyhow::Result<Ending> {
    service_kit::init_telemetry()?;
    if arguments.list {
        list::print(&storage::open(service_kit::database_url()?).await?).await?;
        return Ok(Ending::Done);
    }
    let alerts = Alerts::new(AlertSettings::from_environment())?;
    let result = run(arguments, alerts.clone()).await;
    if let Err(error) = &result {
        let alert = Alert {
            subject: "Tandem: the night cannot be run".to_owned(),
            text: format!("{error:#}"),
        };
        alerts.send(&alert).await;
    }
    result
}

async fn run(arguments: Arguments, alerts: Alerts) -> anyhow::Result<Ending> {
    let token = Shutdown::on_signals()
        .context("failed to listen for signals")?
        .token();
    let Settings {
        nightly: settings,
        retention,
        clock,
        database_url,
    } = SettingsProblems::collect(Settings::load)?;
    let calendar = calendar::nyse();
    let session = match arguments.night {
        Some(date) => calendar
            .session_on(date)
            .with_context(|| format!("{date} is no session: a night follows one"))?,
        None => calendar
            .last_closed(clock.now())
            .with_context(|| format!("the calendar knows no session before {}", clock.now()))?,
    };
    anyhow::ensure!(
        session.close <= clock.now(),
        "the session of {} closes at {}: its night comes after that",
        session.date,
        session.close
    );
    let training_end = night::training_end(calendar, session.date, settings.held_out_sessions)
        .with_context(|| format!("the calendar begins too late before {}", session.date))?;
    let programs = match arguments.programs {
        Some(folder) => folder,
        None => own_folder()?,
    };
    let pool = storage::open(database_url).await?;
    if arguments.requested
        && storage::retraining_requests(&pool, clock.now())
            .await?
            .is_empty()
    {
        tracing::info!("the drift monitor has asked for no training");
        return Ok(Ending::Done);
    }
    let conductor = Conductor {
        pool,
        clock,
        token,
        settings,
        retention,
        alerts,
        session,
        training_end,
        programs,
        nights: service_kit::nights_dir(),
    };
    conductor
        .run(Wishes {
            only: arguments.step,
            retry: arguments.retry,
            again: arguments.again,
            quick: arguments.quick,
        })
        .await
}

fn own_folder() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("failed to find this program's folder")?;
    program
        .parent()
        .map(PathBuf::from)
        .with_context(|| format!("{} lies in no folder", program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_refused() {
        let parse = |line: &str| Arguments::try_parse_from(line.split_whitespace());
        for line in [
            "nightly",
            "nightly --night 2018-03-26 --retry",
            "nightly --step corporate-actions",
            "nightly --list",
        ] {
            assert!(parse(line).is_ok(), "{line}");
        }
        for line in [
            "nightly --night 26.3.2018",
            "nightly --step lunch",
            "nightly --list --retry",
            "nightly --again --retry",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
