use std::{collections::BTreeSet, fmt::Write as _, io::Write as _, path::Path};

use anyhow::{Context, bail};
use chrono::{DateTime, NaiveDate, Utc};
use domain::{Action, Bar, Class, ModelKind, Ticker};
use evaluation::{
    ClassPrior, LinearModel, Persistence, Scores, Signal, SignalScores, most_probable, score,
    score_signals,
};
use features::FEATURE_COUNT;
use inference::{Champions, Policy, confirm};
use labels::{BarrierSettings, Label, triple_barrier};
use model_registry::Manifest;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::models::{self, Answer};
use crate::cli::EvaluateArguments;

/// What a backtest assumes: section `[evaluation]` of the settings.
#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Assumptions {
    /// Spread and fees of entering and leaving, basis points.
    round_trip_cost_bps: f64,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            round_trip_cost_bps: 4.0,
        }
    }
}

/// `tandem evaluate`: both models, their confirmed signals and three baselines on bars that no model has seen.
pub(crate) fn run(arguments: &EvaluateArguments) -> anyhow::Result<()> {
    let champions = models::load(&arguments.models)?;
    let policy: Policy = service_kit::load_settings("policy")?;
    policy.check()?;
    let assumptions: Assumptions = service_kit::load_settings("evaluation")?;
    let bars = super::read_bars(&arguments.bars.bars)?;
    let span = Span::choose(&champions, arguments.from)?;
    let barriers = barriers(&champions)?;

    let (mut known, mut unseen) = (Cases::default(), Cases::default());
    let mut answers = Vec::new();
    for (ticker, bars) in &bars {
        let said = models::answers(&champions, bars, |bar| bar.start >= span.from)?;
        collect(
            ticker,
            bars,
            &barriers,
            &span,
            &said,
            &mut known,
            &mut unseen,
            &mut answers,
        )?;
    }
    if unseen.truth.is_empty() {
        bail!(
            "{} holds no labelled bar from {} on",
            arguments.bars.bars.display(),
            span.from
        );
    }
    if known.truth.is_empty() {
        bail!(
            "{} lacks the models' training days ({} to {}): the baselines are fitted on them",
            arguments.bars.bars.display(),
            span.training_start,
            span.training_end
        );
    }
    let report = judge(
        &champions,
        &policy,
        &assumptions,
        &span,
        &known,
        &unseen,
        &answers,
    )?;
    std::io::stdout()
        .write_all(report.text()?.as_bytes())
        .context("failed to write to standard output")?;
    if let Some(path) = &arguments.json {
        write_json(path, &report)?;
    }
    Ok(())
}

/// What the models have seen, and what they are judged on.
struct Span {
    training_start: DateTime<Utc>,
    training_end: DateTime<Utc>,
    seen_until: DateTime<Utc>,
    from: DateTime<Utc>,
}

impl Span {
    fn choose(champions: &Champions, from: Option<NaiveDate>) -> anyhow::Result<Self> {
        let manifests = ModelKind::ALL.map(|kind| champions.of(kind).manifest());
        let [lstm, transformer] = manifests;
        let seen_until = seen_until(lstm).max(seen_until(transformer));
        let calendar = calendar::nyse();
        let session = match from {
            Some(from) => calendar
                .sessions(from, *calendar.coverage().end())
                .first()
                .copied(),
            None => calendar.next_open(seen_until),
        };
        let session = session.context("the calendar knows no session after the models' data")?;
        if session.open < seen_until {
            bail!(
                "the models have seen bars until {seen_until}: bars from {} on prove nothing; \
                 choose a later --from, or train with an earlier --until",
                session.open
            );
        }
        Ok(Self {
            training_start: lstm
                .ranges
                .training
                .start
                .min(transformer.ranges.training.start),
            training_end: lstm
                .ranges
                .training
                .end
                .max(transformer.ranges.training.end),
            seen_until,
            from: session.open,
        })
    }
}

/// The end of everything that had a say in a model, its labels' horizons included.
fn seen_until(manifest: &Manifest) -> DateTime<Utc> {
    let ranges = &manifest.ranges;
    let calibration = ranges
        .calibration
        .map_or(ranges.early_stopping.end, |range| range.end);
    ranges
        .training
        .end
        .max(ranges.early_stopping.end)
        .max(calibration)
}

fn barriers(champions: &Champions) -> anyhow::Result<BarrierSettings> {
    let [lstm, transformer] = ModelKind::ALL.map(|kind| &champions.of(kind).manifest().labels);
    if lstm != transformer {
        bail!(
            "the two models were trained on different labels ({lstm} and {transformer}): they cannot be compared"
        );
    }
    serde_json::from_value(lstm.clone()).context("the models' label settings cannot be read")
}

/// Decisions with what was known at each and what came of it, in the same order throughout.
#[derive(Default)]
struct Cases {
    tickers: Vec<Ticker>,
    starts: Vec<DateTime<Utc>>,
    truth: Vec<Class>,
    /// The newest class that was resolved when the decision was made.
    last: Vec<Class>,
    /// The newest feature vector, row-major `[cases, FEATURE_COUNT]`.
    features: Vec<f64>,
    /// Return from the next bar's open, the first price that can be had, to the touch.
    returns: Vec<f64>,
}

