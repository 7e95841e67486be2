//! Lets every program say what it would refuse at its start, before any of them is started.

use std::{process::Stdio, time::Duration};

use anyhow::bail;
use tokio::process::Command;

use crate::programs::sibling;

/// The programs that read settings; market-sim is told everything by its arguments.
const PROGRAMS: [&str; 9] = [
    "api",
    "price-ingestor",
    "news-ingestor",
    "macro-ingestor",
    "corporate-actions",
    "drift-monitor",
    "trainer",
    "validator",
    "nightly",
];

/// How long a program may take to check its settings.
const PATIENCE: Duration = Duration::from_secs(5);

/// What all programs say of the settings and the environment.
#[derive(Debug, Default)]
pub(crate) struct SettingsReport {
    /// What a start would refuse, each once, however many programs say it.
    pub(crate) problems: Vec<String>,
    /// Programs that are not built, and so could not be asked.
    pub(crate) not_built: Vec<&'static str>,
}

/// Asks every program that is built; each sees the environment of this one.
pub(crate) async fn check_settings() -> SettingsReport {
    let asked = PROGRAMS.map(|name| (name, tokio::spawn(ask(name))));
    let mut report = SettingsReport::default();
    for (name, answer) in asked {
        let problems = match answer.await {
            Ok(Answer::Problems(problems)) => problems,
            Ok(Answer::NotBuilt) => {
                report.not_built.push(name);
                continue;
            }
            Err(error) => vec![format!("{name} cannot be asked for its settings: {error}")],
        };
        for problem in problems {
            if !report.problems.contains(&problem) {
                report.problems.push(problem);
            }
        }
    }
    report
}

/// Refuses to go on with settings that some program would not start with.
///
/// # Errors
/// All problems, a line each.
pub(crate) async fn ensure_settings() -> anyhow::Result<()> {
    let problems = check_settings().await.problems;
    if problems.is_empty() {
        return Ok(());
    }
    bail!(
        "the settings cannot be used, so nothing was started:\n  {}",
        problems.join("\n  ")
    )
}

/// What one program says of the settings; nothing when it is not built.
pub(crate) async fn problems_of(name: &'static str) -> Vec<String> {
    match ask(name).await {
        Answer::Problems(problems) => problems,
        Answer::NotBuilt => Vec::new(),
    }
}

enum Answer {
    Problems(Vec<String>),
    NotBuilt,
}

async fn ask(name: &'static str) -> Answer {
    let Ok(program) = sibling(name) else {
        return Answer::NotBuilt;
    };
    let output = Command::new(program)
        .arg("--check-settings")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let failed =
        |reason: String| Answer::Problems(vec![format!("{name} --check-settings {reason}")]);
    let output = match tokio::time::timeout(PATIENCE, output).await {
        Err(_) => return failed(format!("does not end within {} s", PATIENCE.as_secs())),
        Ok(Err(error)) => return failed(format!("cannot be started: {error}")),
        Ok(Ok(output)) => output,
    };
    let said = String::from_utf8_lossy(&output.stdout);
    let problems: Vec<String> = said.lines().map(str::to_owned).collect();
    if output.status.success() || !problems.is_empty() {
        return Answer::Problems(problems);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = errors.lines().rev().find(|line| !line.trim().is_empty());
    failed(format!(
        "ended with {}: {}",
        output.status,
        last.unwrap_or("without a word")
    ))
}
