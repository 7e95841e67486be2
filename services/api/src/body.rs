//! The JSON of REST and WebSocket. Field names are a contract; all times are UTC, written with a `Z`.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use domain::{
    Action, Bar, BaseRates, Block, Class, DISCLAIMER, Decision, Direction, ModelDecision, ModelId,
    Prediction, Probabilities, Recommendation, Standing, StandingState, Ticker,
};
use serde::Serialize;
use storage::StoredAnalysis;
use utoipa::ToSchema;

use crate::settings::Source;

/// One closed minute (or longer interval) of trading.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Bar)]
pub(crate) struct BarBody {
    /// First moment of the bar.
    pub(crate) time: DateTime<Utc>,
    /// First trade, US dollars per share.
    pub(crate) open: f64,
    /// Highest trade, US dollars per share.
    pub(crate) high: f64,
    /// Lowest trade, US dollars per share.
    pub(crate) low: f64,
    /// Last trade, US dollars per share.
    pub(crate) close: f64,
    /// Shares traded.
    #[serde(serialize_with = "domain::serialize_volume")]
    pub(crate) volume: f64,
}

impl From<&Bar> for BarBody {
    fn from(bar: &Bar) -> Self {
        Self {
            time: bar.start,
            open: bar.open.get(),
            high: bar.high.get(),
            low: bar.low.get(),
            close: bar.close.get(),
            volume: bar.volume,
        }
    }
}

/// What one model says: three calibrated probabilities that add up to 1.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = ModelOutput)]
pub(crate) struct ModelOutputBody {
    /// Which model.
    #[schema(value_type = String)]
    pub(crate) model_id: ModelId,
    /// The lower barrier is touched first.
    pub(crate) down: f32,
    /// Neither barrier is touched in time.
    pub(crate) neutral: f32,
    /// The upper barrier is touched first.
    pub(crate) up: f32,
}

impl From<&Prediction> for ModelOutputBody {
    fn from(prediction: &Prediction) -> Self {
        let Probabilities { down, neutral, up } = prediction.probabilities;
        Self {
            model_id: prediction.model_id.clone(),
            down,
            neutral,
            up,
        }
    }
}

/// Both riders.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = ModelOutputs)]
pub(crate) struct ModelOutputsBody {
    /// The recurrent network.
    pub(crate) lstm: ModelOutputBody,
    /// The attention network.
    pub(crate) transformer: ModelOutputBody,
}

/// The outcome of the dual confirmation.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Recommendation)]
pub(crate) struct RecommendationBody {
    /// `buy`, `sell` or `hold`.
    #[schema(value_type = String)]
    pub(crate) action: Action,
    /// One or two sentences that say why, made from the decision and the standing.
    pub(crate) reason: String,
    /// A hold because the models are not sure, or because the move would not pay: not both rule out a move.
    pub(crate) abstained: bool,
    /// Goes with every recommendation.
    pub(crate) disclaimer: &'static str,
    /// What it follows from; null for one made before decisions were stored.
    pub(crate) decision: Option<DecisionBody>,
    /// How the rule that spoke has fared so far; null for a hold, and for one made before standings were stored.
    pub(crate) standing: Option<StandingBody>,
    /// The same, to be said again beside another standing.
    #[serde(skip)]
    recommendation: Recommendation,
}

impl From<Recommendation> for RecommendationBody {
    fn from(recommendation: Recommendation) -> Self {
        let standing = recommendation.standing.as_ref();
        let decision = recommendation.decision.as_ref();
        Self {
            action: recommendation.action,
            reason: recommendation.reason.clone(),
            abstained: recommendation.abstained,
            disclaimer: DISCLAIMER,
            decision: decision.map(|decision| DecisionBody::new(decision, standing)),
            standing: standing.map(StandingBody::from),
            recommendation,
        }
    }
}