impl Cases {
    fn features(&self) -> anyhow::Result<ArrayView2<'_, f64>> {
        Ok(ArrayView2::from_shape(
            (self.truth.len(), FEATURE_COUNT),
            &self.features,
        )?)
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one step of a loop, named for the reader"
)]
fn collect(
    ticker: &Ticker,
    bars: &[Bar],
    barriers: &BarrierSettings,
    span: &Span,
    said: &[Answer],
    known: &mut Cases,
    unseen: &mut Cases,
    answers: &mut Vec<Answer>,
) -> anyhow::Result<()> {
    let labels = triple_barrier(bars, barriers, calendar::nyse());
    let features = features::fold(bars);
    let mut said = said.iter().peekable();
    for (position, label) in labels.iter().enumerate() {
        let (Some(features), Some(last)) =
            (&features[label.index], last_resolved(&labels, position))
        else {
            continue;
        };
        let resolved = bars[label.touch_index].close_time();
        let cases = if label.start >= span.from {
            while said.next_if(|answer| answer.index < label.index).is_some() {}
            let Some(answer) = said.next_if(|answer| answer.index == label.index) else {
                continue;
            };
            answers.push(*answer);
            &mut *unseen
        } else if label.start >= span.training_start && resolved <= span.training_end {
            &mut *known
        } else {
            continue;
        };
        let entry = bars[label.index + 1].open.get();
        cases.tickers.push(ticker.clone());
        cases.starts.push(label.start);
        cases.truth.push(label.class());
        cases.last.push(last);
        cases
            .features
            .extend(features.iter().map(|value| f64::from(*value)));
        cases
            .returns
            .push(bars[label.index].close.get() * (1.0 + label.ret) / entry - 1.0);
    }
    Ok(())
}

/// The class of the newest label before this one whose touch was known when this one began.
fn last_resolved(labels: &[Label], position: usize) -> Option<Class> {
    let decided_at = labels[position].index;
    labels[..position]
        .iter()
        .rev()
        .find(|label| label.touch_index <= decided_at)
        .map(Label::class)
}

