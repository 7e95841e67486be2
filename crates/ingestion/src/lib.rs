#![doc = include_str!("../README.md")]

mod backfill;
mod error;
mod ingestor;
mod market_time;
mod pace;
mod progress;
mod settings;
mod steps;

pub use backfill::BackfillReport;
pub use error::IngestError;
pub use ingestor::{Ingestor, PollReport};
pub use market_time::MarketTime;
pub use settings::IngestSettings;
