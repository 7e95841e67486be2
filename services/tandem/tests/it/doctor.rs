//! `tandem doctor`, as a person calls it.

use std::{
    path::Path,
    process::{Command, Output},
};

use sqlx::{ConnectOptions, PgPool};
use tempfile::TempDir;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/tandem.toml");

fn tandem(pool: &PgPool, arguments: &[&str], folder: &Path) -> Output {
    tandem_with(Path::new(CONFIG), pool, arguments, folder)
}

fn tandem_with(config: &Path, pool: &PgPool, arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(arguments)
        .current_dir(folder)
        .env("TANDEM_CONFIG", config)
        .env(
            "DATABASE_URL",
            pool.connect_options().to_url_lossy().as_str(),
        )
        // Nobody listens there: a vendor that is away, at once.
        .env("TANDEM_VENDOR_ADDRESS", "127.0.0.1:9")
        .output()
        .unwrap()
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_doctor_names_what_is_wrong_and_what_to_do(pool: PgPool) {
    let folder = TempDir::new().unwrap();
    let output = tandem(&pool, &["doctor"], folder.path());
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success(),
        "what is missing is no failure: {lines}"
    );
    let line = |what: &str| {
        lines
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(what))
            .map(str::to_owned)
            .unwrap_or_default()
    };
    assert!(line("settings").starts_with("ok"), "{lines}");
    assert!(line("database").starts_with("ok"), "{lines}");
    assert!(line("vendors").starts_with("missing"), "{lines}");
    assert!(line("vendors").contains("TANDEM_VENDOR_ADDRESS"), "{lines}");
    assert!(line("lstm").contains("trainer"), "{lines}");
}

/// Yahoo writes BRK-B: told also where a simulator stands in for it, which knows every spelling.
#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn a_spelling_that_yahoo_does_not_know_is_told(pool: PgPool) {
    let Some(config) = test_support::shared("faults/inputs/settings_dot_ticker.toml") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let output = tandem_with(&config, &pool, &["doctor"], folder.path());
    let lines = String::from_utf8(output.stdout).unwrap();
    let told = |line: &str| {
        let parts = ["settings", "[universe] tickers = BRK.B", "BRK-B"];
        parts.into_iter().all(|part| line.contains(part))
    };
    assert_eq!(
        lines.lines().filter(|line| told(line)).count(),
        1,
        "{lines}"
    );
}

/// What every program refuses at its start is told before, by the doctor and by a start alike.
#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn settings_that_a_service_refuses_are_broken(pool: PgPool) {
    let folder = TempDir::new().unwrap();
    let own = folder.path().join("closed.toml");
    let text = std::fs::read_to_string(CONFIG).unwrap();
    let weekend = text.replace("closures = []", "closures = [\"2018-03-10\"]");
    assert_ne!(weekend, text);
    std::fs::write(&own, weekend).unwrap();
    let shared = |name: &str| test_support::shared(&format!("faults/inputs/{name}"));
    for (config, says) in [
        (
            shared("settings_nan.toml"),
            &[
                "settings_nan.toml: [policy] round_trip_cost_bps = NaN",
                "such as 4",
            ][..],
        ),
        (
            shared("settings_neg.toml"),
            &["settings_neg.toml: [policy] round_trip_cost_bps = -4"],
        ),
        (
            shared("settings_no_tickers.toml"),
            &[
                "settings_no_tickers.toml: [universe] tickers = []",
                "at least one stock",
            ],
        ),
        (
            Some(own),
            &[
                "closed.toml: [calendar] closures = 2018-03-10",
                "is a Saturday",
            ],
        ),
    ] {
        let Some(config) = config else { continue };
        let output = tandem_with(&config, &pool, &["doctor"], folder.path());
        let lines = String::from_utf8(output.stdout).unwrap();
        assert!(!output.status.success(), "{lines}");
        let broken: Vec<&str> = lines
            .lines()
            .filter(|line| line.starts_with("BROKEN") && line.contains("settings"))
            .collect();
        assert_eq!(broken.len(), 1, "{lines}");
        let started = tandem_with(
            &config,
            &pool,
            &["up", "--demo", "--port", "0"],
            folder.path(),
        );
        let refused = String::from_utf8(started.stderr).unwrap();
        assert_eq!(started.status.code(), Some(1), "{refused}");
        for part in says {
            assert!(broken[0].contains(part), "{part:?} in {lines}");
            assert!(refused.contains(part), "{part:?} in {refused}");
        }
    }
}

#[sqlx::test(migrator = "storage::MIGRATOR")]
async fn the_doctor_looks_at_the_market_of_a_state_folder(pool: PgPool) {
    let folder = TempDir::new().unwrap();
    let market = folder.path().join("state/demo_1");
    std::fs::create_dir_all(&market).unwrap();
    let path = |name: &str| market.join(name).display().to_string();
    let environment = serde_json::json!({
        "DATABASE_URL": pool.connect_options().to_url_lossy().to_string(),
        "TANDEM_MODELS_DIR": path("models"),
        "TANDEM_MODEL_CONFIG": path("model_config.json"),
        "TANDEM_VENDOR_ADDRESS": "127.0.0.1:9",
        "TANDEM_CLOCK": path("clock.json"),
    });
    std::fs::write(market.join("environment.json"), environment.to_string()).unwrap();
    let clock = r#"{"origin": "2018-03-26T13:30:00Z", "speed": 1, "started": null}"#;
    std::fs::write(market.join("clock.json"), clock).unwrap();
    let nowhere = PgPool::connect_lazy("postgres://127.0.0.1:9/nowhere").unwrap();
    let output = tandem(&nowhere, &["doctor", "--state-dir", "state"], folder.path());
    let lines = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{lines}");
    let said = |text: &str| lines.lines().any(|line| line.contains(text));
    assert!(
        said("PostgreSQL"),
        "its database, not the environment's: {lines}"
    );
    assert!(said("nothing runs at 127.0.0.1:9"), "{lines}");
    assert!(!said("Yahoo"), "{lines}");
    assert!(said(&path("model_config.json")), "{lines}");
}
