use calendar::Calendar;
use chrono::{DateTime, TimeDelta, Utc};
use domain::Ticker;
use yahoo_finance_api::{YahooConnector, YahooConnectorBuilder, time::OffsetDateTime};

use super::{
    error::VendorError,
    parse::{MINUTE, bars_of, read_chart},
};
use crate::{ConnectionError, FetchedBars, VendorConnection};

/// Longest period of one-minute bars that Yahoo gives in one answer.
pub const MAX_SPAN: TimeDelta = TimeDelta::days(7);

/// Age beyond which Yahoo has no one-minute bars.
pub const MAX_AGE: TimeDelta = TimeDelta::days(30);

const CHART_URL: &str = "https://query1.finance.yahoo.com/v8/finance/chart";

/// A client of Yahoo's chart endpoint. One is enough for all tickers: it keeps its connections.
pub struct YahooClient {
    connector: YahooConnector,
    /// The same client as the connector's, for [`YahooClient::raw_chart`].
    http: reqwest::Client,
}

/// One-minute bars of one ticker.
#[derive(Clone, Debug)]
pub struct MinuteRequest {
    /// Whose bars.
    pub ticker: Ticker,
    /// First moment, UTC; at most [`MAX_AGE`] before `as_of`.
    pub start: DateTime<Utc>,
    /// Last moment, UTC, at most [`MAX_SPAN`] after `start`; may lie ahead of `as_of`.
    pub end: DateTime<Utc>,
    /// Market time just before the request is sent, UTC: a minute that has not ended by then is not closed.
    pub as_of: DateTime<Utc>,
    /// How long after its end a minute counts as closed, in market time.
    pub grace: TimeDelta,
}

impl YahooClient {
    /// Sets the client up; connects to nothing yet.
    ///
    /// # Errors
    /// [`ConnectionError`] for settings that cannot be used.
    pub fn new(connection: &VendorConnection) -> Result<Self, ConnectionError> {
        let http = connection.client()?;
        let connector = YahooConnectorBuilder::build_with_client(http.clone())
            .map_err(|source| ConnectionError::Library { source })?;
        Ok(Self { connector, http })
    }

    /// Fetches the one-minute bars of a period and sorts them into closed, forming and rejected.
    ///
    /// # Errors
    /// [`VendorError`] when the vendor gives no bars.
    pub async fn minute_bars(
        &self,
        request: &MinuteRequest,
        calendar: &Calendar,
    ) -> Result<FetchedBars, VendorError> {
        let json = self.chart(request).await?;
        let chart = read_chart(json, &request.ticker, MINUTE)?;
        Ok(bars_of(chart, request.as_of, request.grace, |time| {
            calendar.session_at(time).is_some()
        }))
    }

    /// The chart as JSON. The crate's own reading (`YResponse::quotes`) drops what the closing rules need: it hides rows
    /// without a close, writes zero for a missing open, and refuses ragged answers without saying so. Its raw response
    /// is therefore handed on as the JSON that it mirrors.
    async fn chart(&self, request: &MinuteRequest) -> Result<serde_json::Value, VendorError> {
        let ticker = &request.ticker;
        let (Ok(start), Ok(end)) = (
            OffsetDateTime::from_unix_timestamp(request.start.timestamp()),
            OffsetDateTime::from_unix_timestamp(request.end.timestamp()),
        ) else {
            let detail = format!("{} to {} cannot be asked for", request.start, request.end);
            return Err(VendorError::Period {
                ticker: ticker.clone(),
                detail,
            });
        };
        let answer = self
            .connector
            .get_quote_history_interval(ticker.as_str(), start, end, MINUTE)
            .await;
        match answer.map_err(|error| VendorError::from_yahoo(error, ticker)) {
            Ok(response) => serde_json::to_value(response)
                .map_err(|source| VendorError::from_json(source, ticker.clone())),
            Err(VendorError::Shape { .. }) => self.raw_chart(request).await,
            Err(error) => Err(error),
        }
    }

    /// The same question once more without the crate. Its metadata type demands fields that Yahoo leaves out for a
    /// misspelt symbol (`fullExchangeName`, `hasPrePostMarketData`) and throws the answer away with them.
    async fn raw_chart(&self, request: &MinuteRequest) -> Result<serde_json::Value, VendorError> {
        let ticker = &request.ticker;
        let network = |source| VendorError::from_network(source, ticker.clone());
        let response = self
            .http
            .get(format!("{CHART_URL}/{ticker}"))
            .query(&[
                ("period1", request.start.timestamp()),
                ("period2", request.end.timestamp()),
            ])
            .query(&[("interval", MINUTE), ("events", "div|split|capitalGains")])
            .send()
            .await
            .map_err(network)?;
        let status = response.status();
        if status == reqwest::StatusCode::TOO_MANY_REQUESTS {
            return Err(VendorError::RateLimited {
                ticker: ticker.clone(),
            });
        }
        if !status.is_success() {
            return Err(VendorError::Server {
                ticker: ticker.clone(),
                detail: status.to_string(),
            });
        }
        let body = response.bytes().await.map_err(network)?;
        serde_json::from_slice(&body)
            .map_err(|source| VendorError::from_json(source, ticker.clone()))
    }
}
