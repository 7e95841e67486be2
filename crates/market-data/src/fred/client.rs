use chrono::{Days, NaiveDate};
use domain::SeriesId;
use secrecy::SecretString;

use super::{
    models::{FredObservation, ObservationsAnswer, VintageDatesAnswer},
    parse,
};
use crate::{
    Asked, ConnectionError, Vendor, VendorConnection, VendorError,
    http::{Http, Key, KeyPlace},
};

const API: &str = "https://api.stlouisfed.org/fred";
const GRAPH: &str = "https://fred.stlouisfed.org/graph/fredgraph.csv";

/// The ends of FRED's real time: everything that it ever said.
const FIRST_DAY: &str = "1776-07-04";
const LAST_DAY: &str = "9999-12-31";

/// Observations in one answer, at most.
const PAGE: usize = 100_000;

/// Vintages that one answer may span, at most; daily series have more than twice as many.
const VINTAGES: usize = 2_000;

/// Vintage dates in one answer, at most.
const VINTAGE_PAGE: usize = 10_000;

/// More pages than any series fills: a vendor that always says "there is more" must not keep us for ever.
const PAGES: usize = 50;

/// What is asked to see whether FRED can be reached: short, and there for good.
const WELL_KNOWN: &str = "FEDFUNDS";

/// A client of FRED's JSON API, which wants a key, and of the CSV behind its graphs, which does not.
#[derive(Debug)]
pub struct FredClient {
    http: Http,
}

impl FredClient {
    /// Sets the client up; connects to nothing yet. Without a key only [`FredClient::graph`] answers.
    ///
    /// # Errors
    /// [`ConnectionError`] for settings that cannot be used.
    pub fn new(
        connection: &VendorConnection,
        key: Option<SecretString>,
    ) -> Result<Self, ConnectionError> {
        let key = key.map(|secret| Key::new(secret, KeyPlace::Query("api_key")));
        let http = Http::new(Vendor::Fred, connection, key)?;
        Ok(Self { http })
    }

    /// Whether there is a key, and so vintages.
    pub const fn has_key(&self) -> bool {
        self.http.has_key()
    }

    /// Fetches every vintage of every value, ordered by vintage within each period. Two requests or three where a series
    /// has more vintages than FRED gives out at once.
    ///
    /// # Errors
    /// [`VendorError`] when FRED gives none; [`VendorError::KeyRefused`] without a key.
    pub async fn observations(
        &self,
        series: &SeriesId,
    ) -> Result<Vec<FredObservation>, VendorError> {
        match self.span(series, FIRST_DAY, LAST_DAY).await {
            Err(VendorError::Period { .. }) => self.observations_in_spans(series).await,
            rows => rows.map(parse::without_repeats),
        }
    }

    /// Fetches the vintages that began on or after a day, ordered by vintage within each period: what to ask for daily.
    ///
    /// # Errors
    /// As [`FredClient::observations`].
    pub async fn observations_since(
        &self,
        series: &SeriesId,
        since: NaiveDate,
    ) -> Result<Vec<FredObservation>, VendorError> {
        // FRED cuts what began earlier to the first day asked for. With one day more, such rows can be told apart.
        let start = since.checked_sub_days(Days::new(1)).unwrap_or(since);
        let mut rows = self.span(series, &start.to_string(), LAST_DAY).await?;
        rows.retain(|row| row.realtime_start.is_some_and(|first| first >= since));
        Ok(rows)
    }

    /// Fetches the newest vintage of every value, from the CSV behind the graph. It says nothing of releases.
    ///
    /// # Errors
    /// [`VendorError`] when FRED gives none.
    pub async fn graph(&self, series: &SeriesId) -> Result<Vec<FredObservation>, VendorError> {
        let asked = Asked::new(Vendor::Fred, series);
        let query = [("id", series.as_str())];
        let answer = self.http.get_openly(GRAPH, &query, &asked).await?;
        if let Some(refusal) = answer.refusal(&asked, "") {
            return Err(refusal);
        }
        parse::graph(&answer.body, series, &asked)
    }

