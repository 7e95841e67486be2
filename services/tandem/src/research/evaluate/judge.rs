//! Both models and the baselines on the same decisions.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use chrono::NaiveDate;
use domain::{Action, Class, ModelKind};
use evaluation::{
    BoostedTrees, ClassPrior, LinearModel, Persistence, Signal, most_probable, score, score_signals,
};
use features::FEATURE_COUNT;
use inference::{Champions, Policy, confirm};
use ndarray::Array2;

use super::{
    Assumptions,
    cases::{Case, Cases, Span},
    report::{Confirmed, Judged, Report},
};
use crate::research::models::Answer;

/// Scores everybody on the unseen cases and says what it comes to.
pub(super) fn judge(
    champions: &Champions,
    policy: &Policy,
    assumptions: &Assumptions,
    span: &Span,
    cases: &Cases,
) -> anyhow::Result<Report> {
    let bench = Bench::new(cases);
    let mut judged = Vec::new();
    for kind in ModelKind::ALL {
        let said = cases
            .unseen
            .iter()
            .map(|(_, answer)| answer.of(kind).to_array().map(f64::from));
        judged.push(bench.judge(kind.name(), false, None, &said.collect::<Vec<_>>())?);
    }
    judged.extend(baselines(cases, &bench)?);
    let confirmed = confirmed(policy, assumptions, cases)?;
    let tickers: BTreeSet<_> = cases.unseen.iter().map(|(case, _)| &case.ticker).collect();
    let count = bench.truth.len();
    let share = |class: Class| {
        bench.truth.iter().filter(|truth| **truth == class).count() as f64 / count as f64
    };
    Ok(Report {
        lstm: champions.lstm.id().to_string(),
        transformer: champions.transformer.id().to_string(),
        seen_until: span.seen_until,
        from: span.from,
        to: cases
            .unseen
            .iter()
            .map(|(case, _)| case.start)
            .max()
            .unwrap_or(span.from),
        sessions: bench.sessions.len(),
        tickers: tickers.len(),
        cases: count,
        baseline_cases: cases.known.len(),
        class_shares: Class::ALL.map(share),
        threshold: policy.threshold,
        verdicts: verdicts(&judged, &confirmed),
        judged,
        confirmed,
    })
}

/// The unseen cases that everybody is judged on.
struct Bench {
    truth: Vec<Class>,
    /// Positions of the cases of each session, in order of time.
    sessions: BTreeMap<NaiveDate, Vec<usize>>,
}

impl Bench {
    fn new(cases: &Cases) -> Self {
        let mut sessions: BTreeMap<NaiveDate, Vec<usize>> = BTreeMap::new();
        for (position, (case, _)) in cases.unseen.iter().enumerate() {
            sessions.entry(case.session()).or_default().push(position);
        }
        Self {
            truth: cases.unseen.iter().map(|(case, _)| case.truth).collect(),
            sessions,
        }
    }

    /// Scores probabilities with the classes that a rule chose, or else the most probable ones.
    fn judge(
        &self,
        name: &'static str,
        baseline: bool,
        chosen: Option<&[Class]>,
        probabilities: &[[f64; 3]],
    ) -> anyhow::Result<Judged> {
        let most_probable = most_probable(probabilities);
        Ok(Judged {
            name,
            baseline,
            scores: score(&self.truth, chosen.unwrap_or(&most_probable), probabilities)?,
            session_log_losses: self.session_log_losses(probabilities)?,
        })
    }

    fn session_log_losses(&self, probabilities: &[[f64; 3]]) -> anyhow::Result<Vec<f64>> {
        let mut losses = Vec::new();
        for cases in self.sessions.values() {
            let truth: Vec<Class> = cases.iter().map(|case| self.truth[*case]).collect();
            let said: Vec<[f64; 3]> = cases.iter().map(|case| probabilities[*case]).collect();
            losses.push(score(&truth, &most_probable(&said), &said)?.log_loss);
        }
        Ok(losses)
    }
}

