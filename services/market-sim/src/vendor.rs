use std::fmt;

use axum::{
    extract::Query,
    http::{Uri, header, request::Parts},
};
use serde::{Deserialize, Serialize};

/// The vendors that are stood in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vendor {
    /// Yahoo Finance: charts, headlines, streaming prices.
    Yahoo,
    /// The Federal Reserve Bank of St. Louis: economic series.
    Fred,
    /// newsapi.org.
    #[serde(alias = "newsapi")]
    NewsApi,
    /// finnhub.io.
    Finnhub,
    /// alphavantage.co: minutes and headlines.
    #[serde(alias = "alphavantage")]
    AlphaVantage,
}

/// What can be asked of the vendors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// Yahoo's cookie.
    Cookie,
    /// Yahoo's crumb.
    Crumb,
    /// Yahoo's bars and events.
    Chart,
    /// Yahoo's description of a company.
    Summary,
    /// Yahoo's search, for its headlines.
    Search,
    /// Yahoo's streaming prices.
    Stream,
    /// FRED's observations of a series, with key.
    Observations,
    /// FRED's days of release of a series, with key.
    VintageDates,
    /// FRED's description of a series, with key.
    Series,
    /// FRED's graph as CSV, without key.
    Graph,
    /// NewsAPI's articles.
    Everything,
    /// Finnhub's headlines of a company.
    CompanyNews,
    /// Alpha Vantage's minutes.
    Intraday,
    /// Alpha Vantage's headlines.
    NewsSentiment,
}

/// The vendors' hosts that the simulator stands in for, and this machine.
pub const HOSTS: [&str; 14] = [
    "query1.finance.yahoo.com",
    "query2.finance.yahoo.com",
    "fc.yahoo.com",
    "finance.yahoo.com",
    "streamer.finance.yahoo.com",
    "api.stlouisfed.org",
    "fred.stlouisfed.org",
    "newsapi.org",
    "www.newsapi.org",
    "finnhub.io",
    "api.finnhub.io",
    "www.alphavantage.co",
    "market-sim",
    "localhost",
];

impl Vendor {
    pub(crate) const ALL: [Self; 5] = [
        Self::Yahoo,
        Self::Fred,
        Self::NewsApi,
        Self::Finnhub,
        Self::AlphaVantage,
    ];

    /// Whose host it is. This machine's own names count as Yahoo's, so that a browser or curl can look around.
    fn of_host(host: &str) -> Option<Self> {
        let is_in = |domain: &str| {
            host.strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let own = matches!(host, "localhost" | "market-sim")
            || host
                .trim_matches(['[', ']'])
                .parse::<std::net::IpAddr>()
                .is_ok();
        match host {
            _ if is_in("yahoo.com") || own => Some(Self::Yahoo),
            _ if is_in("stlouisfed.org") => Some(Self::Fred),
            _ if is_in("newsapi.org") => Some(Self::NewsApi),
            _ if is_in("finnhub.io") => Some(Self::Finnhub),
            _ if is_in("alphavantage.co") => Some(Self::AlphaVantage),
            _ => None,
        }
    }

    /// Whom a request is meant for, by its host.
    pub(crate) fn of_request(parts: &Parts) -> Option<Self> {
        Self::of_host(&host(parts)?)
    }

    /// What can be asked of it.
    pub(crate) const fn endpoints(self) -> &'static [Endpoint] {
        match self {
            Self::Yahoo => &[
                Endpoint::Cookie,
                Endpoint::Crumb,
                Endpoint::Chart,
                Endpoint::Summary,
                Endpoint::Search,
                Endpoint::Stream,
            ],
            Self::Fred => &[
                Endpoint::Observations,
                Endpoint::VintageDates,
                Endpoint::Series,
                Endpoint::Graph,
            ],
            Self::NewsApi => &[Endpoint::Everything],
            Self::Finnhub => &[Endpoint::CompanyNews],
            Self::AlphaVantage => &[Endpoint::Intraday, Endpoint::NewsSentiment],
        }
    }
}

/// Without the port, in lower case. HTTP/2 names it in the address, HTTP/1.1 in a header.
pub(crate) fn host(parts: &Parts) -> Option<String> {
    let authority = parts.uri.authority().map(ToString::to_string).or_else(|| {
        let header = parts.headers.get(header::HOST)?;
        Some(header.to_str().ok()?.to_owned())
    })?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => &authority,
    };
    Some(host.to_ascii_lowercase())
}

/// A question, as far as faults and counters tell questions apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) vendor: Vendor,
    pub(crate) endpoint: Endpoint,
    /// Ticker, series or search words; empty where a question has none.
    pub(crate) subject: String,
}

impl Asked {
    /// None for an address that the vendor does not have.
    pub(crate) fn of(vendor: Vendor, parts: &Parts) -> Option<Self> {
        let uri = &parts.uri;
        let path = uri.path();
        let query = |name| query_value(uri, name).unwrap_or_default();
        let (endpoint, subject) = match vendor {
            Vendor::Yahoo => {
                let last = path.rsplit('/').next().unwrap_or_default().to_owned();
                match path {
                    "/" if host(parts).is_some_and(|host| host.starts_with("streamer.")) => {
                        (Endpoint::Stream, String::new())
                    }
                    "/" => (Endpoint::Cookie, String::new()),
                    "/v1/test/getcrumb" => (Endpoint::Crumb, String::new()),
                    "/v1/finance/search" => (Endpoint::Search, query("q")),
                    _ if path.starts_with("/v8/finance/chart/") => (Endpoint::Chart, last),
                    _ if path.starts_with("/v10/finance/quoteSummary/") => {
                        (Endpoint::Summary, last)
                    }
                    _ => return None,
                }
            }
            Vendor::Fred => match path {
                "/fred/series/observations" => (Endpoint::Observations, query("series_id")),
                "/fred/series/vintagedates" => (Endpoint::VintageDates, query("series_id")),
                "/fred/series" => (Endpoint::Series, query("series_id")),
                "/graph/fredgraph.csv" => (Endpoint::Graph, query("id")),
                _ => return None,
            },
            Vendor::NewsApi if path == "/v2/everything" => (Endpoint::Everything, query("q")),
            Vendor::Finnhub if path == "/api/v1/company-news" => {
                (Endpoint::CompanyNews, query("symbol"))
            }
            Vendor::AlphaVantage if path == "/query" => match &*query("function") {
                "TIME_SERIES_INTRADAY" => (Endpoint::Intraday, query("symbol")),
                "NEWS_SENTIMENT" => (Endpoint::NewsSentiment, query("tickers")),
                _ => return None,
            },
            _ => return None,
        };
        Some(Self {
            vendor,
            endpoint,
            subject,
        })
    }
}

/// The value of a name in an address's query, decoded.
pub(crate) fn query_value(uri: &Uri, name: &str) -> Option<String> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).ok()?;
    pairs
        .into_iter()
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// As faults spell it.
impl fmt::Display for Vendor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(formatter)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(formatter)
    }
}
