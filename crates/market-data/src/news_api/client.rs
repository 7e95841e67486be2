use chrono::{DateTime, SecondsFormat, Utc};
use domain::{NewsArticle, Ticker};
use secrecy::SecretString;

use super::parse;
use crate::{
    Asked, ConnectionError, Vendor, VendorConnection, VendorError,
    http::{Http, Key, KeyPlace},
};

const URL: &str = "https://newsapi.org/v2/everything";

/// Stories in one answer, the most that NewsAPI gives. Older ones of the period are on further pages, which the free plan
/// does not have.
const PAGE: &str = "100";

/// A client of NewsAPI. The free plan has stories 24 hours late, one month back, and 100 requests a day.
#[derive(Debug)]
pub struct NewsApiClient {
    http: Http,
}

impl NewsApiClient {
    /// Sets the client up; connects to nothing yet.
    ///
    /// # Errors
    /// [`ConnectionError`] for settings that cannot be used.
    pub fn new(connection: &VendorConnection, key: SecretString) -> Result<Self, ConnectionError> {
        let key = Key::new(key, KeyPlace::Header("X-Api-Key"));
        let http = Http::new(Vendor::NewsApi, connection, Some(key))?;
        Ok(Self { http })
    }

    /// Fetches the newest 100 English stories that hold `words` and appeared between two moments (UTC), newest first.
    /// NewsAPI knows no tickers: they are filed under `ticker`, so `words` should be the company's name, quoted.
    ///
    /// # Errors
    /// [`VendorError`] when NewsAPI gives none; an empty list is none.
    pub async fn articles(
        &self,
        ticker: &Ticker,
        words: &str,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<NewsArticle>, VendorError> {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        let (from, to) = (time(from), time(to));
        let query = [
            ("q", words),
            ("from", &from),
            ("to", &to),
            ("language", "en"),
            ("sortBy", "publishedAt"),
            ("pageSize", PAGE),
        ];
        let asked = Asked::new(Vendor::NewsApi, ticker);
        let answer = self.http.get(URL, &query, &asked).await?;
        parse::articles_of(&answer, ticker, &asked)
    }

    /// Asks for one story, to see whether NewsAPI answers and accepts the key. Costs a request of the day.
    ///
    /// # Errors
    /// [`VendorError`] when it does not.
    pub async fn check(&self) -> Result<(), VendorError> {
        let Ok(ticker) = Ticker::parse("AAPL") else {
            return Ok(());
        };
        let query = [("q", "Apple"), ("pageSize", "1")];
        let asked = Asked::new(Vendor::NewsApi, &ticker);
        let answer = self.http.get(URL, &query, &asked).await?;
        parse::articles_of(&answer, &ticker, &asked).map(|_| ())
    }
}
