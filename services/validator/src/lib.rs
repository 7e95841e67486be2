#![doc = include_str!("../README.md")]

mod field;
mod judge;
mod night;
mod page;
mod past;
mod promote;
mod said;
mod settings;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use anyhow::Context as _;
use chrono::NaiveDate;
use domain::{ModelId, ModelKind, Policy, Ticker};
use evaluation::{KindReport, LabelCounts, ValidationReport, kind_title, label_counts};
use inference::Model;
use storage::{
    PgPool, ValidationVerdict, recent_validation_reports, store_validation_report,
    validation_reports_of_run,
};

pub use field::Places;
pub use night::Night;
pub use promote::Promotion;
pub use settings::ValidationSettings;

use field::{Field, Incumbent, Wanted};
use judge::{Bench, Findings, Judged, without_champion};
use past::Past;

/// Newest reports that are looked through for one that is stored already.
const RECENT_REPORTS: u32 = 50;

/// What a person asked for; the default is everything.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// Promote nothing.
    pub dry_run: bool,
    /// Only this kind.
    pub kind: Option<ModelKind>,
    /// Only this challenger.
    pub challenger: Option<ModelId>,
}

/// What came of a night's validation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// Each challenger, in the order of the page.
    pub verdicts: Vec<(ModelId, ValidationVerdict)>,
    /// Who became champion, or would have in a dry run.
    pub promotions: Vec<Promotion>,
    /// Sessions about which some model was asked, as nothing was stored of them.
    pub asked: BTreeSet<NaiveDate>,
    /// The page; none where there was nothing to compare.
    pub page: Option<PathBuf>,
}

/// Compares champions with their challengers.
pub struct Validator {
    /// The database.
    pub pool: PgPool,
    /// Where everything lies.
    pub places: Places,
    /// Stocks whose bars are judged.
    pub tickers: Vec<Ticker>,
    /// How it is compared.
    pub settings: ValidationSettings,
    /// When a signal is confirmed, and what trading costs.
    pub policy: Policy,
}

/// A kind with what was found about it.
struct Kind {
    field: Field,
    findings: Findings,
}

impl Validator {
    /// Compares, writes down what was found, and promotes who won. Doing it again for the same night finds the same and
    /// changes nothing.
    ///
    /// # Errors
    /// When the database is lost or has no bars, the models' folder or the champions' file cannot be read, or the page
    /// cannot be written; the champions are as before then, unless it says otherwise.
    pub async fn run(&self, night: &Night, wishes: &Wishes) -> anyhow::Result<Outcome> {
        let fields = self.fields(night, wishes).await?;
        if !fields.iter().any(Field::has_challengers) {
            tracing::info!("nothing to compare: no model waits for a champion's place");
            for remark in fields.iter().flat_map(|field| &field.remarks) {
                tracing::info!("{remark}");
            }
            return Ok(Outcome::default());
        }
        let (kinds, labels) = self.judge(fields, night).await?;

        let mut report = report(&kinds, labels, night, wishes);
        let promotions: Vec<Promotion> = promotions(&kinds, &report.summary, night);
        let verdicts = report.kinds.len();
        let decided = sentences(&kinds, &promotions, wishes.dry_run);
        report.summary.splice(verdicts..verdicts, decided);
        self.store(&kinds, &report, night).await?;
        let page = page::write(&night.folder(&self.places.nights), &report)?;
        for sentence in &report.summary {
            tracing::info!("{sentence}");
        }
        tracing::info!("the page is {}", page.display());
        if !wishes.dry_run {
            for promotion in &promotions {
                promote::promote(&self.pool, &self.places.champions, promotion, night).await?;
            }
        }
        let judged = || kinds.iter().flat_map(|kind| &kind.findings.judged);
        let verdict = |judged: &Judged| (judged.report.challenger.id.clone(), judged.verdict);
        let asked = kinds.iter().flat_map(|kind| &kind.findings.asked);
        Ok(Outcome {
            verdicts: judged().map(verdict).collect(),
            promotions,
            asked: asked.copied().collect(),
            page: Some(page),
        })
    }

