#![doc = include_str!("../README.md")]

mod clean;
mod error;
mod format;
mod read;

pub use clean::{BarFile, CleaningReport, Collector, RejectedRow, SeriesIndex};
pub use error::BarFileError;
pub use format::Format;
pub use read::{
    COLUMNS, EXPECTED_NUMBER, EXPECTED_TICKER, EXPECTED_TIME, PRICES_AND_VOLUME, locate, open,
    parse_time, read_bars,
};