    /// Asks for a short series, with the key where there is one, to see whether FRED answers.
    ///
    /// # Errors
    /// [`VendorError`] when it does not.
    pub async fn check(&self) -> Result<(), VendorError> {
        let Ok(series) = SeriesId::parse(WELL_KNOWN) else {
            return Ok(());
        };
        if !self.has_key() {
            return self.graph(&series).await.map(|_| ());
        }
        let asked = Asked::new(Vendor::Fred, &series);
        let query = [
            ("series_id", WELL_KNOWN),
            ("file_type", "json"),
            ("limit", "1"),
        ];
        let url = format!("{API}/series/observations");
        let answer = self.http.get(&url, &query, &asked).await?;
        parse::read::<ObservationsAnswer>(&answer, &asked).map(|_| ())
    }

    /// As many requests as keep each below the vintages that FRED gives out at once.
    async fn observations_in_spans(
        &self,
        series: &SeriesId,
    ) -> Result<Vec<FredObservation>, VendorError> {
        let dates = self.vintage_dates(series).await?;
        let mut rows = Vec::new();
        for (place, span) in dates.chunks(VINTAGES).enumerate() {
            let start = span.first().map_or_else(String::new, ToString::to_string);
            let next = dates.get((place + 1) * VINTAGES);
            let end = next
                .and_then(|next| next.checked_sub_days(Days::new(1)))
                .map_or_else(|| LAST_DAY.to_owned(), |end| end.to_string());
            rows.extend(self.span(series, &start, &end).await?);
        }
        Ok(parse::without_repeats(rows))
    }

    /// What FRED said about all periods from one day to another.
    async fn span(
        &self,
        series: &SeriesId,
        start: &str,
        end: &str,
    ) -> Result<Vec<FredObservation>, VendorError> {
        let asked = self.asked_with_key(series)?;
        let url = format!("{API}/series/observations");
        let (mut rows, mut sent) = (Vec::new(), 0);
        for page in 0..PAGES {
            let (limit, offset) = (PAGE.to_string(), (page * PAGE).to_string());
            let query = [
                ("series_id", series.as_str()),
                ("file_type", "json"),
                ("output_type", "1"),
                ("realtime_start", start),
                ("realtime_end", end),
                ("limit", &limit),
                ("offset", &offset),
            ];
            let answer = self.http.get(&url, &query, &asked).await?;
            let answer: ObservationsAnswer = parse::read(&answer, &asked)?;
            rows.extend(parse::observations(series, &answer.observations, &asked)?);
            sent += answer.observations.len();
            if answer.observations.is_empty() || sent >= answer.count {
                return Ok(rows);
            }
        }
        Err(VendorError::Shape {
            asked,
            detail: format!("it goes on after {PAGES} pages"),
        })
    }

    /// The days on which the series was published or revised, ascending.
    async fn vintage_dates(&self, series: &SeriesId) -> Result<Vec<NaiveDate>, VendorError> {
        let asked = self.asked_with_key(series)?;
        let url = format!("{API}/series/vintagedates");
        let mut dates: Vec<NaiveDate> = Vec::new();
        for page in 0..PAGES {
            let (limit, offset) = (VINTAGE_PAGE.to_string(), (page * VINTAGE_PAGE).to_string());
            let query = [
                ("series_id", series.as_str()),
                ("file_type", "json"),
                ("realtime_start", FIRST_DAY),
                ("realtime_end", LAST_DAY),
                ("limit", &limit),
                ("offset", &offset),
            ];
            let answer = self.http.get(&url, &query, &asked).await?;
            let answer: VintageDatesAnswer = parse::read(&answer, &asked)?;
            let sent = answer.vintage_dates.len();
            dates.extend(answer.vintage_dates);
            if sent == 0 || dates.len() >= answer.count {
                break;
            }
        }
        dates.sort_unstable();
        dates.dedup();
        Ok(dates)
    }

    fn asked_with_key(&self, series: &SeriesId) -> Result<Asked, VendorError> {
        let asked = Asked::new(Vendor::Fred, series);
        if self.has_key() {
            return Ok(asked);
        }
        let detail = "there is none, and vintages need one".to_owned();
        Err(VendorError::KeyRefused { asked, detail })
    }
}
