//! How a trained network tells when it is sure.
//!
//! The calibrated probabilities of the calibration part give the conformal sets, and what came of the same decisions gives
//! what each class is worth. The correction of the evidence was fitted on the same part; three numbers fitted on thousands of
//! decisions move a quantile by far less than its own error, so that nothing is gained by a part of its own, for which
//! sessions would have to be taken from the training.
//!
//! A few sessions of one month are not like those of the next, and thresholds that stay as they were fitted miss the coverage
//! by up to fifty points for a class. So they are where the thresholds start: in service they move with what comes of the
//! decisions, see [`domain::AdaptiveThresholds`]. What holds in the end is measured on unseen days, by `tandem evaluate` and
//! by the validator.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use domain::{Class, ModelKind};
use evaluation::{ConformalSets, student_reach};
use labels::BarrierSettings;
use model_registry::AbstentionRecord;

/// What a decision was worth to a buyer who enters at the next bar's open and leaves at the touch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Worth {
    /// Before costs, a fraction of the price.
    pub(crate) gross_return: f64,
    /// The stock's realised volatility at the decision, a fraction of the price.
    pub(crate) volatility: f64,
}

/// A decision of the calibration part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Decision {
    /// New York date.
    pub(crate) session: NaiveDate,
    /// What happened.
    pub(crate) class: Class,
    pub(crate) worth: Worth,
    /// What the calibrated network gave each class.
    pub(crate) probabilities: [f64; 3],
}

/// Minutes that it may take until what came of a decision is written down, once it is known: the drift monitor lets bars
/// settle for 15 minutes and looks every half hour, at the close after 50 minutes.
const MARGIN_MINUTES: u32 = 75;
/// Minutes from a close to the open after a long weekend, and more.
const LONGEST_CLOSURE_MINUTES: u32 = 4 * 24 * 60;

/// One-sided level of the moves' bounds.
const LEVEL: f64 = 0.95;

/// Minutes of trading that labels look ahead.
fn horizon_minutes(barriers: &BarrierSettings) -> u32 {
    u32::try_from(barriers.horizon).unwrap_or(u32::MAX)
}

/// Minutes after which what came of a decision is known for sure.
fn delay_minutes(barriers: &BarrierSettings) -> u32 {
    let closed = if barriers.within_session {
        0
    } else {
        LONGEST_CLOSURE_MINUTES
    };
    horizon_minutes(barriers).saturating_add(MARGIN_MINUTES + closed)
}

/// Fits the sets for a coverage between 0 and 1; `base_rates` are what the model gives each class of a window that tells it
/// nothing. None, with a warning in the log, where a class has too few decisions.
pub(crate) fn fit(
    kind: ModelKind,
    decisions: &[Decision],
    coverage: f64,
    base_rates: [f64; 3],
    barriers: &BarrierSettings,
) -> Option<AbstentionRecord> {
    let truth: Vec<Class> = decisions.iter().map(|decision| decision.class).collect();
    let said: Vec<[f64; 3]> = decisions
        .iter()
        .map(|decision| decision.probabilities)
        .collect();
    match ConformalSets::fit(&truth, &said, coverage) {
        Ok(sets) => Some(AbstentionRecord {
            coverage,
            thresholds: sets.thresholds,
            moves: Class::ALL.map(|class| mean_move(&sessions(decisions, class))),
            move_reach: move_reach(decisions),
            // A class that the training part has none of has no rate to be compared with.
            base_rates: Some(base_rates).filter(|rates| rates.iter().all(|rate| *rate > 0.0)),
            horizon_minutes: Some(horizon_minutes(barriers)),
            cases: decisions.len() as u64,
            delay_minutes: delay_minutes(barriers),
        }),
        Err(error) => {
            tracing::warn!(
                model.kind = %kind,
                error = &error as &dyn std::error::Error,
                "the {kind} will never confirm a direction: there is too little to tell when it is sure"
            );
            None
        }
    }
}

/// Of each session with decisions of a class: the sum of their returns and that of their volatilities.
fn sessions(decisions: &[Decision], class: Class) -> Vec<(f64, f64)> {
    let mut sessions: BTreeMap<NaiveDate, (f64, f64)> = BTreeMap::new();
    for decision in decisions.iter().filter(|it| it.class == class) {
        let (returns, volatilities) = sessions.entry(decision.session).or_default();
        *returns += decision.worth.gross_return;
        *volatilities += decision.worth.volatility;
    }
    sessions.into_values().collect()
}

/// Sum of the returns over sum of the volatilities: a stock that stood still before its move does not outweigh the rest,
/// as it would in a mean of ratios.
fn mean_move(sessions: &[(f64, f64)]) -> f64 {
    let sum = |part: fn(&(f64, f64)) -> f64| sessions.iter().map(part).sum::<f64>();
    sum(|session| session.0) / sum(|session| session.1)
}

