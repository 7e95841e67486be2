use std::collections::BTreeMap;

use anyhow::Context as _;
use axum::{Json, extract::State};
use chrono::{DateTime, TimeDelta, Utc};
use domain::{DISCLAIMER, Direction, ModelId, ModelKind, ResolvedSignal};
use model_registry::{ChampionsFile, list_artifacts};
use serde::{Deserialize, Serialize};
use storage::{ModelRecord, RecordBin};
use utoipa::{IntoParams, ToSchema};

use super::{Query, ask};
use crate::{
    body::StandingBody,
    champions::Places,
    error::{ApiError, ErrorBody},
    state::AppState,
};

const DEFAULT_DAYS: u32 = 90;
const MOST_DAYS: u32 = 3_650;

/// After so long an outcome that is still missing will hardly come: its bars are.
const OVERDUE: TimeDelta = TimeDelta::hours(48);

/// What came of what was said. Every figure rests on outcomes stored when they came about, and never computed again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrackRecord)]
pub(super) struct TrackRecordBody {
    /// Market time of the answer.
    as_of: DateTime<Utc>,
    /// Bars from here on are counted.
    from: DateTime<Utc>,
    /// Spread and fees of entering and leaving that net returns are less by, basis points.
    round_trip_cost_bps: f64,
    /// How the present champions' rules have fared, as beside each of their signals; null before that is known.
    standing: Option<StandingsBody>,
    /// Recommendations to buy and sell, whichever models made them, each for itself though many overlap.
    recommendations: RecommendationsBody,
    /// What each model said by itself, confirmed or not.
    models: Vec<ModelRecordBody>,
    /// Bars predicted from whose barriers are not touched yet.
    waiting: usize,
    /// Bars predicted from that will hardly have an outcome: their bars ahead are missing.
    without_outcome: usize,
    /// What all this is not.
    disclaimer: &'static str,
}

/// The standings of both rules.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Standings)]
struct StandingsBody {
    /// Of the buys.
    buy: StandingBody,
    /// Of the sells.
    sell: StandingBody,
}

/// Resolved recommendations to buy and sell. Shares and means are null without any.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = RecommendationRecord)]
struct RecommendationsBody {
    /// How many.
    count: usize,
    /// Start of the first bar.
    since: Option<DateTime<Utc>>,
    /// Start of the last bar.
    until: Option<DateTime<Utc>>,
    /// To buy.
    buys: usize,
    /// To sell.
    sells: usize,
    /// The barrier in the recommended direction was touched first.
    hits: usize,
    /// The opposite one was.
    opposite: usize,
    /// Hits over all.
    hit_rate: Option<f64>,
    /// Mean return before costs, basis points; a sell earns what the price loses.
    mean_return_bps: Option<f64>,
    /// Mean return after costs, basis points.
    mean_net_return_bps: Option<f64>,
    /// Sum of the returns after costs, basis points.
    total_net_return_bps: f64,
    /// How many lost after costs.
    losses: usize,
    /// The worst return after costs, basis points.
    worst_net_return_bps: Option<f64>,
}

/// Resolved predictions of one model.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = ModelRecord)]
struct ModelRecordBody {
    /// Which model.
    #[schema(value_type = String)]
    model_id: ModelId,
    /// `lstm` or `transformer`.
    kind: &'static str,
    /// When it became champion for the first time; null if it never did.
    champion_since: Option<DateTime<Utc>>,
    /// Resolved predictions.
    predictions: u64,
    /// The most probable class came about.
    hits: u64,
    /// Hits over predictions.
    hit_rate: f64,
    /// Mean negative logarithm of the probability of what came about.
    log_loss: f64,
    /// Mean Brier score over three classes.
    brier: f64,
    /// Predictions whose most probable class was up or down.
    calls: u64,
    /// Calls that lost before costs.
    losing_calls: u64,
    /// Mean return of a call before costs, basis points.
    mean_call_return_bps: Option<f64>,
    /// Mean return of a call after costs, basis points.
    mean_net_call_return_bps: Option<f64>,
    /// How sure it was, and how often it was right when so sure.
    calibration: Vec<CalibrationBody>,
}

