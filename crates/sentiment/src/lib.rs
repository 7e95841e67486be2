#![doc = include_str!("../README.md")]

mod error;
mod fetch;
mod lexicon;
mod model;
mod softmax;
mod transformer;

pub use error::SentimentError;
pub use fetch::{FetchError, Hub, Installed, KNOWN_MODELS, KnownModel, Progress, fetch, import};
pub use lexicon::Lexicon;
pub use model::SentimentModel;
pub use transformer::{MAXIMUM_TOKENS, NetworkError, Transformer};
