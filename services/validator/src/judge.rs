//! A champion beside each of its challengers, on the sessions that neither has seen.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use domain::{Class, ModelKind, Policy, Probabilities};
use evaluation::{
    Baseline, Case, Comparison, ComparisonSettings, KindReport, Outcome, Side, Verdict, compare,
};
use features::Scaler;
use inference::{Model, Opinion};
use model_registry::{AbstentionRecord, Manifest};
use storage::{PgPool, ValidationVerdict, count_trials};
use validation::{Decision, Span};

use crate::{
    ValidationSettings,
    field::{Field, Incumbent, chain, network},
    night::Night,
    past::{Labelled, Past},
    said::{Said, said},
};

/// A challenger with what came of it.
pub(crate) struct Judged {
    pub(crate) verdict: ValidationVerdict,
    /// The least that its log loss is lower, nats; nothing where that is unknown.
    pub(crate) lower: Option<f64>,
    pub(crate) report: KindReport,
}

/// All challengers of a kind.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) judged: Vec<Judged>,
    /// What else a reader should know.
    pub(crate) remarks: Vec<String>,
    /// Sessions about which some model was asked now.
    pub(crate) asked: BTreeSet<chrono::NaiveDate>,
}

/// What comparisons are made of.
pub(crate) struct Bench<'a> {
    pub(crate) pool: &'a PgPool,
    pub(crate) settings: &'a ValidationSettings,
    pub(crate) policy: &'a Policy,
    pub(crate) night: &'a Night,
    pub(crate) past: Arc<Past>,
    pub(crate) labelled: BTreeMap<String, Arc<Labelled>>,
    /// The other kind is trained on the same days, so that its baselines are often the same.
    fitted: Vec<Fitted>,
}

/// Baselines with what they were fitted and asked on.
struct Fitted {
    settings: String,
    span: Span,
    scaler: Scaler,
    asked: Arc<Vec<usize>>,
    /// Or why there are none.
    baselines: Result<Arc<Vec<Baseline>>, String>,
}

/// Those without a champion to compare with: the newest takes the empty place.
pub(crate) fn without_champion(field: &Field) -> Findings {
    let reason = |model: &Model| {
        let takes = format!("so that {} takes its place unproved", model.id());
        match &field.champion {
            Incumbent::Unusable(model_id, why) => {
                format!("the champion {model_id} cannot be used ({why}), {takes}")
            }
            _ => format!("no {} has been champion yet, {takes}", field.kind),
        }
    };
    let newest = field.challengers.first().map(|model| Judged {
        verdict: ValidationVerdict::First,
        lower: None,
        report: not_compared(field, model.manifest(), reason(model)),
    });
    Findings {
        judged: newest.into_iter().chain(broken(field)).collect(),
        ..Findings::default()
    }
}

fn broken(field: &Field) -> impl Iterator<Item = Judged> {
    field.broken.iter().map(|(manifest, why)| {
        let reason = format!("{} cannot be used: {why}", manifest.model_id);
        refused(field, manifest, reason)
    })
}

fn refused(field: &Field, challenger: &Manifest, reason: String) -> Judged {
    Judged {
        verdict: ValidationVerdict::Refused,
        lower: None,
        report: not_compared(field, challenger, reason),
    }
}

fn not_compared(field: &Field, challenger: &Manifest, reason: String) -> KindReport {
    let champion = field.champion.usable();
    KindReport {
        kind: field.kind,
        champion: champion.map(|champion| network(champion.manifest())),
        challenger: network(challenger),
        outcome: Outcome::NotCompared { reason },
    }
}

impl<'a> Bench<'a> {
    pub(crate) fn new(
        pool: &'a PgPool,
        settings: &'a ValidationSettings,
        policy: &'a Policy,
        night: &'a Night,
        past: Arc<Past>,
        labelled: BTreeMap<String, Arc<Labelled>>,
    ) -> Self {
        Self {
            pool,
            settings,
            policy,
            night,
            past,
            labelled,
            fitted: Vec::new(),
        }
    }

