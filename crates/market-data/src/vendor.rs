use std::fmt;

/// Whom data come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vendor {
    /// Yahoo Finance, without a key.
    Yahoo,
    /// alphavantage.co.
    AlphaVantage,
    /// newsapi.org.
    NewsApi,
    /// finnhub.io.
    Finnhub,
    /// The Federal Reserve Bank of St. Louis.
    Fred,
}

impl Vendor {
    /// Its name, for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yahoo => "Yahoo",
            Self::AlphaVantage => "Alpha Vantage",
            Self::NewsApi => "NewsAPI",
            Self::Finnhub => "Finnhub",
            Self::Fred => "FRED",
        }
    }

    /// The environment variable of its API key; `None` where there are no keys.
    pub const fn key_variable(self) -> Option<&'static str> {
        match self {
            Self::Yahoo => None,
            Self::AlphaVantage => Some("ALPHA_VANTAGE_API_KEY"),
            Self::NewsApi => Some("NEWSAPI_API_KEY"),
            Self::Finnhub => Some("FINNHUB_API_KEY"),
            Self::Fred => Some("FRED_API_KEY"),
        }
    }
}

impl fmt::Display for Vendor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
