#![doc = include_str!("../README.md")]

mod backfill;
mod book;
mod corporate_actions;
mod economy;
mod error;
mod gaps;
mod ingestor;
mod news;
mod progress;
mod quality;
mod review;
mod rhythm;
mod round;
mod second_source;
mod settings;
mod steps;

pub use backfill::BackfillReport;
pub use corporate_actions::{
    ActionChange, ActionReport, SplitFactor, split_factor, update_corporate_actions,
    without_dividends,
};
pub use economy::store_economy;
pub use error::IngestError;
pub use gaps::GapReport;
pub use ingestor::{Ingestor, PollReport};
pub use market_data::MarketTime;
pub use news::{NewsDesk, NewsReport};
pub use quality::{QualityChecks, QualitySettings, check_daily_volume, check_volumes};
pub use review::ReviewReport;
pub use rhythm::{MissingStretch, missing_stretches};
pub use settings::IngestSettings;