/// Predictions that were about equally sure.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = CalibrationBin)]
struct CalibrationBody {
    /// Mean probability of the most probable class.
    confidence: f64,
    /// Share in which it came about.
    hit_rate: f64,
    /// How many.
    predictions: u64,
}

/// Which bars are counted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TrackRecordQuery {
    /// Days back from now: 1 to 3650, by default 90.
    #[param(minimum = 1, maximum = 3650)]
    days: Option<u32>,
}

/// What came of predictions and recommendations, losses included.
#[utoipa::path(
    get, path = "/track-record", tag = "models",
    params(TrackRecordQuery),
    responses(
        (status = 200, body = TrackRecordBody),
        (status = 400, body = ErrorBody, description = "`bad_parameter`"),
    ),
)]
pub(super) async fn report(
    State(state): State<AppState>,
    Query(query): Query<TrackRecordQuery>,
) -> Result<Json<TrackRecordBody>, ApiError> {
    let days = query.days.unwrap_or(DEFAULT_DAYS);
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(ApiError::bad_parameter(
            "days",
            format!("{days} is not between 1 and {MOST_DAYS}"),
        ));
    }
    let as_of = state.clock.now();
    let from = as_of - TimeDelta::days(days.into());
    let places = state.places.clone();
    let known = tokio::task::spawn_blocking(move || Known::read(&places))
        .await
        .context("reading the models panicked")??;

    let cost_bps = state.policy.round_trip_cost_bps;
    let mut models = Vec::new();
    for (place, name) in known.label_settings.iter().enumerate() {
        let records = ask(storage::track_record(&state.pool, name, from, as_of)).await?;
        let own = records.into_iter().filter(|record| {
            // A model whose artifact is gone counts under the first settings.
            let of_model = known.models.get(&record.model_id);
            of_model.map_or(place == 0, |own| own == name)
        });
        models.extend(own.map(|record| known.body(&record, cost_bps)));
    }
    let (mut recommendations, mut waiting, mut without_outcome) = (Vec::new(), 0, 0);
    if let Some(name) = known.label_settings.first() {
        let pool = &state.pool;
        recommendations = ask(storage::resolved_signals(pool, None, name, from, as_of)).await?;
        for (_, bar_start) in ask(storage::unresolved_predictions(pool, name, from, as_of)).await? {
            if bar_start + OVERDUE > as_of {
                waiting += usize::from(!ends_session(bar_start));
            } else {
                without_outcome += usize::from(!ends_session(bar_start));
            }
        }
    }
    let standing = state
        .standings
        .borrow()
        .both()
        .map(|[buy, sell]| StandingsBody {
            buy: buy.into(),
            sell: sell.into(),
        });
    Ok(Json(TrackRecordBody {
        standing,
        as_of,
        from,
        round_trip_cost_bps: cost_bps,
        recommendations: RecommendationsBody::new(&recommendations, cost_bps),
        models,
        waiting,
        without_outcome,
        disclaimer: DISCLAIMER,
    }))
}

/// After the last bar of a session there is nothing to be had, so that it never has an outcome.
fn ends_session(bar_start: DateTime<Utc>) -> bool {
    let close = bar_start + TimeDelta::seconds(domain::BAR_SECONDS);
    calendar::nyse()
        .session_at(bar_start)
        .is_some_and(|session| close >= session.close)
}

/// What the disk knows of models.
struct Known {
    /// Names of the label settings of the champions, each once.
    label_settings: Vec<String>,
    /// Name of the label settings of each model.
    models: BTreeMap<ModelId, String>,
    /// When a model became champion for the first time.
    champion_since: BTreeMap<ModelId, DateTime<Utc>>,
}

