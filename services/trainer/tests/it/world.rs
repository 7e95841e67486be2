use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use domain::{Bar, ModelKind, Ticker};
use features::WARM_UP_SESSIONS;
use model_registry::{Champions, ChampionsFile, Manifest, list_artifacts};
use sqlx::ConnectOptions;
use storage::{PgPool, VendorBar, upsert_bars};
use tempfile::TempDir;

use crate::market;

/// Small networks, four passes.
const SETTINGS: &str = r#"
[universe]
tickers = [
  { ticker = "T0", name = "Zero", sector = "Made up" },
  { ticker = "T1", name = "One", sector = "Made up" },
  { ticker = "T2", name = "Two", sector = "Made up" },
]

[training]
batch_size = 64
epochs = 4
patience = 4
windows_per_epoch = 1024
validation_windows = 200

[training.lstm]
hidden = 16

[training.transformer]
width = 16
heads = 2
inner = 32
"#;

/// A database with bars, and a folder for models and settings.
pub(crate) struct World {
    pub(crate) pool: PgPool,
    folder: TempDir,
    /// Close of the last bar, RFC 3339.
    until: String,
    environment: BTreeMap<&'static str, String>,
}

/// How a run of the program went.
#[derive(Debug)]
pub(crate) struct Run {
    /// None when it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) log: String,
}

impl World {
    /// `frozen` gets bars that do not move.
    pub(crate) async fn new(pool: PgPool, frozen: Option<&str>) -> Self {
        let mut bars = market::bars(3, WARM_UP_SESSIONS + 6);
        if let Some(frozen) = frozen {
            let frozen = bars.get_mut(&Ticker::parse(frozen).unwrap()).unwrap();
            for bar in frozen {
                *bar = Bar::new(bar.start, 100.0, 100.0, 100.0, 100.0, 0.0).unwrap();
            }
        }
        let rows: Vec<VendorBar> = bars
            .iter()
            .flat_map(|(ticker, bars)| bars.iter().map(move |bar| (ticker.clone(), *bar)))
            .map(|(ticker, bar)| VendorBar {
                ticker,
                bar,
                source: "test",
                fetched_at: bar.close_time(),
            })
            .collect();
        upsert_bars(&pool, &rows).await.unwrap();
        let until = rows.iter().map(|row| row.fetched_at).max().unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tandem.toml"), SETTINGS).unwrap();
        let mut world = Self {
            environment: BTreeMap::from([(
                "DATABASE_URL",
                pool.connect_options().to_url_lossy().to_string(),
            )]),
            pool,
            folder,
            until: until.to_rfc3339(),
        };
        for (name, file) in [
            ("TANDEM_CONFIG", "tandem.toml"),
            ("TANDEM_MODELS_DIR", "models"),
            ("TANDEM_MODEL_CONFIG", "model_config.json"),
        ] {
            let path = world.path(file).display().to_string();
            world.set(name, &path);
        }
        world.set("TANDEM_LOG_FORMAT", "json");
        world.set("RUST_LOG", "info,training=debug");
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.environment.insert(name, value.to_owned());
    }

    pub(crate) fn unset(&mut self, name: &str) {
        self.environment.remove(name);
    }

    /// The program to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Run {
        self.watched(self.program(arguments), |_, _| ())
    }

    /// The same where no file can grow beyond 8 KiB: as a full disk refuses in the middle of a write.
    pub(crate) fn run_without_room(&self) -> Run {
        let mut shell = Command::new("bash");
        shell
            .args(["-c", "ulimit -f 8; trap '' XFSZ; exec \"$0\" \"$@\""])
            .arg(env!("CARGO_BIN_EXE_trainer"))
            .args(["--until", &self.until]);
        self.watched(shell, |_, _| ())
    }

    /// Sends a signal as soon as a line of the log contains all `words`.
    pub(crate) fn run_until(&self, signal: &str, words: &[&str]) -> Run {
        let mut sent = false;
        self.watched(self.program(&[]), |child, line| {
            if !sent && words.iter().all(|word| line.contains(word)) {
                sent = true;
                let id = child.id().to_string();
                let status = Command::new("kill").args(["-s", signal, &id]).status();
                assert!(status.unwrap().success());
            }
        })
    }

    fn program(&self, arguments: &[&str]) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_trainer"));
        program.args(["--until", &self.until]).args(arguments);
        program
    }

    fn watched(&self, mut program: Command, mut watch: impl FnMut(&Child, &str)) -> Run {
        let mut child = program
            .envs(&self.environment)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = String::new();
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            watch(&child, &line);
            log.push_str(&line);
            log.push('\n');
        }
        Run {
            code: child.wait().unwrap().code(),
            log,
        }
    }

    /// Whole artifacts, by kind.
    pub(crate) fn models(&self) -> Vec<Manifest> {
        let listed = list_artifacts(&self.path("models")).unwrap();
        listed
            .into_iter()
            .map(|found| {
                let folder = self
                    .path("models")
                    .join(found.kind.name())
                    .join(found.model_id.as_str());
                model_registry::read_artifact(&folder).unwrap();
                found.manifest.unwrap()
            })
            .collect()
    }

    pub(crate) fn champions(&self) -> Champions {
        ChampionsFile::new(self.path("model_config.json"))
            .read()
            .unwrap()
    }

    /// What lies in the folder of a kind beside artifacts and the lock.
    pub(crate) fn leftovers(&self, kind: ModelKind) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("models").join(kind.name())).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names
            .filter(|name| name.starts_with('.') && name != ".lock")
            .collect()
    }

    pub(crate) fn checkpoints(&self) -> PathBuf {
        Path::new(&self.path("models")).join(".checkpoints")
    }
}

impl Run {
    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.log);
        self
    }

    /// It failed for good, and says all of this.
    pub(crate) fn failed_with(&self, words: &[&str]) {
        assert_eq!(self.code, Some(1), "{}", self.log);
        for words in words {
            self.says(words);
        }
    }

    pub(crate) fn says(&self, words: &str) {
        assert!(
            self.log.contains(words),
            "{words:?} is not in:\n{}",
            self.log
        );
    }
}
