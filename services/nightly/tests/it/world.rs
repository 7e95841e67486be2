use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use sqlx::{ConnectOptions, PgPool};
use storage::{PipelineRun, PipelineState};
use tempfile::TempDir;

/// Nothing in these tests takes this long.
const PATIENCE: Duration = Duration::from_secs(40);

/// Good Friday's eve: its night is the last one on the clock of these tests.
pub(crate) const NIGHT: &str = "2018-03-29";

const SETTINGS: &str = "\
[nightly]
attempts = 3
first_pause_s = 0.2
longest_pause_s = 0.2
";

/// What succeeds at once.
const CONTENT: &str = "exit 0";

/// A place where nights are run.
pub(crate) struct World {
    pub(crate) pool: PgPool,
    folder: TempDir,
    environment: Vec<(&'static str, String)>,
}

impl World {
    /// All steps succeed.
    pub(crate) fn new(pool: PgPool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(path("tandem.toml"), SETTINGS).unwrap();
        // The market stands still, as it does in a replay while models are trained.
        let clock = service_kit::ReplayClock {
            origin: "2018-03-31T05:30:00Z".parse().unwrap(),
            speed: 60.0,
            started: None,
        };
        clock.write(Path::new(&path("clock.json"))).unwrap();
        std::fs::create_dir(path("programs")).unwrap();
        let environment = vec![
            (
                "DATABASE_URL",
                pool.connect_options().to_url_lossy().to_string(),
            ),
            ("TANDEM_CONFIG", path("tandem.toml")),
            ("TANDEM_CLOCK", path("clock.json")),
            ("TANDEM_NIGHTS_DIR", path("nights")),
            ("TANDEM_MODELS_DIR", path("models")),
            ("TANDEM_MODEL_CONFIG", path("model_config.json")),
            ("SCRATCH", folder.path().display().to_string()),
        ];
        let world = Self {
            pool,
            folder,
            environment,
        };
        for program in [
            "corporate-actions",
            "price-ingestor",
            "macro-ingestor",
            "trainer",
            "validator",
        ] {
            world.program(program, CONTENT);
        }
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The lines of a file that the steps' programs write.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        std::fs::read_to_string(self.path(name))
            .unwrap_or_default()
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// Makes a shell script the program of a step. It finds the folder of [`World::path`] in `$SCRATCH`.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let path = self.path("programs").join(name);
        let fresh = path.with_extension("new");
        std::fs::write(&fresh, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755)).unwrap();
        std::fs::rename(fresh, path).unwrap();
    }

    pub(crate) fn set(&mut self, name: &'static str, value: String) {
        self.environment.push((name, value));
    }

    pub(crate) fn start(&self, arguments: &[&str]) -> Nightly {
        let log = self.path("nightly.log");
        let output = File::options()
            .append(true)
            .create(true)
            .open(&log)
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_nightly"))
            .args(arguments)
            .arg("--programs")
            .arg(self.path("programs"))
            .env_remove("MLFLOW_TRACKING_URI")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stderr(output)
            .spawn()
            .unwrap();
        Nightly(child)
    }

    /// Runs a night to its end; answers the exit code.
    pub(crate) async fn run(&self, arguments: &[&str]) -> i32 {
        self.start(arguments).ended().await.code().unwrap()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("nightly.log")).unwrap()
    }

    /// The newest run.
    pub(crate) async fn newest(&self) -> PipelineRun {
        let runs = storage::recent_runs(&self.pool, 1).await.unwrap();
        runs.into_iter().next().unwrap()
    }

    /// State and attempts of a step of the newest run.
    pub(crate) async fn step(&self, name: &str) -> (PipelineState, u32) {
        let run = self.newest().await;
        let step = run.step(name).unwrap();
        (step.state, step.attempts)
    }
}

/// The program under test.
pub(crate) struct Nightly(Child);

impl Nightly {
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.0.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub(crate) async fn ended(mut self) -> ExitStatus {
        let mut status = None;
        eventually("nightly ends", async || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }
}

impl Drop for Nightly {
    fn drop(&mut self) {
        // Fails for one that has ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) async fn eventually(what: &str, mut is_true: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !is_true().await {
        assert!(started.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What a local server was sent, one text for each conversation.
#[derive(Clone, Default)]
pub(crate) struct Inbox(Arc<Mutex<Vec<String>>>);

impl Inbox {
    pub(crate) fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

/// A webhook in Slack's format: its address, and the texts that are posted to it.
pub(crate) fn webhook() -> (String, Inbox) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/services/x", listener.local_addr().unwrap());
    let inbox = Inbox::default();
    let kept = inbox.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") && reader.read_line(&mut head).unwrap() > 0 {}
            let length = head
                .lines()
                .find_map(|line| {
                    line.to_lowercase()
                        .strip_prefix("content-length: ")?
                        .parse()
                        .ok()
                })
                .unwrap();
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
            kept.0
                .lock()
                .unwrap()
                .push(body["text"].as_str().unwrap().to_owned());
            stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .unwrap();
        }
    });
    (address, inbox)
}

/// A mail server without encryption: its address, and the mails that it takes.
pub(crate) fn mail_server() -> (String, Inbox) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("smtp://{}", listener.local_addr().unwrap());
    let inbox = Inbox::default();
    let kept = inbox.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let mut writer = &stream;
            let mut mail: Option<String> = None;
            write!(writer, "220 sink\r\n").unwrap();
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 0 {
                let answer = match (&mut mail, line.trim_end()) {
                    (Some(text), ".") => {
                        kept.0.lock().unwrap().push(std::mem::take(text));
                        mail = None;
                        "250 kept\r\n"
                    }
                    (Some(text), _) => {
                        text.push_str(&line);
                        ""
                    }
                    (None, "DATA") => {
                        mail = Some(String::new());
                        "354 go on\r\n"
                    }
                    (None, "QUIT") => "221 bye\r\n",
                    (None, _) => "250 ok\r\n",
                };
                write!(writer, "{answer}").unwrap();
                line.clear();
            }
        }
    });
    (address, inbox)
}
