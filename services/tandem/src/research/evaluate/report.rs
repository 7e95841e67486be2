//! What is printed and written.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use domain::Class;
use evaluation::{Scores, SignalScores};
use serde::Serialize;

/// Everything that is printed and written.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) lstm: String,
    pub(super) transformer: String,
    pub(super) seen_until: DateTime<Utc>,
    pub(super) from: DateTime<Utc>,
    pub(super) to: DateTime<Utc>,
    pub(super) sessions: usize,
    pub(super) tickers: usize,
    pub(super) cases: usize,
    /// Cases that the baselines were fitted on.
    pub(super) baseline_cases: usize,
    /// Shares of down, neutral and up in what happened.
    pub(super) class_shares: [f64; 3],
    pub(super) threshold: f32,
    /// The two networks first, then the baselines.
    pub(super) judged: Vec<Judged>,
    pub(super) confirmed: Confirmed,
    pub(super) verdicts: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Judged {
    pub(super) name: &'static str,
    pub(super) baseline: bool,
    #[serde(flatten)]
    pub(super) scores: Scores,
    /// Log loss of each session, in order.
    pub(super) session_log_losses: Vec<f64>,
}

/// The cases in which both models confirmed a direction, and only these.
#[derive(Debug, Serialize)]
pub(super) struct Confirmed {
    #[serde(flatten)]
    pub(super) signals: SignalScores,
    /// With the mean of both models' probabilities; absent without any signal.
    pub(super) scores: Option<Scores>,
}

impl Report {
    /// For a terminal.
    pub(super) fn text(&self) -> Result<String, std::fmt::Error> {
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
            "{:<14} {:>8} {:>8} {:>8} {:>8} {:>8} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
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
        "{name:<14} {:>8.4} {:>8.4} {:>8.4} {:>8.4} {:>8.4} {:>7.3} {:>7.3} {:>7.3} {:>7.3} {:>7.3} {:>7.3}",
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
