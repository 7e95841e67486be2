#![doc = include_str!("../README.md")]

mod baselines;
mod scores;
mod signals;

pub use baselines::{BaselineError, ClassPrior, LinearModel, Persistence};
pub use scores::{ClassScores, ScoreError, Scores, most_probable, score};
pub use signals::{Signal, SignalScores, score_signals};
