use chrono::NaiveDate;
use domain::{NewsArticle, Ticker};
use secrecy::SecretString;

use super::parse;
use crate::{
    Asked, ConnectionError, Vendor, VendorConnection, VendorError,
    http::{Http, Key, KeyPlace},
};

const URL: &str = "https://finnhub.io/api/v1/company-news";

/// A client of Finnhub. The free plan has a year of news of North American companies and 60 requests a minute.
#[derive(Debug)]
pub struct FinnhubClient {
    http: Http,
}

impl FinnhubClient {
    /// Sets the client up; connects to nothing yet.
    ///
    /// # Errors
    /// [`ConnectionError`] for settings that cannot be used.
    pub fn new(connection: &VendorConnection, key: SecretString) -> Result<Self, ConnectionError> {
        let key = Key::new(key, KeyPlace::Header("X-Finnhub-Token"));
        let http = Http::new(Vendor::Finnhub, connection, Some(key))?;
        Ok(Self { http })
    }

    /// Fetches a company's stories of the days from one UTC date to another, both included. A headline may come under
    /// several ids, and under a company that it is not about.
    ///
    /// # Errors
    /// [`VendorError`] when Finnhub gives none; an empty list is none.
    pub async fn company_news(
        &self,
        ticker: &Ticker,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Vec<NewsArticle>, VendorError> {
        let (from, to) = (from.to_string(), to.to_string());
        let query = [("symbol", ticker.as_str()), ("from", &from), ("to", &to)];
        let asked = Asked::new(Vendor::Finnhub, ticker);
        let answer = self.http.get(URL, &query, &asked).await?;
        parse::articles_of(&answer, ticker, &asked)
    }

    /// Asks for a company's stories of one day, to see whether Finnhub answers and accepts the key.
    ///
    /// # Errors
    /// [`VendorError`] when it does not.
    pub async fn check(&self, day: NaiveDate) -> Result<(), VendorError> {
        let Ok(ticker) = Ticker::parse("AAPL") else {
            return Ok(());
        };
        self.company_news(&ticker, day, day).await.map(|_| ())
    }
}
