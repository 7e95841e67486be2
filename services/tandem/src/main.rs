#![doc = include_str!("../README.md")]

mod cli;
mod data;
mod nightly;
mod research;
mod system;
mod up;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command, ModelsCommand};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Up(arguments) => up::run(arguments),
        Command::Calendar(arguments) => research::calendar::run(&arguments),
        Command::Features(arguments) => research::features::run(&arguments),
        Command::Label(arguments) => research::label::run(&arguments),
        Command::Train(arguments) => research::train::run(&arguments),
        Command::Predict(arguments) => research::predict::run(&arguments),
        Command::Evaluate(arguments) => research::evaluate::run(&arguments),
        Command::Backfill(arguments) => data::backfill::run(&arguments),
        Command::Export(arguments) => data::export::run(&arguments),
        Command::Doctor(arguments) => data::doctor::run(&arguments),
        Command::Nightly(arguments) => nightly::run(&arguments),
        Command::Models(command) => models(&command),
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
        ModelsCommand::List(arguments) => data::models::list::run(arguments),
        ModelsCommand::Show(arguments) => data::models::show::run(arguments),
        ModelsCommand::At(arguments) => data::models::at::run(arguments),
        ModelsCommand::Promote(arguments) => data::models::change::promote(arguments),
        ModelsCommand::Rollback(arguments) => data::models::change::roll_back(arguments),
        ModelsCommand::Export(arguments) => data::models::export::run(arguments),
        ModelsCommand::Fetch(arguments) => data::models::fetch::run(arguments),
    }
}
