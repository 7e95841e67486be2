use std::time::Duration;

use domain::Ticker;
use yahoo_finance_api::YahooError;

/// How long to leave Yahoo alone after a first 429. The limit can stay for hours: double it each time.
const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(30);

/// Yahoo gave no bars.
#[derive(Debug, thiserror::Error)]
pub enum VendorError {
    /// Too many requests, from the edge (plain text 429) or in a body, also where a crumb was expected.
    #[error("Yahoo limits our requests (429), asked for {ticker}")]
    RateLimited {
        /// Whose bars were asked for.
        ticker: Ticker,
    },
    /// Yahoo wants another cookie or crumb.
    #[error("Yahoo refuses the session (401), asked for {ticker}: {detail}")]
    Unauthorised {
        /// Whose bars were asked for.
        ticker: Ticker,
        /// What was refused.
        detail: String,
    },
    /// No such symbol: 404, or a 200 that describes a fund without currency.
    #[error(
        "Yahoo knows no symbol {ticker}: check its spelling in [universe] of the settings, or it was delisted"
    )]
    UnknownSymbol {
        /// The symbol.
        ticker: Ticker,
    },
    /// The symbol exists and nothing was traded in the period, in any of the shapes that Yahoo has for this.
    #[error("Yahoo has no data of {ticker} in the period")]
    NoData {
        /// The symbol.
        ticker: Ticker,
    },
    /// The answer holds another interval than asked for.
    #[error("Yahoo answered {ticker} with bars of {found:?} where {asked} was asked for")]
    Granularity {
        /// The symbol.
        ticker: Ticker,
        /// What was asked for.
        asked: &'static str,
        /// What came.
        found: String,
    },
    /// The period is longer or older than Yahoo gives out (422).
    #[error("Yahoo refuses the period asked for {ticker}: {detail}")]
    Period {
        /// The symbol.
        ticker: Ticker,
        /// Yahoo's words.
        detail: String,
    },
    /// The arrays of prices and times differ in length, so that no row can be trusted.
    #[error("Yahoo's columns of {ticker} do not line up: {lengths}")]
    Ragged {
        /// The symbol.
        ticker: Ticker,
        /// The columns and their lengths.
        lengths: String,
    },
    /// Another refusal.
    #[error("Yahoo refuses the request for {ticker}: {detail}")]
    Refused {
        /// The symbol.
        ticker: Ticker,
        /// Yahoo's words.
        detail: String,
    },
    /// A 5xx, an empty body or a page for people instead of data.
    #[error("Yahoo is out of order, asked for {ticker}: {detail}")]
    Server {
        /// The symbol.
        ticker: Ticker,
        /// What came instead.
        detail: String,
    },
    /// No answer in time.
    #[error("Yahoo did not answer in time, asked for {ticker}")]
    Timeout {
        /// The symbol.
        ticker: Ticker,
    },
    /// No connection.
    #[error("failed to reach Yahoo for {ticker}")]
    Connection {
        /// The symbol.
        ticker: Ticker,
        /// The network's reason.
        source: reqwest::Error,
    },
    /// The answer breaks off or is no JSON.
    #[error("Yahoo's answer for {ticker} is cut off or no JSON")]
    Truncated {
        /// The symbol.
        ticker: Ticker,
        /// The parser's reason.
        source: serde_json::Error,
    },
    /// The answer is JSON of an unknown shape.
    #[error("Yahoo's answer for {ticker} has an unknown shape")]
    Shape {
        /// The symbol.
        ticker: Ticker,
        /// The parser's reason.
        source: serde_json::Error,
    },
}

impl VendorError {
    /// Whether the same request may succeed later.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::Unauthorised { .. }
            | Self::Ragged { .. }
            | Self::Server { .. }
            | Self::Timeout { .. }
            | Self::Connection { .. }
            | Self::Truncated { .. } => true,
            Self::UnknownSymbol { .. }
            | Self::NoData { .. }
            | Self::Granularity { .. }
            | Self::Period { .. }
            | Self::Refused { .. }
            | Self::Shape { .. } => false,
        }
    }

    /// How long all requests to the vendor should wait, in market time, when that is what the vendor wants.
    ///
    /// `yahoo_finance_api` does not hand out the answer's headers (Yahoo's edge sends no `Retry-After` anyway).
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { .. } => Some(RATE_LIMIT_PAUSE),
            _ => None,
        }
    }

    /// What `yahoo_finance_api` reports, in our words.
    pub(crate) fn from_yahoo(error: YahooError, ticker: &Ticker) -> Self {
        let ticker = ticker.clone();
        match error {
            YahooError::TooManyRequests(_) => Self::RateLimited { ticker },
            YahooError::Unauthorized
            | YahooError::InvalidCrumb
            | YahooError::InvalidCookie
            | YahooError::NoCookies => Self::Unauthorised {
                ticker,
                detail: error.to_string(),
            },
            YahooError::NoResult | YahooError::NoQuotes => Self::NoData { ticker },
            YahooError::ServerError(_) | YahooError::EmptyResponse | YahooError::HtmlResponse => {
                Self::Server {
                    ticker,
                    detail: error.to_string(),
                }
            }
            // The crate keeps a status it does not know by name only in this text.
            YahooError::FetchFailed(text) if text.starts_with("404") => {
                Self::UnknownSymbol { ticker }
            }
            YahooError::ApiError(message) => Self::from_message(
                message.code.as_deref().unwrap_or_default(),
                message.description.as_deref().unwrap_or_default(),
                ticker,
            ),
            YahooError::ConnectionFailed(source) => Self::from_network(source, ticker),
            YahooError::DeserializeFailed(source) => Self::from_json(source, ticker),
            other => Self::Refused {
                ticker,
                detail: other.to_string(),
            },
        }
    }

    /// The `error` object of a body.
    pub(crate) fn from_message(code: &str, description: &str, ticker: Ticker) -> Self {
        match code {
            "Not Found" => Self::UnknownSymbol { ticker },
            "Unauthorized" | "Invalid Crumb" => Self::Unauthorised {
                ticker,
                detail: description.to_owned(),
            },
            "Too Many Requests" => Self::RateLimited { ticker },
            "Unprocessable Entity" => Self::Period {
                ticker,
                detail: description.to_owned(),
            },
            "Bad Request" if description.starts_with("Data doesn't exist") => {
                Self::NoData { ticker }
            }
            "Internal Server Error" => Self::Server {
                ticker,
                detail: description.to_owned(),
            },
            _ => Self::Refused {
                ticker,
                detail: format!("{code}: {description}"),
            },
        }
    }

    pub(crate) fn from_network(source: reqwest::Error, ticker: Ticker) -> Self {
        if source.is_timeout() {
            Self::Timeout { ticker }
        } else {
            Self::Connection { ticker, source }
        }
    }

    pub(crate) fn from_json(source: serde_json::Error, ticker: Ticker) -> Self {
        if source.is_data() {
            Self::Shape { ticker, source }
        } else {
            Self::Truncated { ticker, source }
        }
    }
}
