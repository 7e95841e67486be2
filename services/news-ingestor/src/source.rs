//! One task for each source: asks about one stock after the other, for as long as the process lives.

use std::{error::Error, sync::Arc};

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use domain::{Listing, NewsArticle, NewsSource};
use ingestion::{IngestError, NewsDesk, NewsReport};
use market_data::{
    AlphaVantageClient, ClosedReason, FinnhubClient, Gate, GateClosed, NewsApiClient, VendorError,
    YahooClient,
};
use service_kit::Clock;
use storage::{PgPool, StorageError};
use tokio::sync::Notify;

/// A source that refuses our key is asked again after this span of market time.
const REFUSED_PAUSE: TimeDelta = TimeDelta::hours(1);

/// Where headlines come from.
pub(crate) enum Client {
    Yahoo(YahooClient),
    NewsApi(NewsApiClient),
    Finnhub(FinnhubClient),
    AlphaVantage(AlphaVantageClient),
}

/// A source with its own rate, schedule and allowance.
pub(crate) struct Source {
    pub(crate) client: Client,
    pub(crate) gate: Gate,
    /// Requests a day, whoever sends them; `None` for no such limit.
    pub(crate) per_day: Option<u32>,
    /// Between two requests, market time.
    pub(crate) spacing: TimeDelta,
    /// How far back it is asked.
    pub(crate) lookback: TimeDelta,
}

/// What the sources share.
pub(crate) struct Newsroom {
    pub(crate) desk: NewsDesk,
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    /// Never empty.
    pub(crate) listings: Vec<Listing>,
    /// Wakes who reads new stories.
    pub(crate) fresh: Notify,
}

/// Why a stock could not be asked about.
enum Trouble {
    Vendor(VendorError),
    Closed(GateClosed),
    /// The day's allowance is used up, by this process or another.
    Spent,
    Database(IngestError),
}

/// What was last said of a source in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    #[default]
    Good,
    Failing,
    Refused,
    Spent,
}

impl Client {
    pub(crate) const fn source(&self) -> NewsSource {
        match self {
            Self::Yahoo(_) => NewsSource::Yahoo,
            Self::NewsApi(_) => NewsSource::NewsApi,
            Self::Finnhub(_) => NewsSource::Finnhub,
            Self::AlphaVantage(_) => NewsSource::AlphaVantage,
        }
    }

