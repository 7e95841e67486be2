use std::{fmt, time::Duration};

use crate::Vendor;

/// How long to leave a vendor alone after a first 429 that does not say. Yahoo's can stay for hours: the gate doubles
/// the pause each time.
pub(crate) const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(30);

/// Longest pause that is believed when a vendor names one.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 3600);

/// What was asked of whom: part of every message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The vendor.
    pub vendor: Vendor,
    /// The ticker or series.
    pub subject: String,
}

impl Asked {
    /// A question about `subject`, such as a ticker, to a vendor.
    pub fn new(vendor: Vendor, subject: &impl ToString) -> Self {
        Self {
            vendor,
            subject: subject.to_string(),
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} about {}", self.vendor, self.subject)
    }
}

/// A vendor gave no data. No message holds an API key or an address that does.
#[derive(Debug, thiserror::Error)]
pub enum VendorError {
    /// Too many requests, by status 429 or in a body, also where a crumb was expected.
    #[error("{} limits our requests, asked for {}", .asked.vendor, .asked.subject)]
    RateLimited {
        /// What was asked.
        asked: Asked,
        /// How long to wait, in market time.
        retry_after: Duration,
    },
    /// The plan's requests of the day are used up.
    #[error("{} gives no more today, asked for {}: the plan's daily requests are used up", .asked.vendor, .asked.subject)]
    BudgetSpent {
        /// What was asked.
        asked: Asked,
    },
    /// There is no API key, or the vendor does not accept it.
    #[error("{} refuses the API key, asked for {}: {detail}", .asked.vendor, .asked.subject)]
    KeyRefused {
        /// What was asked.
        asked: Asked,
        /// The vendor's words.
        detail: String,
    },
    /// Yahoo wants another cookie or crumb.
    #[error("{} refuses the session (401), asked for {}: {detail}", .asked.vendor, .asked.subject)]
    Unauthorised {
        /// What was asked.
        asked: Asked,
        /// What was refused.
        detail: String,
    },
    /// No such ticker or series: 404, or Yahoo's 200 that describes a fund without currency.
    #[error(
        "{} does not know {}: check its spelling in the settings, or it was delisted",
        .asked.vendor, .asked.subject
    )]
    UnknownSymbol {
        /// What was asked.
        asked: Asked,
    },
    /// The ticker exists and nothing was traded in the period, in any of the shapes that Yahoo has for this.
    #[error("{} has no data of {} in the period", .asked.vendor, .asked.subject)]
    NoData {
        /// What was asked.
        asked: Asked,
    },
    /// The answer holds another interval than asked for.
    #[error(
        "{} answered {} with bars of {found:?} where {interval} was asked for",
        .asked.vendor, .asked.subject
    )]
    Granularity {
        /// What was asked.
        asked: Asked,
        /// The interval asked for.
        interval: &'static str,
        /// What came.
        found: String,
    },
    /// The period is longer or older than the vendor gives out.
    #[error("{} refuses the period asked for {}: {detail}", .asked.vendor, .asked.subject)]
    Period {
        /// What was asked.
        asked: Asked,
        /// The vendor's words.
        detail: String,
    },
    /// The arrays of prices and times differ in length, so that no row can be trusted.
    #[error("{}'s columns of {} do not line up: {lengths}", .asked.vendor, .asked.subject)]
    Ragged {
        /// What was asked.
        asked: Asked,
        /// The columns and their lengths.
        lengths: String,
    },
    /// The bars do not say whether their times are starts or ends.
    #[error(
        "{}'s bars of {} hold neither an open nor a close of a session: whether they are stamped at start or end is \
         unknown",
        .asked.vendor, .asked.subject
    )]
    Stamps {
        /// What was asked.
        asked: Asked,
    },
    /// Another refusal.
    #[error("{} refuses the request for {}: {detail}", .asked.vendor, .asked.subject)]
    Refused {
        /// What was asked.
        asked: Asked,
        /// The vendor's words.
        detail: String,
    },
    /// A 5xx, an empty body or a page for people instead of data.
    #[error("{} is out of order, asked for {}: {detail}", .asked.vendor, .asked.subject)]
    Server {
        /// What was asked.
        asked: Asked,
        /// What came instead.
        detail: String,
    },
    /// No answer in time.
    #[error("{} did not answer in time, asked for {}", .asked.vendor, .asked.subject)]
    Timeout {
        /// What was asked.
        asked: Asked,
    },
    /// No connection, or one that broke.
    #[error("failed to reach {} for {}", .asked.vendor, .asked.subject)]
    Connection {
        /// What was asked.
        asked: Asked,
        /// The network's reason, without the address.
        source: reqwest::Error,
    },
    /// The answer breaks off or is no JSON.
    #[error("{}'s answer for {} is cut off or no JSON", .asked.vendor, .asked.subject)]
    Truncated {
        /// What was asked.
        asked: Asked,
        /// The parser's reason.
        source: serde_json::Error,
    },
    /// The answer is whole and of an unknown shape.
    #[error("{}'s answer for {} has an unknown shape: {detail}", .asked.vendor, .asked.subject)]
    Shape {
        /// What was asked.
        asked: Asked,
        /// What is odd.
        detail: String,
    },
}

