use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{InvalidSettings, SettingsCheck, SettingsSection, Ticker};

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

impl SettingsSection for Universe {
    const SECTION: &'static str = "universe";

    fn check(&self) -> Result<(), InvalidSettings> {
        let mut check = SettingsCheck::new(Self::SECTION).field(
            "tickers",
            "[]",
            !self.tickers.is_empty(),
            "at least one stock, such as { ticker = \"AAPL\", name = \"Apple\", sector = \"Technology\" }",
        );
        let mut known = BTreeSet::new();
        for Listing { ticker, .. } in &self.tickers {
            let is_new = known.insert(ticker);
            check = check.field("tickers", ticker, is_new, "each stock once");
        }
        check.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn something_is_watched_and_nothing_twice() {
        let universe = |tickers: &[&str]| Universe {
            tickers: tickers
                .iter()
                .map(|ticker| Listing {
                    ticker: Ticker::parse(ticker).unwrap(),
                    name: String::new(),
                    sector: String::new(),
                })
                .collect(),
        };
        universe(&["AAPL", "BRK-B"]).check().unwrap();
        let refused = |tickers| universe(tickers).check().unwrap_err().to_string();
        assert!(refused(&[]).contains("[universe] tickers = [] cannot be used"));
        let twice = refused(&["AAPL", "MSFT", "aapl"]);
        assert!(
            twice.contains("tickers = AAPL") && !twice.contains("MSFT"),
            "{twice}"
        );
    }
}
