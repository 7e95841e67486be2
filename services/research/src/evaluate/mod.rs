//! `tandem evaluate`: both models, their confirmed signals and four baselines on bars that no model has seen.

mod cases;
mod judge;
mod report;

use std::{io::Write as _, path::Path};

use anyhow::{Context, bail};
use domain::{ModelKind, Policy};
use validation::Span;

use self::{cases::Cases, judge::judge, report::Report};
use super::models;
use crate::cli::EvaluateArguments;

/// Judges, prints and writes.
pub(crate) fn run(arguments: &EvaluateArguments) -> anyhow::Result<()> {
    let champions = models::load(&arguments.models)?;
    let policy: Policy = service_kit::load_settings()?;
    let bars = super::read_bars(&arguments.bars.bars, &arguments.bars.options())?;
    let context = super::context::read(&arguments.context, &bars)?;
    let both = ModelKind::ALL.map(|kind| champions.of(kind).manifest());
    let span = Span::of(&both, arguments.from, calendar::nyse())?;
    let cases = Cases::collect(&champions, &bars, &context, &span)?;
    let file = arguments.bars.bars.display();
    if cases.unseen.is_empty() {
        bail!("{file} holds no labelled bar from {} on", span.from);
    }
    let first = cases.known.iter().map(|case| case.bar_start).min();
    if first.is_none_or(|first| first > span.training_start) {
        bail!(
            "{file} lacks some of the models' training days ({} to {}): the baselines are fitted on all of them",
            span.training_start,
            span.seen_until
        );
    }
    let report = judge(&champions, &policy, &span, &cases)?;
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