/// What the dual confirmation came to for one closed bar, and why.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Decision)]
pub(crate) struct DecisionBody {
    /// Minutes of trading that the models look ahead.
    pub(crate) horizon_minutes: u32,
    /// When these are over: what a close cuts off goes on at the next open.
    pub(crate) expires_at: DateTime<Utc>,
    /// The decision in a few words.
    pub(crate) headline: String,
    /// What each model contributes.
    pub(crate) models: ModelDecisionsBody,
    /// Where both lean the same way: the smaller of the values that they expect that way after costs, basis points.
    pub(crate) expected_bps: Option<f64>,
    /// The smaller of these values' lower bounds, basis points; above zero for a buy or a sell.
    pub(crate) expected_bps_lower: Option<f64>,
    /// Spread and fees of entering and leaving, basis points.
    pub(crate) cost_bps: f64,
    /// What keeps it from a buy or a sell: `uncalibrated`, `models_disagree`, `no_lean`, `opposite_possible` or `cost`.
    #[schema(value_type = Option<String>)]
    pub(crate) blocked_by: Option<Block>,
}

impl DecisionBody {
    fn new(decision: &Decision, standing: Option<&Standing>) -> Self {
        Self {
            horizon_minutes: decision.horizon_minutes,
            expires_at: decision.expires_at,
            headline: decision.headline(standing),
            models: ModelDecisionsBody {
                lstm: (&decision.models.lstm).into(),
                transformer: (&decision.models.transformer).into(),
            },
            expected_bps: decision.expected_bps,
            expected_bps_lower: decision.expected_bps_lower,
            cost_bps: decision.cost_bps,
            blocked_by: decision.blocked_by,
        }
    }
}

/// What both models contribute to a decision.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = ModelDecisions)]
pub(crate) struct ModelDecisionsBody {
    /// The recurrent network.
    pub(crate) lstm: ModelDecisionBody,
    /// The attention network.
    pub(crate) transformer: ModelDecisionBody,
}

/// What one model contributes to a decision.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = ModelDecision)]
pub(crate) struct ModelDecisionBody {
    /// Probability with which its prediction sets should hold what happens; null without a calibration.
    pub(crate) coverage: Option<f64>,
    /// Its prediction set, of `down`, `neutral` and `up`: what it cannot rule out; null without a calibration.
    #[schema(value_type = Option<Vec<String>>)]
    pub(crate) possible: Option<Vec<Class>>,
    /// What it gives each class of a window that tells it nothing; null without a calibration.
    pub(crate) base_rate: Option<BaseRateBody>,
    /// `up` or `down`: the direction that it holds possible and likelier than its base rate, of two the one that is so by
    /// the larger factor; null without one.
    #[schema(value_type = Option<String>)]
    pub(crate) lean: Option<Direction>,
    /// The move that it expects before costs, basis points, above zero for a rise; null where nothing is known.
    pub(crate) expected_bps: Option<f64>,
}

impl From<&ModelDecision> for ModelDecisionBody {
    fn from(decision: &ModelDecision) -> Self {
        Self {
            coverage: decision.coverage,
            possible: decision.possible.clone(),
            base_rate: decision.base_rate.map(BaseRateBody::from),
            lean: decision.lean,
            expected_bps: decision.expected_bps,
        }
    }
}

/// How often each class comes: three shares that add up to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = BaseRate)]
pub(crate) struct BaseRateBody {
    /// The lower barrier is touched first.
    pub(crate) down: f64,
    /// Neither barrier is touched in time.
    pub(crate) neutral: f64,
    /// The upper barrier is touched first.
    pub(crate) up: f64,
}

impl From<BaseRates> for BaseRateBody {
    fn from(BaseRates { down, neutral, up }: BaseRates) -> Self {
        Self { down, neutral, up }
    }
}

