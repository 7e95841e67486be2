//! The stand-in for the vendors: see the crate's README.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::Context;
use chrono::NaiveDate;
use clap::Parser;
use domain::Ticker;
use market_sim::{
    Certificates, Economy, FaultScript, Market, News, Server, Simulator,
    market::{Actions, Basis, OfficialDays},
};
use service_kit::{Clock, Shutdown};

/// Stands in for the vendors: serves recorded or invented prices, headlines and economic series in their own formats,
/// over TLS.
///
/// Programs that have TANDEM_VENDOR_ADDRESS and TANDEM_VENDOR_CA set as here reach the simulator instead of the vendors and
/// cannot tell the difference. What it answers depends on the market's time (TANDEM_CLOCK): bars up to now, then the
/// minute that is forming. Logs go to standard error; RUST_LOG=debug shows more.
#[derive(Parser)]
#[command(version, max_term_width = 110, after_help = service_kit::environment_help(&["TANDEM_CONFIG", "TANDEM_CLOCK"]))]
struct Arguments {
    /// Address to listen on; port 0 takes a free one
    #[arg(
        long,
        env = "TANDEM_VENDOR_ADDRESS",
        default_value = "127.0.0.1:8443",
        value_name = "IP:PORT"
    )]
    listen: SocketAddr,

    /// Where to write the certificate (PEM) that clients must trust; made anew at every start
    #[arg(
        long,
        env = "TANDEM_VENDOR_CA",
        value_name = "FILE",
        required_unless_present = "write_bars"
    )]
    ca_out: Option<PathBuf>,

    /// Serve these recorded bars (CSV or CSV.gz with ticker,ts,open,high,low,close,volume) instead of an
    /// invented market
    #[arg(long, value_name = "FILE")]
    bars: Option<PathBuf>,

    /// Seed of the invented market: the same seed gives the same prices on every day, past and future
    #[arg(long, default_value_t = 1, value_name = "N", conflicts_with = "bars")]
    seed: u64,

    /// Serve this stock; repeat it for more. Default: all of the file, or 20 large US stocks
    #[arg(long, value_name = "SYMBOL")]
    ticker: Vec<Ticker>,

    /// Splits (CSV or CSV.gz with ticker,date,ratio) or dividends (ticker,date,amount, in today's shares); repeat it
    /// for more. An invented market takes splits only
    #[arg(long, value_name = "FILE")]
    actions: Vec<PathBuf>,

    /// What the recorded prices mean. Default: raw if they jump at a split within the file or there is none, adjusted
    /// if they do not jump
    #[arg(long, requires = "bars")]
    basis: Option<Basis>,

    /// Official daily bars (CSV or CSV.gz with ticker,date,open,high,low,close,volume, split-adjusted): served for days
    /// instead of the sum of the minutes, which leaves out the auctions
    #[arg(long, value_name = "FILE", requires = "bars")]
    daily: Option<PathBuf>,

    /// Headlines (CSV or CSV.gz with ticker,published_at,first_seen,title,publisher,url); repeat it for more. Default:
    /// invented ones with an invented market, none with recorded bars
    #[arg(long, value_name = "FILE")]
    news: Vec<PathBuf>,

    /// Economic series (CSV or CSV.gz with series,date,value); repeat it for more. Default: invented ones with an
    /// invented market, none with recorded bars
    #[arg(long, value_name = "FILE")]
    economy: Vec<PathBuf>,

    /// Let go wrong what this script (JSON) says, see the README; PUT /_sim/faults replaces it
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,

    /// Serve nothing: write the invented market's one-minute bars (CSV with ticker,ts,open,high,low,close,volume) of the
    /// sessions from --from to --to
    #[arg(long, value_name = "FILE", requires_all = ["from", "to"], conflicts_with_all = ["bars", "actions"])]
    write_bars: Option<PathBuf>,

    /// First day to write (New York date)
    #[arg(long, value_name = "DATE", requires = "write_bars")]
    from: Option<NaiveDate>,

    /// Last day to write (New York date), included
    #[arg(long, value_name = "DATE", requires = "write_bars")]
    to: Option<NaiveDate>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    service_kit::init_telemetry()?;
    service_kit::configure_calendar()?;
    if let (Some(path), Some(from), Some(to)) =
        (&arguments.write_bars, arguments.from, arguments.to)
    {
        return write_bars(&open_market(&arguments)?, path, from, to);
    }
    let ca_out = arguments
        .ca_out
        .as_deref()
        .context("--ca-out FILE is missing: where to write the certificate")?;
    // The certificate of the last run vouches for nobody any more.
    match std::fs::remove_file(ca_out) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("failed to remove {}", ca_out.display()));
        }
        _ => (),
    }
    let clock = Clock::from_environment()?;
    let shutdown = Shutdown::on_signals().context("failed to listen for signals")?;
    let market = open_market(&arguments)?;
    report(&market, &clock);
    let mut simulator = Simulator::new(market, calendar::nyse(), clock);
    if !arguments.news.is_empty() {
        simulator = simulator.with_news(News::recorded(&arguments.news)?);
    }
    if !arguments.economy.is_empty() {
        let economy = Economy::recorded(&arguments.economy, calendar::nyse())?;
        simulator = simulator.with_economy(economy);
    }
    if let Some(path) = &arguments.faults {
        let script = FaultScript::read(path)
            .with_context(|| format!("cannot use the faults of {}", path.display()))?;
        tracing::warn!(rules = script.rules.len(), "faults are in force");
        simulator.faults().set(script);
    }
    let server = Server::bind(arguments.listen, Certificates::generate()?, simulator)?;
    write_authority(ca_out, server.authority())?;
    tracing::info!(address = %server.address(), ca = %ca_out.display(), "serving");
    server.run(shutdown.token()).await?;
    Ok(())
}

