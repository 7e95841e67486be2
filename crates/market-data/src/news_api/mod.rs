//! NewsAPI: stories of many publishers by search words.

mod client;
mod models;
pub(crate) mod parse;

pub use client::NewsApiClient;
