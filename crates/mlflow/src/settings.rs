use reqwest::{RequestBuilder, Url};
use secrecy::{ExposeSecret, SecretString};

use crate::MlflowError;

const URI: &str = "MLFLOW_TRACKING_URI";

/// Which server, and how to be let in.
#[derive(Clone, Debug)]
pub struct MlflowSettings {
    pub(crate) server: Url,
    pub(crate) login: Login,
}

#[derive(Clone, Debug)]
pub(crate) enum Login {
    Nobody,
    Person {
        user: String,
        password: SecretString,
    },
    Token(SecretString),
}

impl Login {
    pub(crate) fn sign(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Nobody => request,
            Self::Person { user, password } => {
                request.basic_auth(user, Some(password.expose_secret()))
            }
            Self::Token(token) => request.bearer_auth(token.expose_secret()),
        }
    }
}

impl MlflowSettings {
    /// Reads the variables named on the crate's page; an empty one counts as not set. Nothing without a server.
    ///
    /// # Errors
    /// [`MlflowError::Setting`] names the variable that cannot be used.
    pub fn from_environment() -> Result<Option<Self>, MlflowError> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// As [`Self::from_environment`], of other variables: `variable` gives the value of a name.
    ///
    /// # Errors
    /// As [`Self::from_environment`].
    pub fn from_variables(
        variable: impl Fn(&'static str) -> Option<String>,
    ) -> Result<Option<Self>, MlflowError> {
        let variable = |name| variable(name).filter(|value| !value.is_empty());
        let refused = |variable, problem: &str| MlflowError::Setting {
            variable,
            problem: problem.to_owned(),
        };
        let Some(text) = variable(URI) else {
            return Ok(None);
        };
        // The text may hold a password: it is not shown.
        let expected =
            "is no address of a server: expected something such as http://127.0.0.1:5000";
        let server = Url::parse(&text).map_err(|_| refused(URI, expected))?;
        if !matches!(server.scheme(), "http" | "https") || server.host_str().is_none() {
            return Err(refused(URI, expected));
        }
        if !server.username().is_empty() || server.password().is_some() {
            let problem = "holds a user or password: put them into MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD";
            return Err(refused(URI, problem));
        }
        let user = variable("MLFLOW_TRACKING_USERNAME");
        let password = variable("MLFLOW_TRACKING_PASSWORD");
        // In the order in which MLflow's own clients look.
        let login = match (user, password, variable("MLFLOW_TRACKING_TOKEN")) {
            (Some(user), Some(password), _) => Login::Person {
                user,
                password: password.into(),
            },
            (Some(_), None, _) => {
                return Err(refused(
                    "MLFLOW_TRACKING_PASSWORD",
                    "is not set, but the user's name is",
                ));
            }
            (None, Some(_), _) => {
                return Err(refused(
                    "MLFLOW_TRACKING_USERNAME",
                    "is not set, but the password is",
                ));
            }
            (None, None, Some(token)) => Login::Token(token.into()),
            (None, None, None) => Login::Nobody,
        };
        Ok(Some(Self { server, login }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&'static str, &str)]) -> Result<Option<MlflowSettings>, String> {
        MlflowSettings::from_variables(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
        .map_err(|error| error.to_string())
    }

    #[test]
    fn without_a_server_nothing_is_exported() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[(URI, "")]).unwrap().is_none());
    }

    #[test]
    fn secrets_are_read_and_never_shown() {
        let settings = read(&[
            (URI, "https://mlflow.example.com/base"),
            ("MLFLOW_TRACKING_USERNAME", "quant"),
            ("MLFLOW_TRACKING_PASSWORD", "hush"),
            ("MLFLOW_TRACKING_TOKEN", "hush-hush"),
        ])
        .unwrap()
        .unwrap();
        assert!(matches!(&settings.login, Login::Person { user, .. } if user == "quant"));
        assert!(!format!("{settings:?}").contains("hush"));
        let token = read(&[(URI, "http://host"), ("MLFLOW_TRACKING_TOKEN", "hush")]);
        assert!(matches!(token.unwrap().unwrap().login, Login::Token(_)));
        let within = read(&[(URI, "http://quant:hush@host:5000")]).unwrap_err();
        assert!(within.contains("MLFLOW_TRACKING_PASSWORD") && !within.contains("hush"));
    }

    #[test]
    fn what_is_no_server_is_refused_without_repeating_it() {
        for text in [
            "file:///mlruns",
            "sqlite:///mlflow.db",
            "databricks",
            "http:// hush",
        ] {
            let error = read(&[(URI, text)]).unwrap_err();
            assert!(
                error.starts_with("MLFLOW_TRACKING_URI is no address"),
                "{error}"
            );
            assert!(!error.contains(text), "{error}");
        }
        let half = read(&[(URI, "http://host"), ("MLFLOW_TRACKING_USERNAME", "quant")]);
        assert!(
            half.unwrap_err()
                .starts_with("MLFLOW_TRACKING_PASSWORD is not set")
        );
    }
}