/// How a rule has fared so far: the buys, or the sells, of the present pair of models, followed forward.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Standing)]
pub(crate) struct StandingBody {
    /// `proven`, `unproven` or `losing`; what is losing is no recommendation until it has recovered.
    #[schema(value_type = String)]
    pub(crate) state: StandingState,
    /// Signals, those of a stock that overlap counted as one.
    pub(crate) bets: usize,
    /// Sessions with a bet.
    pub(crate) days: usize,
    /// Share of the bets whose barrier in the called direction was touched first.
    pub(crate) hit_rate: Option<f64>,
    /// Mean return of a bet after costs, basis points.
    pub(crate) mean_net_bps: Option<f64>,
    /// Its lower bound over days, one-sided at 95 %; null for less than five days.
    pub(crate) lower_bps: Option<f64>,
    /// Its upper bound over days, one-sided at 95 %; null for less than five days.
    pub(crate) upper_bps: Option<f64>,
    /// Start of the first bet's bar.
    pub(crate) since: Option<DateTime<Utc>>,
    /// The same in a sentence.
    pub(crate) sentence: String,
}

impl From<&Standing> for StandingBody {
    fn from(standing: &Standing) -> Self {
        Self {
            state: standing.state,
            bets: standing.bets,
            days: standing.days,
            hit_rate: standing.hit_rate,
            mean_net_bps: standing.mean_net_bps,
            lower_bps: standing.lower_bps,
            upper_bps: standing.upper_bps,
            since: standing.since,
            sentence: standing.sentence(),
        }
    }
}

/// Where the time between the database's notice and the publication went, milliseconds of system time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Timing)]
pub(crate) struct TimingBody {
    /// From the arrival of the database's notice until the new bars had been read.
    pub(crate) wake_ms: f64,
    /// Features of all changed tickers.
    pub(crate) features_ms: f64,
    /// Both models for all changed tickers, one batch.
    pub(crate) inference_ms: f64,
    /// From the arrival of the notice until the analysis was handed to the WebSocket clients.
    pub(crate) total_ms: f64,
}

/// What Tandem makes of one closed bar.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Analysis)]
pub(crate) struct AnalysisBody {
    /// Whose bar.
    #[schema(value_type = String)]
    pub(crate) ticker: Ticker,
    /// The bar that was analysed.
    pub(crate) bar: BarBody,
    /// What both models say.
    pub(crate) predictions: ModelOutputsBody,
    /// What follows from it.
    pub(crate) recommendation: RecommendationBody,
    /// Market time of the decision.
    pub(crate) as_of: DateTime<Utc>,
    /// Nobody could have acted on it: it is part of no track record.
    pub(crate) late: bool,
    /// Where the time went.
    pub(crate) timing: TimingBody,
}

impl AnalysisBody {
    /// The same beside another standing of the rule that spoke; none where it stands there already.
    pub(crate) fn with_standing(&self, standing: Option<Standing>) -> Option<Self> {
        let recommendation = &self.recommendation.recommendation;
        if recommendation.standing == standing {
            return None;
        }
        Some(Self {
            recommendation: recommendation.clone().with_standing(standing).into(),
            ..self.clone()
        })
    }
}

/// A price and its distance from the last close of the session before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Quote {
    /// The newest price, US dollars per share.
    pub(crate) price: f64,
    /// When it was known.
    pub(crate) time: DateTime<Utc>,
    /// Last close of the session before, US dollars per share.
    pub(crate) previous_close: Option<f64>,
}

impl Quote {
    pub(crate) fn change(&self) -> Option<f64> {
        self.previous_close
            .map(|previous| cents(self.price - previous))
    }

    pub(crate) fn change_percent(&self) -> Option<f64> {
        self.previous_close
            .map(|previous| cents((self.price / previous - 1.0) * 100.0))
    }
}

/// Rounds to 1e-4, the finest step of quoted prices: hides the noise of binary subtraction.
fn cents(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// One watched stock with its newest price and analysis.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Stock)]
pub(crate) struct StockBody {
    /// Its symbol.
    #[schema(value_type = String)]
    pub(crate) ticker: Ticker,
    /// The company's name.
    pub(crate) name: String,
    /// Its line of business.
    pub(crate) sector: String,
    /// The newest price, US dollars per share.
    pub(crate) price: Option<f64>,
    /// When that price was known.
    pub(crate) price_time: Option<DateTime<Utc>>,
    /// Last close of the session before, US dollars per share.
    pub(crate) previous_close: Option<f64>,
    /// `price` less `previous_close`.
    pub(crate) change: Option<f64>,
    /// The same in percent of `previous_close`.
    pub(crate) change_percent: Option<f64>,
    /// The newest analysis.
    #[schema(value_type = Option<AnalysisBody>)]
    pub(crate) analysis: Option<Arc<AnalysisBody>>,
}

/// All watched stocks.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Stocks)]
pub(crate) struct StocksBody {
    /// Market time of the answer.
    pub(crate) as_of: DateTime<Utc>,
    /// Goes with every recommendation.
    pub(crate) disclaimer: &'static str,
    /// In the order of the settings.
    pub(crate) stocks: Vec<StockBody>,
}

/// How far the system has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Phase {
    /// No ticker has enough bars yet.
    Backfilling,
    /// There are bars and no pair of champions yet.
    Training,
    /// Analyses are made.
    Running,
}

