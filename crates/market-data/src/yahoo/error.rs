use domain::Ticker;
use yahoo_finance_api::YahooError;

use crate::{Asked, Vendor, VendorError, text::excerpt};

/// A question about a ticker to Yahoo.
pub(crate) fn asked(ticker: &Ticker) -> Asked {
    Asked::new(Vendor::Yahoo, ticker)
}

/// What `yahoo_finance_api` reports, in our words.
pub(crate) fn from_library(error: YahooError, ticker: &Ticker) -> VendorError {
    let asked = asked(ticker);
    match error {
        // The library does not hand out the answer's headers; Yahoo's edge sends no `Retry-After` anyway.
        YahooError::TooManyRequests(_) => VendorError::rate_limited(asked, None),
        YahooError::Unauthorized
        | YahooError::InvalidCrumb
        | YahooError::InvalidCookie
        | YahooError::NoCookies => VendorError::Unauthorised {
            asked,
            detail: error.to_string(),
        },
        YahooError::NoResult | YahooError::NoQuotes => VendorError::NoData { asked },
        YahooError::ServerError(_) | YahooError::EmptyResponse | YahooError::HtmlResponse => {
            VendorError::Server {
                asked,
                detail: error.to_string(),
            }
        }
        // The library keeps a status it does not know by name only in this text.
        YahooError::FetchFailed(text) if text.starts_with("404") => {
            VendorError::UnknownSymbol { asked }
        }
        YahooError::ApiError(message) => from_message(
            message.code.as_deref().unwrap_or_default(),
            message.description.as_deref().unwrap_or_default(),
            asked,
        ),
        YahooError::ConnectionFailed(source) => VendorError::from_network(source, asked),
        YahooError::DeserializeFailed(source) => VendorError::from_json(source, asked),
        other => VendorError::Refused {
            asked,
            detail: excerpt(&other.to_string()),
        },
    }
}

/// The `error` object of a body.
pub(crate) fn from_message(code: &str, description: &str, asked: Asked) -> VendorError {
    let detail = excerpt(description);
    match code {
        "Not Found" => VendorError::UnknownSymbol { asked },
        "Unauthorized" | "Invalid Crumb" => VendorError::Unauthorised { asked, detail },
        "Too Many Requests" => VendorError::rate_limited(asked, None),
        "Unprocessable Entity" => VendorError::Period { asked, detail },
        "Bad Request" if description.starts_with("Data doesn't exist") => {
            VendorError::NoData { asked }
        }
        "Internal Server Error" => VendorError::Server { asked, detail },
        _ => VendorError::Refused {
            asked,
            detail: excerpt(&format!("{code}: {description}")),
        },
    }
}
