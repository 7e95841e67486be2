use std::{
    ffi::OsString,
    fs::File,
    io::ErrorKind,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, bail};
use bar_files::Format;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{Listing, Ticker, Universe};
use inference::{Champions, InferenceError};
use model_registry::ChampionsFile;
use service_kit::{LOCK_FILE, LocalSystem, ReplayClock};
use storage::DatabaseSettings;
use tokio::process::Command;

use super::{build::Build, demo_models, market::Market};
use crate::{cli::UpArguments, programs::sibling};

/// How long Yahoo may take to answer before the simulator takes its place.
const YAHOO_TIMEOUT: Duration = Duration::from_secs(5);
/// Market seconds per second of a demo: a bar every three seconds.
const DEMO_SPEED: f64 = 20.0;
/// A demo begins so long after an open, so that it has a morning to look at.
const DEMO_LEAD: TimeDelta = TimeDelta::minutes(60);

/// Which market is shown, and where this machine keeps what belongs to it.
///
/// Every market has a folder and a database of its own: bars of a recording, a simulation and the live market never mix.
pub(super) struct Scenario {
    name: String,
    source: &'static str,
    reason: String,
    pub(super) folder: PathBuf,
    pub(super) simulator: Option<Simulator>,
    clock: Option<ReplayClock>,
    end: Option<DateTime<Utc>>,
    /// Nothing is kept of this market yet, or it is to be forgotten: its database must be empty too.
    fresh: bool,
    /// Held while this market runs.
    _lock: File,
}

/// How the simulator is started.
pub(super) enum Simulator {
    Recorded {
        bars: PathBuf,
        /// Further recordings with the option that names each.
        beside: Vec<(&'static str, PathBuf)>,
    },
    Generated {
        seed: u64,
    },
}

impl Simulator {
    pub(super) fn arguments(&self, listen: SocketAddr, certificate: &Path) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec![
            "--listen".into(),
            listen.to_string().into(),
            "--ca-out".into(),
            certificate.into(),
        ];
        match self {
            Self::Recorded { bars, beside } => {
                arguments.extend(["--bars".into(), bars.into()]);
                for (option, file) in beside {
                    arguments.extend([(*option).into(), file.into()]);
                }
            }
            Self::Generated { seed } => {
                arguments.extend(["--seed".into(), seed.to_string().into()])
            }
        }
        arguments
    }
}

impl Scenario {
    /// Decides by the arguments: a recording, the demo or the live market; without any of them the live market when
    /// Yahoo answers, else the demo.
    pub(super) async fn choose(arguments: &UpArguments, build: &Build) -> anyhow::Result<Self> {
        if let Some(bars) = &arguments.replay {
            if Format::of_bars(bars)? == Format::Parquet {
                build.ended().await;
                return Self::recorded(arguments, &as_csv(bars, &arguments.state_dir).await?);
            }
            return Self::recorded(arguments, bars);
        }
        if arguments.demo {
            return Self::generated(arguments, "you asked for the demo".into());
        }
        match ask_yahoo().await.map(|answer| answer.status()) {
            Ok(status) if status.is_success() => Self::live(arguments, "Yahoo answers".into()),
            Ok(status) if arguments.live => Self::live(
                arguments,
                format!("Yahoo refuses at the moment ({status}), trying on"),
            ),
            Ok(status) => Self::generated(arguments, format!("Yahoo refuses ({status})")),
            Err(error) if arguments.live => {
                bail!(
                    "the live market needs Yahoo, which does not answer ({error:#}); try --demo or --replay"
                )
            }
            Err(error) => Self::generated(arguments, format!("Yahoo does not answer ({error:#})")),
        }
    }

    fn live(arguments: &UpArguments, reason: String) -> anyhow::Result<Self> {
        let (folder, lock) = state_folder(&arguments.state_dir, "live")?;
        Ok(Self {
            name: "live".into(),
            source: "live",
            reason,
            folder,
            simulator: None,
            clock: None,
            end: None,
            fresh: false,
            _lock: lock,
        })
    }

