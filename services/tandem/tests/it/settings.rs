//! Wrong settings, as they are told before anything is started.

use std::{
    path::Path,
    process::{Command, Output},
};

use tempfile::TempDir;

const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/tandem.toml");

/// `tandem up` with a settings file and variables; nothing of this machine's environment, and no database.
fn up(config: &Path, variables: &[(&str, &str)]) -> Output {
    let folder = TempDir::new().unwrap();
    Command::new(env!("CARGO_BIN_EXE_tandem"))
        .args(["up", "--demo", "--port", "0", "--state-dir"])
        .arg(folder.path().join("state"))
        .current_dir(folder.path())
        .env_clear()
        .env("TANDEM_CONFIG", config)
        .env("DATABASE_URL", "postgres://127.0.0.1:9/nowhere")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

/// The problems told, a line each.
fn problems(output: &Output) -> Vec<String> {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("nothing was started"), "{told}");
    let lines = told.lines().filter(|line| line.starts_with("  "));
    lines.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn every_value_that_cannot_work_is_told_once_with_section_and_field() {
    let wrong = [
        ("TANDEM__POLICY__ROUND_TRIP_COST_BPS", "nan"),
        ("TANDEM__POLICY__ROUND_TRIP_COST_BPS", "-4"),
        ("TANDEM__POLICY__COVERAGE", "1.0"),
        ("TANDEM__UNIVERSE__TICKERS", "[]"),
        ("TANDEM__CALENDAR__CLOSURES", "[\"2018-03-10\"]"),
        ("TANDEM__CALENDAR__CLOSURES", "[\"tomorrow\"]"),
        (
            "TANDEM__CALENDAR__EARLY_CLOSES",
            "[{ date = \"2018-03-12\", close = \"17:00\" }]",
        ),
        ("TANDEM__INGEST__REQUESTS_PER_SECOND", "0"),
        ("TANDEM__INGEST__CONCURRENCY", "0"),
        ("TANDEM__INGEST__BACKFILL_DAYS", "-3"),
        ("TANDEM__QUALITY__VOLUME_RATIO", "inf"),
        ("TANDEM__NEWS__NEWS_API_PER_DAY", "0"),
        ("TANDEM__ECONOMY__CHECK_HOURS", "0"),
        ("TANDEM__RETENTION__PRICE_DAYS", "-1"),
        ("TANDEM__RETENTION__PRICE_DAYS", "3"),
        ("TANDEM__LABELS__HORIZON", "0"),
        ("TANDEM__LABELS__STOP", "-1.0"),
        ("TANDEM__TRAINING__VALIDATION_FRACTION", "1.5"),
        ("TANDEM__TRAINING__DROPOUT", "2.0"),
        ("TANDEM__VALIDATION__LEVEL", "0.4"),
        ("TANDEM__NIGHTLY__ATTEMPTS", "0"),
        ("TANDEM__API__RELOAD_SECONDS", "nan"),
        ("TANDEM__DRIFT__CRITICAL_STOCKS", "0.05"),
        ("TANDEM__DRIFT__CHECK_MINUTS", "30"),
    ];
    for (variable, value) in wrong {
        let told = problems(&up(Path::new(CONFIG), &[(variable, value)]));
        assert_eq!(told.len(), 1, "{variable}={value}: {told:?}");
        let (section, field) = variable
            .strip_prefix("TANDEM__")
            .and_then(|rest| rest.split_once("__"))
            .unwrap();
        for part in [
            "tandem.toml",
            &format!("[{}]", section.to_lowercase()),
            &field.to_lowercase(),
        ] {
            assert!(told[0].contains(part), "{variable}={value}: {told:?}");
        }
    }
}

#[test]
fn a_wrong_file_is_told_with_all_its_problems() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("own.toml");
    let common = std::fs::read_to_string(CONFIG).unwrap();
    let told = |text: String| {
        std::fs::write(&path, text).unwrap();
        problems(&up(&path, &[]))
    };
    let misspelt = told(common.replace("[news]", "[newz]"));
    assert_eq!(misspelt.len(), 1, "{misspelt:?}");
    assert!(misspelt[0].contains("own.toml") && misspelt[0].contains("[newz]"));
    let no_toml = told(common.replace("[news]", "[news"));
    assert_eq!(no_toml.len(), 1, "{no_toml:?}");
    assert!(no_toml[0].contains("line"), "{no_toml:?}");
    let several = told(
        common
            .replace("ticker = \"MSFT\"", "ticker = \"BRK.B\"")
            .replace("ticker = \"NVDA\"", "ticker = \"AAPL\"")
            .replace("horizon = 30", "horizon = 0"),
    );
    // A stock twice keeps the programs that know Yahoo from looking at the spelling.
    assert_eq!(several.len(), 2, "{several:?}");
    let spelling = told(common.replace("ticker = \"MSFT\"", "ticker = \"BRK.B\""));
    assert_eq!(spelling.len(), 1, "{spelling:?}");
    assert!(
        spelling[0].contains("own.toml: [universe] tickers = BRK.B")
            && spelling[0].contains("BRK-B"),
        "{spelling:?}"
    );
    let below_cost = told(common.replace("minimum_target = 0.0008", "minimum_target = 0.0001"));
    assert_eq!(below_cost.len(), 1, "{below_cost:?}");
    assert!(
        below_cost[0].contains("own.toml: [labels] and [policy]"),
        "{below_cost:?}"
    );
}

