//! The decisions that are judged, and those that the baselines learn from.

use std::collections::BTreeMap;

use anyhow::bail;
use domain::{Bar, ModelKind, Ticker};
use features::Context;
use inference::Champions;
use labels::BarrierSettings;
use validation::{Decision, Span, barriers, decisions};

use crate::models::{self, Answer};

/// The decisions of all stocks.
#[derive(Default)]
pub(super) struct Cases {
    /// What the models have seen: the baselines are fitted on it.
    pub(super) known: Vec<Decision>,
    /// What no model has seen, with what both say.
    pub(super) unseen: Vec<(Decision, Answer)>,
}

impl Cases {
    /// Labels every bar and asks both models about those that are judged.
    pub(super) fn collect(
        champions: &Champions,
        bars: &BTreeMap<Ticker, Vec<Bar>>,
        context: &Context,
        span: &Span,
    ) -> anyhow::Result<Self> {
        let barriers = common_barriers(champions)?;
        let mut cases = Self::default();
        for (ticker, bars) in bars {
            let context = context.of(ticker);
            let answers = models::answers(champions, bars, context, |bar| bar.start >= span.from)?;
            let mut answers = answers.into_iter().peekable();
            for decision in decisions(ticker, bars, context, &barriers, calendar::nyse()) {
                if span.is_unseen(&decision) {
                    while answers
                        .next_if(|answer| answer.index < decision.index)
                        .is_some()
                    {}
                    if let Some(answer) = answers.next_if(|answer| answer.index == decision.index) {
                        cases.unseen.push((decision, answer));
                    }
                } else if span.is_known(&decision) {
                    cases.known.push(decision);
                }
            }
        }
        Ok(cases)
    }
}

fn common_barriers(champions: &Champions) -> anyhow::Result<BarrierSettings> {
    let [lstm, transformer] = ModelKind::ALL.map(|kind| champions.of(kind).manifest());
    if lstm.labels != transformer.labels {
        bail!(
            "the two models were trained on different labels ({} and {}): they cannot be compared",
            lstm.labels,
            transformer.labels
        );
    }
    Ok(barriers(lstm)?)
}
