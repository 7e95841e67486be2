use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Ticker;

/// Carried by every recommendation, in every channel.
pub const DISCLAIMER: &str = "Tandem is a statistical model, not investment advice. Its probabilities can be wrong and \
     past results promise nothing; you can lose money. Decide for yourself.";

/// What is recommended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Both models confirm a rise.
    Buy,
    /// Both models confirm a fall.
    Sell,
    /// The models do not confirm each other.
    Hold,
}

impl Action {
    /// The lower-case name used in tables and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Buy => "buy",
            Self::Sell => "sell",
            Self::Hold => "hold",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The outcome of the dual confirmation for one closed bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// Whose bar.
    pub ticker: Ticker,
    /// Start of the bar it follows, UTC.
    pub bar_start: DateTime<Utc>,
    /// What is recommended.
    pub action: Action,
    /// The smaller of both models' probabilities of the recommended direction; for a hold, of the direction that
    /// came nearest. 0..=1.
    pub confidence: f32,
    /// One sentence that says why, for people.
    pub reason: String,
    /// A hold because the models are not sure, or because the move would not pay, as opposed to both ruling out a move.
    pub abstained: bool,
}