    fn generated(arguments: &UpArguments, reason: String) -> anyhow::Result<Self> {
        let name = format!("demo_{}", arguments.seed);
        let (folder, lock) = state_folder(&arguments.state_dir, &name)?;
        let today = Utc::now().date_naive();
        let session = calendar::nyse()
            .previous_session(today)
            .with_context(|| format!("the calendar knows no session before {today}"))?;
        let (clock, fresh) = held_clock(
            &folder,
            arguments.again,
            session.open + DEMO_LEAD,
            arguments.speed.unwrap_or(DEMO_SPEED),
        )?;
        Ok(Self {
            name,
            source: "simulated",
            reason,
            folder,
            simulator: Some(Simulator::Generated {
                seed: arguments.seed,
            }),
            clock: Some(clock),
            end: None,
            fresh,
            _lock: lock,
        })
    }

    fn recorded(arguments: &UpArguments, bars: &Path) -> anyhow::Result<Self> {
        let file = bar_files::read_bars(bars)?;
        let starts = || {
            file.bars
                .values()
                .filter_map(|bars| Some((bars.first()?.start, bars.last()?.close_time())))
        };
        let (Some(first), Some(end)) = (
            starts().map(|range| range.0).min(),
            starts().map(|range| range.1).max(),
        ) else {
            bail!("{} holds no bars", bars.display());
        };
        let from = arguments.from.unwrap_or_else(|| first.date_naive());
        let origin = opening(from, end)?;
        let stem: String = bars
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default()
            .chars()
            .take_while(|character| *character != '.')
            .map(|character| {
                if character.is_ascii_alphanumeric() {
                    character.to_ascii_lowercase()
                } else {
                    '_'
                }
            })
            .take(30)
            .collect();
        // Two recordings of one name are two markets.
        let sum = content_sum(bars)?;
        let name = format!("replay_{stem}_{}_{sum}", from.format("%Y%m%d"));
        let (folder, lock) = state_folder(&arguments.state_dir, &name)?;
        write_settings(&folder, file.bars.keys())?;
        let (clock, fresh) = held_clock(
            &folder,
            arguments.again,
            origin,
            arguments.speed.unwrap_or(1.0),
        )?;
        Ok(Self {
            name,
            source: "replay",
            reason: format!("{} ({})", bars.display(), file.report),
            folder,
            simulator: Some(Simulator::Recorded {
                bars: absolute(bars)?,
                beside: recordings_beside(arguments)?,
            }),
            clock: Some(clock),
            end: Some(end),
            fresh,
            _lock: lock,
        })
    }

    pub(super) fn announcement(&self) -> String {
        let market = match self.source {
            "live" => "the live market",
            "replay" => "a replay of recorded bars",
            _ => "a simulated market (no real prices)",
        };
        let speed = self.clock.map_or_else(String::new, |clock| {
            format!(
                ", from {} at speed {}",
                clock.origin.format("%Y-%m-%d %H:%M UTC"),
                clock.speed
            )
        });
        format!("market: {market}{speed}: {}", self.reason)
    }

    /// Whether it is the live market, whose nights are real.
    pub(super) const fn is_live(&self) -> bool {
        self.simulator.is_none()
    }

