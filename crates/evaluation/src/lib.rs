#![doc = include_str!("../README.md")]

mod baselines;
mod conformal;
mod drift;
mod scores;
mod signals;
mod significance;

pub use baselines::{BaselineError, ClassPrior, LinearModel, Persistence};
pub use conformal::{ConformalError, ConformalSets, Coverage};
pub use drift::{Deciles, Drift, DriftError, deciles, drift, psi_of_deciles};
pub use scores::{ClassScores, ScoreError, Scores, most_probable, score};
pub use signals::{Signal, SignalScores, score_signals};
pub use significance::{
    DailyMean, DeflatedSharpe, FEWEST_DAYS, SignificanceError, daily_mean, deflated_sharpe,
};