impl VendorError {
    /// What was asked of whom.
    pub const fn asked(&self) -> &Asked {
        match self {
            Self::RateLimited { asked, .. }
            | Self::BudgetSpent { asked }
            | Self::KeyRefused { asked, .. }
            | Self::Unauthorised { asked, .. }
            | Self::UnknownSymbol { asked }
            | Self::NoData { asked }
            | Self::Granularity { asked, .. }
            | Self::Period { asked, .. }
            | Self::Ragged { asked, .. }
            | Self::Stamps { asked }
            | Self::Refused { asked, .. }
            | Self::Server { asked, .. }
            | Self::Timeout { asked }
            | Self::Connection { asked, .. }
            | Self::Truncated { asked, .. }
            | Self::Shape { asked, .. } => asked,
        }
    }

    /// Whether the same request may succeed later, without anybody's doing.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::RateLimited { .. }
            | Self::BudgetSpent { .. }
            | Self::Unauthorised { .. }
            | Self::Ragged { .. }
            | Self::Server { .. }
            | Self::Timeout { .. }
            | Self::Connection { .. }
            | Self::Truncated { .. } => true,
            Self::KeyRefused { .. }
            | Self::UnknownSymbol { .. }
            | Self::NoData { .. }
            | Self::Granularity { .. }
            | Self::Period { .. }
            | Self::Stamps { .. }
            | Self::Refused { .. }
            | Self::Shape { .. } => false,
        }
    }

    /// Whether the vendor itself is in trouble, whatever it was asked: counts towards closing its [`Gate`](crate::Gate).
    pub const fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Server { .. } | Self::Timeout { .. } | Self::Connection { .. }
        )
    }

    /// How long all requests to the vendor should wait, in market time, when that is what the vendor wants.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// What a person can do about it, where there is something to do.
    pub fn remedy(&self) -> Option<String> {
        let remedy = match self {
            Self::KeyRefused { asked, .. } => {
                let variable = asked.vendor.key_variable()?;
                let page = match asked.vendor {
                    Vendor::AlphaVantage => "https://www.alphavantage.co/support/#api-key",
                    Vendor::NewsApi => "https://newsapi.org/register",
                    Vendor::Finnhub => "https://finnhub.io/register",
                    Vendor::Fred => "https://fred.stlouisfed.org/docs/api/api_key.html",
                    Vendor::Yahoo => return None,
                };
                format!("set {variable} to a valid key ({page}) or unset it to do without")
            }
            Self::BudgetSpent { .. } => {
                "wait for the next day, or use a key of a larger plan".to_owned()
            }
            Self::RateLimited { .. } => {
                "wait: the limit passes, at Yahoo after up to some hours".to_owned()
            }
            Self::Timeout { .. } | Self::Connection { .. } => {
                "check the network, a proxy (HTTPS_PROXY), TANDEM_VENDOR_ADDRESS and TANDEM_VENDOR_CA"
                    .to_owned()
            }
            Self::Server { .. } | Self::Unauthorised { .. } | Self::Truncated { .. } => {
                "try again later".to_owned()
            }
            Self::UnknownSymbol { .. } => "correct [universe] or [economy] in the settings".to_owned(),
            _ => return None,
        };
        Some(remedy)
    }

    pub(crate) fn rate_limited(asked: Asked, retry_after: Option<Duration>) -> Self {
        Self::RateLimited {
            asked,
            retry_after: retry_after
                .unwrap_or(RATE_LIMIT_PAUSE)
                .clamp(Duration::from_secs(1), LONGEST_RETRY_AFTER),
        }
    }

    pub(crate) fn from_network(source: reqwest::Error, asked: Asked) -> Self {
        if source.is_timeout() {
            Self::Timeout { asked }
        } else {
            let source = source.without_url();
            Self::Connection { asked, source }
        }
    }

    pub(crate) fn from_json(source: serde_json::Error, asked: Asked) -> Self {
        if source.is_data() {
            let detail = crate::text::excerpt(&source.to_string());
            Self::Shape { asked, detail }
        } else {
            Self::Truncated { asked, source }
        }
    }
}