#[test]
fn variables_that_cannot_be_used_are_told_without_secrets() {
    let told = problems(&up(
        Path::new(CONFIG),
        &[
            ("FRED_API_KEY", "\"secret\""),
            ("TANDEM_ALERT_TO", "me@example.com"),
            ("TANDEM_API_ADDRESS", "localhost"),
            ("TANDEM__INGST__CONCURRENCY", "4"),
        ],
    ));
    let names = |name: &str| told.iter().filter(|line| line.contains(name)).count();
    assert_eq!(names("FRED_API_KEY"), 1, "{told:?}");
    assert_eq!(names("TANDEM_ALERT_SMTP_URL"), 1, "{told:?}");
    assert_eq!(names("TANDEM_API_ADDRESS"), 1, "{told:?}");
    assert_eq!(names("TANDEM__INGST__CONCURRENCY"), 1, "{told:?}");
    assert!(!told.iter().any(|line| line.contains("secret")), "{told:?}");
    let away = problems(&up(Path::new(CONFIG), &[("TANDEM_CLOCK", "clock.json")]));
    assert_eq!(away.len(), 1, "{away:?}");
    assert!(away[0].contains("clock.json"), "{away:?}");
}

#[test]
fn every_program_explains_itself_and_refuses_what_it_does_not_know() {
    let programs = [
        "tandem",
        "tandem-research",
        "api",
        "price-ingestor",
        "news-ingestor",
        "macro-ingestor",
        "corporate-actions",
        "drift-monitor",
        "trainer",
        "validator",
        "nightly",
        "market-sim",
    ];
    for name in programs {
        let program = Path::new(env!("CARGO_BIN_EXE_tandem")).with_file_name(name);
        let run = |argument: &str| {
            let output = Command::new(&program).arg(argument).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            (output.status.code(), said)
        };
        let (code, help) = run("--help");
        assert_eq!(code, Some(0), "{name}");
        assert!(
            help.contains("Usage:") && help.contains("Environment:"),
            "{name}: {help}"
        );
        assert!(help.contains("RUST_LOG"), "{name}: {help}");
        let (code, version) = run("--version");
        assert_eq!(code, Some(0), "{name}");
        assert!(
            version.contains(env!("CARGO_PKG_VERSION")),
            "{name}: {version}"
        );
        assert_eq!(run("--no-such-option").0, Some(2), "{name}");
    }
}
