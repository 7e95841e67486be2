//! Finnhub: news per company.

mod client;
mod models;
pub(crate) mod parse;

pub use client::FinnhubClient;
