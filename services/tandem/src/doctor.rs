use std::{fmt, path::Path, time::Duration};

use anyhow::{Context, bail};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{ModelKind, Universe};
use market_data::{
    AlphaVantageClient, ConnectionError, FinnhubClient, FredClient, NewsApiClient, Vendor,
    VendorConnection, VendorError, VendorKeys, YahooClient,
};
use model_registry::ChampionsFile;
use storage::{DatabaseSettings, TimescaleState};

use crate::{
    cli::DoctorArguments,
    settings_check::{SettingsReport, check_settings},
};

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(8);
/// Below so much free space a training run or a week of bars may not fit.
const WANTED_BYTES: u64 = 2 << 30;
/// A clock that is further off decides on the wrong minute whether a bar is closed.
const CLOCK_TOLERANCE: TimeDelta = TimeDelta::seconds(2);

/// `tandem doctor`: a line for each thing that must be right, with the remedy.
pub(crate) fn run(arguments: &DoctorArguments) -> anyhow::Result<()> {
    service_kit::enter_system(&arguments.system, false)?;
    let findings = service_kit::block_on(async {
        if arguments.fix {
            let pool = storage::open(service_kit::database_url()?).await?;
            storage::convert_to_hypertables(&pool).await?;
        }
        let (mut findings, database, vendors) = tokio::join!(settings(), database(), vendors());
        findings.extend(database);
        findings.extend(vendors);
        findings.extend(models());
        findings.push(disk());
        anyhow::Ok(findings)
    })?;
    for finding in &findings {
        println!("{finding}");
    }
    let broken = findings
        .iter()
        .filter(|finding| finding.state == State::Broken)
        .count();
    if broken > 0 {
        bail!("{broken} of {} checks failed", findings.len());
    }
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    /// Tandem works, with less.
    Missing,
    Broken,
}

#[derive(Debug)]
struct Finding {
    state: State,
    what: &'static str,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.state {
            State::Good => "ok",
            State::Missing => "missing",
            State::Broken => "BROKEN",
        };
        write!(formatter, "{state:<8} {:<14} {}", self.what, self.text)
    }
}

fn good(what: &'static str, text: impl Into<String>) -> Finding {
    Finding {
        state: State::Good,
        what,
        text: text.into(),
    }
}

fn missing(what: &'static str, text: impl Into<String>) -> Finding {
    Finding {
        state: State::Missing,
        what,
        text: text.into(),
    }
}

fn broken(what: &'static str, text: impl Into<String>) -> Finding {
    Finding {
        state: State::Broken,
        what,
        text: text.into(),
    }
}

/// What the programs would refuse at their start.
async fn settings() -> Vec<Finding> {
    let SettingsReport {
        problems,
        not_built,
    } = check_settings().await;
    let mut findings: Vec<Finding> = problems
        .into_iter()
        .map(|problem| broken("settings", problem))
        .collect();
    if findings.is_empty()
        && let Ok(universe) = service_kit::load_settings::<Universe>()
    {
        findings.push(good(
            "settings",
            format!(
                "{}: {} stocks watched",
                service_kit::config_path().display(),
                universe.tickers.len()
            ),
        ));
        // The programs refuse it only where Yahoo is asked: a simulator knows every spelling.
        let mut yahoo = VendorConnection::from_environment(PATIENCE);
        yahoo.address = None;
        if let Err(error) = yahoo.check_tickers(&universe.symbols()) {
            findings.push(missing(
                "settings",
                format!("{error}; the simulator in its place does not mind"),
            ));
        }
    }
    if !not_built.is_empty() {
        findings.push(missing(
            "programs",
            format!(
                "not built, so not asked for their settings: {} (cargo build --workspace)",
                not_built.join(", ")
            ),
        ));
    }
    findings
}

async fn database() -> Vec<Finding> {
    match look_at_database().await {
        Ok(findings) => findings,
        Err(error) => vec![broken("database", format!("{error:#}"))],
    }
}