    /// Compares a champion with each of its challengers. `other` is the champion of the other kind, without which no
    /// signal is confirmed.
    pub(crate) async fn judge(
        &mut self,
        field: &Field,
        champion: &Arc<Model>,
        other: Option<&Arc<Model>>,
    ) -> anyhow::Result<Findings> {
        let labelled = Arc::clone(Labelled::of(&self.labelled, champion)?);
        let unseen = |challenger: &Arc<Model>| self.unseen(champion, challenger, &labelled);
        let spans: Vec<Result<Span, String>> = field.challengers.iter().map(unseen).collect();
        let comparable = || spans.iter().flatten();
        let mut findings = Findings::default();
        let Some(from) = comparable().map(|span| span.from).min() else {
            findings.judged = self.refusals(field, &spans).chain(broken(field)).collect();
            return Ok(findings);
        };

        let (champion_said, asked) =
            said(self.pool, &self.past, &labelled, champion, from, self.night).await?;
        findings.asked.extend(asked);
        // One that foresees other labels confirms nothing of these.
        let label_settings = champion.manifest().label_settings();
        let alike = |it: &&Arc<Model>| it.manifest().label_settings() == label_settings;
        let other = match other.filter(alike) {
            None => None,
            Some(model) => {
                // It may have seen more than the two: what it says of that proves nothing.
                let own = Span::of(&[model.manifest()], None, calendar::nyse())?;
                let from = from.max(own.from);
                let labelled = Labelled::of(&self.labelled, model)?;
                let (said, asked) =
                    said(self.pool, &self.past, labelled, model, from, self.night).await?;
                findings.asked.extend(asked);
                Some((Arc::clone(model), Arc::new(said)))
            }
        };
        let comparisons = comparable().count();
        let trials = count_trials(self.pool, field.kind, self.night.as_of).await?;
        let settings = self.settings.of_comparison(
            comparisons,
            // A model from elsewhere was tried too, though nobody here wrote down its training.
            (trials as usize).max(field.challengers.len()),
            self.policy,
        );
        if comparisons > 1 {
            findings.remarks.push(format!(
                "{comparisons} challengers were compared at once: each bound holds with {:.2} % certainty, so that all of \
                 them hold together with {:.2} %.",
                settings.level * 100.0,
                self.settings.level * 100.0
            ));
        }
        let champion_said = Arc::new(champion_said);
        for (challenger, span) in field.challengers.iter().zip(&spans) {
            let span = match span {
                Ok(span) => *span,
                Err(reason) => {
                    let judged = refused(field, challenger.manifest(), reason.clone());
                    findings.judged.push(judged);
                    continue;
                }
            };
            let (challenger_said, asked) = said(
                self.pool, &self.past, &labelled, challenger, span.from, self.night,
            )
            .await?;
            findings.asked.extend(asked);
            let pair = Pair {
                champion: (Arc::clone(champion), Arc::clone(&champion_said)),
                challenger: (Arc::clone(challenger), Arc::new(challenger_said)),
                other: other.clone(),
                labelled: Arc::clone(&labelled),
                policy: *self.policy,
                settings,
            };
            let cases = Arc::new(pair.cases(&span));
            if cases.is_empty() {
                let reason =
                    "no bar of the sessions that neither has seen has a full window".to_owned();
                findings
                    .judged
                    .push(refused(field, challenger.manifest(), reason));
                continue;
            }
            let baselines = match self.baselines(&pair, span, &cases).await? {
                Ok(baselines) => baselines,
                Err(why) => {
                    findings.remarks.push(format!(
                        "no baseline stands beside {}: {why}.",
                        challenger.id()
                    ));
                    Arc::default()
                }
            };
            findings.remarks.extend(pair.signals_remark(&cases));
            let compare = move || pair.compare(&cases, &baselines);
            let comparison = tokio::task::spawn_blocking(compare)
                .await
                .context("the comparison panicked")??;
            findings.judged.push(Judged {
                verdict: match comparison.verdict {
                    Verdict::Wins => ValidationVerdict::Wins,
                    Verdict::DoesNotWin { .. } => ValidationVerdict::DoesNotWin,
                    Verdict::CannotTell { .. } => ValidationVerdict::CannotTell,
                },
                lower: comparison.log_loss_gain.bounds.known().map(|it| it.lower),
                report: KindReport {
                    kind: field.kind,
                    champion: Some(network(champion.manifest())),
                    challenger: network(challenger.manifest()),
                    outcome: Outcome::Compared(Box::new(comparison)),
                },
            });
        }
        findings.judged.extend(broken(field));
        findings.remarks.dedup();
        Ok(findings)
    }