fn open_market(arguments: &Arguments) -> anyhow::Result<Market> {
    let calendar = calendar::nyse();
    let market = if let Some(path) = &arguments.bars {
        let file = bar_files::read_bars(path)?;
        tracing::info!(file = %path.display(), "{}", file.report);
        Market::recorded(file, &arguments.ticker, calendar)
            .with_context(|| format!("cannot serve {}", path.display()))?
    } else {
        tracing::info!(seed = arguments.seed, "inventing a market");
        Market::generated(arguments.seed, &arguments.ticker, calendar)
    };
    let actions = Actions::read(&arguments.actions)?;
    let market = market.with_actions(&actions, arguments.basis, calendar)?;
    match &arguments.daily {
        Some(path) => Ok(market.with_official_days(&OfficialDays::read(path)?, calendar)?),
        None => Ok(market),
    }
}

fn write_bars(market: &Market, path: &Path, from: NaiveDate, to: NaiveDate) -> anyhow::Result<()> {
    let file = std::fs::File::create(path)
        .with_context(|| format!("failed to create {}", path.display()))?;
    let bars = market
        .write_bars(from, to, file)
        .with_context(|| format!("failed to write {}", path.display()))?;
    anyhow::ensure!(bars > 0, "there is no session from {from} to {to}");
    tracing::info!(bars, file = %path.display(), "written");
    Ok(())
}

fn report(market: &Market, clock: &Clock) {
    let tickers = market.tickers().len();
    let Some((first, last)) = market.coverage() else {
        return;
    };
    tracing::info!(tickers, %first, %last, "market ready");
    if let Some(effect) = market.planted_effect() {
        tracing::info!("{effect}");
    }
    let now = clock.now();
    if !(first..=last).contains(&now) {
        tracing::warn!(%now, "the market's time lies outside the prices: set TANDEM_CLOCK to a replay within them");
    }
}

/// Replaces the file in one step, so that no client reads half a certificate.
fn write_authority(path: &Path, pem: &str) -> anyhow::Result<()> {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, pem)
        .and_then(|()| std::fs::rename(&fresh, path))
        .with_context(|| format!("failed to write the certificate to {}", path.display()))
}
