//! What a validation found, as JSON and as a page to read.

mod chart;
mod html;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDate, Utc};
use domain::{Class, ModelKind, Ticker};
use serde::Serialize;

use crate::{
    Comparison, Figure, Judged, Network, Side, Verdict,
    compare::{lower_by, percent},
};

/// A Sharpe ratio below this probability of exceeding luck is not shown to be skill.
const SKILL: f64 = 0.95;

/// Everything that a validation found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValidationReport {
    /// When it was made, in market time, UTC.
    pub as_of: DateTime<Utc>,
    /// The night's run that it belongs to.
    pub run: Option<String>,
    /// Whether nothing was changed by it.
    pub dry_run: bool,
    /// What it says, in plain sentences, the verdicts first.
    pub summary: Vec<String>,
    /// Each kind of network.
    pub kinds: Vec<KindReport>,
    /// What happened, by stock and session, over training and unseen days.
    pub labels: Vec<LabelCounts>,
}

/// What was found about one kind of network.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KindReport {
    /// Which kind.
    pub kind: ModelKind,
    /// The network in service, if there is one.
    pub champion: Option<Network>,
    /// The one that wants its place.
    pub challenger: Network,
    /// What came of it.
    pub outcome: Outcome,
}

/// Whether two networks could be compared.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// They were.
    Compared(Box<Comparison>),
    /// They were not.
    NotCompared {
        /// A clause that says why, with the dates where dates are the reason.
        reason: String,
    },
}

/// How often each class happened to one stock in one session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LabelCounts {
    /// Stock.
    pub ticker: Ticker,
    /// New York date.
    pub session: NaiveDate,
    /// In the order of [`Class::ALL`].
    pub counts: [u64; 3],
}

/// Counts labels by stock and session (New York date), in that order.
pub fn label_counts(
    labels: impl IntoIterator<Item = (Ticker, NaiveDate, Class)>,
) -> Vec<LabelCounts> {
    let mut counts: BTreeMap<(Ticker, NaiveDate), [u64; 3]> = BTreeMap::new();
    for (ticker, session, class) in labels {
        counts.entry((ticker, session)).or_default()[class.index()] += 1;
    }
    counts
        .into_iter()
        .map(|((ticker, session), counts)| LabelCounts {
            ticker,
            session,
            counts,
        })
        .collect()
}

impl ValidationReport {
    /// Puts the findings together and says in words what they come to.
    pub fn new(
        as_of: DateTime<Utc>,
        run: Option<String>,
        dry_run: bool,
        kinds: Vec<KindReport>,
        labels: Vec<LabelCounts>,
    ) -> Self {
        let titled = || kinds.iter().zip(titles(&kinds));
        let verdicts = titled().map(|(kind, title)| kind.verdict(&title));
        let details = titled().flat_map(|(kind, title)| kind.details(&title));
        Self {
            as_of,
            run,
            dry_run,
            summary: verdicts.chain(details).collect(),
            kinds,
            labels,
        }
    }

    /// The report as one page that needs nothing else: no script, no other file, light and dark.
    pub fn to_html(&self) -> String {
        html::Page(self).to_string()
    }
}

impl KindReport {
    /// What came of the comparison, in a sentence.
    fn verdict(&self, title: &str) -> String {
        match &self.outcome {
            Outcome::NotCompared { reason } => format!("{title}: not compared: {reason}."),
            Outcome::Compared(comparison) => match &comparison.verdict {
                Verdict::Wins => {
                    let gain = &comparison.log_loss_gain;
                    let least = gain.bounds.known().map_or_else(String::new, |bounds| {
                        format!(
                            ", and {} at the least, at {} certainty over {} days, which clears the margin of {:.5}",
                            lower_by(bounds.lower),
                            percent(bounds.level),
                            bounds.days,
                            comparison.settings.margin
                        )
                    });
                    format!(
                        "{title}: the challenger wins. Its log loss is {}{least}.",
                        lower_by(gain.mean)
                    )
                }
                Verdict::DoesNotWin { reason } => {
                    format!("{title}: the challenger does not win: {reason}.")
                }
                Verdict::CannotTell { reason } => {
                    format!(
                        "{title}: the days cannot tell whether the challenger is better: {reason}."
                    )
                }
            },
        }
    }

    /// What else a reader should not have to find out alone.
    fn details(&self, title: &str) -> Vec<String> {
        let Outcome::Compared(comparison) = &self.outcome else {
            return Vec::new();
        };
        [
            (Side::Champion, &comparison.champion),
            (Side::Challenger, &comparison.challenger),
        ]
        .into_iter()
        .flat_map(|(side, judged)| {
            [
                Some(beside_baselines(title, side, comparison)),
                signals(title, judged),
            ]
        })
        .flatten()
        .collect()
    }
}

fn beside_baselines(kind: &str, side: Side, comparison: &Comparison) -> String {
    let own = || {
        comparison
            .against_baselines
            .iter()
            .filter(move |against| against.network == side)
    };
    let names = |beaten: bool| -> Vec<&str> {
        own()
            .filter(|against| against.beats == beaten)
            .map(|against| against.baseline.as_str())
            .collect()
    };
    let (beaten, unbeaten) = (names(true), names(false));
    let subject = format!("{kind} {}", side.name());
    if own().next().is_none() {
        return format!("{subject}: no baseline stands beside it.");
    }
    match (beaten.is_empty(), unbeaten.is_empty()) {
        (_, true) => format!("{subject}: beats every baseline ({}).", list(&beaten)),
        (true, _) => format!(
            "{subject}: not shown to be better than any baseline ({}).",
            list(&unbeaten)
        ),
        _ => format!(
            "{subject}: beats {}; not shown to be better than {}.",
            list(&beaten),
            list(&unbeaten)
        ),
    }
}

fn signals(kind: &str, judged: &Judged) -> Option<String> {
    let confirmed = judged.confirmed.as_ref()?;
    let (name, signals) = (&judged.name, &confirmed.signals);
    if signals.signals == 0 {
        return Some(format!("{kind} {name}: not a single signal was confirmed."));
    }
    let relation = if signals.mean_net_return_bps > 0.0 {
        "earned"
    } else {
        "lost"
    };
    let skill = match &confirmed.sharpe {
        Figure::Known(sharpe) => {
            let shown = if sharpe.probability >= SKILL {
                "more than luck explains"
            } else {
                "not shown to be more than luck"
            };
            format!(
                "{shown} (probability {:.3} after {} trials)",
                sharpe.probability, sharpe.trials
            )
        }
        Figure::Unknown(reason) => format!("not shown to be more than luck: {reason}"),
    };
    Some(format!(
        "{kind} {name}: {} confirmed signals {relation} {:.2} bp each after {:.2} bp of costs, {skill}.",
        signals.signals,
        signals.mean_net_return_bps.abs(),
        signals.round_trip_cost_bps,
    ))
}

/// "a, b and c".
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [name] => (*name).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What each report is called: by its kind, and where a kind has several challengers by these too.
fn titles(kinds: &[KindReport]) -> Vec<String> {
    let title_of = |report: &KindReport| {
        let name = kind_title(report.kind);
        let of_kind = kinds.iter().filter(|other| other.kind == report.kind);
        match of_kind.count() {
            1 => name.to_owned(),
            _ => format!("{name} ({})", report.challenger.id),
        }
    };
    kinds.iter().map(title_of).collect()
}

/// A kind's name as people write it.
pub const fn kind_title(kind: ModelKind) -> &'static str {
    match kind {
        ModelKind::Lstm => "LSTM",
        ModelKind::Transformer => "Transformer",
    }
}
