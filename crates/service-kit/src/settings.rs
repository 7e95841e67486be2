use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
};

use calendar::{CalendarInUse, CalendarSettings};
use domain::{InvalidSettings, SettingsSection};

/// The settings file, or a variable that overrides it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("failed to read the settings file {} (set TANDEM_CONFIG to use another)", path.display())]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{} is not valid TOML: line {line}: {reason}", path.display())]
    Syntax {
        /// Path of the file.
        path: PathBuf,
        /// Number of the line, from 1.
        line: usize,
        /// What the parser found there.
        reason: String,
    },
    /// The file holds a section that nobody reads: it is misspelt.
    #[error("{} has no use for a section [{section}]: expected one of {}", path.display(), SECTIONS.join(", "))]
    UnknownSection {
        /// Path of the file.
        path: PathBuf,
        /// Name of the section.
        section: String,
    },
    /// A variable overrides a section that nobody reads: it is misspelt.
    #[error("the environment variable {name} overrides nothing: expected TANDEM__SECTION__FIELD, the section one of {}", SECTIONS.join(", "))]
    UnknownVariable {
        /// Name of the variable.
        name: String,
    },
    /// A field is unknown, missing or of a wrong type.
    #[error("{place}: section [{section}] cannot be used: {reason}")]
    Section {
        /// The file, and variables that override the section.
        place: String,
        /// Name of the section.
        section: &'static str,
        /// The field and the reason.
        reason: String,
    },
    /// Fields of a section cannot be used.
    #[error("{place}: {source}")]
    Invalid {
        /// The file, and variables that override the section.
        place: String,
        /// The fields.
        source: InvalidSettings,
    },
    /// The closures of the settings came too late.
    #[error(transparent)]
    Calendar(#[from] CalendarInUse),
    /// A variable that must be set is not.
    #[error("the environment variable {name} is not set: {purpose}")]
    Missing {
        /// Name of the variable.
        name: &'static str,
        /// What it is for, and an example.
        purpose: &'static str,
    },
    /// The database's address is none. It is not shown: it may hold a password.
    #[error(
        "DATABASE_URL is not the address of a PostgreSQL: expected something such as postgres://tandem:PASSWORD@127.0.0.1:5432/tandem"
    )]
    DatabaseUrl,
}

impl SettingsError {
    /// What is wrong, a line for each field.
    fn lines(self) -> Vec<String> {
        match self {
            Self::Invalid { place, source } => {
                let lines = source.0.iter();
                lines.map(|setting| format!("{place}: {setting}")).collect()
            }
            other => vec![line(&anyhow::Error::new(other))],
        }
    }
}

/// What is wrong with the settings of a program, a line for each problem.
#[derive(Debug, Default, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct SettingsProblems(Vec<String>);

impl SettingsProblems {
    /// Loads everything that a program's start needs before the first access to network or database, and gathers what
    /// is wrong on the way: `load` answers none only after it has noted a problem. The calendar of the process knows the
    /// settings' closures from here on.
    ///
    /// # Errors
    /// All problems found.
    pub fn collect<T>(load: impl FnOnce(&mut Self) -> Option<T>) -> Result<T, Self> {
        let mut problems = Self::default();
        if let Some(settings) = problems.section() {
            problems.note(calendar::configure(&settings));
        }
        match load(&mut problems) {
            Some(settings) if problems.0.is_empty() => Ok(settings),
            _ => Err(problems),
        }
    }

    /// Loads a section of the settings, as [`load_settings`].
    pub fn section<T: SettingsSection>(&mut self) -> Option<T> {
        match load_settings() {
            Ok(section) => Some(section),
            Err(error) => {
                // One that concerns the whole file is the same for each section.
                let lines = error.lines().into_iter();
                let fresh: Vec<_> = lines.filter(|line| !self.0.contains(line)).collect();
                self.0.extend(fresh);
                None
            }
        }
    }

