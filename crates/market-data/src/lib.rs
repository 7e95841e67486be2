#![doc = include_str!("../README.md")]

mod connection;
mod fetched;
mod yahoo;

pub use connection::{ConnectionError, VendorConnection};
pub use fetched::{FetchedBars, FormingTrade, RejectedRow, Split, VendorRow};
pub use yahoo::{MAX_AGE, MAX_SPAN, MinuteRequest, VendorError, YahooClient, parse_minute_chart};
