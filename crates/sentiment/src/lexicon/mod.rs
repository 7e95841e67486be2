//! Scores from a vocabulary: no network, no files, a few microseconds a headline.

mod calibration;
mod evidence;
mod tokens;
mod vocabulary;

use domain::Sentiment;
use vader_sentimental::SentimentIntensityAnalyzer;

use self::{
    evidence::{Evidence, NAMES},
    tokens::{Kind, Term},
};
use crate::SentimentError;

/// Stored with each score. A change of vocabulary, rules or calibration is another model and takes another number.
const NAME: &str = "lexicon-1";

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

    /// The sentiment of a text; one without any evidence gets the probabilities of such texts.
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

    fn read(&self, text: &str) -> Evidence {
        let terms = tokens::terms(text);
        let mut evidence = Evidence::of(&terms);
        let unknown = unknown_words(text, &terms);
        let compound = self.vader.polarity_scores(&unknown).compound as f32;
        evidence.kind_words = compound.max(0.0);
        evidence.harsh_words = (-compound).max(0.0);
        evidence
    }
}

/// The text without what the vocabulary knows.
fn unknown_words(text: &str, terms: &[Term]) -> String {
    let mut rest = String::with_capacity(text.len());
    let mut end = 0;
    for term in terms {
        if matches!(term.kind, Kind::Known(_) | Kind::Number { .. }) {
            rest.push_str(text.get(end..term.place.start).unwrap_or_default());
            end = term.place.end;
        }
    }
    rest.push_str(text.get(end..).unwrap_or_default());
    rest
}
