#![doc = include_str!("../README.md")]

mod cli;
mod research;
mod up;

use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command};

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Up(arguments) => up::run(arguments),
        Command::Calendar(arguments) => research::calendar::run(&arguments),
        Command::Features(arguments) => research::features::run(&arguments),
        Command::Label(arguments) => research::label::run(&arguments),
        Command::Train(arguments) => research::train::run(&arguments),
        Command::Predict(arguments) => research::predict::run(&arguments),
        Command::Evaluate(arguments) => research::evaluate::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tandem: {error:#}");
            ExitCode::FAILURE
        }
    }
}
