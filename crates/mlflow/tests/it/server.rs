use std::{
    fs::File,
    net::TcpListener,
    os::unix::process::CommandExt,
    process::{Child, Command},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

/// A server of Python starts slowly on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A real MLflow server with an empty store.
pub(crate) struct Server {
    pub(crate) address: String,
    client: reqwest::Client,
    child: Child,
    folder: TempDir,
}

impl Server {
    /// Starts one; none without an MLflow on this machine.
    pub(crate) async fn start() -> Option<Self> {
        let Some(program) = std::env::var_os("TANDEM_MLFLOW") else {
            eprintln!("skipped: TANDEM_MLFLOW names no mlflow program; scripts/test installs one");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let log = File::create(path("log")).unwrap();
        let child = Command::new(program)
            .args([
                "server",
                "--host",
                "127.0.0.1",
                "--workers",
                "1",
                "--serve-artifacts",
            ])
            .args(["--port", &port.to_string()])
            .args([
                "--backend-store-uri",
                &format!("sqlite:///{}", path("store.db")),
            ])
            .args(["--artifacts-destination", &path("artifacts")])
            .current_dir(folder.path())
            .env_remove("MLFLOW_TRACKING_URI")
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            // It starts others, and must end with them.
            .process_group(0)
            .spawn()
            .unwrap();
        let mut server = Self {
            address: format!("http://127.0.0.1:{port}"),
            client: reqwest::Client::new(),
            child,
            folder,
        };
        server.wait().await;
        Some(server)
    }

    async fn wait(&mut self) {
        let started = Instant::now();
        let health = format!("{}/health", self.address);
        loop {
            let answer = self.client.get(&health).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed() < PATIENCE,
                "mlflow did not start: {}",
                std::fs::read_to_string(self.folder.path().join("log")).unwrap()
            );
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// What a path of the API answers.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let address = format!("{}/api/2.0/mlflow/{path}", self.address);
        let answer = self.client.get(address).send().await.unwrap();
        answer.json().await.unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        let address = format!("{}/api/2.0/mlflow/{path}", self.address);
        let answer = self.client.post(address).json(body).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// A stored file of a run.
    pub(crate) async fn artifact(&self, run: &Value, name: &str) -> Vec<u8> {
        let uri = run["info"]["artifact_uri"].as_str().unwrap();
        let folder = uri.strip_prefix("mlflow-artifacts:/").unwrap();
        let address = format!(
            "{}/api/2.0/mlflow-artifacts/artifacts/{folder}/{name}",
            self.address
        );
        let answer = self.client.get(address).send().await.unwrap();
        answer.bytes().await.unwrap().to_vec()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let killed = Command::new("kill")
            .args(["-s", "KILL", "--", &group])
            .status();
        assert!(killed.unwrap().success(), "the server cannot be ended");
        let _ = self.child.wait();
    }
}