/// Whether the exchange trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Market {
    /// Inside the regular session.
    Open,
    /// Outside of it.
    Closed,
}

/// The champions in use.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ModelsInUse)]
pub(crate) struct ModelsInUseBody {
    /// Id of the recurrent champion.
    #[schema(value_type = Option<String>)]
    pub(crate) lstm: Option<ModelId>,
    /// Id of the attention champion.
    #[schema(value_type = Option<String>)]
    pub(crate) transformer: Option<ModelId>,
}

/// Whether the compilation behind the page goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SetupState {
    /// It goes on.
    Building,
    /// It ended, and programs are missing.
    Failed,
}

/// How far the compilation is that a first start leaves running behind the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Setup)]
pub(crate) struct SetupBody {
    /// Whether it goes on.
    pub(crate) state: SetupState,
    /// Crates compiled.
    pub(crate) done: u32,
    /// Crates to compile, those compiled among them; 0 while that is not known.
    pub(crate) of: u32,
    /// Estimate, seconds; null while there is none.
    pub(crate) seconds_left: Option<u64>,
    /// For people: how far it is, or what is missing and what to do.
    pub(crate) message: String,
}

/// The state of the system, for people.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[schema(as = Status)]
pub(crate) struct StatusBody {
    /// How far it has come.
    pub(crate) phase: Phase,
    /// One sentence for people: how far it is, or that no bars come. What else is wrong is in `trouble`, which it does not
    /// contradict.
    pub(crate) message: String,
    /// Where prices come from.
    pub(crate) source: Source,
    /// What users must know of prices that are not the market's of today; null for those.
    pub(crate) source_note: Option<&'static str>,
    /// Whether the exchange trades.
    pub(crate) market: Market,
    /// When the exchange opens next; null while it is open.
    pub(crate) next_open: Option<DateTime<Utc>>,
    /// When the last session that is over closed: a price that is older is not of its close.
    pub(crate) last_close: Option<DateTime<Utc>>,
    /// Market time.
    pub(crate) now: DateTime<Utc>,
    /// Market seconds per second.
    pub(crate) speed: f64,
    /// The champions in use.
    pub(crate) models: ModelsInUseBody,
    /// What a first start still compiles; null when nothing is compiled, or all is done.
    pub(crate) setup: Option<SetupBody>,
    /// The market's clock stands still: a replay that waits for its models, or is at its end.
    pub(crate) paused: bool,
    /// How far the models that are trained now are; null when none are.
    pub(crate) progress: Option<ProgressBody>,
    /// The market is open and sends no bars; null when it does.
    pub(crate) stale: Option<StaleBody>,
    /// What an operator must know, a sentence each.
    pub(crate) trouble: Vec<String>,
}

/// How far a task is that takes minutes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Progress)]
pub(crate) struct ProgressBody {
    /// What is done, for people.
    pub(crate) message: String,
    /// Steps done.
    pub(crate) done: usize,
    /// Steps at most, those done among them.
    pub(crate) of: usize,
    /// Estimate, seconds; null while there is none.
    pub(crate) seconds_left: Option<u64>,
}

/// An open market that sends no bars.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = Stale)]
pub(crate) struct StaleBody {
    /// Close of the newest bar of these stocks, or the open of the session when none has come since.
    pub(crate) since: DateTime<Utc>,
    /// Stocks without bars since.
    pub(crate) tickers: usize,
    /// Watched stocks.
    pub(crate) of: usize,
    /// For people.
    pub(crate) message: String,
}