async fn look_at_database() -> anyhow::Result<Vec<Finding>> {
    let settings = DatabaseSettings {
        connect_timeout: PATIENCE,
        ..DatabaseSettings::new(service_kit::database_url()?.into())
    };
    let pool = storage::connect(&settings).await?;
    let report = storage::server_report(&pool).await?;
    let mut findings = Vec::new();
    if report.pending_migrations > 0 {
        findings.push(missing(
            "database",
            format!(
                "PostgreSQL {}: {} migrations are still to be applied; the first service that starts does it",
                report.version, report.pending_migrations
            ),
        ));
        return Ok(findings);
    }
    let bars = match storage::bar_range(&pool).await? {
        Some((first, last)) => format!(
            "bars from {} to {}",
            first.format("%Y-%m-%d"),
            last.format("%Y-%m-%d %H:%M UTC")
        ),
        None => "no bars yet".to_owned(),
    };
    let megabytes = report.size_bytes >> 20;
    findings.push(good(
        "database",
        format!("PostgreSQL {}: {bars}, {megabytes} MiB", report.version),
    ));
    findings.push(timescale(
        report.timescale.as_deref().unwrap_or_default(),
        storage::timescale_state(&pool).await?,
    ));
    let (ever, today) = (NaiveDate::default(), Utc::now().date_naive());
    let market = storage::Finding::market();
    for found in storage::findings_between(&pool, Some(&market), ever, today).await? {
        findings.push(missing("calendar", found.detail));
    }
    let gaps = storage::open_gaps(&pool).await?;
    if gaps.is_empty() {
        findings.push(good("gaps", "no open gap"));
    } else {
        let tickers: std::collections::BTreeSet<_> =
            gaps.iter().map(|gap| gap.ticker.as_str()).collect();
        findings.push(missing(
            "gaps",
            format!(
                "{} open gaps of {} stocks: price-ingestor asks for them again after hours; older than 30 days they \
                 need `tandem backfill --source FILE`",
                gaps.len(),
                tickers.len()
            ),
        ));
    }
    Ok(findings)
}

fn timescale(version: &str, state: TimescaleState) -> Finding {
    let what = "timescaledb";
    match state {
        TimescaleState::Complete => good(
            what,
            format!("{version}: compression and aggregates are set up"),
        ),
        TimescaleState::Hypertables => good(
            what,
            format!(
                "{version}: hypertables only, as this edition or version has no more; long histories are slower"
            ),
        ),
        TimescaleState::Waiting { tables } => missing(
            what,
            format!(
                "{version}: {} are large and still plain; stop the services and run `tandem doctor --fix`",
                tables.join(", ")
            ),
        ),
        TimescaleState::Absent => missing(
            what,
            "not set up: long histories are computed from minutes, which is slower; install the extension and start a service",
        ),
    }
}

/// Asks every vendor for the least it gives.
async fn vendors() -> Vec<Finding> {
    let connection = VendorConnection::from_environment(PATIENCE);
    let Ok(keys) = VendorKeys::from_environment() else {
        return vec![missing("vendors", "not asked until the keys can be used")];
    };
    if let Some(address) = &connection.address
        && !accepts_connections(address).await
    {
        return vec![missing(
            "vendors",
            format!(
                "not asked: TANDEM_VENDOR_ADDRESS names a simulator in their place, and nothing runs at {address}; start \
                 the market (./scripts/run)"
            ),
        )];
    }
    let yahoo = async {
        let client = YahooClient::new(&connection)?;
        Ok(client.check().await)
    };
    let fred = async {
        let client = FredClient::new(&connection, keys.fred.clone())?;
        Ok(client.check().await)
    };
    let alpha_vantage = async {
        let Some(key) = keys.alpha_vantage.clone() else {
            return Ok(None);
        };
        let client = AlphaVantageClient::new(&connection, key)?;
        Ok(Some(client.check().await))
    };
    let news_api = async {
        let Some(key) = keys.news_api.clone() else {
            return Ok(None);
        };
        let client = NewsApiClient::new(&connection, key)?;
        Ok(Some(client.check().await))
    };
    let finnhub = async {
        let Some(key) = keys.finnhub.clone() else {
            return Ok(None);
        };
        let client = FinnhubClient::new(&connection, key)?;
        Ok(Some(client.check(Utc::now().date_naive()).await))
    };
    let (yahoo, fred, alpha_vantage, news_api, finnhub) =
        tokio::join!(yahoo, fred, alpha_vantage, news_api, finnhub);
    let mut findings = vec![
        vendor(Vendor::Yahoo, yahoo.map(Some), ""),
        vendor(
            Vendor::Fred,
            fred.map(Some),
            if keys.fred.is_some() {
                ""
            } else {
                " without a key: values count from when they are first seen, revisions before that are unknown"
            },
        ),
        vendor(Vendor::AlphaVantage, alpha_vantage, ""),
        vendor(Vendor::NewsApi, news_api, ""),
        vendor(Vendor::Finnhub, finnhub, ""),
    ];
    findings.push(clock(&connection).await);
    findings
}

