use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Ticker;

/// What a triple-barrier label says: which barrier the price touches first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Class {
    /// The lower barrier.
    Down,
    /// Neither barrier before the vertical one.
    Neutral,
    /// The upper barrier.
    Up,
}

impl Class {
    /// All classes in the order of every probability vector, file and table.
    pub const ALL: [Self; 3] = [Self::Down, Self::Neutral, Self::Up];

    /// Position in probability vectors: 0, 1 or 2.
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The lower-case name used in files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Down => "down",
            Self::Neutral => "neutral",
            Self::Up => "up",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The two riders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ModelKind {
    /// Recurrent network.
    Lstm,
    /// Attention network.
    Transformer,
}

impl ModelKind {
    /// Both kinds.
    pub const ALL: [Self; 2] = [Self::Lstm, Self::Transformer];

    /// The lower-case name used in paths, files and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lstm => "lstm",
            Self::Transformer => "transformer",
        }
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Text that names no model kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a model kind: expected lstm or transformer")]
pub struct InvalidModelKind {
    text: String,
}

impl FromStr for ModelKind {
    type Err = InvalidModelKind;

    fn from_str(text: &str) -> Result<Self, InvalidModelKind> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| InvalidModelKind {
                text: text.to_owned(),
            })
    }
}

/// Name of one trained model, unique for ever; also its folder's name. Letters, digits, `-`, `_` and `.` only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelId(String);

/// Text that cannot name a model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a model id: expected 1 to 80 letters, digits, '-', '_' or '.', not starting with '.'"
)]
pub struct InvalidModelId {
    text: String,
}

impl ModelId {
    /// Checks the text, which becomes a folder's name: nothing in it may leave that folder.
    ///
    /// # Errors
    /// [`InvalidModelId`] for anything else than 1 to 80 letters, digits, `-`, `_`, `.`, or a leading `.`.
    pub fn parse(text: &str) -> Result<Self, InvalidModelId> {
        let valid = (1..=80).contains(&text.len())
            && !text.starts_with('.')
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
        if valid {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidModelId {
                text: text.to_owned(),
            })
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for ModelId {
    type Error = InvalidModelId;

    fn try_from(text: String) -> Result<Self, InvalidModelId> {
        Self::parse(&text)
    }
}

impl From<ModelId> for String {
    fn from(id: ModelId) -> Self {
        id.0
    }
}

/// Calibrated probabilities of down, neutral and up: each in 0..=1, together 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Probabilities {
    /// Probability that the lower barrier is touched first.
    pub down: f32,
    /// Probability that neither is touched in time.
    pub neutral: f32,
    /// Probability that the upper barrier is touched first.
    pub up: f32,
}

/// A model's output that is no probability distribution.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{values:?} are not probabilities: expected three numbers in 0..=1 that add up to 1")]
pub struct InvalidProbabilities {
    values: [f32; 3],
}

impl Probabilities {
    /// Checks a model's output in the order of [`Class::ALL`].
    ///
    /// # Errors
    /// [`InvalidProbabilities`] for NaN, numbers outside 0..=1 or a sum further than 1e-4 from 1.
    pub fn new(values: [f32; 3]) -> Result<Self, InvalidProbabilities> {
        let valid = values.iter().all(|value| (0.0..=1.0).contains(value))
            && (values.iter().sum::<f32>() - 1.0).abs() < 1e-4;
        if !valid {
            return Err(InvalidProbabilities { values });
        }
        let [down, neutral, up] = values;
        Ok(Self { down, neutral, up })
    }

    /// The three numbers in the order of [`Class::ALL`].
    pub const fn to_array(self) -> [f32; 3] {
        [self.down, self.neutral, self.up]
    }

    /// Probability of one class.
    pub const fn of(self, class: Class) -> f32 {
        match class {
            Class::Down => self.down,
            Class::Neutral => self.neutral,
            Class::Up => self.up,
        }
    }

    /// The most probable class and its probability; of equal ones the earlier in [`Class::ALL`].
    pub fn top(self) -> (Class, f32) {
        let mut top = (Class::Down, self.down);
        for class in [Class::Neutral, Class::Up] {
            if self.of(class) > top.1 {
                top = (class, self.of(class));
            }
        }
        top
    }
}

/// What one model says of one closed bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Whose bar.
    pub ticker: Ticker,
    /// Start of the last bar of the window, UTC. The prediction is made at its close.
    pub bar_start: DateTime<Utc>,
    /// Which rider.
    pub kind: ModelKind,
    /// Which model.
    pub model_id: ModelId,
    /// What it says.
    pub probabilities: Probabilities,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_checked_and_ordered() {
        let probabilities = Probabilities::new([0.2, 0.5, 0.3]).unwrap();
        assert_eq!(probabilities.top(), (Class::Neutral, 0.5));
        assert_eq!(
            probabilities.to_array()[Class::Up.index()],
            probabilities.of(Class::Up)
        );
        for bad in [[f32::NAN, 0.5, 0.5], [0.5, 0.5, 0.5], [-0.1, 0.6, 0.5]] {
            assert!(Probabilities::new(bad).is_err());
        }
    }

    #[test]
    fn a_model_id_cannot_leave_its_folder() {
        for bad in ["", "..", "../../etc", "a/b", ".hidden", "a\\b"] {
            assert!(ModelId::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(
            ModelId::parse("lstm-20180326T133000Z-1a2b")
                .unwrap()
                .as_str(),
            "lstm-20180326T133000Z-1a2b"
        );
    }
}
