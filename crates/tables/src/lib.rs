#![doc = include_str!("../README.md")]

mod error;
mod read;
mod write;

pub use error::TableError;
pub use read::read_bars;
pub use write::{Column, Values, bar_columns, write_table};
