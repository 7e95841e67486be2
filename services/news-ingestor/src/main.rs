//! The news-ingestor service: see the library's page.

use anyhow::Context;
use domain::Universe;
use market_data::{VendorConnection, VendorKeys};
use news_ingestor::{NewsIngestor, NewsSettings, Surroundings};
use service_kit::{Clock, Shutdown};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    service_kit::init_telemetry()?;
    let shutdown = Shutdown::on_signals()
        .context("failed to listen for signals")?
        .token();
    if let Some(ended) = shutdown.run_until_cancelled(run()).await {
        ended?;
    }
    tracing::info!("stopped");
    Ok(())
}

async fn run() -> anyhow::Result<()> {
    let universe: Universe = service_kit::load_settings("universe")?;
    let settings: NewsSettings = service_kit::load_settings("news")?;
    let clock = Clock::from_environment()?;
    let pool = storage::open(service_kit::database_url()?).await?;
    tracing::info!(
        tickers = universe.tickers.len(),
        market_time = %clock.now(),
        speed = clock.speed(),
        "news-ingestor starts"
    );
    let around = Surroundings {
        connection: VendorConnection::from_environment(settings.request_timeout()),
        keys: VendorKeys::from_environment(),
        pool,
        clock,
        listings: universe.tickers,
        models_dir: service_kit::sentiment_dir(),
    };
    NewsIngestor::new(&settings, around)?.run().await
}
