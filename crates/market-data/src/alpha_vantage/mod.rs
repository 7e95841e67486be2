//! Alpha Vantage: one-minute bars as a second source, and news.

mod client;
mod models;
pub(crate) mod parse;

pub use client::{AlphaVantageClient, MonthRequest};
