use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

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
    #[error("{} is not valid TOML", path.display())]
    Syntax {
        /// Path of the file.
        path: PathBuf,
        /// Line and reason.
        source: Box<toml::de::Error>,
    },
    /// The file holds a section that nobody reads: it is misspelt.
    #[error("{} has no use for a section [{section}]: expected one of {}", path.display(), SECTIONS.join(", "))]
    UnknownSection {
        /// Path of the file.
        path: PathBuf,
        /// Name of the section.
        section: String,
    },
    /// A section is missing, or a field of it is unknown, missing or of a wrong type.
    #[error("section [{section}] of {} cannot be used", path.display())]
    Section {
        /// Path of the file.
        path: PathBuf,
        /// Name of the section.
        section: String,
        /// The field and the reason.
        source: Box<toml::de::Error>,
    },
    /// A variable that must be set is not.
    #[error("the environment variable {name} is not set: {purpose}")]
    Missing {
        /// Name of the variable.
        name: &'static str,
        /// What it is for, and an example.
        purpose: &'static str,
    },
}

/// All sections of the settings file. Each is read by those it concerns.
const SECTIONS: [&str; 13] = [
    "universe",
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
/// [`SettingsError::Missing`] when it is not set.
pub fn database_url() -> Result<String, SettingsError> {
    std::env::var("DATABASE_URL").ok().filter(|url| !url.is_empty()).ok_or(SettingsError::Missing {
        name: "DATABASE_URL",
        purpose: "it names the PostgreSQL to use, such as postgres://tandem:PASSWORD@127.0.0.1:5432/tandem",
    })
}

/// Reads one section of the settings file; see the crate's page for overrides.
///
/// # Errors
/// [`SettingsError`] names the file, the section and the field.
pub fn load_settings<T: DeserializeOwned>(section: &str) -> Result<T, SettingsError> {
    load_settings_from(&config_path(), section, std::env::vars())
}

/// As [`load_settings`], from a given file and set of variables.
///
/// # Errors
/// As [`load_settings`].
pub fn load_settings_from<T: DeserializeOwned>(
    path: &Path,
    section: &str,
    variables: impl Iterator<Item = (String, String)>,
) -> Result<T, SettingsError> {
    let text = std::fs::read_to_string(path).map_err(|source| SettingsError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut file: toml::Table = toml::from_str(&text).map_err(|source| SettingsError::Syntax {
        path: path.to_owned(),
        source: Box::new(source),
    })?;
    if let Some(unknown) = file.keys().find(|name| !SECTIONS.contains(&name.as_str())) {
        return Err(SettingsError::UnknownSection {
            path: path.to_owned(),
            section: unknown.clone(),
        });
    }
    let mut table = match file.remove(section) {
        Some(toml::Value::Table(table)) => table,
        _ => toml::Table::new(),
    };
    let prefix = format!("TANDEM__{}__", section.to_uppercase());
    for (name, value) in variables {
        if let Some(field) = name.strip_prefix(&prefix) {
            table.insert(field.to_lowercase(), parse_value(&value));
        }
    }
    T::deserialize(toml::Value::Table(table)).map_err(|source| SettingsError::Section {
        path: path.to_owned(),
        section: section.to_owned(),
        source: Box::new(source),
    })
}

/// A variable's text as TOML when it is some (a number, a boolean, a list), else as a string.
fn parse_value(text: &str) -> toml::Value {
    toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

fn path_from(variable: &str, default: &str) -> PathBuf {
    std::env::var_os(variable)
        .filter(|value| !value.is_empty())
        .map_or_else(|| default.into(), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Polite {
        requests_per_second: f64,
        #[serde(default)]
        name: String,
    }

    fn load(text: &str, variables: &[(&str, &str)]) -> Result<Polite, SettingsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tandem.toml");
        std::fs::write(&path, text).unwrap();
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load_settings_from(&path, "ingest", variables)
    }

    /// The whole chain of causes, as a service prints it.
    fn chain(error: &dyn std::error::Error) -> String {
        error.source().map_or_else(
            || error.to_string(),
            |source| format!("{error}: {}", chain(source)),
        )
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

    #[test]
    fn a_wrong_field_is_named_with_file_and_section() {
        let message = chain(&load("[ingest]\nrequest_rate = 2\n", &[]).unwrap_err());
        assert!(
            message.contains("tandem.toml")
                && message.contains("[ingest]")
                && message.contains("request_rate")
        );
        let message = chain(&load("[ingest]\nrequests_per_second = \"fast\"\n", &[]).unwrap_err());
        assert!(
            message.contains("requests_per_second") || message.contains("fast"),
            "{message}"
        );
        assert!(chain(&load("[ingest\n", &[]).unwrap_err()).contains("line 1"));
        let message = chain(&load("[ingset]\nrequests_per_second = 2\n", &[]).unwrap_err());
        assert!(message.contains("[ingset]") && message.contains("ingest"));
    }
}
