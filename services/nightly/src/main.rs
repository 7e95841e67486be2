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
use service_kit::{Clock, EXIT_PASSING, Shutdown};
use storage::StorageError;

use crate::{
    conduct::{Conductor, Ending, Wishes},
    settings::NightlySettings,
    steps::Step,
};

/// Runs the night's steps and writes down what came of them.
#[derive(Debug, Parser)]
#[command(version)]
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
    /// Show the newest runs with their steps, and end.
    #[arg(long, conflicts_with_all = ["night", "step", "retry", "again"])]
    list: bool,
    /// Folder of the steps' programs; by default that of this program.
    #[arg(long)]
    programs: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match start(Arguments::parse()).await {
        Ok(Ending::Done) => ExitCode::SUCCESS,
        Ok(Ending::Failed) => ExitCode::FAILURE,
        Ok(Ending::Unfinished | Ending::Busy) => EXIT_PASSING.into(),
        // The database may be back when it is tried again.
        Err(error) => service_kit::exit_code(Err(error), |cause| {
            cause.downcast_ref().is_some_and(StorageError::is_retryable)
        }),
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
    let settings: NightlySettings = service_kit::load_settings("nightly")?;
    settings.check()?;
    let clock = Clock::from_environment()?;
    let calendar = calendar::nyse();
    let session = match arguments.night {
        Some(date) => calendar
            .session_on(date)
            .with_context(|| format!("{date} is no session: a night follows one"))?,
        None => night::last_closed(calendar, clock.now())
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
    let pool = storage::open(service_kit::database_url()?).await?;
    let conductor = Conductor {
        pool,
        clock,
        token,
        settings,
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
