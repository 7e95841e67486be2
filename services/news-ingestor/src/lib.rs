#![doc = include_str!("../README.md")]

mod reader;
mod settings;
mod source;

use std::{path::PathBuf, sync::Arc};

use anyhow::Context;
use chrono::TimeDelta;
use domain::{Listing, Ticker};
use ingestion::{MarketTime, NewsDesk};
use market_data::{
    AlphaVantageClient, FinnhubClient, Gate, GateLimits, NewsApiClient, Vendor, VendorConnection,
    VendorKeys, YahooClient,
};
use service_kit::Clock;
use storage::PgPool;
use tokio::{sync::Notify, task::JoinSet};

pub use self::settings::NewsSettings;
use self::source::{Client, Newsroom, Source};

/// All sources and the reader of their headlines.
pub struct NewsIngestor {
    room: Arc<Newsroom>,
    sources: Vec<Source>,
    models_dir: PathBuf,
    batch: u32,
}

/// What the service needs from outside.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// Where the vendors are.
    pub connection: VendorConnection,
    /// Which of them may be asked.
    pub keys: VendorKeys,
    /// Where the stories go.
    pub pool: PgPool,
    /// What time it is in the market.
    pub clock: Clock,
    /// The stocks concerned.
    pub listings: Vec<Listing>,
    /// Where the sentiment models lie, a folder each.
    pub models_dir: PathBuf,
}

impl NewsIngestor {
    /// Sets up Yahoo, and every other source whose key is there.
    ///
    /// # Errors
    /// When the connection to the vendors cannot be set up.
    pub fn new(settings: &NewsSettings, around: Surroundings) -> anyhow::Result<Self> {
        let sources = sources(settings, &around)?;
        let tickers: Vec<Ticker> = around
            .listings
            .iter()
            .map(|listing| listing.ticker.clone())
            .collect();
        let room = Newsroom {
            desk: NewsDesk::new(around.pool.clone(), &tickers),
            pool: around.pool,
            clock: around.clock,
            listings: around.listings,
            fresh: Notify::new(),
        };
        Ok(Self {
            room: Arc::new(room),
            sources,
            models_dir: around.models_dir,
            batch: settings.batch,
        })
    }

    /// Takes news in, and reads them, until it is dropped.
    ///
    /// # Errors
    /// When a part of it has panicked, or no sentiment model can be used.
    pub async fn run(self) -> anyhow::Result<()> {
        let names: Vec<&str> = self
            .sources
            .iter()
            .map(|source| source.client.source().as_str())
            .collect();
        tracing::info!(
            sources = names.join(", "),
            "news come from {}",
            names.join(", ")
        );
        let mut tasks = JoinSet::new();
        for source in self.sources {
            let room = Arc::clone(&self.room);
            tasks.spawn(async move {
                source::run(source, room).await;
                Ok(())
            });
        }
        tasks.spawn(reader::run(self.room, self.models_dir, self.batch));
        while let Some(ended) = tasks.join_next().await {
            ended.context("a part of the news-ingestor panicked")??;
        }
        Ok(())
    }
}

fn sources(settings: &NewsSettings, around: &Surroundings) -> anyhow::Result<Vec<Source>> {
    let (connection, keys) = (&around.connection, &around.keys);
    let source = |vendor: Vendor, client: Client, per_day: Option<u32>| {
        let (now, speed) = (around.clock.clone(), around.clock.clone());
        let time = MarketTime::new(move || now.now(), move || speed.speed());
        // The day's allowance is counted in the database, which other processes share and a restart does not empty.
        let limits = GateLimits {
            daily_budget: None,
            ..GateLimits::of(vendor)
        };
        Source {
            client,
            gate: Gate::new(vendor.name(), time, limits),
            per_day,
            spacing: settings.spacing(around.listings.len(), per_day),
            lookback: TimeDelta::days(settings.lookback_days.into()),
        }
    };
    let mut sources = vec![source(
        Vendor::Yahoo,
        Client::Yahoo(YahooClient::new(connection)?),
        None,
    )];
    if let Some(key) = keys.news_api.clone() {
        let client = Client::NewsApi(NewsApiClient::new(connection, key)?);
        sources.push(source(
            Vendor::NewsApi,
            client,
            Some(settings.news_api_per_day),
        ));
    }
    if let Some(key) = keys.finnhub.clone() {
        let client = Client::Finnhub(FinnhubClient::new(connection, key)?);
        sources.push(source(Vendor::Finnhub, client, None));
    }
    if let Some(key) = keys.alpha_vantage.clone() {
        let client = Client::AlphaVantage(AlphaVantageClient::new(connection, key)?);
        sources.push(source(
            Vendor::AlphaVantage,
            client,
            Some(settings.alpha_vantage_per_day),
        ));
    }
    Ok(sources)
}
