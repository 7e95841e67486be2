//! Yahoo's chart endpoint.

mod client;
mod error;
mod parse;

pub use client::{MAX_AGE, MAX_SPAN, MinuteRequest, YahooClient};
pub use error::VendorError;
pub use parse::parse_minute_chart;