    /// The environment that every part of the system gets.
    pub(super) fn environment(
        &self,
        database_url: &str,
    ) -> anyhow::Result<Vec<(&'static str, String)>> {
        let path = |name: &str| self.folder.join(name).display().to_string();
        let mut environment = vec![
            ("DATABASE_URL", database_url.to_owned()),
            ("TANDEM_MODELS_DIR", path("models")),
            ("TANDEM_MODEL_CONFIG", path("model_config.json")),
            ("TANDEM_NIGHTS_DIR", path("nights")),
            ("TANDEM_SOURCE", self.source.to_owned()),
        ];
        if self.clock.is_some() {
            environment.push(("TANDEM_CLOCK", path("clock.json")));
        }
        if self.simulator.is_some() {
            // The simulator takes any key and gets none of the user's. Keys are struck out of what vendors answer: this one
            // is no word of a headline.
            for name in [
                "ALPHA_VANTAGE_API_KEY",
                "NEWSAPI_API_KEY",
                "FINNHUB_API_KEY",
                "FRED_API_KEY",
            ] {
                environment.push((name, "any-key-will-do".into()));
            }
        }
        // Absolute: a night by hand may be started from another folder.
        let config = if self.source == "replay" {
            self.folder.join("tandem.toml")
        } else {
            absolute(&service_kit::config_path())?
        };
        environment.push(("TANDEM_CONFIG", config.display().to_string()));
        Ok(environment)
    }

    /// The address of this market's own database, which is created and migrated when need be.
    ///
    /// A replayed market never stands before its newest stored bar: after a crash the clock file may be older.
    pub(super) async fn database(&mut self) -> anyhow::Result<String> {
        let server = DatabaseSettings::new(service_kit::database_url()?.into());
        let own = own_database(&self.name, &self.folder)?;
        let name = match LocalSystem::database_url(&self.folder) {
            Some(url) => storage::database_name(&url)?.unwrap_or_else(|| own.clone()),
            None => own.clone(),
        };
        let name = if self.fresh && name != own {
            eprintln!(
                "the database {name} stays as it is, as it may be another folder's: this market goes on in {own}"
            );
            own
        } else {
            name
        };
        if self.fresh {
            storage::drop_database(&server, &name).await?;
        }
        let url = storage::ensure_database(&server, &name).await?;
        let pool = storage::open(url.clone()).await?;
        let newest = storage::bar_range(&pool)
            .await?
            .map(|(_, last)| last + TimeDelta::seconds(domain::BAR_SECONDS));
        pool.close().await;
        if let (Some(clock), Some(newest)) = (&mut self.clock, newest) {
            clock.origin = clock.origin.max(newest);
            clock.write(&self.folder.join("clock.json"))?;
        }
        Ok(url)
    }

    /// Whether both kinds have a champion that this version can use; says so when there is one that it cannot.
    pub(super) fn has_champions(&self) -> bool {
        let usable = ChampionsFile::new(self.folder.join("model_config.json"))
            .read()
            .map_err(InferenceError::from)
            .and_then(|champions| Champions::load(&self.folder.join("models"), &champions));
        match usable {
            Ok(_) => true,
            Err(InferenceError::NoChampion { .. }) => false,
            Err(error) => {
                eprintln!(
                    "the champions cannot be used: {:#}",
                    anyhow::Error::new(error)
                );
                false
            }
        }
    }

    /// Makes the models that come along for the simulated market its champions; answers whether they are.
    pub(super) fn install_demo_models(&self) -> bool {
        let (Some(Simulator::Generated { .. }), Some(clock)) = (&self.simulator, self.clock) else {
            return false;
        };
        match demo_models::install(&service_kit::demo_models_dir(), &self.folder, clock.origin) {
            Ok(()) => true,
            Err(error) => {
                eprintln!("the demo's models are left aside: {error:#}");
                false
            }
        }
    }

    /// Lets the time of a replayed market run from here on.
    pub(super) fn start_market(&self) -> anyhow::Result<Option<Market>> {
        let Some(held) = self.clock else {
            return Ok(None);
        };
        let clock_file = self.folder.join("clock.json");
        let clock = ReplayClock {
            started: Some(Utc::now()),
            ..held
        };
        clock
            .write(&clock_file)
            .with_context(|| format!("failed to write {}", clock_file.display()))?;
        Ok(Some(Market {
            clock_file,
            clock,
            end: self.end,
        }))
    }

