use calendar::Calendar;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{NewsArticle, Ticker};
use secrecy::SecretString;

use super::parse;
use crate::{
    Asked, ConnectionError, FetchedBars, Vendor, VendorConnection, VendorError,
    http::{Http, Key, KeyPlace},
};

const URL: &str = "https://www.alphavantage.co/query";

/// A client of Alpha Vantage. The free plan has 25 requests a day and one a second.
#[derive(Debug)]
pub struct AlphaVantageClient {
    http: Http,
}

/// The one-minute bars of one ticker in one month.
#[derive(Clone, Debug)]
pub struct MonthRequest {
    /// Whose bars.
    pub ticker: Ticker,
    /// Any New York day of the month.
    pub month_of: NaiveDate,
    /// Market time just before the request is sent, UTC: a minute that has not ended by then is not closed.
    pub as_of: DateTime<Utc>,
    /// How long after its end a minute counts as closed, in market time.
    pub grace: TimeDelta,
}

impl AlphaVantageClient {
    /// Sets the client up; connects to nothing yet.
    ///
    /// # Errors
    /// [`ConnectionError`] for settings that cannot be used.
    pub fn new(connection: &VendorConnection, key: SecretString) -> Result<Self, ConnectionError> {
        let key = Key::new(key, KeyPlace::Query("apikey"));
        let http = Http::new(Vendor::AlphaVantage, connection, Some(key))?;
        Ok(Self { http })
    }

    /// Fetches a month's one-minute bars of regular sessions. Prices are as traded: not adjusted for splits, unlike
    /// Yahoo's, so each is on the share basis of its own day. Splits are not reported along.
    ///
    /// # Errors
    /// [`VendorError`] when the vendor gives no bars.
    pub async fn intraday_bars(
        &self,
        request: &MonthRequest,
        calendar: &Calendar,
    ) -> Result<FetchedBars, VendorError> {
        let month = request.month_of.format("%Y-%m").to_string();
        let query = [
            ("function", "TIME_SERIES_INTRADAY"),
            ("symbol", request.ticker.as_str()),
            ("interval", "1min"),
            ("month", &month),
            ("adjusted", "false"),
            ("extended_hours", "false"),
            ("outputsize", "full"),
        ];
        let asked = Asked::new(Vendor::AlphaVantage, &request.ticker);
        let answer = self.http.get(URL, &query, &asked).await?;
        parse::bars_of(&answer, request, calendar, &asked)
    }

    /// Fetches the stories about a ticker since a moment (UTC), newest first, 200 at most. The vendor's own scores are
    /// left out: every score in Tandem says which model made it.
    ///
    /// # Errors
    /// [`VendorError`] when the vendor gives none; an empty list is none.
    pub async fn news(
        &self,
        ticker: &Ticker,
        since: DateTime<Utc>,
    ) -> Result<Vec<NewsArticle>, VendorError> {
        let since = since.format("%Y%m%dT%H%M").to_string();
        let query = [
            ("function", "NEWS_SENTIMENT"),
            ("tickers", ticker.as_str()),
            ("time_from", &since),
            ("sort", "LATEST"),
            ("limit", "200"),
        ];
        let asked = Asked::new(Vendor::AlphaVantage, ticker);
        let answer = self.http.get(URL, &query, &asked).await?;
        parse::articles_of(&answer, ticker, &asked)
    }

    /// Asks for the newest story about a well-known stock, to see whether Alpha Vantage answers and accepts the key.
    /// Costs a request of the day.
    ///
    /// # Errors
    /// [`VendorError`] when it does not.
    pub async fn check(&self) -> Result<(), VendorError> {
        let Ok(ticker) = Ticker::parse("AAPL") else {
            return Ok(());
        };
        let query = [
            ("function", "NEWS_SENTIMENT"),
            ("tickers", ticker.as_str()),
            ("limit", "1"),
        ];
        let asked = Asked::new(Vendor::AlphaVantage, &ticker);
        let answer = self.http.get(URL, &query, &asked).await?;
        parse::articles_of(&answer, &ticker, &asked).map(|_| ())
    }
}
