//! What is printed and written.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use domain::{Class, Standing};
use evaluation::{Coverage, Scores, SignalScores};
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
    /// The two networks first, then the baselines.
    pub(super) judged: Vec<Judged>,
    /// Of the networks that have some.
    pub(super) sets: Vec<Sets>,
    pub(super) confirmed: Confirmed,
    pub(super) verdicts: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct Judged {
    pub(super) name: String,
    pub(super) baseline: bool,
    #[serde(flatten)]
    pub(super) scores: Scores,
    /// Log loss of each session, in order.
    pub(super) session_log_losses: Vec<f64>,
}

/// A network's conformal sets on the unseen cases.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sets {
    pub(super) name: &'static str,
    pub(super) asked: f64,
    /// As fitted in training, down, neutral, up.
    pub(super) thresholds: [f64; 3],
    /// With thresholds that move with what happens.
    pub(super) in_service: Coverage,
    /// With the thresholds as they were fitted.
    pub(super) as_fitted: Coverage,
}

/// The cases in which both models confirmed a direction, and only these.
#[derive(Debug, Serialize)]
pub(super) struct Confirmed {
    #[serde(flatten)]
    pub(super) signals: SignalScores,
    /// Share of the cases in which the recommendation abstained.
    pub(super) abstained: f64,
    /// Share of the cases in which the networks hold different classes most probable.
    pub(super) differing: f64,
    /// With the mean of both models' probabilities; absent without any signal.
    pub(super) scores: Option<Scores>,
    /// How the signals would have fared, judged as in service.
    pub(super) standing: Standings,
}

/// The standings of both rules.
#[derive(Debug, Serialize)]
pub(super) struct Standings {
    pub(super) buy: Standing,
    pub(super) sell: Standing,
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
            .map(|judged| (judged.name.as_str(), &judged.scores.confusion))
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
        writeln!(
            text,
            "\nconformal sets: shares in % of cases whose set held what happened, and of sets with so many classes"
        )?;
        writeln!(
            text,
            "{:<23} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>7}",
            "", "asked", "all", "down", "neutral", "up", "none", "one", "two", "three"
        )?;
        for sets in &self.sets {
            for (moved, covered) in [
                ("in service", sets.in_service),
                ("as fitted", sets.as_fitted),
            ] {
                write!(text, "{:<12} {moved:<10}", sets.name)?;
                let shares = [sets.asked, covered.all];
                for share in shares.iter().chain(&covered.classes).chain(&covered.sizes) {
                    write!(text, " {:>7.1}", share * 100.0)?;
                }
                writeln!(text)?;
            }
        }
        let signals = &self.confirmed.signals;
        writeln!(
            text,
            "\nconfirmed signals: {} = {:.2} % of the cases; {:.1} % right, {:.1} % opposite; {:+.2} bp before and {:+.2} bp \
             after costs each; abstained in {:.1} % of the cases; the networks differ in {:.1} %\n",
            signals.signals,
            signals.coverage * 100.0,
            signals.precision * 100.0,
            signals.opposite * 100.0,
            signals.mean_return_bps,
            signals.mean_net_return_bps,
            self.confirmed.abstained * 100.0,
            self.confirmed.differing * 100.0
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
