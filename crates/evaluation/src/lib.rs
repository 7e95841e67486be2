#![doc = include_str!("../README.md")]

mod baselines;
mod boosted_trees;
mod compare;
mod conformal;
mod drift;
mod drift_reference;
mod reliability;
mod report;
mod scores;
mod signals;
mod significance;

pub use baselines::{BaselineError, ClassPrior, LinearModel, Persistence};
pub use boosted_trees::BoostedTrees;
pub use compare::{
    AgainstBaseline, Baseline, Case, CompareError, Comparison, ComparisonSettings, Confirmed,
    Difference, Figure, Judged, NamedRange, Network, SessionMean, SessionReturn, SetCoverage, Side,
    Verdict, compare,
};
pub use conformal::{ConformalError, ConformalSets, Coverage, covered_in_service};
pub use drift::{Deciles, Drift, DriftError, Effect, deciles, drift, effect, psi_of_deciles};
pub use drift_reference::{
    DriftReference, HALF_HOURS, LastClose, Observation, Shift, TimesOfDay, Usual, draw,
};
pub use reliability::{Reliability, ReliabilityBin, reliability};
pub use report::{KindReport, LabelCounts, Outcome, ValidationReport, kind_title, label_counts};
pub use scores::{ClassScores, ScoreError, Scores, most_probable, score};
pub use signals::{Signal, SignalScores, score_signals};
pub use significance::{
    DailyMean, DeflatedSharpe, FEWEST_DAYS, SignificanceError, daily_mean, deflated_sharpe,
    student_reach,
};