/// The first WebSocket message, and the answer to a subscription; `type` and `seq` stand before.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Snapshot)]
pub(crate) struct SnapshotBody {
    /// The same as `GET /stocks`, restricted to the subscription.
    #[serde(flatten)]
    pub(crate) stocks: StocksBody,
    /// The state of the system.
    #[schema(value_type = StatusBody)]
    pub(crate) status: Arc<StatusBody>,
}

/// A WebSocket message: a new price; `type` and `seq` stand before.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PriceMessage)]
pub(crate) struct PriceBody {
    /// Whose price.
    #[schema(value_type = String)]
    pub(crate) ticker: Ticker,
    /// When it was known.
    pub(crate) time: DateTime<Utc>,
    /// US dollars per share.
    pub(crate) price: f64,
    /// Less the last close of the session before.
    pub(crate) change: Option<f64>,
    /// The same in percent.
    pub(crate) change_percent: Option<f64>,
    /// The newly closed bar; null for a price inside a minute that is not over.
    pub(crate) bar: Option<BarBody>,
}

impl PriceBody {
    pub(crate) fn new(ticker: Ticker, quote: &Quote, bar: Option<BarBody>) -> Self {
        Self {
            ticker,
            time: quote.time,
            price: quote.price,
            change: quote.change(),
            change_percent: quote.change_percent(),
            bar,
        }
    }
}

/// A WebSocket message: the state of the system; `type` and `seq` stand before.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatusMessage)]
pub(crate) struct StatusMessageBody {
    /// The state of the system.
    #[schema(value_type = StatusBody)]
    pub(crate) status: Arc<StatusBody>,
}

/// Bars of one ticker.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = History)]
pub(crate) struct HistoryBody {
    /// Whose bars.
    #[schema(value_type = String)]
    pub(crate) ticker: Ticker,
    /// Their length.
    pub(crate) interval: &'static str,
    /// Ascending.
    pub(crate) bars: Vec<BarBody>,
    /// Continues with older bars; null when there are none.
    pub(crate) next_cursor: Option<String>,
}

/// A stored analysis.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoredPrediction)]
pub(crate) struct StoredPredictionBody {
    /// Start of the bar that was analysed.
    pub(crate) bar_time: DateTime<Utc>,
    /// Market time of the decision.
    pub(crate) as_of: DateTime<Utc>,
    /// The bar was missed and analysed when nobody could have acted on it any more: no part of any track record.
    pub(crate) late: bool,
    /// What the recurrent network said.
    pub(crate) lstm: ModelOutputBody,
    /// What the attention network said.
    pub(crate) transformer: ModelOutputBody,
    /// What followed from it.
    pub(crate) recommendation: RecommendationBody,
}

impl From<StoredAnalysis> for StoredPredictionBody {
    fn from(stored: StoredAnalysis) -> Self {
        Self {
            bar_time: stored.recommendation.bar_start,
            as_of: stored.as_of,
            late: stored.late,
            lstm: ModelOutputBody::from(&stored.lstm),
            transformer: ModelOutputBody::from(&stored.transformer),
            recommendation: stored.recommendation.into(),
        }
    }
}

/// Stored analyses of one ticker.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Predictions)]
pub(crate) struct PredictionsBody {
    /// Whose.
    #[schema(value_type = String)]
    pub(crate) ticker: Ticker,
    /// Newest first.
    pub(crate) predictions: Vec<StoredPredictionBody>,
    /// Continues with older ones; null when there are none.
    pub(crate) next_cursor: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_is_measured_from_the_session_before() {
        let quote = Quote {
            price: 172.77,
            previous_close: Some(164.94),
            ..Quote::default()
        };
        assert_eq!(quote.change(), Some(7.83));
        assert_eq!(quote.change_percent(), Some(4.7472));
        assert_eq!(
            Quote {
                price: 1.0,
                ..Quote::default()
            }
            .change(),
            None
        );
    }
}