impl Known {
    fn read(places: &Places) -> anyhow::Result<Self> {
        let champions = ChampionsFile::new(&places.model_config)
            .read()
            .context("the champions' file cannot be used")?;
        let models: BTreeMap<ModelId, String> = list_artifacts(&places.models_dir)?
            .into_iter()
            .filter_map(|listed| Some((listed.model_id, listed.manifest.ok()?.label_settings())))
            .collect();
        let mut known = Self {
            label_settings: Vec::new(),
            models,
            champion_since: BTreeMap::new(),
        };
        for record in ModelKind::ALL
            .into_iter()
            .filter_map(|kind| champions.of(kind))
        {
            if let Some(name) = known.models.get(&record.champion)
                && !known.label_settings.contains(name)
            {
                known.label_settings.push(name.clone());
            }
            // Newest first: the oldest stays.
            for change in &record.changes {
                known.champion_since.insert(change.to.clone(), change.at);
            }
        }
        Ok(known)
    }

    fn body(&self, record: &ModelRecord, cost_bps: f64) -> ModelRecordBody {
        let sum = |value: fn(&RecordBin) -> u64| record.bins.iter().map(value).sum::<u64>();
        let mean = |value: fn(&RecordBin) -> f64, count: u64| {
            record.bins.iter().map(value).sum::<f64>() / count as f64
        };
        let predictions = sum(|bin| bin.predictions);
        let (hits, calls) = (sum(|bin| bin.hits), sum(|bin| bin.calls));
        let mean_call_return_bps =
            (calls > 0).then(|| 1e4 * mean(|bin| bin.call_return_sum, calls));
        ModelRecordBody {
            model_id: record.model_id.clone(),
            kind: record.kind.name(),
            champion_since: self.champion_since.get(&record.model_id).copied(),
            predictions,
            hits,
            hit_rate: hits as f64 / predictions as f64,
            log_loss: mean(|bin| bin.surprise_sum, predictions),
            brier: mean(|bin| bin.brier_sum, predictions),
            calls,
            losing_calls: sum(|bin| bin.losing_calls),
            mean_call_return_bps,
            mean_net_call_return_bps: mean_call_return_bps.map(|bps| bps - cost_bps),
            calibration: record.bins.iter().map(CalibrationBody::from).collect(),
        }
    }
}

impl From<&RecordBin> for CalibrationBody {
    fn from(bin: &RecordBin) -> Self {
        Self {
            confidence: bin.confidence_sum / bin.predictions as f64,
            hit_rate: bin.hits as f64 / bin.predictions as f64,
            predictions: bin.predictions,
        }
    }
}

impl RecommendationsBody {
    /// `resolved` ascending by time.
    fn new(resolved: &[ResolvedSignal], cost_bps: f64) -> Self {
        let count = resolved.len();
        let number = |counted: &dyn Fn(&ResolvedSignal) -> bool| {
            resolved.iter().filter(|signal| counted(signal)).count()
        };
        let net_bps = || resolved.iter().map(|signal| signal.net_bps(cost_bps));
        // An empty sum of floats is -0.
        let total = net_bps().sum::<f64>() + 0.0;
        let mean = (count > 0).then(|| total / count as f64);
        let hits = number(&ResolvedSignal::is_hit);
        Self {
            count,
            since: resolved.first().map(|signal| signal.bar_start),
            until: resolved.last().map(|signal| signal.bar_start),
            buys: number(&|signal| signal.direction == Direction::Up),
            sells: number(&|signal| signal.direction == Direction::Down),
            hits,
            opposite: number(&ResolvedSignal::is_opposite),
            hit_rate: (count > 0).then(|| hits as f64 / count as f64),
            mean_return_bps: mean.map(|mean| mean + cost_bps),
            mean_net_return_bps: mean,
            total_net_return_bps: total,
            losses: net_bps().filter(|bps| *bps < 0.0).count(),
            worst_net_return_bps: net_bps().min_by(f64::total_cmp),
        }
    }
}
