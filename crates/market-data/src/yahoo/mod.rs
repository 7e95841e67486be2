//! Yahoo: chart and search endpoints, and the stream of trades.

mod client;
mod daily;
mod error;
mod headlines;
mod parse;
mod pricing;
mod stream;

pub use client::{MAX_AGE, MAX_SPAN, MinuteRequest, YahooClient};
pub use daily::DailyBar;
pub use parse::parse_minute_chart;
pub use pricing::{LiveTrade, PricingData};
pub use stream::{StreamError, YahooStream};

#[cfg(test)]
pub(crate) fn read_headlines(
    answer: &crate::http::Answer,
    ticker: &domain::Ticker,
) -> Result<Vec<domain::NewsArticle>, crate::VendorError> {
    headlines::articles_of(client::read(answer, ticker)?, ticker)
}

#[cfg(test)]
pub(crate) fn read_days(body: &[u8], ticker: &domain::Ticker, calendar: &calendar::Calendar) {
    let Ok(json) = serde_json::from_slice(body) else {
        return;
    };
    if let Ok(chart) = parse::read_chart(&json, ticker, parse::DAY) {
        let _ = daily::daily_bars(&chart, calendar);
        let _ = daily::corporate_actions(&chart.events.changes, ticker, calendar);
    }
}
