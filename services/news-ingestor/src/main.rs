//! The news-ingestor service: see the library's page.

use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use domain::{Listing, Universe};
use market_data::{VendorConnection, VendorKeys};
use news_ingestor::{NewsIngestor, NewsSettings, Surroundings};
use service_kit::{CheckArguments, Clock, SettingsProblems, Shutdown};

/// Brings news of the watched stocks into the database and reads their sentiment.
#[derive(Parser)]
#[command(version, max_term_width = 110, after_help = service_kit::environment_help(&ENVIRONMENT))]
struct Arguments {
    #[command(flatten)]
    check: CheckArguments,
}

/// The variables that it reads beside those of all programs.
const ENVIRONMENT: [&str; 9] = [
    "TANDEM_CONFIG",
    "DATABASE_URL",
    "TANDEM_CLOCK",
    "TANDEM_SENTIMENT_DIR",
    "TANDEM_VENDOR_ADDRESS",
    "TANDEM_VENDOR_CA",
    "ALPHA_VANTAGE_API_KEY",
    "NEWSAPI_API_KEY",
    "FINNHUB_API_KEY",
];

#[tokio::main]
async fn main() -> ExitCode {
    if Arguments::parse().check.check_settings {
        return service_kit::check_settings(Settings::load());
    }
    service_kit::exit_code(run_until_signal().await, |_| false)
}

async fn run_until_signal() -> anyhow::Result<()> {
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

/// Everything that it needs to know from outside.
struct Settings {
    news: NewsSettings,
    listings: Vec<Listing>,
    clock: Clock,
    connection: VendorConnection,
    keys: VendorKeys,
    database_url: String,
}

impl Settings {
    /// Reads the settings file and the environment.
    fn load() -> Result<Self, SettingsProblems> {
        SettingsProblems::collect(|problems| {
            let universe = problems.section::<Universe>();
            let news = problems.section::<NewsSettings>();
            let clock = problems.note(Clock::from_environment());
            let keys = problems.note(VendorKeys::from_environment());
            let database_url = problems.note(service_kit::database_url());
            let (universe, news) = (universe?, news?);
            let connection = VendorConnection::from_environment(news.request_timeout());
            problems.note(connection.check());
            problems.contradiction(connection.check_tickers(&universe.symbols()));
            Some(Self {
                news,
                listings: universe.tickers,
                clock: clock?,
                connection,
                keys: keys?,
                database_url: database_url?,
            })
        })
    }
}

async fn run() -> anyhow::Result<()> {
    let Settings {
        news,
        listings,
        clock,
        connection,
        keys,
        database_url,
    } = Settings::load()?;
    let pool = storage::open(database_url).await?;
    tracing::info!(
        tickers = listings.len(),
        market_time = %clock.now(),
        speed = clock.speed(),
        "news-ingestor starts"
    );
    let around = Surroundings {
        connection,
        keys,
        pool,
        clock,
        listings,
        models_dir: service_kit::sentiment_dir(),
    };
    NewsIngestor::new(&news, around)?.run().await
}
