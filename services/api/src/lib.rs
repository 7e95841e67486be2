#![doc = include_str!("../README.md")]

mod board;
mod body;
mod catch_up;
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
mod staleness;
mod standings;
mod state;
mod status;
#[cfg(feature = "testing")]
pub mod testing;
mod thresholds;

pub use server::{App, bind};
pub use settings::{Settings, Source, Timing};
