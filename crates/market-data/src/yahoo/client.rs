use calendar::Calendar;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use domain::{CorporateAction, NewsArticle, Ticker};
use yahoo_finance_api::{YahooConnector, YahooConnectorBuilder};

use super::{
    daily::{self, DailyBar},
    error::{asked, from_library, from_message},
    headlines,
    parse::{Chart, DAY, MINUTE, bars_of, read_chart},
};
use crate::{
    ConnectionError, FetchedBars, Vendor, VendorConnection, VendorError,
    http::{Answer, Http},
    new_york,
};

/// Longest period of one-minute bars that Yahoo gives in one answer.
pub const MAX_SPAN: TimeDelta = TimeDelta::days(7);

/// Age beyond which Yahoo has no one-minute bars.
pub const MAX_AGE: TimeDelta = TimeDelta::days(30);

const CHART_URL: &str = "https://query1.finance.yahoo.com/v8/finance/chart";
const SEARCH_URL: &str = "https://query2.finance.yahoo.com/v1/finance/search";

/// What is asked to see whether Yahoo can be reached.
const WELL_KNOWN: &str = "AAPL";

/// A client of Yahoo's chart and search endpoints. One is enough for all tickers: it keeps its connections.
pub struct YahooClient {
    /// Asks whether Yahoo answers. Charts are not read through it: for one odd field it throws the whole answer away, and
    /// Yahoo would have to be asked again.
    connector: YahooConnector,
    /// The same client as the connector's.
    http: Http,
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
        let client = connection.client(Vendor::Yahoo)?;
        let connector = YahooConnectorBuilder::build_with_client(client.clone())
            .map_err(|source| ConnectionError::Library { source })?;
        let http = Http::with_client(client);
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
        let json = self
            .chart(&request.ticker, request.start, request.end, MINUTE)
            .await?;
        let chart = read_chart(&json, &request.ticker, MINUTE)?;
        let actions = daily::corporate_actions(&chart.events.changes, &request.ticker, calendar);
        let fetched = bars_of(chart, request.as_of, request.grace, |time| {
            calendar.session_at(time).is_some()
        });
        Ok(FetchedBars { actions, ..fetched })
    }

    /// Fetches the splits, spin-offs and dividends whose ex-date lies between two New York dates, both included,
    /// ascending. Amounts of dividends are per share as counted at the time of the fetch: Yahoo divides them by later
    /// splits.
    ///
    /// # Errors
    /// [`VendorError`] when the vendor gives no chart, also when nothing was traded in the period: an empty list always
    /// means that there were no actions.
    pub async fn corporate_actions(
        &self,
        ticker: &Ticker,
        from: NaiveDate,
        to: NaiveDate,
        calendar: &Calendar,
    ) -> Result<Vec<CorporateAction>, VendorError> {
        let chart = self.daily_chart(ticker, from, to).await?;
        let mut actions = daily::corporate_actions(&chart.events.changes, ticker, calendar);
        actions.retain(|action| (from..=to).contains(&action.ex_date));
        Ok(actions)
    }

    /// Fetches the finished sessions between two New York dates, both included, ascending.
    ///
    /// # Errors
    /// [`VendorError`] when the vendor gives no bars.
    pub async fn daily_bars(
        &self,
        ticker: &Ticker,
        from: NaiveDate,
        to: NaiveDate,
        calendar: &Calendar,
    ) -> Result<Vec<DailyBar>, VendorError> {
        let chart = self.daily_chart(ticker, from, to).await?;
        let mut bars = daily::daily_bars(&chart, calendar);
        bars.retain(|bar| (from..=to).contains(&bar.session));
        Ok(bars)
    }

    /// Fetches the newest stories that Yahoo's search finds for a ticker, as Yahoo orders them. Titles only.
    ///
    /// # Errors
    /// [`VendorError`] when the vendor gives no list of stories; an empty list is none.
    pub async fn headlines(&self, ticker: &Ticker) -> Result<Vec<NewsArticle>, VendorError> {
        let asked = asked(ticker);
        let query = [
            ("q", ticker.as_str()),
            ("newsCount", headlines::COUNT),
            ("quotesCount", "0"),
        ];
        let answer = self.http.get(SEARCH_URL, &query, &asked).await?;
        headlines::articles_of(read(&answer, ticker)?, ticker)
    }

    /// Asks for a few days of a well-known stock, to see whether Yahoo answers; once more where Yahoo is out of order.
    ///
    /// # Errors
    /// [`VendorError`] when it does not.
    pub async fn check(&self) -> Result<(), VendorError> {
        let Ok(ticker) = Ticker::parse(WELL_KNOWN) else {
            return Ok(());
        };
        let answer = self
            .connector
            .get_quote_range(ticker.as_str(), DAY, "5d")
            .await;
        answer
            .map(|_| ())
            .map_err(|error| from_library(error, &ticker))
    }

    async fn daily_chart(
        &self,
        ticker: &Ticker,
        from: NaiveDate,
        to: NaiveDate,
    ) -> Result<Chart, VendorError> {
        let after = to.checked_add_days(Days::new(1));
        let period = new_york::midnight(from).zip(after.and_then(new_york::midnight));
        let Some((start, end)) = period.filter(|(start, end)| start < end) else {
            let detail = format!("{from} to {to} cannot be asked for");
            return Err(VendorError::Period {
                asked: asked(ticker),
                detail,
            });
        };
        let json = self.chart(ticker, start, end, DAY).await?;
        read_chart(&json, ticker, DAY)
    }

    async fn chart(
        &self,
        ticker: &Ticker,
        start: DateTime<Utc>,
        end: DateTime<Utc>,
        interval: &'static str,
    ) -> Result<serde_json::Value, VendorError> {
        let (start, end) = (start.timestamp().to_string(), end.timestamp().to_string());
        let query = [
            ("period1", start.as_str()),
            ("period2", end.as_str()),
            ("interval", interval),
            ("events", "div|split"),
        ];
        let answer = self
            .http
            .get(&format!("{CHART_URL}/{ticker}"), &query, &asked(ticker))
            .await?;
        read(&answer, ticker)
    }
}

/// The answer as JSON, whose `error` says more than the status. A status without such words speaks for itself.
pub(crate) fn read<T: serde::de::DeserializeOwned>(
    answer: &Answer,
    ticker: &Ticker,
) -> Result<T, VendorError> {
    let asked = asked(ticker);
    if let Some(refusal) = answer.refusal(&asked, "") {
        let said = answer.json::<serde_json::Value>(&asked).ok();
        let error = said.as_ref().and_then(|json| {
            let roots = ["chart", "finance", "quoteSummary"];
            roots
                .iter()
                .find_map(|root| json[root]["error"].as_object())
        });
        let word = |name: &str| error.and_then(|error| error.get(name)?.as_str());
        let worded = word("code")
            .map(|code| from_message(code, word("description").unwrap_or_default(), asked.clone()));
        return Err(match (worded, refusal) {
            (Some(worded), VendorError::Refused { .. }) => worded,
            // Words that mean nothing to us leave it at the status.
            (Some(worded), _) if !matches!(worded, VendorError::Refused { .. }) => worded,
            // A session, not a key: Yahoo has none.
            (_, VendorError::KeyRefused { asked, detail }) => {
                VendorError::Unauthorised { asked, detail }
            }
            (_, refusal) => refusal,
        });
    }
    answer.json(&asked)
}
