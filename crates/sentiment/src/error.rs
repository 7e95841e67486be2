use std::{io, path::PathBuf};

use domain::InvalidSentiment;

use crate::NetworkError;

/// What to do about a model's files, as the end of a message.
const ADVICE: &str = "fetch the model again with `tandem models fetch`";

/// Why a model cannot be loaded or asked.
#[derive(Debug, thiserror::Error)]
pub enum SentimentError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: check that it is there and readable, or {ADVICE}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A manifest or configuration is no JSON of the expected form.
    #[error("{} is not what it should be: {ADVICE}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where it breaks off.
        #[source]
        source: serde_json::Error,
    },
    /// A file is not the one that the manifest vouches for.
    #[error(
        "{} is corrupt or was replaced: its sha256 is {found}, manifest.json says {expected}; {ADVICE}",
        path.display()
    )]
    Checksum {
        /// The file.
        path: PathBuf,
        /// The manifest's sha256.
        expected: String,
        /// The file's sha256.
        found: String,
    },
    /// The model has other classes.
    #[error(
        "{} names the labels {}; a sentiment model has negative, neutral and positive: fetch another model",
        path.display(), found.join(", ")
    )]
    Labels {
        /// The model's configuration.
        path: PathBuf,
        /// Its labels.
        found: Vec<String>,
    },
    /// The tokenizer cannot be used.
    #[error("the tokenizer {} cannot be used: {ADVICE}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The network cannot be used.
    #[error("the network {} cannot be used: {ADVICE}, or fetch another one", path.display())]
    Network {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: NetworkError,
    },
    /// The tokenizer failed on a text.
    #[error("the tokenizer of {model} cannot encode a text")]
    Encode {
        /// The model.
        model: String,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The network gave numbers that are no probabilities.
    #[error("model {model} gave an impossible answer")]
    Answer {
        /// The model.
        model: String,
        /// The numbers.
        #[source]
        source: InvalidSentiment,
    },
}
