#![doc = include_str!("../README.md")]

mod error;
mod parquet;
mod read;
mod write;

pub use error::TableError;
pub use read::{read_bars, read_bars_with};
pub use write::{Column, Values, bar_columns, write_table};
