#![doc = include_str!("../README.md")]

mod baselines;
mod compare;
mod conformal;
mod drift;
mod reliability;
mod report;
mod scores;
mod signals;
mod significance;

pub use baselines::{BaselineError, ClassPrior, LinearModel, Persistence};
pub use compare::{
    AgainstBaseline, Baseline, Case, CompareError, Comparison, ComparisonSettings, Confirmed,
    Difference, Figure, Judged, NamedRange, Network, SessionMean, SessionReturn, SetCoverage, Side,
    Verdict, compare,
};
pub use conformal::{ConformalError, ConformalSets, Coverage};
pub use drift::{Deciles, Drift, DriftError, deciles, drift, psi_of_deciles};
pub use reliability::{Reliability, ReliabilityBin, reliability};
pub use report::{KindReport, LabelCounts, Outcome, ValidationReport, label_counts};
pub use scores::{ClassScores, ScoreError, Scores, most_probable, score};
pub use signals::{Signal, SignalScores, score_signals};
pub use significance::{
    DailyMean, DeflatedSharpe, FEWEST_DAYS, SignificanceError, daily_mean, deflated_sharpe,
};
