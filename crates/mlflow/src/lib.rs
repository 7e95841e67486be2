#![doc = include_str!("../README.md")]

mod card;
mod client;
mod error;
mod export;
mod settings;

pub use client::Mlflow;
pub use error::MlflowError;
pub use export::{Exported, export};
pub use settings::MlflowSettings;