    /// Takes what was loaded otherwise, or notes why it was not.
    pub fn note<T, E: Into<anyhow::Error>>(&mut self, loaded: Result<T, E>) -> Option<T> {
        loaded
            .map_err(|error| self.0.push(line(&error.into())))
            .ok()
    }

    /// Notes what is wrong with sections of the settings file that are fine for themselves.
    pub fn contradiction<E: fmt::Display>(&mut self, checked: Result<(), E>) {
        if let Err(error) = checked {
            let place = config_path();
            self.0.push(format!("{}: {error}", place.display()));
        }
    }

    /// The problems, a line each.
    pub fn lines(&self) -> &[String] {
        &self.0
    }
}

/// An error with its causes, in one line.
fn line(error: &anyhow::Error) -> String {
    one_line(&format!("{error:#}"))
}

fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.join(" ").trim_end().to_owned()
}

/// All sections of the settings file. Each is read by those it concerns.
const SECTIONS: [&str; 14] = [
    "universe",
    "calendar",
    "ingest",
    "quality",
    "news",
    "economy",
    "retention",
    "labels",
    "training",
    "policy",
    "validation",
    "nightly",
    "api",
    "drift",
];

/// Path of the settings file: `TANDEM_CONFIG`, else `config/tandem.toml`.
pub fn config_path() -> PathBuf {
    path_from("TANDEM_CONFIG", "config/tandem.toml")
}

/// Folder of the models: `TANDEM_MODELS_DIR`, else `models`.
pub fn models_dir() -> PathBuf {
    path_from("TANDEM_MODELS_DIR", "models")
}

/// Folder of the models that come along for the simulated market: `TANDEM_DEMO_MODELS_DIR`, else `models/demo`.
pub fn demo_models_dir() -> PathBuf {
    path_from("TANDEM_DEMO_MODELS_DIR", "models/demo")
}

/// Folder of the models that read news: `TANDEM_SENTIMENT_DIR`, else `models/sentiment`. Apart from the others, as one
/// serves every market.
pub fn sentiment_dir() -> PathBuf {
    path_from("TANDEM_SENTIMENT_DIR", "models/sentiment")
}

/// Folder of the nights' logs and reports: `TANDEM_NIGHTS_DIR`, else `nights`.
pub fn nights_dir() -> PathBuf {
    path_from("TANDEM_NIGHTS_DIR", "nights")
}

/// Path of the champions' file: `TANDEM_MODEL_CONFIG`, else `config/model_config.json`.
pub fn model_config_path() -> PathBuf {
    path_from("TANDEM_MODEL_CONFIG", "config/model_config.json")
}

/// Folder of the dashboard's static files: `TANDEM_FRONTEND_DIR`, else `frontend/out`.
pub fn frontend_dir() -> PathBuf {
    path_from("TANDEM_FRONTEND_DIR", "frontend/out")
}

/// The database's address from `DATABASE_URL`. It may hold a password: never log it.
///
/// # Errors
/// [`SettingsError::Missing`] when it is not set, [`SettingsError::DatabaseUrl`] when it is no address.
pub fn database_url() -> Result<String, SettingsError> {
    let url = std::env::var("DATABASE_URL").unwrap_or_default();
    if url.is_empty() {
        return Err(SettingsError::Missing {
            name: "DATABASE_URL",
            purpose: "it names the PostgreSQL to use, such as postgres://tandem:PASSWORD@127.0.0.1:5432/tandem",
        });
    }
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        Ok(url)
    } else {
        Err(SettingsError::DatabaseUrl)
    }
}

/// Reads and checks one section of the settings file; see the crate's page for overrides.
///
/// # Errors
/// [`SettingsError`] names the file, the section and the fields.
pub fn load_settings<T: SettingsSection>() -> Result<T, SettingsError> {
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    load_settings_from(&config_path(), variables)
}

/// Lets the calendar of this process know the closures of the settings file, if there is one: for programs that work
/// without settings too. The others get it with [`SettingsProblems::collect`].
///
/// # Errors
/// As [`load_settings`].
pub fn configure_calendar() -> Result<(), SettingsError> {
    if config_path().exists() {
        calendar::configure(&load_settings::<CalendarSettings>()?)?;
    }
    Ok(())
}

