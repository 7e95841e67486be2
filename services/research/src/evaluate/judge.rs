//! Both models and the baselines on the same decisions.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{
    BAR_SECONDS, Class, Direction, ModelKind, Policy, Probabilities, ResolvedSignal, Standing,
    StandingState,
};
use evaluation::{ConformalSets, Signal, covered_in_service, most_probable, score, score_signals};
use inference::{Champions, Model, Opinion};
use validation::{Decision, Span};

use super::{
    cases::Cases,
    report::{Confirmed, Judged, Report, Sets, Standings},
};
use crate::models::Answer;

/// Scores everybody on the unseen cases and says what it comes to.
pub(super) fn judge(
    champions: &Champions,
    policy: &Policy,
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
    judged.extend(baselines(champions, cases, &bench)?);
    let confirmed = confirmed(champions, policy, cases)?;
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
            .map(|(case, _)| case.bar_start)
            .max()
            .unwrap_or(span.from),
        sessions: bench.sessions.len(),
        tickers: tickers.len(),
        cases: count,
        baseline_cases: cases.known.len(),
        class_shares: Class::ALL.map(share),
        sets: ModelKind::ALL
            .into_iter()
            .filter_map(|kind| sets(champions, kind, cases, &bench.truth))
            .collect(),
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
        name: &str,
        baseline: bool,
        chosen: Option<&[Class]>,
        probabilities: &[[f64; 3]],
    ) -> anyhow::Result<Judged> {
        let most_probable = most_probable(probabilities);
        Ok(Judged {
            name: name.to_owned(),
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
fn baselines(champions: &Champions, cases: &Cases, bench: &Bench) -> anyhow::Result<Vec<Judged>> {
    let known: Vec<&Decision> = cases.known.iter().collect();
    let unseen: Vec<&Decision> = cases.unseen.iter().map(|(case, _)| case).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    validation::baselines(&known, &unseen, champions.lstm.scaler(), threads)?
        .iter()
        .map(|baseline| {
            bench.judge(
                &baseline.name,
                true,
                baseline.chosen.as_deref(),
                &baseline.probabilities,
            )
        })
        .collect()
}

fn confirmed(champions: &Champions, policy: &Policy, cases: &Cases) -> anyhow::Result<Confirmed> {
    let (mut signals, mut truth, mut predicted, mut probabilities) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut resolved = Vec::new();
    let moved = |model: &Model, said: fn(&Answer) -> &Probabilities| {
        let said = cases
            .unseen
            .iter()
            .map(|(case, answer)| (case, said(answer)));
        validation::in_service(model.manifest(), said)
    };
    let lstm_records = moved(&champions.lstm, |answer| &answer.lstm);
    let transformer_records = moved(&champions.transformer, |answer| &answer.transformer);
    let (mut abstained, mut differing) = (0, 0);
    for (case, answer) in &cases.unseen {
        let lstm = Opinion {
            probabilities: &answer.lstm,
            abstention: lstm_records.get(&case.bar_start),
        };
        let transformer = Opinion {
            probabilities: &answer.transformer,
            abstention: transformer_records.get(&case.bar_start),
        };
        let decision = validation::recommend(policy, case, lstm, transformer);
        abstained += usize::from(decision.abstained());
        differing += usize::from(answer.lstm.top().0 != answer.transformer.top().0);
        let Some(direction) = decision.action().direction() else {
            continue;
        };
        signals.push(Signal {
            direction: direction.class(),
            happened: case.truth,
            gross_return: case.gross_return,
        });
        resolved.push(ResolvedSignal {
            ticker: case.ticker.clone(),
            bar_start: case.bar_start,
            direction,
            label: case.truth,
            gross_return: case.gross_return,
            // The touch is known at the close of its bar.
            first_touch: case.resolved_at - TimeDelta::seconds(BAR_SECONDS),
        });
        truth.push(case.truth);
        predicted.push(direction.class());
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
        signals: score_signals(&signals, cases.unseen.len(), policy.round_trip_cost_bps),
        abstained: abstained as f64 / cases.unseen.len() as f64,
        differing: differing as f64 / cases.unseen.len() as f64,
        scores,
        standing: Standings {
            buy: Standing::of(Direction::Up, &resolved, policy.round_trip_cost_bps),
            sell: Standing::of(Direction::Down, &resolved, policy.round_trip_cost_bps),
        },
    })
}

/// How often a network's conformal sets held what happened; nothing for one that has none.
fn sets(champions: &Champions, kind: ModelKind, cases: &Cases, truth: &[Class]) -> Option<Sets> {
    let record = champions.of(kind).manifest().abstention?;
    let (bar_starts, said): (Vec<DateTime<Utc>>, Vec<[f64; 3]>) = cases
        .unseen
        .iter()
        .map(|(case, answer)| (case.bar_start, answer.of(kind).to_array().map(f64::from)))
        .unzip();
    let fitted = ConformalSets {
        coverage: record.coverage,
        thresholds: record.thresholds,
    };
    Some(Sets {
        name: kind.name(),
        asked: record.coverage,
        thresholds: record.thresholds,
        in_service: covered_in_service(&record.adaptive(), &bar_starts, truth, &said),
        as_fitted: fitted.covered(truth, &said),
    })
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
        "no signal was confirmed: the models never both leaned to a direction, ruled out the opposite and surely expected more than the cost".into()
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
    let Standings { buy, sell } = &confirmed.standing;
    for (rule, standing) in [("buys", buy), ("sells", sell)] {
        let state = match standing.state {
            _ if standing.bets == 0 => continue,
            StandingState::Proven => "proven",
            StandingState::Unproven => "unproven",
            StandingState::Losing => "losing",
        };
        verdicts.push(format!("{rule} are {state}: {}", standing.sentence()));
    }
    verdicts.push(
        "neighbouring bars and related stocks share their outcomes: a week proves little, whatever the figures".into(),
    );
    verdicts
}
