#![doc = include_str!("../README.md")]

mod backfill;
mod basis;
mod book;
mod corporate_actions;
mod economy;
mod error;
mod gaps;
mod ingestor;
mod market_days;
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
pub use economy::{end_of_release_day, store_economy};
pub use error::IngestError;
pub use gaps::GapReport;
pub use ingestor::{Ingestor, PollReport};
pub use market_data::MarketTime;
pub use news::{
    FirstSeenStory, LeftOutRow, NewsDesk, NewsFile, NewsFileError, NewsReport, read_news_file,
};
pub use quality::{QualityChecks, QualitySettings, check_daily_volume, check_volumes};
pub use review::ReviewReport;
pub use rhythm::{MissingStretch, missing_stretches};
pub use settings::IngestSettings;
pub use steps::{Admitted, PriceBreak, Step, admit};
