//! `tandem nightly`, with a script in the place of the program `nightly`.

use std::{
    fs::File,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// A folder with `tandem` and beside it a `nightly` that says what it was given, and ends with 75.
struct Programs(TempDir);

impl Programs {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let tandem = folder.path().join("tandem");
        // A symbolic link would be followed to the real one's folder.
        let built = env!("CARGO_BIN_EXE_tandem");
        if std::fs::hard_link(built, &tandem).is_err() {
            std::fs::copy(built, &tandem).unwrap();
        }
        let nightly = folder.path().join("nightly");
        let script =
            "#!/bin/sh\necho \"$*|$DATABASE_URL|$TANDEM_MODELS_DIR|$TANDEM_CLOCK\"\nexit 75\n";
        std::fs::write(&nightly, script).unwrap();
        std::fs::set_permissions(&nightly, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self(folder)
    }

    fn nightly(&self, arguments: &[&str], database_url: Option<&str>) -> Output {
        let mut command = Command::new(self.0.path().join("tandem"));
        command.arg("nightly").args(arguments);
        for name in ["DATABASE_URL", "TANDEM_MODELS_DIR", "TANDEM_CLOCK"] {
            command.env_remove(name);
        }
        command.envs(database_url.map(|url| ("DATABASE_URL", url)));
        command.output().unwrap()
    }
}

/// The folder of a market as `tandem up` leaves it; it runs as long as the file lives.
fn market(state_dir: &Path, simulated: bool) -> (PathBuf, File) {
    let folder = state_dir.join("demo_1");
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| folder.join(name).display().to_string();
    let mut environment = serde_json::json!({
        "DATABASE_URL": "postgres://127.0.0.1/tandem_demo_1",
        "TANDEM_MODELS_DIR": path("models"),
        "TANDEM_MODEL_CONFIG": path("model_config.json"),
        "TANDEM_CLOCK": path("clock.json"),
    });
    if simulated {
        environment["TANDEM_VENDOR_ADDRESS"] = "127.0.0.1:9".into();
    }
    std::fs::write(folder.join("environment.json"), environment.to_string()).unwrap();
    let lock = File::create(folder.join("lock")).unwrap();
    lock.try_lock().unwrap();
    (folder, lock)
}

#[test]
fn a_night_by_hand_gets_the_environment_of_the_running_system() {
    let programs = Programs::new();
    let state_dir = TempDir::new().unwrap();
    let (folder, lock) = market(state_dir.path(), true);
    let state_dir = state_dir.path().to_str().unwrap();
    let arguments = ["--state-dir", state_dir, "--night", "2018-03-26", "--retry"];
    let output = programs.nightly(&arguments, Some("postgres://elsewhere"));
    assert_eq!(output.status.code(), Some(75), "the program's own");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!(
            "--night 2018-03-26 --retry|postgres://127.0.0.1/tandem_demo_1|{0}/models|{0}/clock.json\n",
            folder.display()
        )
    );

    // Without the simulator there are no vendors to ask.
    drop(lock);
    let output = programs.nightly(&arguments, None);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("does not run"), "{message}");
    // The real ones are there.
    drop(market(Path::new(state_dir), false));
    assert_eq!(programs.nightly(&arguments, None).status.code(), Some(75));
}

#[test]
fn without_a_system_the_environment_is_taken_as_it_is() {
    let programs = Programs::new();
    let output = programs.nightly(&["--list"], Some("postgres://elsewhere"));
    assert_eq!(output.status.code(), Some(75));
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "--list|postgres://elsewhere||\n"
    );
    let output = programs.nightly(&["--list"], None);
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("DATABASE_URL") && message.contains("--state-dir"),
        "{message}"
    );
    let output = programs.nightly(&["--help"], None);
    let help = String::from_utf8(output.stdout).unwrap();
    for option in ["--night DATE", "--retry", "--state-dir", "mlflow"] {
        assert!(help.contains(option), "{help}");
    }
}
