use std::path::Path;

use domain::Sentiment;
use tracing::{info, warn};

use crate::{Lexicon, SentimentError, Transformer, transformer::folder};

/// What scores texts: the transformer that was fetched, or the lexicon that needs nothing.
#[derive(Debug)]
pub enum SentimentModel {
    /// A pre-trained network, brought by [`crate::fetch`] or [`crate::import`].
    Transformer(Box<Transformer>),
    /// The vocabulary in this program.
    Lexicon(Lexicon),
}

impl SentimentModel {
    /// Loads the first model of the folders below `models_dir` (`models/sentiment`), by name; where there is none, or it
    /// cannot be used, the lexicon, and the log says which and why. [`Self::load_transformer`] says it to the caller.
    ///
    /// Blocks for seconds when there is a transformer.
    ///
    /// # Errors
    /// [`SentimentError::Unreadable`] when `models_dir` is there and cannot be listed.
    pub fn load(models_dir: &Path) -> Result<Self, SentimentError> {
        if folder::installed(models_dir)?.is_empty() {
            info!(
                models_dir = %models_dir.display(),
                "no sentiment model is installed: the lexicon scores news; `tandem models fetch` brings a better one"
            );
            return Ok(Self::Lexicon(Lexicon::default()));
        }
        match Self::load_transformer(models_dir) {
            Ok(Some(transformer)) => {
                info!(model.id = transformer.name(), "a transformer scores news");
                Ok(Self::Transformer(Box::new(transformer)))
            }
            Ok(None) => Ok(Self::Lexicon(Lexicon::default())),
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "the sentiment model cannot be used: the lexicon scores news"
                );
                Ok(Self::Lexicon(Lexicon::default()))
            }
        }
    }

    /// The first model below `models_dir`, by name; `None` when none is installed.
    ///
    /// # Errors
    /// [`SentimentError`] saying why the model cannot be used and what to do.
    pub fn load_transformer(models_dir: &Path) -> Result<Option<Transformer>, SentimentError> {
        let installed = folder::installed(models_dir)?;
        installed
            .first()
            .map(|dir| Transformer::load(dir))
            .transpose()
    }

    /// Stored with each score: `lexicon-3`, or the transformer's name with the first digits of its checksum.
    pub fn name(&self) -> &str {
        match self {
            Self::Transformer(transformer) => transformer.name(),
            Self::Lexicon(lexicon) => lexicon.name(),
        }
    }

    /// A sentiment for each text. Blocks, for as long as a network takes: call it off the async threads, with all texts
    /// that wait.
    ///
    /// # Errors
    /// [`SentimentError`] when the model fails; no text is known to cause it.
    pub fn score(&self, texts: &[&str]) -> Result<Vec<Sentiment>, SentimentError> {
        match self {
            Self::Transformer(transformer) => transformer.score(texts),
            Self::Lexicon(lexicon) => texts.iter().map(|text| lexicon.score(text)).collect(),
        }
    }
}