    /// Holds the replayed market where it was when it ended (system time), so that the next start goes on from there.
    pub(super) fn remember_market(&self, ended: DateTime<Utc>) -> anyhow::Result<()> {
        if self.clock.is_none() {
            return Ok(());
        }
        let clock_file = self.folder.join("clock.json");
        let clock = ReplayClock::read(&clock_file)?;
        ReplayClock {
            origin: clock.at(ended),
            started: None,
            ..clock
        }
        .write(&clock_file)
        .with_context(|| format!("failed to write {}", clock_file.display()))
    }
}

/// Writes a recording as CSV, which the simulator reads, into the folder of recordings; once for each content.
async fn as_csv(bars: &Path, state_dir: &Path) -> anyhow::Result<PathBuf> {
    let sum = content_sum(bars)?;
    let folder = absolute(state_dir)?.join("recordings");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create {}", folder.display()))?;
    let stem = bars.file_stem().unwrap_or_default().to_string_lossy();
    let csv = folder.join(format!("{stem}_{sum}.csv.gz"));
    if !csv.is_file() {
        let status = Command::new(sibling("tandem-research")?)
            .args(["bars", "--bars"])
            .arg(bars)
            .arg("--out")
            .arg(&csv)
            .status()
            .await
            .context("failed to start tandem-research")?;
        if !status.success() {
            bail!("{} cannot be read: see above", bars.display());
        }
    }
    Ok(csv)
}

/// Tells two recordings of one name apart.
fn content_sum(file: &Path) -> anyhow::Result<String> {
    let bytes =
        std::fs::read(file).with_context(|| format!("failed to read {}", file.display()))?;
    let mut sum = model_registry::checksum(&bytes);
    sum.truncate(8);
    Ok(sum)
}

/// The recordings that go with the bars, each with the simulator's option for it.
fn recordings_beside(arguments: &UpArguments) -> anyhow::Result<Vec<(&'static str, PathBuf)>> {
    let mut beside = Vec::new();
    for (option, files) in [
        ("--news", &arguments.news),
        ("--economy", &arguments.economy),
        ("--actions", &arguments.actions),
    ] {
        for file in files {
            let path = absolute(file)?;
            if !path.is_file() {
                bail!("{option} {} does not exist", file.display());
            }
            beside.push((option, path));
        }
    }
    Ok(beside)
}

/// What Yahoo's chart endpoint says, or why it cannot be reached.
pub(crate) async fn ask_yahoo() -> anyhow::Result<reqwest::Response> {
    // Yahoo refuses every program that does not call itself a browser.
    let client = reqwest::Client::builder()
        .timeout(YAHOO_TIMEOUT)
        .user_agent("Mozilla/5.0")
        .build()?;
    let sent = client
        .get("https://query1.finance.yahoo.com/v8/finance/chart/AAPL")
        .send()
        .await;
    sent.map_err(|error| {
        // The innermost cause says it plainly ("connection refused"); the outer ones repeat the address.
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        anyhow::anyhow!("{cause}")
    })
}

/// The first open on or after a date, within the recording.
fn opening(from: NaiveDate, end: DateTime<Utc>) -> anyhow::Result<DateTime<Utc>> {
    calendar::nyse()
        .sessions(from, end.date_naive())
        .first()
        .map(|session| session.open)
        .with_context(|| {
            format!("the recording ends before {from} (at {end}): choose an earlier --from")
        })
}

/// The name of the database of a market in a folder: no other folder's market has it, also none of that path later. At
/// most 63 bytes, as PostgreSQL cuts off the rest.
fn own_database(market: &str, folder: &Path) -> anyhow::Result<String> {
    let failed = || format!("failed to look at {}", folder.display());
    let inode = folder.metadata().with_context(failed)?.ino();
    let owner = format!("{inode} {}", folder.display());
    let mut sum = model_registry::checksum(owner.as_bytes());
    sum.truncate(8);
    let market: String = market.chars().take(47).collect();
    Ok(format!("tandem_{market}_{sum}"))
}