    /// Champions of both kinds, and the challengers wanted.
    async fn fields(&self, night: &Night, wishes: &Wishes) -> anyhow::Result<Vec<Field>> {
        let (places, most, night, wishes) = (
            self.places.clone(),
            self.settings.challengers,
            *night,
            wishes.clone(),
        );
        let gather = move || {
            let only = wishes.challenger.as_ref();
            let kind = match only {
                Some(model_id) => Some(kind_of(&places, model_id, wishes.kind)?),
                None => wishes.kind,
            };
            let field = |of: ModelKind| {
                let wanted = match (kind, only) {
                    (Some(kind), _) if kind != of => Wanted::None,
                    (_, Some(model_id)) => Wanted::Only(model_id),
                    (_, None) => Wanted::Newest(most),
                };
                Field::gather(&places, of, &night, &wanted)
            };
            ModelKind::ALL.into_iter().map(field).collect()
        };
        tokio::task::spawn_blocking(gather)
            .await
            .context("loading the models panicked")?
    }

    async fn judge(
        &self,
        fields: Vec<Field>,
        night: &Night,
    ) -> anyhow::Result<(Vec<Kind>, Vec<LabelCounts>)> {
        let compared = |field: &&Field| !field.challengers.is_empty();
        let has_pairs = |field: &Field| field.champion.usable().is_some();
        let mut bench = None;
        let mut labels = Vec::new();
        if fields.iter().filter(compared).any(has_pairs) {
            let champions: Vec<Arc<Model>> = fields
                .iter()
                .filter_map(|field| field.champion.usable().cloned())
                .collect();
            let challengers = fields.iter().flat_map(|field| &field.challengers);
            let all: Vec<&Model> = champions
                .iter()
                .chain(challengers)
                .map(|it| &**it)
                .collect();
            let calendar = calendar::nyse();
            let past = Past::load(&self.pool, &self.tickers, &all, night, calendar).await?;
            let (past, of_night) = (Arc::new(past), *night);
            let kept = Arc::clone(&past);
            let label = move || {
                let champions: Vec<&Model> = champions.iter().map(|it| &**it).collect();
                past.label(&champions, &of_night, calendar)
            };
            let labelled = tokio::task::spawn_blocking(label)
                .await
                .context("labelling the bars panicked")??;
            if let Some(labelled) = labelled.values().next() {
                let of = |it: &validation::Decision| (it.ticker.clone(), it.session(), it.truth);
                labels = label_counts(labelled.decisions.iter().map(of));
            }
            let (pool, settings, policy) = (&self.pool, &self.settings, &self.policy);
            bench = Some(Bench::new(pool, settings, policy, night, kept, labelled));
        }
        let champions: Vec<Option<Arc<Model>>> = fields
            .iter()
            .map(|field| field.champion.usable().cloned())
            .collect();
        let mut kinds = Vec::new();
        for (field, champion) in fields.into_iter().zip(&champions) {
            let findings = match (&mut bench, champion) {
                _ if !field.has_challengers() => Findings::default(),
                (Some(bench), Some(champion)) => {
                    let mut others = champions.iter().flatten();
                    let other = others.find(|other| other.kind() != field.kind);
                    bench.judge(&field, champion, other).await?
                }
                _ => without_champion(&field),
            };
            if let Incumbent::Unusable(model_id, reason) = &field.champion {
                tracing::error!(model.id = %model_id, reason, "the {} champion cannot be used", field.kind);
            }
            kinds.push(Kind { field, findings });
        }
        Ok((kinds, labels))
    }

    /// Stores the report of each pair, but none that is stored already.
    async fn store(
        &self,
        kinds: &[Kind],
        report: &ValidationReport,
        night: &Night,
    ) -> anyhow::Result<()> {
        let night_date = night.session.date;
        let stored = match night.run_id {
            Some(run_id) => validation_reports_of_run(&self.pool, run_id).await?,
            None => recent_validation_reports(&self.pool, None, RECENT_REPORTS).await?,
        };
        let statements = report.summary.iter();
        let judged = kinds.iter().flat_map(|kind| {
            let findings = kind.findings.judged.iter();
            findings.map(|judged| (kind.field.champion.id(), judged))
        });
        for ((champion, judged), statement) in judged.zip(statements) {
            let new = storage::ValidationReport {
                run_id: night.run_id,
                night: night_date,
                kind: judged.report.kind,
                champion: champion.cloned(),
                challenger: judged.report.challenger.id.clone(),
                verdict: judged.verdict,
                report: figures(&judged.report, statement, report.dry_run)?,
                created_at: night.as_of,
            };
            let is_it = |known: &storage::ValidationReport| {
                let created_at = new.created_at;
                let known = storage::ValidationReport {
                    created_at,
                    ..known.clone()
                };
                known == new
            };
            if !stored.iter().any(is_it) {
                store_validation_report(&self.pool, &new).await?;
            }
        }
        Ok(())
    }
}

