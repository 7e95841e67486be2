#![doc = include_str!("../README.md")]

mod board;
mod body;
mod champions;
mod engine;
mod error;
mod folders;
mod handlers;
mod line;
mod metrics;
mod recorder;
mod server;
mod settings;
mod setup;
mod socket;
mod state;
mod status;
mod thresholds;

pub use server::{App, bind};
pub use settings::{Settings, Source, Timing};
