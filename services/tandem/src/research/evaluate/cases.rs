//! The decisions that are judged, and those that the baselines learn from.

use std::collections::BTreeMap;

use anyhow::{Context as _, bail};
use chrono::{DateTime, NaiveDate, Utc};
use domain::{Bar, Class, ModelKind, Ticker};
use features::{Context, FEATURE_COUNT, FeatureVector, Scaler};
use inference::Champions;
use labels::{BarrierSettings, Label, triple_barrier};
use model_registry::Manifest;

use crate::research::models::{self, Answer};

/// What the models have seen, and what they are judged on.
pub(super) struct Span {
    /// Start of the first bar that either was trained on, UTC.
    pub(super) training_start: DateTime<Utc>,
    /// End of everything that had a say in either, UTC.
    pub(super) seen_until: DateTime<Utc>,
    /// Open of the first session that is judged, UTC.
    pub(super) from: DateTime<Utc>,
}

impl Span {
    /// The first session after everything that the models have seen, or the one asked for.
    pub(super) fn choose(champions: &Champions, from: Option<NaiveDate>) -> anyhow::Result<Self> {
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

/// One decision, what was known at it and what came of it.
pub(super) struct Case {
    pub(super) ticker: Ticker,
    /// Start of the bar at whose close the decision is made, UTC.
    pub(super) start: DateTime<Utc>,
    /// What happened.
    pub(super) truth: Class,
    /// The newest class that was resolved when the decision was made.
    pub(super) last: Class,
    /// The newest feature vector, scaled as for the networks: an economic level that training never saw must not carry
    /// a linear model away either.
    pub(super) features: FeatureVector,
    /// Return from the next bar's open, the first price that can be had, to the touch.
    pub(super) gross_return: f64,
}

impl Case {
    /// The session's date in New York; a session's bars have the same date in UTC.
    pub(super) fn session(&self) -> NaiveDate {
        self.start.date_naive()
    }
}

/// The decisions of all stocks.
#[derive(Default)]
pub(super) struct Cases {
    /// What the models have seen: the baselines are fitted on it.
    pub(super) known: Vec<Case>,
    /// What no model has seen, with what both say.
    pub(super) unseen: Vec<(Case, Answer)>,
}

impl Cases {
    /// Labels every bar and asks both models about those that are judged.
    pub(super) fn collect(
        champions: &Champions,
        bars: &BTreeMap<Ticker, Vec<Bar>>,
        context: &Context,
        span: &Span,
    ) -> anyhow::Result<Self> {
        let barriers = barriers(champions)?;
        let mut cases = Self::default();
        for (ticker, bars) in bars {
            let context = context.of(ticker);
            let answers = models::answers(champions, bars, context, |bar| bar.start >= span.from)?;
            let stock = Stock {
                ticker,
                bars,
                labels: triple_barrier(bars, &barriers, calendar::nyse()),
                features: features::fold(bars, context),
                scaler: champions.lstm.scaler(),
            };
            cases.add(&stock, span, &answers);
        }
        Ok(cases)
    }

    fn add(&mut self, stock: &Stock<'_>, span: &Span, answers: &[Answer]) {
        let mut answers = answers.iter().peekable();
        for (position, label) in stock.labels.iter().enumerate() {
            let Some(case) = stock.case(position) else {
                continue;
            };
            let resolved = stock.bars[label.touch_index].close_time();
            if case.start >= span.from {
                while answers
                    .next_if(|answer| answer.index < label.index)
                    .is_some()
                {}
                if let Some(answer) = answers.next_if(|answer| answer.index == label.index) {
                    self.unseen.push((case, *answer));
                }
            } else if case.start >= span.training_start && resolved <= span.seen_until {
                self.known.push(case);
            }
        }
    }
}

/// One stock's bars and what is known of each.
struct Stock<'a> {
    ticker: &'a Ticker,
    bars: &'a [Bar],
    labels: Vec<Label>,
    /// Of each bar, where its history suffices.
    features: Vec<Option<FeatureVector>>,
    scaler: &'a Scaler,
}

impl Stock<'_> {
    /// The decision of a label; none without features or without a label that was resolved before.
    fn case(&self, position: usize) -> Option<Case> {
        let label = &self.labels[position];
        let unscaled = self.features[label.index].as_ref()?;
        let last = last_resolved(&self.labels, position)?;
        let mut features = [0.0; FEATURE_COUNT];
        self.scaler.apply(unscaled, &mut features);
        let entry = self.bars[label.index + 1].open.get();
        let exit = self.bars[label.index].close.get() * (1.0 + label.ret);
        Some(Case {
            ticker: self.ticker.clone(),
            start: label.start,
            truth: label.class(),
            last,
            features,
            gross_return: exit / entry - 1.0,
        })
    }
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

fn barriers(champions: &Champions) -> anyhow::Result<BarrierSettings> {
    let [lstm, transformer] = ModelKind::ALL.map(|kind| &champions.of(kind).manifest().labels);
    if lstm != transformer {
        bail!(
            "the two models were trained on different labels ({lstm} and {transformer}): they cannot be compared"
        );
    }
    serde_json::from_value(lstm.clone()).context("the models' label settings cannot be read")
}
