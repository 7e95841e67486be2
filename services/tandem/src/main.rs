#![doc = include_str!("../README.md")]
#![expect(
    clippy::print_stdout,
    reason = "what these commands say is their output"
)]

mod cli;
mod doctor;
mod models;
mod nightly;
mod programs;
mod settings_check;
mod up;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command, ModelsCommand};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Up(arguments) => up::run(arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Nightly(arguments) => nightly::run(&arguments),
        Command::Models(command) => models(&command),
        Command::Calendar(_)
        | Command::Features(_)
        | Command::Label(_)
        | Command::Train(_)
        | Command::Predict(_)
        | Command::Evaluate(_)
        | Command::Bars(_)
        | Command::Backfill(_)
        | Command::Export(_) => programs::hand_over_to_research(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tandem: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn models(command: &ModelsCommand) -> anyhow::Result<()> {
    match command {
        ModelsCommand::List(arguments) => models::list::run(arguments),
        ModelsCommand::Show(arguments) => models::show::run(arguments),
        ModelsCommand::At(arguments) => models::at::run(arguments),
        ModelsCommand::Promote(arguments) => models::change::promote(arguments),
        ModelsCommand::Rollback(arguments) => models::change::roll_back(arguments),
        ModelsCommand::Export(arguments) => models::export::run(arguments),
        ModelsCommand::Fetch(_) => programs::hand_over_to_research(),
    }
}