/// As [`load_settings`], from a given file and set of variables.
///
/// # Errors
/// As [`load_settings`].
pub fn load_settings_from<T: SettingsSection>(
    path: &Path,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<T, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut file: toml::Table = toml::from_str(&text).map_err(|error| SettingsError::Syntax {
        path: path.to_owned(),
        line: line_of(&text, &error),
        reason: one_line(error.message()),
    })?;
    if let Some(unknown) = file.keys().find(|name| !SECTIONS.contains(&name.as_str())) {
        return Err(SettingsError::UnknownSection {
            path: path.to_owned(),
            section: unknown.clone(),
        });
    }
    let section = T::SECTION;
    let mut place = path.display().to_string();
    let unusable = |place: &str, reason: &str| SettingsError::Section {
        place: place.to_owned(),
        section,
        reason: one_line(reason),
    };
    let mut table = match file.remove(section) {
        Some(toml::Value::Table(table)) => table,
        None => toml::Table::new(),
        Some(other) => {
            let reason = format!("{other} is no section: expected [{section}] and its fields");
            return Err(unusable(&place, &reason));
        }
    };
    let mut overriding = BTreeSet::new();
    for (name, value) in variables {
        let Some(rest) = name.strip_prefix("TANDEM__") else {
            continue;
        };
        match rest.split_once("__") {
            Some((other, field)) if SECTIONS.contains(&other.to_lowercase().as_str()) => {
                if other.to_lowercase() == section {
                    table.insert(field.to_lowercase(), parse_value(&value));
                    overriding.insert(name);
                }
            }
            _ => return Err(SettingsError::UnknownVariable { name }),
        }
    }
    for name in overriding {
        place = format!("{place} with {name}");
    }
    let settings = T::deserialize(with_dates_as_text(toml::Value::Table(table)))
        .map_err(|error| unusable(&place, &error.to_string()))?;
    match settings.check() {
        Ok(()) => Ok(settings),
        Err(source) => Err(SettingsError::Invalid { place, source }),
    }
}

/// Number of the line where the parser stopped, from 1.
fn line_of(text: &str, error: &toml::de::Error) -> usize {
    let end = error.span().map_or(0, |span| span.start);
    text.get(..end).unwrap_or(text).matches('\n').count() + 1
}