/// What something simple, fitted on what the models have seen, says of the unseen cases.
fn baselines(cases: &Cases, bench: &Bench) -> anyhow::Result<[Judged; 4]> {
    let unseen = || cases.unseen.iter().map(|(case, _)| case);
    let learned: Vec<Class> = cases.known.iter().map(|case| case.truth).collect();
    let prior = vec![ClassPrior::fit(&learned)?.probabilities(); bench.truth.len()];

    let pairs: Vec<(Class, Class)> = cases
        .known
        .iter()
        .map(|case| (case.last, case.truth))
        .collect();
    let persistence = Persistence::fit(&pairs)?;
    let last: Vec<Class> = unseen().map(|case| case.last).collect();
    let again: Vec<[f64; 3]> = last
        .iter()
        .map(|last| persistence.probabilities(*last))
        .collect();

    let (known, asked) = (features(cases.known.iter())?, features(unseen())?);
    let linear = LinearModel::fit(known.view(), &learned)?.probabilities(asked.view());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let trees = BoostedTrees::fit(known.view(), &learned, threads)?.probabilities(asked.view())?;
    Ok([
        bench.judge("class prior", true, None, &prior)?,
        bench.judge("persistence", true, Some(&last), &again)?,
        bench.judge("linear", true, None, &linear)?,
        bench.judge("boosted trees", true, None, &trees)?,
    ])
}

/// Features of shape `[cases, FEATURE_COUNT]`.
fn features<'a>(cases: impl Iterator<Item = &'a Case>) -> anyhow::Result<Array2<f64>> {
    let values: Vec<f64> = cases
        .flat_map(|case| case.features.iter().map(|value| f64::from(*value)))
        .collect();
    Array2::from_shape_vec((values.len() / FEATURE_COUNT, FEATURE_COUNT), values)
        .context("the features of the cases make no table")
}

fn confirmed(
    policy: &Policy,
    assumptions: &Assumptions,
    cases: &Cases,
) -> anyhow::Result<Confirmed> {
    let (mut signals, mut truth, mut predicted, mut probabilities) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (case, answer) in &cases.unseen {
        let Some(direction) = direction(policy, case, answer) else {
            continue;
        };
        signals.push(Signal {
            direction,
            happened: case.truth,
            gross_return: case.gross_return,
        });
        truth.push(case.truth);
        predicted.push(direction);
        probabilities
            .push(Class::ALL.map(|class| {
                f64::from(answer.lstm.of(class) + answer.transformer.of(class)) / 2.0
            }));
    }
    let scores = if signals.is_empty() {
        None
    } else {
        Some(score(&truth, &predicted, &probabilities)?)
    };
    Ok(Confirmed {
        signals: score_signals(
            &signals,
            cases.unseen.len(),
            assumptions.round_trip_cost_bps,
        ),
        scores,
    })
}

/// The direction that both models confirm, if they do.
fn direction(policy: &Policy, case: &Case, answer: &Answer) -> Option<Class> {
    let (ticker, start) = (case.ticker.clone(), case.start);
    match confirm(policy, ticker, start, &answer.lstm, &answer.transformer).action {
        Action::Buy => Some(Class::Up),
        Action::Sell => Some(Class::Down),
        Action::Hold => None,
    }
}

/// What a reader should not have to find out alone.
fn verdicts(judged: &[Judged], confirmed: &Confirmed) -> Vec<String> {
    let mut verdicts = Vec::new();
    let baselines = || judged.iter().filter(|other| other.baseline);
    let best =
        baselines().min_by(|left, right| left.scores.log_loss.total_cmp(&right.scores.log_loss));
    for network in judged.iter().filter(|judged| !judged.baseline) {
        let Some(best) = best else { continue };
        let pairs = network
            .session_log_losses
            .iter()
            .zip(&best.session_log_losses);
        let (sessions, ahead) = (
            pairs.len(),
            pairs.filter(|(network, best)| network < best).count(),
        );
        // A mean over a few related days decides nothing by itself; every day on the same side says a little more.
        let relation = match network.scores.log_loss < best.scores.log_loss {
            true if ahead == sessions => "beats",
            true => "is not distinguishable from",
            false => "does NOT beat",
        };
        verdicts.push(format!(
            "{} {relation} the best baseline ({}): log loss {:.4} against {:.4}, lower in {ahead} of {sessions} sessions",
            network.name, best.name, network.scores.log_loss, best.scores.log_loss
        ));
    }
    let signals = &confirmed.signals;
    verdicts.push(if signals.signals == 0 {
        "no signal was confirmed: the models never agreed on a direction with enough confidence"
            .into()
    } else {
        let relation = if signals.mean_net_return_bps > 0.0 {
            "earned"
        } else {
            "LOST"
        };
        format!(
            "confirmed signals {relation} {:.2} bp each after {:.1} bp of costs",
            signals.mean_net_return_bps.abs(),
            signals.round_trip_cost_bps
        )
    });
    verdicts.push(
        "neighbouring bars and related stocks share their outcomes: a week proves little, whatever the figures".into(),
    );
    verdicts
}