/// A market's folder and the lock that keeps a second start out of it.
fn state_folder(state_dir: &Path, name: &str) -> anyhow::Result<(PathBuf, File)> {
    let folder = absolute(state_dir)?.join(name);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("failed to create {}", folder.display()))?;
    let path = folder.join(LOCK_FILE);
    let lock =
        File::create(&path).with_context(|| format!("failed to create {}", path.display()))?;
    if lock.try_lock().is_err() {
        bail!(
            "this market already runs (in {}): stop it first, or choose another --state-dir",
            folder.display()
        );
    }
    Ok((folder, lock))
}

fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("failed to resolve {}", path.display()))
}

/// The market's clock, standing still: where the last run ended, else at `origin`; and whether it is a new one.
fn held_clock(
    folder: &Path,
    again: bool,
    origin: DateTime<Utc>,
    speed: f64,
) -> anyhow::Result<(ReplayClock, bool)> {
    let file = folder.join("clock.json");
    let fresh = again || !file.exists();
    if fresh {
        // The champions are those of the market that is forgotten.
        for kept in ["model_config.json", "clock.json"] {
            match std::fs::remove_file(folder.join(kept)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
                _ => (),
            }
        }
    }
    let origin = if fresh {
        origin
    } else {
        ReplayClock::read(&file)?.origin
    };
    let clock = ReplayClock {
        origin,
        speed,
        started: None,
    };
    clock
        .write(&file)
        .with_context(|| format!("failed to write {}", file.display()))?;
    Ok((clock, fresh))
}

/// The settings for a recording: the common ones, with the recording's tickers.
fn write_settings<'a>(
    folder: &Path,
    tickers: impl Iterator<Item = &'a Ticker>,
) -> anyhow::Result<()> {
    let common = service_kit::config_path();
    let text = std::fs::read_to_string(&common)
        .with_context(|| format!("failed to read {}", common.display()))?;
    let mut settings: toml::Table =
        toml::from_str(&text).with_context(|| format!("{} is not valid TOML", common.display()))?;
    let known: Universe = service_kit::load_settings()?;
    let tickers = tickers
        .map(|ticker| {
            known
                .tickers
                .iter()
                .find(|listing| listing.ticker == *ticker)
                .cloned()
                .unwrap_or_else(|| Listing {
                    ticker: ticker.clone(),
                    name: ticker.to_string(),
                    sector: String::new(),
                })
        })
        .collect();
    settings.insert(
        "universe".into(),
        toml::Value::try_from(Universe { tickers })?,
    );
    let path = folder.join("tandem.toml");
    std::fs::write(&path, toml::to_string(&settings)?)
        .with_context(|| format!("failed to write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_belongs_to_one_folder() {
        let state_dirs = tempfile::tempdir().unwrap();
        let folder = |state_dir: &str| {
            let folder = state_dirs.path().join(state_dir).join("demo_1");
            std::fs::create_dir_all(&folder).unwrap();
            folder
        };
        let (first, second) = (folder("a"), folder("b"));
        let name = own_database("demo_1", &first).unwrap();
        assert!(name.starts_with("tandem_demo_1_"), "{name}");
        assert_eq!(own_database("demo_1", &first).unwrap(), name);
        assert_ne!(own_database("demo_1", &second).unwrap(), name);
        let longest = format!("replay_{}_20180326_0123abcd", "x".repeat(30));
        let name = own_database(&longest, &first).unwrap();
        assert_eq!(name.len(), 63, "{name}");
        // The first folder goes elsewhere and takes its database along.
        std::fs::rename(first.parent().unwrap(), state_dirs.path().join("c")).unwrap();
        assert_ne!(own_database(&longest, &folder("a")).unwrap(), name);
    }
}
