//! What the command lines of all programs share.

use std::{fmt::Write, process::ExitCode};

use chrono::{DateTime, Days, NaiveDate, NaiveDateTime, NaiveTime, Utc};

use crate::{SettingsProblems, telemetry};

/// The option by which a program checks its settings instead of starting.
#[derive(Debug, clap::Args)]
pub struct CheckArguments {
    /// Check settings file and environment as a start does, print a line for each problem, and end: exit code 0 when
    /// there is none, else 1
    #[arg(long)]
    pub check_settings: bool,
}

/// Answers `--check-settings`: prints what a start would refuse.
#[expect(
    clippy::print_stdout,
    reason = "the problems are what this option is asked for"
)]
pub fn check_settings<T>(loaded: Result<T, SettingsProblems>) -> ExitCode {
    let mut problems = SettingsProblems::default();
    problems.note(telemetry::filter());
    let found = loaded.err().unwrap_or_default();
    let lines = || problems.lines().iter().chain(found.lines());
    for line in lines() {
        println!("{line}");
    }
    if lines().next().is_none() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Every variable that programs read, and what it is for. The first two concern them all.
const VARIABLES: [(&str, &str); 24] = [
    (
        "RUST_LOG",
        "which messages are logged [default: info,sqlx=warn]",
    ),
    ("TANDEM_LOG_FORMAT", "json for a JSON object a line"),
    (
        "TANDEM_CONFIG",
        "settings file [default: config/tandem.toml]; TANDEM__SECTION__FIELD overrides a field",
    ),
    (
        "DATABASE_URL",
        "PostgreSQL, postgres://USER:PASSWORD@HOST:PORT/DATABASE",
    ),
    (
        "TANDEM_CLOCK",
        "clock file of a replayed market [default: the system's time]",
    ),
    (
        "TANDEM_MODELS_DIR",
        "folder of the models [default: models]",
    ),
    (
        "TANDEM_MODEL_CONFIG",
        "the champions' file [default: config/model_config.json]",
    ),
    (
        "TANDEM_NIGHTS_DIR",
        "folder of the nights' logs and reports [default: nights]",
    ),
    (
        "TANDEM_SENTIMENT_DIR",
        "folder of the models that read news [default: models/sentiment]",
    ),
    (
        "TANDEM_API_ADDRESS",
        "where it listens [default: 127.0.0.1:8080]",
    ),
    (
        "TANDEM_FRONTEND_DIR",
        "the dashboard's files [default: frontend/out]",
    ),
    (
        "TANDEM_SOURCE",
        "live, simulated or replay: what the dashboard says of the prices [default: live]",
    ),
    (
        "TANDEM_BUILD_FILE",
        "where scripts/run tells what it still compiles [default: nothing is compiled]",
    ),
    (
        "TANDEM_VENDOR_ADDRESS",
        "host:port of a simulator in the place of all vendors",
    ),
    (
        "TANDEM_VENDOR_CA",
        "the certificate (PEM) that it is known by",
    ),
    (
        "ALPHA_VANTAGE_API_KEY",
        "Alpha Vantage: second source of prices, news",
    ),
    ("NEWSAPI_API_KEY", "NewsAPI: news"),
    ("FINNHUB_API_KEY", "Finnhub: news"),
    ("FRED_API_KEY", "FRED: revisions of economic series"),
    (
        "TANDEM_ALERT_WEBHOOK",
        "who is alerted: a webhook in Slack's format",
    ),
    (
        "TANDEM_ALERT_SMTP_URL",
        "who is alerted by mail: smtps://USER:PASSWORD@HOST:465",
    ),
    ("TANDEM_ALERT_TO", "mail addresses, with commas between"),
    (
        "TANDEM_ALERT_FROM",
        "sender of these mails [default: tandem@ this machine]",
    ),
    (
        "MLFLOW_TRACKING_URI",
        "MLflow server that is shown the models; further MLFLOW_TRACKING_ variables as its own clients",
    ),
];

/// How many of [`VARIABLES`] concern every program.
const COMMON: usize = 2;

/// The part of a program's `--help` that names the environment variables it reads: those given, and those that all do.
pub fn environment_help(names: &[&str]) -> String {
    let mut text = "Environment:".to_owned();
    for (index, (name, purpose)) in VARIABLES.iter().enumerate() {
        if index < COMMON || names.contains(name) {
            // Writing into a string cannot fail.
            let _ = write!(text, "\n  {name:<22}  {purpose}");
        }
    }
    text
}

/// What [`parse_moment`] takes, for the `--help` of its options.
pub const MOMENT_HELP: &str =
    "2018-03-26T14:31:00Z, 2018-03-26 14:31 (UTC), or 2018-03-26 for the end of that day (UTC)";

/// Reads a moment as people type it; without an offset it is UTC, and a date alone means its end.
///
/// # Errors
/// Says what is expected.
pub fn parse_moment(text: &str) -> Result<DateTime<Utc>, String> {
    let text = text.trim();
    let expected = || format!("expected {MOMENT_HELP}");
    for format in [
        "%Y-%m-%dT%H:%M:%S%.f%#z",
        "%Y-%m-%d %H:%M:%S%.f%#z",
        "%Y-%m-%dT%H:%M%#z",
        "%Y-%m-%d %H:%M%#z",
    ] {
        if let Ok(time) = DateTime::parse_from_str(text, format) {
            return Ok(time.to_utc());
        }
    }
    let utc = text.strip_suffix("UTC").unwrap_or(text);
    let plain = utc.strip_suffix('Z').unwrap_or(utc).trim_end();
    for format in [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ] {
        if let Ok(time) = NaiveDateTime::parse_from_str(plain, format) {
            return Ok(time.and_utc());
        }
    }
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").map_err(|_| expected())?;
    let next = date.checked_add_days(Days::new(1)).ok_or_else(expected)?;
    Ok(next.and_time(NaiveTime::MIN).and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_people_type_it() {
        let read = |text| parse_moment(text).map(|time| time.to_rfc3339());
        for text in [
            "2018-03-26T14:31:00Z",
            "2018-03-26T10:31:00-04:00",
            "2018-03-26 10:31-04:00",
            "2018-03-26T14:31",
            "2018-03-26 14:31",
            "2018-03-26 14:31:00",
            "2018-03-26 14:31 UTC",
            " 2018-03-26 14:31Z ",
        ] {
            assert_eq!(read(text).unwrap(), "2018-03-26T14:31:00+00:00", "{text}");
        }
        assert_eq!(
            read("2018-03-26").unwrap(),
            "2018-03-27T00:00:00+00:00",
            "a date means its end"
        );
        for text in [
            "yesterday",
            "26.3.2018",
            "2018-03-26T25:00:00Z",
            "2018-13-01",
            "now",
            "",
        ] {
            let error = parse_moment(text).unwrap_err();
            assert!(error.contains("expected 2018-03-26T14:31:00Z"), "{error}");
        }
    }

    #[test]
    fn help_names_the_variables() {
        let help = environment_help(&["DATABASE_URL"]);
        assert!(help.contains("RUST_LOG") && help.contains("DATABASE_URL"));
        assert!(!help.contains("FRED_API_KEY"));
        // A name that is not known would be left out without a word.
        assert!(VARIABLES.iter().all(|(name, _)| name.len() <= 22));
    }
}