    fn refusals(
        &self,
        field: &'a Field,
        spans: &'a [Result<Span, String>],
    ) -> impl Iterator<Item = Judged> {
        let pairs = field.challengers.iter().zip(spans);
        pairs.filter_map(|(challenger, span)| {
            let reason = span.as_ref().err()?.clone();
            Some(refused(field, challenger.manifest(), reason))
        })
    }

    /// The sessions that neither has seen, or why there is none.
    fn unseen(
        &self,
        champion: &Model,
        challenger: &Model,
        labelled: &Labelled,
    ) -> Result<Span, String> {
        let (ours, theirs) = (champion.manifest(), challenger.manifest());
        let span = Span::of(&[ours, theirs], None, calendar::nyse());
        let span = span.map_err(|error| chain(&error))?;
        let last = &self.night.session;
        if span.from > last.open {
            return Err(format!(
                "no session is unseen by both: the champion {} has seen bars until {}, the challenger {} until {}, and the \
                 last session to be looked at is that of {}",
                champion.id(),
                ours.ranges.seen_until(),
                challenger.id(),
                theirs.ranges.seen_until(),
                last.date
            ));
        }
        let mut decisions = labelled.decisions.iter();
        if decisions.any(|decision| span.is_unseen(decision)) {
            Ok(span)
        } else {
            Err(format!(
                "the database has no bars with a known outcome of the sessions that neither has seen, {} to {}",
                span.from.date_naive(),
                last.date
            ))
        }
    }

    /// Baselines for a pair, or why there are none.
    async fn baselines(
        &mut self,
        pair: &Pair,
        span: Span,
        cases: &Arc<Vec<usize>>,
    ) -> anyhow::Result<Result<Arc<Vec<Baseline>>, String>> {
        let scaler = pair.challenger.0.scaler();
        let is_same = |fitted: &&Fitted| {
            fitted.settings == pair.labelled.settings
                && fitted.span == span
                && fitted.scaler == *scaler
                && fitted.asked == *cases
        };
        if let Some(fitted) = self.fitted.iter().find(is_same) {
            return Ok(fitted.baselines.clone());
        }
        let (labelled, asked, fit_scaler) = (
            Arc::clone(&pair.labelled),
            Arc::clone(cases),
            scaler.clone(),
        );
        let fit = move || {
            let decisions = &labelled.decisions;
            let known: Vec<&Decision> = decisions.iter().filter(|it| span.is_known(it)).collect();
            let asked: Vec<&Decision> = at(decisions, &asked).collect();
            let threads = std::thread::available_parallelism().map_or(1, usize::from);
            validation::baselines(&known, &asked, &fit_scaler, threads)
        };
        let baselines = tokio::task::spawn_blocking(fit)
            .await
            .context("fitting the baselines panicked")?
            .map(Arc::new)
            .map_err(|error| chain(&error));
        self.fitted.push(Fitted {
            settings: pair.labelled.settings.clone(),
            span,
            scaler: scaler.clone(),
            asked: Arc::clone(cases),
            baselines: baselines.clone(),
        });
        Ok(baselines)
    }
}

fn at<'a>(decisions: &'a [Decision], places: &'a [usize]) -> impl Iterator<Item = &'a Decision> {
    places.iter().filter_map(|place| decisions.get(*place))
}

/// A model with what it says.
type Rider = (Arc<Model>, Arc<Said>);

/// How a model tells when it is sure, by the start of the bar, UTC.
type Sets = BTreeMap<DateTime<Utc>, AbstentionRecord>;

/// A champion and a challenger, with the other kind's champion beside them.
struct Pair {
    champion: Rider,
    challenger: Rider,
    other: Option<Rider>,
    labelled: Arc<Labelled>,
    policy: Policy,
    settings: ComparisonSettings,
}

fn answer<'a>(rider: &'a Rider, decision: &Decision) -> Option<&'a Probabilities> {
    rider.1.get(&(decision.ticker.clone(), decision.bar_start))
}

