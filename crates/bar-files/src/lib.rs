#![doc = include_str!("../README.md")]

mod clean;
mod error;
mod format;
mod layout;
mod number;
mod options;
mod read;
mod rows;
mod sessions;
mod text;
mod time;

pub use chrono_tz::Tz;
pub use clean::{BarFile, CleaningReport, LeftOut, RejectedRow};
pub use error::BarFileError;
pub use format::Format;
pub use layout::{Layout, Located, Stock, TickerFrom, locate};
pub use number::{NumberStyle, StyleVotes, parse_number};
pub use options::{ColumnMap, ReadOptions, Stamps, parse_zone};
pub use read::{open, read_bars, read_bars_with};
pub use rows::{Cell, RowReader, TimeCell};
pub use text::{Lines, read_text, separator};
pub use time::{DateOrder, OrderVotes, TimeFault, TimeParser, join_date_and_time, parse_time};
