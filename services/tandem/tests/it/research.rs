//! The research commands are another program, which `tandem` becomes.

use std::{path::Path, process::Command};

/// Both programs' help in one line for each command: the name and what it does.
fn commands(program: &Path) -> Vec<(String, String)> {
    let output = Command::new(program).arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, commands) = text.split_once("Commands:\n").unwrap();
    commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.trim().split_once("  "))
        .map(|(name, about)| (name.to_owned(), about.trim().to_owned()))
        .filter(|(name, _)| !["help", "models"].contains(&name.as_str()))
        .collect()
}

#[test]
fn tandem_lists_the_research_commands_and_hands_them_over() {
    let tandem = Path::new(env!("CARGO_BIN_EXE_tandem"));
    let research = tandem.with_file_name("tandem-research");
    assert!(
        research.is_file(),
        "{} is not built: cargo build --workspace",
        research.display()
    );
    let listed = commands(tandem);
    let own = commands(&research);
    assert!(own.len() >= 9, "{own:?}");
    for command in &own {
        assert!(listed.contains(command), "{command:?} is not in {listed:?}");
    }
    let given = ["calendar", "--from", "2026-03-09", "--to", "2026-03-10"];
    let output = Command::new(tandem).args(given).output().unwrap();
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8(output.stdout).unwrap().lines().count(),
        3,
        "the header and two sessions"
    );
    // Closures of the settings are every program's.
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("tandem.toml");
    let settings = "[calendar]\nclosures = [\"2026-03-09\"]\nearly_closes = [{ date = 2026-03-10, close = \"13:00\" }]\n";
    std::fs::write(&config, settings).unwrap();
    let output = Command::new(tandem)
        .args(given)
        .env("TANDEM_CONFIG", &config)
        .output()
        .unwrap();
    let sessions = String::from_utf8(output.stdout).unwrap();
    assert!(
        !sessions.contains("2026-03-09") && sessions.contains("2026-03-10T17:00:00Z,1"),
        "{sessions}"
    );
    let help = Command::new(tandem)
        .args(["label", "--help"])
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(
        help.contains("first_touch") && help.contains("tandem label"),
        "{help}"
    );
}