/// A pair's report for the database.
fn figures(
    report: &KindReport,
    statement: &str,
    dry_run: bool,
) -> anyhow::Result<serde_json::Value> {
    let mut figures = serde_json::to_value(report).context("failed to write a report as JSON")?;
    if let Some(fields) = figures.as_object_mut() {
        fields.insert("statement".to_owned(), statement.into());
        fields.insert("dry_run".to_owned(), dry_run.into());
    }
    Ok(figures)
}

fn report(
    kinds: &[Kind],
    labels: Vec<LabelCounts>,
    night: &Night,
    wishes: &Wishes,
) -> ValidationReport {
    let judged = kinds.iter().flat_map(|kind| &kind.findings.judged);
    let reports = judged.map(|judged| judged.report.clone()).collect();
    let run = night.run_id.map(|run_id| run_id.to_string());
    ValidationReport::new(night.as_of, run, wishes.dry_run, reports, labels)
}

/// Who takes a champion's place: of several winners of a kind the one with the largest lower bound, and whoever comes to an
/// empty place. `statements` begin with a sentence for each challenger.
fn promotions(kinds: &[Kind], statements: &[String], night: &Night) -> Vec<Promotion> {
    let mut statements = statements.iter();
    let mut promotions = Vec::new();
    for Kind { field, findings } in kinds {
        let judged: Vec<(&Judged, &String)> =
            findings.judged.iter().zip(statements.by_ref()).collect();
        let takes = |verdict| matches!(verdict, ValidationVerdict::Wins | ValidationVerdict::First);
        let bound = |judged: &Judged| judged.lower.unwrap_or(f64::NEG_INFINITY);
        let winner = judged
            .into_iter()
            .filter(|(judged, _)| takes(judged.verdict))
            .max_by(|(left, _), (right, _)| bound(left).total_cmp(&bound(right)));
        promotions.extend(winner.map(|(judged, statement)| Promotion {
            kind: field.kind,
            from: field.champion.id().cloned(),
            to: judged.report.challenger.id.clone(),
            why: format!("{}{statement}", night.signature()),
        }));
    }
    promotions
}

/// What is done, and what else a reader should know.
fn sentences(kinds: &[Kind], promotions: &[Promotion], dry_run: bool) -> Vec<String> {
    let mut sentences = Vec::new();
    for Kind { field, findings } in kinds {
        let kind = kind_title(field.kind);
        let becomes = if dry_run {
            "would become the champion, were this no dry run"
        } else {
            "becomes the champion"
        };
        if let Some(promotion) = promotions.iter().find(|it| it.kind == field.kind) {
            let place = promotion
                .from
                .as_ref()
                .map_or_else(String::new, |from| format!(" in the place of {from}"));
            sentences.push(format!("{kind}: {} {becomes}{place}.", promotion.to));
        } else if let Some(champion) = field.champion.id()
            && field.has_challengers()
        {
            sentences.push(format!("{kind}: {champion} stays the champion."));
        }
        let remarks = field.remarks.iter().chain(&findings.remarks);
        sentences.extend(remarks.map(|remark| format!("{kind}: {remark}")));
    }
    sentences
}

/// The kind of a model on the disk.
fn kind_of(
    places: &Places,
    model_id: &ModelId,
    wished: Option<ModelKind>,
) -> anyhow::Result<ModelKind> {
    let listed = model_registry::list_artifacts(&places.models_dir)?;
    listed
        .into_iter()
        .find(|listed| {
            listed.model_id == *model_id && wished.is_none_or(|kind| kind == listed.kind)
        })
        .map(|listed| listed.kind)
        .with_context(|| {
            format!(
                "there is no model {model_id} below {}",
                places.models_dir.display()
            )
        })
}
