#![doc = include_str!("../README.md")]

mod admission;
mod bars;
mod calendar;
mod cli;
mod context;
mod database;
mod economy;
mod evaluate;
mod features;
mod fetch;
mod label;
mod models;
mod predict;
mod train;

use std::process::ExitCode;

use bars::read_bars;
use clap::Parser;
use cli::{Cli, Command, ModelsCommand};

fn main() -> ExitCode {
    let command = Cli::parse().command;
    if let Err(error) = service_kit::configure_calendar() {
        eprintln!("tandem: {:#}", anyhow::Error::new(error));
        return ExitCode::FAILURE;
    }
    let outcome = match command {
        Command::Calendar(arguments) => calendar::run(&arguments),
        Command::Features(arguments) => features::run(&arguments),
        Command::Label(arguments) => label::run(&arguments),
        Command::Train(arguments) => train::run(&arguments),
        Command::Predict(arguments) => predict::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Bars(arguments) => bars::run(&arguments),
        Command::Backfill(arguments) => database::backfill::run(&arguments),
        Command::Export(arguments) => database::export::run(&arguments),
        Command::Models(ModelsCommand::Fetch(arguments)) => fetch::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tandem: {error:#}");
            ExitCode::FAILURE
        }
    }
}
