#![doc = include_str!("../README.md")]

mod cli;
mod data;
mod research;
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
        Command::Models(ModelsCommand::Fetch(arguments)) => data::models::fetch(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tandem: {error:#}");
            ExitCode::FAILURE
        }
    }
}
