#![doc = include_str!("../README.md")]

mod alpha_vantage;
mod connection;
mod error;
mod fetched;
mod finnhub;
mod fred;
mod gate;
mod http;
mod keys;
mod market_time;
#[cfg(test)]
mod mutations;
mod new_york;
mod news;
mod news_api;
mod text;
mod vendor;
mod yahoo;

pub use alpha_vantage::{AlphaVantageClient, MonthRequest};
pub use connection::{ConnectionError, UnknownSpelling, VendorConnection};
pub use error::{Asked, VendorError};
pub use fetched::{FetchedBars, FormingTrade, RejectedEvent, RejectedRow, VendorRow};
pub use finnhub::FinnhubClient;
pub use fred::{FredClient, FredObservation};
pub use gate::{ClosedReason, Gate, GateClosed, GateLimits, GateState, Turn};
pub use keys::{InvalidKey, VendorKeys};
pub use market_time::MarketTime;
pub use news_api::NewsApiClient;
pub use text::plain_text;
pub use vendor::Vendor;
pub use yahoo::{
    DailyBar, LiveTrade, MAX_AGE, MAX_SPAN, MinuteRequest, PricingData, StreamError, YahooClient,
    YahooStream, parse_minute_chart,
};