/// A variable's text as TOML when it is some (a number, a boolean, a list), else as a string.
fn parse_value(text: &str) -> toml::Value {
    toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

/// Dates and times may be written with and without quotes.
fn with_dates_as_text(value: toml::Value) -> toml::Value {
    match value {
        toml::Value::Datetime(time) => toml::Value::String(time.to_string()),
        toml::Value::Array(values) => {
            toml::Value::Array(values.into_iter().map(with_dates_as_text).collect())
        }
        toml::Value::Table(table) => toml::Value::Table(
            table
                .into_iter()
                .map(|(name, value)| (name, with_dates_as_text(value)))
                .collect(),
        ),
        other => other,
    }
}

fn path_from(variable: &str, default: &str) -> PathBuf {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map_or_else(|| default.into(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use domain::SettingsCheck;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Polite {
        requests_per_second: f64,
        #[serde(default)]
        name: String,
    }

    impl SettingsSection for Polite {
        const SECTION: &'static str = "ingest";

        fn check(&self) -> Result<(), InvalidSettings> {
            SettingsCheck::new(Self::SECTION)
                .number("requests_per_second", self.requests_per_second, 0.1, 10.0)
                .field("name", "?", self.name != "?", "a name")
                .end()
        }
    }

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Polite, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tandem.toml");
        std::fs::write(&path, text).unwrap();
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load_settings_from(&path, variables)
    }

    #[test]
    fn a_variable_overrides_a_field_with_its_type() {
        let text = "[ingest]\nrequests_per_second = 2.0\n";
        let settings = load(
            text,
            &[
                ("TANDEM__INGEST__REQUESTS_PER_SECOND", "0.5"),
                ("OTHER", "1"),
            ],
        )
        .unwrap();
        assert_eq!(
            settings,
            Polite {
                requests_per_second: 0.5,
                name: String::new()
            }
        );
        let settings = load(text, &[("TANDEM__INGEST__NAME", "plain words")]).unwrap();
        assert_eq!(settings.name, "plain words");
    }

    /// The only problem with a file, in the line that tells it.
    fn problem(text: &str, variables: &[(&str, &str)]) -> String {
        let mut lines = load(text, variables).unwrap_err().lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line = lines.remove(0);
        assert!(!line.contains('\n'), "{line}");
        line
    }

    fn all_of(line: &str, parts: &[&str]) {
        for part in parts {
            assert!(line.contains(part), "{part:?} in {line}");
        }
    }

    #[test]
    fn a_wrong_field_is_named_with_file_and_section() {
        let line = problem("[ingest]\nrequest_rate = 2\n", &[]);
        all_of(&line, &["tandem.toml", "[ingest]", "request_rate"]);
        let line = problem("[ingest]\nrequests_per_second = \"fast\"\n", &[]);
        all_of(&line, &["[ingest]", "requests_per_second", "fast"]);
        let line = problem("ingest = 2\n", &[]);
        all_of(&line, &["tandem.toml", "[ingest]", "no section"]);
        let line = problem("[policy]\n\n[ingest\n", &[]);
        all_of(&line, &["tandem.toml", "line 3"]);
        let line = problem("[ingset]\nrequests_per_second = 2\n", &[]);
        all_of(&line, &["[ingset]", "ingest"]);
    }

    #[test]
    fn every_value_out_of_range_has_a_line_with_its_file() {
        let text = "[ingest]\nrequests_per_second = nan\nname = \"?\"\n";
        let lines = load(text, &[]).unwrap_err().lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        all_of(
            &lines[0],
            &["tandem.toml: [ingest] requests_per_second = NaN"],
        );
        all_of(&lines[1], &["tandem.toml: [ingest] name = ?"]);
    }

    #[test]
    fn closures_are_read_with_and_without_quotes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tandem.toml");
        let load = |text: &str, variables: Vec<(String, String)>| {
            std::fs::write(&path, text).unwrap();
            load_settings_from::<CalendarSettings>(&path, variables.into_iter())
        };
        let quoted = "[calendar]\nclosures = [\"2018-03-09\"]\n\
             early_closes = [{ date = \"2018-03-12\", close = \"13:00\" }]";
        let plain = "[calendar]\nclosures = [2018-03-09]\n\
             early_closes = [{ date = 2018-03-12, close = 13:00:00 }]";
        let settings = load(quoted, Vec::new()).unwrap();
        assert_eq!(settings.closures.len() + settings.early_closes.len(), 2);
        assert_eq!(load(plain, Vec::new()).unwrap(), settings);
        let variable = (
            "TANDEM__CALENDAR__CLOSURES".to_owned(),
            "[\"2018-03-10\"]".to_owned(),
        );
        let lines = load(quoted, vec![variable]).unwrap_err().lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        all_of(
            &lines[0],
            &[
                "TANDEM__CALENDAR__CLOSURES",
                "[calendar] closures = 2018-03-10",
                "is a Saturday",
            ],
        );
        let line = load("[calendar]\nclosures = [\"9 March\"]", Vec::new()).unwrap_err();
        all_of(&line.lines()[0], &["tandem.toml", "[calendar]", "closures"]);
    }

    #[test]
    fn a_variable_is_named_where_it_decides() {
        let text = "[ingest]\nrequests_per_second = 2.0\n";
        let zero = [("TANDEM__INGEST__REQUESTS_PER_SECOND", "0")];
        let line = problem(text, &zero);
        all_of(&line, &[zero[0].0, "tandem.toml", "0.1 to 10"]);
        let misspelt = [("TANDEM__INGST__REQUESTS_PER_SECOND", "1")];
        all_of(&problem(text, &misspelt), &[misspelt[0].0, "ingest"]);
    }
}
