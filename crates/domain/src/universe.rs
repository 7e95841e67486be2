use serde::{Deserialize, Serialize};

use crate::Ticker;

/// The stocks that are watched: section `[universe]` of the settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Universe {
    /// In the order in which they are shown.
    pub tickers: Vec<Listing>,
}

/// One watched stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// Its symbol.
    pub ticker: Ticker,
    /// The company's name, for people.
    pub name: String,
    /// Its line of business, for people.
    pub sector: String,
}

impl Universe {
    /// The symbols alone, in order.
    pub fn symbols(&self) -> Vec<Ticker> {
        self.tickers
            .iter()
            .map(|listing| listing.ticker.clone())
            .collect()
    }
}
