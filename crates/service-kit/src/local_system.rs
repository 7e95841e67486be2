//! A system that `tandem up` runs or ran on this machine, as the other commands find it.

use std::{
    collections::BTreeMap,
    env,
    ffi::OsString,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

/// Which running system a command works on.
#[derive(Debug, Default, clap::Args)]
pub struct SystemArguments {
    /// Folder of a system that `tandem up` runs or ran, such as .local: its models, database and clock are used, else
    /// those of the environment (TANDEM_MODELS_DIR, TANDEM_MODEL_CONFIG, DATABASE_URL, TANDEM_CLOCK)
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Which of its markets, as its folder is named, such as live or demo_1 [default: the one that runs]
    #[arg(long, value_name = "NAME", requires = "state_dir")]
    pub market: Option<String>,
}

/// Held by `tandem up` as long as the market runs.
pub const LOCK_FILE: &str = "lock";

/// The environment of the system's parts, by name.
const ENVIRONMENT_FILE: &str = "environment.json";

/// What belongs to one market: its folder, and the environment of its parts.
#[derive(Debug)]
pub struct LocalSystem {
    folder: PathBuf,
    environment: BTreeMap<String, String>,
}

/// Leaves the environment of a market's parts in its folder. It holds the database's password, so only the owner of the
/// file may read it.
pub fn remember_system(
    folder: &Path,
    environment: &[(&'static str, String)],
) -> anyhow::Result<()> {
    let path = folder.join(ENVIRONMENT_FILE);
    let fresh = folder.join(format!("{ENVIRONMENT_FILE}.new"));
    let environment: BTreeMap<_, _> = environment.iter().cloned().collect();
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(&environment)?)?;
        std::fs::rename(&fresh, &path)
    };
    write().with_context(|| format!("failed to write {}", path.display()))
}

/// Starts this program anew in the environment of the system that was chosen, with its other arguments; returns when
/// none was.
///
/// # Errors
/// As [`LocalSystem::chosen`] and [`LocalSystem::environment_now`].
pub fn enter_system(arguments: &SystemArguments, needs_vendors: bool) -> anyhow::Result<()> {
    let Some(system) = LocalSystem::chosen(arguments)? else {
        return Ok(());
    };
    let own = env::current_exe().context("failed to find the path of this program")?;
    let failed = Command::new(own)
        .args(without_system(env::args_os().skip(1)))
        .envs(system.environment_now(needs_vendors)?)
        .exec();
    Err(failed).context("failed to start this program in the system's environment")
}

/// The arguments of a program without those that choose a system.
fn without_system(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut left = Vec::new();
    let mut is_value = false;
    for argument in arguments {
        let text = argument.to_string_lossy();
        let names = |option: &str| text == option;
        let holds = |option: &str| {
            text.strip_prefix(option)
                .is_some_and(|rest| rest.starts_with('='))
        };
        let options = ["--state-dir", "--market"];
        if is_value {
            is_value = false;
        } else if options.into_iter().any(names) {
            is_value = true;
        } else if !options.into_iter().any(holds) {
            left.push(argument);
        }
    }
    left
}

impl LocalSystem {
    /// The market that the arguments name; none when they name no folder.
    pub fn chosen(arguments: &SystemArguments) -> anyhow::Result<Option<Self>> {
        let Some(state_dir) = &arguments.state_dir else {
            return Ok(None);
        };
        Self::find(state_dir, arguments.market.as_deref()).map(Some)
    }

    /// The market of that name; without one, the one that runs, or the only one that ever ran.
    fn find(state_dir: &Path, market: Option<&str>) -> anyhow::Result<Self> {
        let known = markets(state_dir)?;
        let names = || {
            known
                .iter()
                .map(|(name, _)| name.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        if known.is_empty() {
            bail!(
                "no market was ever started in {}: start one (./scripts/run, or tandem up), or name another --state-dir",
                state_dir.display()
            );
        }
        if let Some(market) = market {
            return match known.iter().find(|(name, _)| name == market) {
                Some((_, folder)) => Self::read(folder),
                None => bail!(
                    "{} holds no market {market:?}: there are {}",
                    state_dir.display(),
                    names()
                ),
            };
        }
        let mut running = Vec::new();
        for (_, folder) in &known {
            if is_locked(folder)? {
                running.push(folder);
            }
        }
        match (running.as_slice(), known.as_slice()) {
            ([folder], _) => Self::read(folder),
            ([], [(_, folder)]) => Self::read(folder),
            _ => bail!(
                "{} holds several markets, and {}: choose one by --market: {}",
                state_dir.display(),
                if running.is_empty() {
                    "none of them runs"
                } else {
                    "several of them run"
                },
                names()
            ),
        }
    }

    fn read(folder: &Path) -> anyhow::Result<Self> {
        let path = folder.join(ENVIRONMENT_FILE);
        let text =
            std::fs::read(&path).with_context(|| format!("failed to read {}", path.display()))?;
        let environment = serde_json::from_slice(&text)
            .with_context(|| format!("{} is broken: start the market again", path.display()))?;
        Ok(Self {
            folder: folder.to_owned(),
            environment,
        })
    }

    /// The address of the database of the market in a folder, if it ever ran there.
    pub fn database_url(folder: &Path) -> Option<String> {
        let mut environment = Self::read(folder).ok()?.environment;
        environment.remove("DATABASE_URL")
    }

    /// Its folder, which is named after the market.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The environment of its parts.
    pub const fn environment(&self) -> &BTreeMap<String, String> {
        &self.environment
    }

    /// The environment of its parts, for a program that works on it now; says when the market does not run.
    ///
    /// # Errors
    /// When the program needs vendors that are simulated and do not run.
    pub fn environment_now(
        &self,
        needs_vendors: bool,
    ) -> anyhow::Result<&BTreeMap<String, String>> {
        if !self.is_running()? {
            let folder = self.folder.display();
            if needs_vendors && self.variable("TANDEM_VENDOR_ADDRESS").is_some() {
                bail!(
                    "the market in {folder} does not run, and its vendors are simulated: start it first (./scripts/run)"
                );
            }
            eprintln!("the market in {folder} does not run at the moment; its database must");
        }
        Ok(&self.environment)
    }

    /// A variable of its parts' environment.
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// Whether `tandem up` has it running at the moment.
    pub fn is_running(&self) -> anyhow::Result<bool> {
        is_locked(&self.folder)
    }
}

/// The folders of the markets, by name.
fn markets(state_dir: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let failed = || format!("failed to read the folder {}", state_dir.display());
    let entries = match std::fs::read_dir(state_dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(failed)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let folder = entry.with_context(failed)?.path();
        let name = folder.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.filter(|_| folder.join(ENVIRONMENT_FILE).is_file()) {
            found.push((name.to_owned(), folder));
        }
    }
    found.sort();
    Ok(found)
}

fn is_locked(folder: &Path) -> anyhow::Result<bool> {
    let path = folder.join(LOCK_FILE);
    let failed = || format!("failed to look at {}", path.display());
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file.with_context(failed)?,
    };
    // Shared, so that two that look at the same time do not take each other for the system.
    match file.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error).with_context(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn market(state_dir: &Path, name: &str) -> File {
        let folder = state_dir.join(name);
        std::fs::create_dir(&folder).unwrap();
        remember_system(&folder, &[("TANDEM_SOURCE", name.to_owned())]).unwrap();
        File::create(folder.join(LOCK_FILE)).unwrap()
    }

    fn found(state_dir: &Path, market: Option<&str>) -> Result<String, String> {
        LocalSystem::find(state_dir, market)
            .map(|system| system.variable("TANDEM_SOURCE").unwrap().to_owned())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn the_market_that_runs_is_found() {
        let state_dir = tempfile::tempdir().unwrap();
        let state_dir = state_dir.path();
        assert!(found(state_dir, None).unwrap_err().contains("tandem up"));
        let live = market(state_dir, "live");
        std::fs::create_dir(state_dir.join("postgres")).unwrap();
        assert_eq!(found(state_dir, None).unwrap(), "live", "the only one");
        let demo = market(state_dir, "demo_1");
        let unclear = found(state_dir, None).unwrap_err();
        assert!(
            unclear.contains("none of them runs") && unclear.contains("demo_1, live"),
            "{unclear}"
        );
        assert_eq!(found(state_dir, Some("demo_1")).unwrap(), "demo_1");
        let unknown = found(state_dir, Some("demo_2")).unwrap_err();
        assert!(
            unknown.contains("\"demo_2\"") && unknown.contains("demo_1, live"),
            "{unknown}"
        );
        demo.try_lock().unwrap();
        assert_eq!(found(state_dir, None).unwrap(), "demo_1");
        assert!(
            LocalSystem::find(state_dir, None)
                .unwrap()
                .is_running()
                .unwrap()
        );
        live.try_lock().unwrap();
        assert!(
            found(state_dir, None)
                .unwrap_err()
                .contains("several of them run")
        );
        drop((live, demo));
        assert!(
            !LocalSystem::find(state_dir, Some("live"))
                .unwrap()
                .is_running()
                .unwrap()
        );
    }

    #[test]
    fn the_program_is_started_anew_without_the_choice_of_a_system() {
        let left = |line: &str| {
            let arguments = without_system(line.split_whitespace().map(OsString::from));
            let texts: Vec<_> = arguments
                .iter()
                .map(|text| text.to_str().unwrap())
                .collect();
            texts.join(" ")
        };
        assert_eq!(
            left("export --state-dir .local --what news --market=demo_1 --out a.csv"),
            "export --what news --out a.csv"
        );
        assert_eq!(left("doctor --fix --state-dir=.local"), "doctor --fix");
    }

    #[test]
    fn nobody_else_may_read_the_password() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        remember_system(
            folder.path(),
            &[("DATABASE_URL", "postgres://secret".to_owned())],
        )
        .unwrap();
        let mode = folder
            .path()
            .join(ENVIRONMENT_FILE)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