impl Pair {
    /// Places of the decisions that neither has seen and both have answered.
    fn cases(&self, span: &Span) -> Vec<usize> {
        let answered = |decision: &Decision| {
            answer(&self.champion, decision).is_some()
                && answer(&self.challenger, decision).is_some()
        };
        let decisions = self.labelled.decisions.iter().enumerate();
        decisions
            .filter(|(_, decision)| span.is_unseen(decision) && answered(decision))
            .map(|(place, _)| place)
            .collect()
    }

    /// What a reader should know about the signals.
    fn signals_remark(&self, cases: &[usize]) -> Option<String> {
        let Some(other) = &self.other else {
            return Some(
                "no signal could be confirmed: the other kind has no champion that can be used and foresees the same labels."
                    .to_owned(),
            );
        };
        let sessions = |is_counted: &dyn Fn(&Decision) -> bool| {
            let counted = at(&self.labelled.decisions, cases).filter(|it| is_counted(it));
            counted
                .map(Decision::session)
                .collect::<BTreeSet<_>>()
                .len()
        };
        let all = sessions(&|_| true);
        let both = sessions(&|decision| answer(other, decision).is_some());
        (both < all).then(|| {
            format!(
                "signals of {} are counted on {both} of {all} sessions: the champion {} that must confirm them has \
                 seen the others.",
                self.challenger.0.id(),
                other.0.id()
            )
        })
    }

    /// The direction that a side and the other kind's champion confirm, if they do.
    fn signal(
        &self,
        (rider, sets): (&Rider, &Sets),
        others_sets: &Sets,
        decision: &Decision,
    ) -> Option<Class> {
        let other = self.other.as_ref()?;
        let own = Opinion {
            probabilities: answer(rider, decision)?,
            abstention: sets.get(&decision.bar_start),
        };
        let others = Opinion {
            probabilities: answer(other, decision)?,
            abstention: others_sets.get(&decision.bar_start),
        };
        let (lstm, transformer) = match rider.0.kind() {
            ModelKind::Lstm => (own, others),
            ModelKind::Transformer => (others, own),
        };
        validation::signal(&self.policy, decision, lstm, transformer)
    }

    fn compare(&self, cases: &[usize], baselines: &[Baseline]) -> anyhow::Result<Comparison> {
        let mut compared = Vec::with_capacity(cases.len());
        let mut signals = BTreeMap::new();
        let values = |said: &Probabilities| said.to_array().map(f64::from);
        let sets = |rider: &Rider| {
            let decisions = at(&self.labelled.decisions, cases);
            let said = decisions.filter_map(|decision| Some((decision, answer(rider, decision)?)));
            validation::in_service(rider.0.manifest(), said)
        };
        let (champion_sets, challenger_sets) = (sets(&self.champion), sets(&self.challenger));
        let others_sets = self.other.as_ref().map(sets).unwrap_or_default();
        for decision in at(&self.labelled.decisions, cases) {
            let said = answer(&self.champion, decision).zip(answer(&self.challenger, decision));
            let Some((champion, challenger)) = said else {
                continue;
            };
            compared.push(Case {
                ticker: decision.ticker.clone(),
                session: decision.session(),
                bar_start: decision.bar_start,
                truth: decision.truth,
                gross_return: decision.gross_return,
                champion: values(champion),
                challenger: values(challenger),
            });
            let directions = (
                self.signal((&self.champion, &champion_sets), &others_sets, decision),
                self.signal((&self.challenger, &challenger_sets), &others_sets, decision),
            );
            signals.insert((decision.ticker.clone(), decision.bar_start), directions);
        }
        let rule = |case: &Case, side: Side| {
            let (champion, challenger) = signals.get(&(case.ticker.clone(), case.bar_start))?;
            match side {
                Side::Champion => *champion,
                Side::Challenger => *challenger,
            }
        };
        let (champion, challenger) = (&self.champion.0, &self.challenger.0);
        compare(
            &compared,
            &network(champion.manifest()),
            &network(challenger.manifest()),
            baselines,
            &self.settings,
            rule,
        )
        .with_context(|| {
            format!(
                "failed to compare {} with {}",
                challenger.id(),
                champion.id()
            )
        })
    }
}