/// How far the mean moves may lie from the truth. Whole sessions are the trials: labels of neighbouring bars overlap and
/// stocks move together, so that a session of thousands of decisions says little more than one. None for a single session.
fn move_reach(decisions: &[Decision]) -> Option<[f64; 3]> {
    let reach = Class::ALL.map(|class| student_reach(&sessions(decisions, class), LEVEL));
    reach.iter().all(|it| it.is_finite()).then_some(reach)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::testing::Random;

    fn day(number: usize) -> NaiveDate {
        let monday = NaiveDate::from_ymd_opt(2018, 3, 26).unwrap();
        monday + chrono::TimeDelta::days(number as i64)
    }

    /// As [`super::fit`], of a model of thirty minutes' horizon whose classes are equally frequent.
    fn fit(kind: ModelKind, decisions: &[Decision], coverage: f64) -> Option<AbstentionRecord> {
        let barriers = BarrierSettings::default();
        super::fit(kind, decisions, coverage, [1.0 / 3.0; 3], &barriers)
    }

    /// Decisions of a week whose classes happen with the probabilities given; a rise earns ten volatilities.
    fn honest(count: usize, seed: u64) -> Vec<Decision> {
        let mut random = Random::new(seed);
        let mut share = || 0.5 + 0.5 * f64::from(random.next(1.0));
        (0..count)
            .map(|case| {
                let parts = [0.05 + share(), 0.05 + share(), 0.05 + share()];
                let sum: f64 = parts.iter().sum();
                let probabilities = parts.map(|part| part / sum);
                let draw = share();
                let class = match draw {
                    draw if draw < probabilities[0] => Class::Down,
                    draw if draw < probabilities[0] + probabilities[1] => Class::Neutral,
                    _ => Class::Up,
                };
                let volatility = 0.0001 + 0.0009 * share();
                let sign = class.index() as f64 - 1.0;
                Decision {
                    session: day(case % 5),
                    class,
                    worth: Worth {
                        gross_return: 10.0 * sign * volatility,
                        volatility,
                    },
                    probabilities,
                }
            })
            .collect()
    }

    #[test]
    fn unseen_decisions_are_covered_as_asked() {
        let unseen = honest(60_000, 2);
        for coverage in [0.7, 0.8, 0.9] {
            let record = fit(ModelKind::Lstm, &honest(30_000, 1), coverage).unwrap();
            assert_eq!((record.coverage, record.cases), (coverage, 30_000));
            for class in Class::ALL {
                let own: Vec<_> = unseen.iter().filter(|it| it.class == class).collect();
                let place = class.index();
                let held = own
                    .iter()
                    .filter(|it| it.probabilities[place] >= record.thresholds[place])
                    .count();
                let found = held as f64 / own.len() as f64;
                assert!((found - coverage).abs() < 0.02, "{class}: {found}");
            }
            for (found, expected) in record.moves.into_iter().zip([-10.0, 0.0, 10.0]) {
                assert!((found - expected).abs() < 1e-9, "{:?}", record.moves);
            }
            // Every move is the same number of volatilities: there is nothing to doubt.
            assert!(record.move_reach.unwrap().iter().all(|it| *it < 1e-9));
            assert_eq!(
                (record.horizon_minutes, record.delay_minutes),
                (Some(30), 105)
            );
        }
    }

    #[test]
    fn an_outcome_across_a_weekend_is_waited_for() {
        let barriers = BarrierSettings::default();
        assert_eq!(delay_minutes(&barriers), 105);
        assert_eq!(delay_minutes(&BarrierSettings::closes_only()), 105 + 5_760);
    }

    #[test]
    fn sessions_are_the_trials_of_a_move() {
        // Rises of 8, 10, 12 and 14 volatilities in four sessions, however many decisions each has.
        let decisions = |copies: usize| -> Vec<Decision> {
            let sessions = [8.0, 10.0, 12.0, 14.0].into_iter().enumerate();
            sessions
                .flat_map(|(number, multiple)| {
                    Class::ALL
                        .into_iter()
                        .cycle()
                        .take(3 * copies)
                        .map(move |class| Decision {
                            session: day(number),
                            class,
                            worth: Worth {
                                gross_return: 0.001 * multiple * (class.index() as f64 - 1.0),
                                volatility: 0.001,
                            },
                            probabilities: [1.0 / 3.0; 3],
                        })
                })
                .collect()
        };
        for copies in [2, 200] {
            let record = fit(ModelKind::Lstm, &decisions(copies), 0.5).unwrap();
            let [down, neutral, up] = record.move_reach.unwrap();
            // Student's t of three degrees of freedom times the standard error of their mean.
            let expected = 2.353 * (20.0_f64 / 3.0 / 4.0).sqrt();
            assert!(
                (up - expected).abs() < 1e-3 && (down - up).abs() < 1e-9,
                "{record:?}"
            );
            assert_eq!(neutral, 0.0);
        }
        let one: Vec<Decision> = decisions(50).into_iter().take(150).collect();
        assert_eq!(fit(ModelKind::Lstm, &one, 0.5).unwrap().move_reach, None);
    }

    #[test]
    fn a_still_stock_does_not_outweigh_the_rest() {
        let decision = |gross_return, volatility| Decision {
            session: day(0),
            class: Class::Up,
            worth: Worth {
                gross_return,
                volatility,
            },
            probabilities: [0.3, 0.3, 0.4],
        };
        let decisions = [decision(0.0008, 0.00001), decision(0.0052, 0.00049)];
        let sessions = sessions(&decisions, Class::Up);
        assert!((mean_move(&sessions) - 12.0).abs() < 1e-9);
    }

    #[test]
    fn too_few_decisions_give_no_sets() {
        assert_eq!(fit(ModelKind::Lstm, &honest(8, 3), 0.9), None);
        assert_eq!(fit(ModelKind::Lstm, &[], 0.8), None);
    }
}
