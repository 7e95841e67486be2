//! Scores from a vocabulary: no network, no files, a few microseconds a headline.

mod calibration;
mod evidence;
mod tokens;
mod vocabulary;

use domain::Sentiment;
use vader_sentimental::SentimentIntensityAnalyzer;

use self::{
    evidence::{Evidence, NAMES},
    tokens::Reading,
};
use crate::SentimentError;

/// Stored with each score. A change of vocabulary, rules or calibration is another model and takes another number.
const NAME: &str = "lexicon-3";

/// VADER with a finance vocabulary.
///
/// Words that finance uses in its own way (a *share*, a *gross* margin, costs that *fall*) are read by the vocabulary and
/// its rules, the rest by VADER; a logistic regression turns the evidence into probabilities.
pub struct Lexicon {
    vader: SentimentIntensityAnalyzer<'static>,
}

impl Default for Lexicon {
    fn default() -> Self {
        Self {
            vader: SentimentIntensityAnalyzer::new(),
        }
    }
}

impl std::fmt::Debug for Lexicon {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Lexicon").finish_non_exhaustive()
    }
}

impl Lexicon {
    /// The name stored with each score.
    pub const fn name(&self) -> &'static str {
        NAME
    }

    /// The sentiment of a text; the score of one without any evidence is 0.
    ///
    /// # Errors
    /// [`SentimentError::Answer`] when the answer is no distribution; no text is known to cause it.
    pub fn score(&self, text: &str) -> Result<Sentiment, SentimentError> {
        calibration::sentiment(&self.read(text).values()).map_err(|source| SentimentError::Answer {
            model: NAME.to_owned(),
            source,
        })
    }

    /// What in a text speaks for its score: kinds of evidence with their strength, 0 to 1.
    pub fn evidence(&self, text: &str) -> Vec<(&'static str, f32)> {
        NAMES.into_iter().zip(self.read(text).values()).collect()
    }

    /// The kinds of evidence that speak for no side: their weights are the same for good and bad news.
    pub const fn neutral_evidence(&self) -> [&'static str; 3] {
        ["plans", "things", "figures"]
    }

    fn read(&self, text: &str) -> Evidence {
        let reading = Reading::of(text);
        let mut evidence = Evidence::of(&reading.terms);
        let unknown = reading.unknown_words();
        if !unknown.is_empty() {
            let compound = self.vader.polarity_scores(&unknown).compound as f32;
            evidence.kind_words = compound.max(0.0);
            evidence.harsh_words = (-compound).max(0.0);
        }
        evidence
    }
}
