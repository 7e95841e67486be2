use model_registry::RegistryError;
use reqwest::StatusCode;

/// Why models could not be exported. No text of a secret is in any of these.
#[derive(Debug, thiserror::Error)]
pub enum MlflowError {
    /// A variable that cannot be used.
    #[error("{variable} {problem}")]
    Setting {
        /// Which one.
        variable: &'static str,
        /// What is wrong with it, and what is expected.
        problem: String,
    },
    /// The HTTP client cannot be built.
    #[error("failed to set up the way to the MLflow server")]
    Client(#[source] reqwest::Error),
    /// No answer, or none that could be read.
    #[error("failed to {action}: the MLflow server at {server} gave no answer")]
    NoAnswer {
        /// What was tried.
        action: String,
        /// Address of the server.
        server: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The server says no.
    #[error("failed to {action}: the MLflow server answered {status} {code}: {message}")]
    Refused {
        /// What was tried.
        action: String,
        /// HTTP status.
        status: StatusCode,
        /// MLflow's name of the error; empty when the answer was not MLflow's.
        code: String,
        /// What it says.
        message: String,
    },
    /// The experiment is in the server's bin.
    #[error(
        "the experiment {name} was deleted on the MLflow server: restore it there (mlflow experiments restore), or delete it \
         for good"
    )]
    Deleted {
        /// Its name.
        name: &'static str,
    },
    /// The server stores artifacts where only its clients could put them.
    #[error(
        "the MLflow server keeps artifacts at {uri} and does not pass them on: start it with --serve-artifacts and \
         --artifacts-destination, and let the experiment be made anew"
    )]
    Artifacts {
        /// Where the run's artifacts belong.
        uri: String,
    },
    /// The models cannot be read.
    #[error("failed to read the models")]
    Registry(#[from] RegistryError),
    /// A thread that read them panicked.
    #[error("reading the models crashed")]
    Crashed(#[source] tokio::task::JoinError),
}

impl MlflowError {
    /// Whether the same may succeed later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::NoAnswer { .. } => true,
            Self::Refused { status, .. } => {
                status.is_server_error()
                    || matches!(
                        *status,
                        StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
                    )
            }
            Self::Setting { .. }
            | Self::Client(_)
            | Self::Deleted { .. }
            | Self::Artifacts { .. }
            | Self::Registry(_)
            | Self::Crashed(_) => false,
        }
    }

    /// Whether the server says no with this name of an error.
    pub(crate) fn is_refusal(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}
