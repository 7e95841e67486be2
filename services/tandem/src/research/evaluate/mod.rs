//! `tandem evaluate`: both models, their confirmed signals and four baselines on bars that no model has seen.

mod cases;
mod judge;
mod report;

use std::{io::Write as _, path::Path};

use anyhow::{Context, bail};
use inference::Policy;
use serde::Deserialize;

use self::{
    cases::{Cases, Span},
    judge::judge,
    report::Report,
};
use super::models;
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

/// Judges, prints and writes.
pub(crate) fn run(arguments: &EvaluateArguments) -> anyhow::Result<()> {
    let champions = models::load(&arguments.models)?;
    let policy: Policy = service_kit::load_settings("policy")?;
    policy.check()?;
    let assumptions: Assumptions = service_kit::load_settings("evaluation")?;
    let bars = super::read_bars(&arguments.bars.bars)?;
    let context = super::context::read(&arguments.context, &bars)?;
    let span = Span::choose(&champions, arguments.from)?;
    let cases = Cases::collect(&champions, &bars, &context, &span)?;
    let file = arguments.bars.bars.display();
    if cases.unseen.is_empty() {
        bail!("{file} holds no labelled bar from {} on", span.from);
    }
    let first = cases.known.iter().map(|case| case.start).min();
    if first.is_none_or(|first| first > span.training_start) {
        bail!(
            "{file} lacks some of the models' training days ({} to {}): the baselines are fitted on all of them",
            span.training_start,
            span.seen_until
        );
    }
    let report = judge(&champions, &policy, &assumptions, &span, &cases)?;
    std::io::stdout()
        .write_all(report.text()?.as_bytes())
        .context("failed to write to standard output")?;
    if let Some(path) = &arguments.json {
        write_json(path, &report)?;
    }
    Ok(())
}

fn write_json(path: &Path, report: &Report) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    std::fs::write(path, json + "\n").with_context(|| format!("failed to write {}", path.display()))
}