/// Everything that is printed and written.
#[derive(Debug, Serialize)]
struct Report {
    lstm: String,
    transformer: String,
    seen_until: DateTime<Utc>,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
    sessions: usize,
    tickers: usize,
    cases: usize,
    /// Shares of down, neutral and up in what happened.
    class_shares: [f64; 3],
    threshold: f32,
    /// The two networks first, then the baselines.
    judged: Vec<Judged>,
    confirmed: Confirmed,
    verdicts: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Judged {
    name: &'static str,
    baseline: bool,
    #[serde(flatten)]
    scores: Scores,
}

/// The cases in which both models confirmed a direction, and only these.
#[derive(Debug, Serialize)]
struct Confirmed {
    #[serde(flatten)]
    signals: SignalScores,
    /// With the mean of both models' probabilities; absent without any signal.
    scores: Option<Scores>,
}

fn judge(
    champions: &Champions,
    policy: &Policy,
    assumptions: &Assumptions,
    span: &Span,
    known: &Cases,
    unseen: &Cases,
    answers: &[Answer],
) -> anyhow::Result<Report> {
    let mut judged = Vec::new();
    for kind in ModelKind::ALL {
        let probabilities: Vec<[f64; 3]> = answers
            .iter()
            .map(|answer| answer.of(kind).to_array().map(f64::from))
            .collect();
        let scores = score(
            &unseen.truth,
            &most_probable(&probabilities),
            &probabilities,
        )?;
        judged.push(Judged {
            name: kind.name(),
            baseline: false,
            scores,
        });
    }
    let prior = vec![ClassPrior::fit(&known.truth)?.probabilities(); unseen.truth.len()];
    let scores = score(&unseen.truth, &most_probable(&prior), &prior)?;
    judged.push(Judged {
        name: "class prior",
        baseline: true,
        scores,
    });
    let pairs: Vec<_> = known
        .last
        .iter()
        .copied()
        .zip(known.truth.iter().copied())
        .collect();
    let persistence = Persistence::fit(&pairs)?;
    let probabilities: Vec<[f64; 3]> = unseen
        .last
        .iter()
        .map(|last| persistence.probabilities(*last))
        .collect();
    let scores = score(&unseen.truth, &unseen.last, &probabilities)?;
    judged.push(Judged {
        name: "persistence",
        baseline: true,
        scores,
    });
    let linear = LinearModel::fit(known.features()?, &known.truth)?;
    let probabilities = linear.probabilities(unseen.features()?);
    let scores = score(
        &unseen.truth,
        &most_probable(&probabilities),
        &probabilities,
    )?;
    judged.push(Judged {
        name: "linear",
        baseline: true,
        scores,
    });

    let confirmed = confirmed(policy, assumptions, unseen, answers)?;
    let count = unseen.truth.len();
    let share = |class: Class| {
        unseen.truth.iter().filter(|truth| **truth == class).count() as f64 / count as f64
    };
    let dates: BTreeSet<NaiveDate> = unseen
        .starts
        .iter()
        .map(|start| start.date_naive())
        .collect();
    let verdicts = verdicts(&judged, &confirmed);
    Ok(Report {
        lstm: champions.lstm.id().to_string(),
        transformer: champions.transformer.id().to_string(),
        seen_until: span.seen_until,
        from: span.from,
        to: unseen.starts.iter().copied().max().unwrap_or(span.from),
        sessions: dates.len(),
        tickers: unseen.tickers.iter().collect::<BTreeSet<_>>().len(),
        cases: count,
        class_shares: Class::ALL.map(share),
        threshold: policy.threshold,
        judged,
        confirmed,
        verdicts,
    })
}

fn confirmed(
    policy: &Policy,
    assumptions: &Assumptions,
    unseen: &Cases,
    answers: &[Answer],
) -> anyhow::Result<Confirmed> {
    let (mut signals, mut truth, mut predicted, mut probabilities) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (case, answer) in answers.iter().enumerate() {
        let (ticker, start) = (unseen.tickers[case].clone(), unseen.starts[case]);
        let direction =
            match confirm(policy, ticker, start, &answer.lstm, &answer.transformer).action {
                Action::Buy => Class::Up,
                Action::Sell => Class::Down,
                Action::Hold => continue,
            };
        signals.push(Signal {
            direction,
            happened: unseen.truth[case],
            gross_return: unseen.returns[case],
        });
        truth.push(unseen.truth[case]);
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
        signals: score_signals(&signals, answers.len(), assumptions.round_trip_cost_bps),
        scores,
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
        let relation = if network.scores.log_loss < best.scores.log_loss {
            "beats"
        } else {
            "does NOT beat"
        };
        verdicts.push(format!(
            "{} {relation} the best baseline ({}) in log loss: {:.4} against {:.4}",
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

impl Report {
    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        writeln!(text, "models: {}, {}", self.lstm, self.transformer)?;
        writeln!(
            text,
            "seen until {}; judged on {} to {}",
            self.seen_until, self.from, self.to
        )?;
        let [down, neutral, up] = self.class_shares.map(|share| share * 100.0);
        writeln!(
            text,
            "{} cases of {} stocks in {} sessions: {down:.1} % down, {neutral:.1} % neutral, {up:.1} % up\n",
            self.cases, self.tickers, self.sessions
        )?;
        writeln!(
            text,
            "{:<12} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>7} {:>7} {:>7}",
            "",
            "log loss",
            "brier",
            "ece",
            "macro F1",
            "MCC",
            "P down",
            "R down",
            "P neut",
            "P up",
            "R up"
        )?;
        for Judged { name, scores, .. } in &self.judged {
            line(&mut text, name, scores)?;
        }
        if let Some(scores) = &self.confirmed.scores {
            line(&mut text, "confirmed", scores)?;
        }
        for (name, confusion) in self
            .judged
            .iter()
            .map(|judged| (judged.name, &judged.scores.confusion))
            .chain(
                self.confirmed
                    .scores
                    .iter()
                    .map(|scores| ("confirmed", &scores.confusion)),
            )
        {
            writeln!(
                text,
                "\n{name}: rows what happened, columns what was predicted (down, neutral, up)"
            )?;
            for (class, row) in Class::ALL.iter().zip(confusion) {
                writeln!(
                    text,
                    "  {:<8} {:>8} {:>8} {:>8}",
                    class.name(),
                    row[0],
                    row[1],
                    row[2]
                )?;
            }
        }
        let signals = &self.confirmed.signals;
        writeln!(
            text,
            "\nconfirmed signals (both at least {:.0} %): {} = {:.2} % of the cases; {:.1} % right, {:.1} % opposite; \
             {:+.2} bp before and {:+.2} bp after costs each\n",
            self.threshold * 100.0,
            signals.signals,
            signals.coverage * 100.0,
            signals.precision * 100.0,
            signals.opposite * 100.0,
            signals.mean_return_bps,
            signals.mean_net_return_bps
        )?;
        for verdict in &self.verdicts {
            writeln!(text, "- {verdict}")?;
        }
        Ok(text)
    }
}

fn line(text: &mut String, name: &str, scores: &Scores) -> std::fmt::Result {
    let [down, neutral, up] = &scores.classes;
    writeln!(
        text,
        "{name:<12} {:>8.4} {:>8.4} {:>8.4} {:>8.4} {:>8.4} {:>7.3} {:>7.3} {:>7.3} {:>7.3} {:>7.3}",
        scores.log_loss,
        scores.brier,
        scores.ece,
        scores.macro_f1,
        scores.mcc,
        down.precision,
        down.recall,
        neutral.precision,
        up.precision,
        up.recall
    )
}

fn write_json(path: &Path, report: &Report) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    std::fs::write(path, json + "\n").with_context(|| format!("failed to write {}", path.display()))
}
