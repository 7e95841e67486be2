use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io::Write as _,
    path::Path,
};

use anyhow::{Context, bail};
use chrono::{DateTime, NaiveDate, Utc};
use domain::{Action, Bar, Class, ModelKind, Ticker};
use evaluation::{
    ClassPrior, LinearModel, Persistence, Scores, Signal, SignalScores, most_probable, score,
    score_signals,
};
use features::{FEATURE_COUNT, Scaler, TickerContext};
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
    let context = super::context::read(&arguments.context, &bars)?;
    let span = Span::choose(&champions, arguments.from)?;
    let barriers = barriers(&champions)?;

    let (mut known, mut unseen) = (Cases::default(), Cases::default());
    let mut answers = Vec::new();
    for (ticker, bars) in &bars {
        let context = context.of(ticker);
        let said = models::answers(&champions, bars, context, |bar| bar.start >= span.from)?;
        collect(
            ticker,
            bars,
            context,
            champions.lstm.scaler(),
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
    if known
        .starts
        .iter()
        .min()
        .is_none_or(|first| *first > span.training_start)
    {
        bail!(
            "{} lacks some of the models' training days ({} to {}): the baselines are fitted on all of them",
            arguments.bars.bars.display(),
            span.training_start,
            span.seen_until
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
    /// The newest feature vector, row-major `[cases, FEATURE_COUNT]`, scaled as for the networks: an economic level
    /// that training never saw must not carry a linear model away either.
    features: Vec<f64>,
    /// Return from the next bar's open, the first price that can be had, to the touch.
    returns: Vec<f64>,
}

impl Cases {
    /// Positions of the cases of each session, in order of time. A session's bars share their date in UTC.
    fn by_session(&self) -> BTreeMap<NaiveDate, Vec<usize>> {
        let mut sessions: BTreeMap<NaiveDate, Vec<usize>> = BTreeMap::new();
        for (case, start) in self.starts.iter().enumerate() {
            sessions.entry(start.date_naive()).or_default().push(case);
        }
        sessions
    }

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
    context: TickerContext<'_>,
    scaler: &Scaler,
    barriers: &BarrierSettings,
    span: &Span,
    said: &[Answer],
    known: &mut Cases,
    unseen: &mut Cases,
    answers: &mut Vec<Answer>,
) -> anyhow::Result<()> {
    let labels = triple_barrier(bars, barriers, calendar::nyse());
    let features = features::fold(bars, context);
    let mut scaled = [0.0; FEATURE_COUNT];
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
        } else if label.start >= span.training_start && resolved <= span.seen_until {
            &mut *known
        } else {
            continue;
        };
        let entry = bars[label.index + 1].open.get();
        cases.tickers.push(ticker.clone());
        cases.starts.push(label.start);
        cases.truth.push(label.class());
        cases.last.push(last);
        scaler.apply(features, &mut scaled);
        cases
            .features
            .extend(scaled.iter().map(|value| f64::from(*value)));
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
    /// Cases that the baselines were fitted on.
    baseline_cases: usize,
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
    /// Log loss of each session, in order.
    session_log_losses: Vec<f64>,
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
    let mut add = |name, baseline, predicted: &[Class], probabilities: &[[f64; 3]]| {
        judged.push(Judged {
            name,
            baseline,
            scores: score(&unseen.truth, predicted, probabilities)?,
            session_log_losses: session_log_losses(unseen, probabilities)?,
        });
        anyhow::Ok(())
    };
    for kind in ModelKind::ALL {
        let said = answers
            .iter()
            .map(|answer| answer.of(kind).to_array().map(f64::from));
        let said: Vec<[f64; 3]> = said.collect();
        add(kind.name(), false, &most_probable(&said), &said)?;
    }
    let prior = vec![ClassPrior::fit(&known.truth)?.probabilities(); unseen.truth.len()];
    add("class prior", true, &most_probable(&prior), &prior)?;
    let pairs = known.last.iter().copied().zip(known.truth.iter().copied());
    let persistence = Persistence::fit(&pairs.collect::<Vec<_>>())?;
    let again = unseen
        .last
        .iter()
        .map(|last| persistence.probabilities(*last));
    add(
        "persistence",
        true,
        &unseen.last,
        &again.collect::<Vec<_>>(),
    )?;
    let linear = LinearModel::fit(known.features()?, &known.truth)?;
    let linear = linear.probabilities(unseen.features()?);
    add("linear", true, &most_probable(&linear), &linear)?;

    let confirmed = confirmed(policy, assumptions, unseen, answers)?;
    let count = unseen.truth.len();
    let share = |class: Class| {
        unseen.truth.iter().filter(|truth| **truth == class).count() as f64 / count as f64
    };
    let sessions = unseen.by_session().len();
    let verdicts = verdicts(&judged, &confirmed);
    Ok(Report {
        lstm: champions.lstm.id().to_string(),
        transformer: champions.transformer.id().to_string(),
        seen_until: span.seen_until,
        from: span.from,
        to: unseen.starts.iter().copied().max().unwrap_or(span.from),
        sessions,
        baseline_cases: known.truth.len(),
        tickers: unseen.tickers.iter().collect::<BTreeSet<_>>().len(),
        cases: count,
        class_shares: Class::ALL.map(share),
        threshold: policy.threshold,
        judged,
        confirmed,
        verdicts,
    })
}

fn session_log_losses(unseen: &Cases, probabilities: &[[f64; 3]]) -> anyhow::Result<Vec<f64>> {
    let mut losses = Vec::new();
    for cases in unseen.by_session().values() {
        let truth: Vec<Class> = cases.iter().map(|case| unseen.truth[*case]).collect();
        let probabilities: Vec<[f64; 3]> = cases.iter().map(|case| probabilities[*case]).collect();
        losses.push(score(&truth, &most_probable(&probabilities), &probabilities)?.log_loss);
    }
    Ok(losses)
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
            "{:<12} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
            "",
            "log loss",
            "brier",
            "ece",
            "macro F1",
            "MCC",
            "P down",
            "R down",
            "P neut",
            "R neut",
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
        "{name:<12} {:>8.4} {:>8.4} {:>8.4} {:>8.4} {:>8.4} {:>7.3} {:>7.3} {:>7.3} {:>7.3} {:>7.3} {:>7.3}",
        scores.log_loss,
        scores.brier,
        scores.ece,
        scores.macro_f1,
        scores.mcc,
        down.precision,
        down.recall,
        neutral.precision,
        neutral.recall,
        up.precision,
        up.recall
    )
}

fn write_json(path: &Path, report: &Report) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    std::fs::write(path, json + "\n").with_context(|| format!("failed to write {}", path.display()))
}