    async fn headlines(
        &self,
        listing: &Listing,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Result<Vec<NewsArticle>, VendorError> {
        let ticker = &listing.ticker;
        match self {
            Self::Yahoo(client) => client.headlines(ticker).await,
            Self::NewsApi(client) => {
                client
                    .articles(ticker, &search_words(&listing.name), from, to)
                    .await
            }
            Self::Finnhub(client) => {
                let (from, to) = (from.date_naive(), to.date_naive());
                client.company_news(ticker, from, to).await
            }
            Self::AlphaVantage(client) => client.news(ticker, from).await,
        }
    }
}

/// Asks about one stock after the other until it is dropped.
pub(crate) async fn run(source: Source, room: Arc<Newsroom>) {
    let mut standing = Standing::Good;
    let mut place = first_place(&source, &room).await;
    while let Some(listing) = room.listings.get(place % room.listings.len().max(1)) {
        let result = ask(&source, &room, listing).await;
        let now = room.clock.now();
        let next = now + source.spacing;
        let next = match &result {
            Err(Trouble::Closed(closed)) => next.max(closed.until),
            Err(Trouble::Spent) => next.max(next_midnight(now)),
            Err(Trouble::Vendor(VendorError::KeyRefused { .. })) => next.max(now + REFUSED_PAUSE),
            _ => next,
        };
        standing = log(source.client.source(), standing, &result, next);
        // A closed gate sent nothing: the same stock is next.
        if !matches!(result, Err(Trouble::Closed(_) | Trouble::Spent)) {
            place += 1;
        }
        room.clock.sleep_until(next).await;
    }
}

/// NewsAPI knows no tickers, and many a company's name is an ordinary word.
fn search_words(name: &str) -> String {
    format!(
        "\"{}\" AND (stock OR shares OR earnings)",
        name.replace('"', "")
    )
}

/// Goes on about where it stopped before a restart, so that a source with few requests a day reaches every stock.
async fn first_place(source: &Source, room: &Newsroom) -> usize {
    let (vendor, day) = (
        source.client.source().as_str(),
        room.clock.now().date_naive(),
    );
    match storage::requests_spent(&room.pool, vendor, day).await {
        Ok(spent) => spent as usize,
        // The first request will say so.
        Err(_) => 0,
    }
}

async fn ask(source: &Source, room: &Newsroom, listing: &Listing) -> Result<NewsReport, Trouble> {
    let turn = source.gate.turn().await.map_err(Trouble::Closed)?;
    let now = room.clock.now();
    let vendor = source.client.source().as_str();
    storage::spend_request(&room.pool, vendor, now.date_naive(), source.per_day)
        .await?
        .ok_or(Trouble::Spent)?;
    let answer = source
        .client
        .headlines(listing, now - source.lookback, now)
        .await;
    source.gate.note(&answer);
    drop(turn);
    let articles = match answer {
        Ok(articles) => articles,
        // About this stock there is nothing; the source is well.
        Err(VendorError::NoData { .. } | VendorError::UnknownSymbol { .. }) => Vec::new(),
        Err(error) => return Err(Trouble::Vendor(error)),
    };
    let ticker = &listing.ticker;
    let report = room
        .desk
        .take_in(ticker, articles, room.clock.now())
        .await
        .map_err(Trouble::Database)?;
    if report.stored > 0 {
        room.fresh.notify_one();
    }
    tracing::debug!(
        instrument.symbol = ticker.as_str(),
        source = vendor,
        articles = report.articles,
        stored = report.stored,
        merged = report.merged,
        "asked {vendor} about {ticker}"
    );
    Ok(report)
}

/// The source understands and says no.
const fn is_refusal(error: &VendorError) -> bool {
    !error.is_retryable()
}

fn next_midnight(now: DateTime<Utc>) -> DateTime<Utc> {
    now.date_naive()
        .succ_opt()
        .map_or(now, |tomorrow| tomorrow.and_time(NaiveTime::MIN).and_utc())
}

/// Says once what is wrong with a source, and once that it is well again.
fn log(
    source: NewsSource,
    before: Standing,
    result: &Result<NewsReport, Trouble>,
    next: DateTime<Utc>,
) -> Standing {
    let standing = match result {
        Ok(_) => Standing::Good,
        Err(Trouble::Spent | Trouble::Vendor(VendorError::BudgetSpent { .. })) => Standing::Spent,
        Err(Trouble::Closed(GateClosed {
            reason: ClosedReason::Budget,
            ..
        })) => Standing::Spent,
        // It closed because of failures that are in the log.
        Err(Trouble::Closed(_)) => before,
        Err(Trouble::Vendor(error)) if is_refusal(error) => Standing::Refused,
        Err(Trouble::Vendor(_) | Trouble::Database(_)) => Standing::Failing,
    };
    if standing == before {
        return standing;
    }
    let name = source.as_str();
    match (standing, result) {
        (Standing::Good, _) => tracing::info!(source = name, "{name} gives news again"),
        (Standing::Spent, _) => tracing::info!(
            source = name,
            until = %next,
            "the day's requests to {name} are used up: it is asked again at {next}"
        ),
        (Standing::Refused, Err(Trouble::Vendor(error))) => tracing::error!(
            source = name,
            cause = error.source(),
            remedy = error.remedy(),
            "{error}; the other sources go on"
        ),
        (_, Err(Trouble::Vendor(error))) => tracing::warn!(
            source = name,
            cause = error.source(),
            "{error}; trying again, and the other sources go on"
        ),
        (_, Err(Trouble::Database(error))) => tracing::warn!(
            source = name,
            error = error as &dyn Error,
            "news of {name} cannot be stored; trying again"
        ),
        (_, _) => (),
    }
    standing
}

impl From<StorageError> for Trouble {
    fn from(error: StorageError) -> Self {
        Self::Database(error.into())
    }
}
