//! `tandem doctor`, as a person calls it.

use std::{
    path::Path,
    process::{Command, Output},
};

use sqlx::{ConnectOptions, PgPool};
use tempfile::TempDir;

fn tandem(pool: &PgPool, arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(arguments)
        .current_dir(folder)
        .env(
            "TANDEM_CONFIG",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/tandem.toml"),
        )
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