async fn accepts_connections(address: &str) -> bool {
    let connect = tokio::net::TcpStream::connect(address);
    matches!(tokio::time::timeout(PATIENCE, connect).await, Ok(Ok(_)))
}

/// What came of asking a vendor; `Ok(None)` when there is no key to ask with.
fn vendor(
    vendor: Vendor,
    outcome: Result<Option<Result<(), VendorError>>, ConnectionError>,
    note: &str,
) -> Finding {
    let what = vendor.name();
    match outcome {
        Err(error) => broken(what, format!("{:#}", anyhow::Error::new(error))),
        Ok(None) => missing(
            what,
            match vendor.key_variable() {
                Some(variable) => format!("not asked: set {variable} to use it"),
                None => "not asked".to_owned(),
            },
        ),
        Ok(Some(Ok(()))) => good(what, format!("answers{note}")),
        Ok(Some(Err(error))) => {
            let remedy = error.remedy();
            let text = format!("{:#}", anyhow::Error::new(error));
            broken(
                what,
                match remedy {
                    Some(remedy) => format!("{text}: {remedy}"),
                    None => text,
                },
            )
        }
    }
}

/// This machine's time beside the vendor's.
async fn clock(connection: &VendorConnection) -> Finding {
    let what = "clock";
    if connection.address.is_some() {
        return missing(what, "not checked against a simulated vendor");
    }
    match offset_from_vendor().await {
        Ok(offset) if offset.abs() > CLOCK_TOLERANCE => broken(
            what,
            format!(
                "{} s off Yahoo's: synchronise it (timedatectl set-ntp true), bars are taken as closed by it",
                offset.num_seconds()
            ),
        ),
        Ok(_) => good(what, "agrees with Yahoo's"),
        Err(error) => missing(
            what,
            format!("not checked, as Yahoo does not answer: {error:#}"),
        ),
    }
}

/// How far this machine's clock is ahead of Yahoo's, to about a second: that is as fine as HTTP tells the time.
async fn offset_from_vendor() -> anyhow::Result<TimeDelta> {
    let asked = Utc::now();
    let answer = crate::up::ask_yahoo().await?;
    let half = (Utc::now() - asked) / 2;
    let date = answer
        .headers()
        .get(reqwest::header::DATE)
        .context("it sent no date")?
        .to_str()?;
    let theirs = DateTime::parse_from_rfc2822(date).context("its date cannot be read")?;
    Ok(asked + half - theirs.to_utc())
}

fn models() -> Vec<Finding> {
    let file = ChampionsFile::new(service_kit::model_config_path());
    let folder = service_kit::models_dir();
    let champions = match file.read() {
        Ok(champions) => champions,
        Err(error) => {
            return vec![broken("models", format!("{:#}", anyhow::Error::new(error)))];
        }
    };
    [ModelKind::Lstm, ModelKind::Transformer]
        .into_iter()
        .map(|kind| {
            let what = kind.name();
            let Some(record) = champions.of(kind) else {
                return missing(
                    what,
                    format!(
                        "no champion in {}: run trainer, no analyses until then",
                        file.path().display()
                    ),
                );
            };
            let dir = model_registry::artifact_dir(&folder, kind, &record.champion);
            match inference::Model::load(&dir) {
                Ok(_) => good(what, format!("{} loads", record.champion)),
                Err(error) => broken(what, format!("{:#}", anyhow::Error::new(error))),
            }
        })
        .collect()
}

fn disk() -> Finding {
    let folder = service_kit::models_dir();
    // The folder itself may be still to come.
    let there = folder
        .ancestors()
        .find(|path| path.exists())
        .unwrap_or_else(|| Path::new("."));
    match fs4::available_space(there) {
        Ok(bytes) if bytes < WANTED_BYTES => broken(
            "disk",
            format!(
                "{} MiB free at {}: make room for at least {} MiB",
                bytes >> 20,
                there.display(),
                WANTED_BYTES >> 20
            ),
        ),
        Ok(bytes) => good("disk", format!("{} GiB free for models", bytes >> 30)),
        Err(error) => broken("disk", format!("{}: {error}", there.display())),
    }
}
