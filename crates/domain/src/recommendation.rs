use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::{Decision, Direction, Standing, Ticker};

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

    /// Which way it goes; none for a hold.
    pub const fn direction(self) -> Option<Direction> {
        match self {
            Self::Buy => Some(Direction::Up),
            Self::Sell => Some(Direction::Down),
            Self::Hold => None,
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
    /// One or two sentences that say why, human-readable.
    pub reason: String,
    /// A hold because the models are not sure, or because the move would not pay, as opposed to both ruling out a move.
    pub abstained: bool,
    /// What the rest follows from; none for one stored before decisions were.
    pub decision: Option<Decision>,
    /// How the rule that spoke had fared so far; none for a hold, and for one stored before standings were.
    pub standing: Option<Standing>,
}

impl Recommendation {
    /// Says what a decision comes to, with the standing of the rule that spoke; a hold has none.
    pub fn new(
        ticker: Ticker,
        bar_start: DateTime<Utc>,
        decision: Decision,
        standing: Option<Standing>,
    ) -> Self {
        let action = decision.action();
        let standing = standing.filter(|_| action != Action::Hold);
        Self {
            ticker,
            bar_start,
            action,
            reason: decision.reason(standing.as_ref()),
            abstained: decision.abstained(),
            decision: Some(decision),
            standing,
        }
    }

    /// The same decision beside another standing of its rule. Of a recommendation without a decision nothing changes.
    #[must_use]
    pub fn with_standing(self, standing: Option<Standing>) -> Self {
        match self.decision {
            Some(decision) => Self::new(self.ticker, self.bar_start, decision, standing),
            None => self,
        }
    }
}
