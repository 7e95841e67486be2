#![doc = include_str!("../README.md")]

mod clean;
mod error;
mod format;
mod read;
mod write;

pub use clean::{BarFile, CleaningReport, RejectedRow};
pub use error::BarFileError;
pub use read::read_bars;
pub use write::{Column, Values, write_table};
