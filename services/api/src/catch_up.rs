//! Analyses what the live path missed: bars of the time when the service was away, bars that came several at once, bars
//! whose analysis was lost. Each is analysed with what was known at its close and stored as late; nobody is shown it as if
//! it were new.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use calendar::Calendar;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{Bar, DividendFactors, MACRO_SERIES, SeriesId, Ticker};
use features::{MACRO_HORIZON, MacroEvent, NEWS_HORIZON, NewsEvent, TickerContext};
use inference::{Champions, DualPrediction, InferenceError, LiveTicker, MAXIMUM_BATCH};
use service_kit::Clock;
use storage::PgPool;
use tokio::{
    sync::{mpsc, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::{
    champions::Models, engine::Decider, line::HISTORY_BARS, metrics::Metrics, recorder::Analysis,
};

/// How far back missed bars are looked for: over the longest weekend, holidays included.
const REACH: TimeDelta = TimeDelta::days(4);

/// The most bars of that time: two sessions beside a weekend, and two half ones.
const REACH_BARS: usize = 3 * 390;

/// A bar that closed so recently is still the live path's, market time.
const SETTLE: TimeDelta = TimeDelta::minutes(2);

/// What was tried and is still missing is tried again after this time: history may have come, or a mended database.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(600);

/// A day's events take a fraction of a second.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

type Missed = BTreeMap<Ticker, BTreeSet<DateTime<Utc>>>;

/// Looks for bars without an analysis.
pub(crate) struct CatchUp {
    pub(crate) pool: PgPool,
    pub(crate) calendar: &'static Calendar,
    pub(crate) clock: Clock,
    pub(crate) tickers: Vec<Ticker>,
    pub(crate) models: watch::Receiver<Models>,
    pub(crate) decider: Decider,
    /// Behind what the live path decided: what is stored first stands.
    pub(crate) analyses: mpsc::Sender<Vec<Analysis>>,
    pub(crate) metrics: Arc<Metrics>,
}

/// What a look leaves for the next one.
struct Seen {
    /// Missed at the last look: what still is at the next one is on nobody's way.
    missed: Missed,
    /// Analysed and on their way, or without a full window before them.
    tried: Missed,
    /// When the first of these were tried.
    since: Instant,
}

impl CatchUp {
    /// Looks every `interval` until the token is cancelled.
    pub(crate) async fn run(self, interval: Duration, shutdown: CancellationToken) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = Seen {
            missed: Missed::new(),
            tried: Missed::new(),
            since: Instant::now(),
        };
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = ticks.tick() => (),
            }
            // What waits to be stored is not missed.
            if self.analyses.capacity() < self.analyses.max_capacity() {
                continue;
            }
            let Some(champions) = self.models.borrow().champions.clone() else {
                continue;
            };
            let look = self.look(&champions, &mut seen);
            match shutdown.run_until_cancelled(look).await {
                None => return,
                Some(Ok(())) => (),
                // The live path says when the database is away or the models fail.
                Some(Err(error)) => tracing::debug!(
                    error = format!("{error:#}"),
                    "missed bars are looked for again later"
                ),
            }
        }
    }

    async fn look(&self, champions: &Arc<Champions>, seen: &mut Seen) -> anyhow::Result<()> {
        if seen.since.elapsed() > TRY_AGAIN_AFTER {
            seen.tried.clear();
            seen.since = Instant::now();
        }
        let missed = self.missed(champions).await?;
        let before = std::mem::replace(&mut seen.missed, missed.clone());
        let mut economy = None;
        for (ticker, starts) in missed {
            let wanted = |start: &DateTime<Utc>| {
                let is_in = |bars: &Missed| {
                    bars.get(&ticker)
                        .is_some_and(|starts| starts.contains(start))
                };
                is_in(&before) && !is_in(&seen.tried)
            };
            let starts: BTreeSet<DateTime<Utc>> = starts.into_iter().filter(wanted).collect();
            if starts.is_empty() {
                continue;
            }
            let economy = match &economy {
                Some(economy) => Arc::clone(economy),
                None => Arc::clone(economy.insert(self.economy().await?)),
            };
            self.analyse(&ticker, &starts, economy, champions).await?;
            seen.tried.entry(ticker).or_default().extend(starts);
        }
        Ok(())
    }

    /// Bars without an analysis: those of the session under way, and those since the first analysis of the last days.
    async fn missed(&self, champions: &Champions) -> anyhow::Result<Missed> {
        let now = self.clock.now();
        let read = async {
            let first = storage::first_analysed_bar(&self.pool, &self.tickers, now - REACH).await?;
            let session = self.calendar.session_at(now).map(|session| session.open);
            let Some(from) = [session, first].into_iter().flatten().min() else {
                return Ok(Vec::new());
            };
            // What a model was trained on it cannot be asked about.
            let seen_until = [&champions.lstm, &champions.transformer]
                .map(|model| model.manifest().ranges.seen_until());
            let from = seen_until.into_iter().fold(from, DateTime::max);
            storage::bars_without_analysis(&self.pool, &self.tickers, from, now - SETTLE).await
        };
        let bars = tokio::time::timeout(READ_TIMEOUT, read)
            .await
            .context("no answer from the database")??;
        let mut missed = Missed::new();
        for (ticker, start) in bars {
            missed.entry(ticker).or_default().insert(start);
        }
        Ok(missed)
    }

    async fn economy(&self) -> anyhow::Result<Arc<[MacroEvent]>> {
        let series = MACRO_SERIES
            .into_iter()
            .map(SeriesId::parse)
            .collect::<Result<Vec<_>, _>>()?;
        let now = self.clock.now();
        let read = storage::macro_observations(&self.pool, &series, now);
        let observations = tokio::time::timeout(READ_TIMEOUT, read)
            .await
            .context("no answer from the database")??;
        // As far back as the oldest bar that is read may lie.
        let since = now - MACRO_HORIZON - TimeDelta::days(30);
        Ok(observations
            .iter()
            .filter(|observation| observation.available_at >= since)
            .filter_map(MacroEvent::from_observation)
            .collect())
    }

    /// Analyses those of these bars of a ticker that have a full window, and hands them over for storing.
    async fn analyse(
        &self,
        ticker: &Ticker,
        starts: &BTreeSet<DateTime<Utc>>,
        economy: Arc<[MacroEvent]>,
        champions: &Arc<Champions>,
    ) -> anyhow::Result<()> {
        let read = async {
            let limit = i64::try_from(HISTORY_BARS + REACH_BARS).unwrap_or(i64::MAX);
            let tickers = std::slice::from_ref(ticker);
            let bars = storage::newest_bars(&self.pool, tickers, limit).await?;
            let bars = bars.into_iter().next().map_or(Vec::new(), |(_, bars)| bars);
            let oldest = bars
                .first()
                .map_or_else(|| self.clock.now(), |bar| bar.start);
            let since = oldest - NEWS_HORIZON;
            let news = storage::news_events(&self.pool, tickers, since, self.clock.now()).await?;
            let mut dividends = storage::dividend_factors(&self.pool, tickers).await?;
            let dividends = dividends.remove(ticker).unwrap_or_default();
            Ok::<_, storage::StorageError>((bars, news, dividends))
        };
        let (bars, news, dividends) = tokio::time::timeout(READ_TIMEOUT, read)
            .await
            .context("no answer from the database")??;
        let news: Vec<NewsEvent> = news
            .into_iter()
            .map(|(_, score)| NewsEvent {
                available_at: score.available_at,
                score: score.score,
            })
            .collect();
        let (symbol, starts, asked) = (ticker.clone(), starts.clone(), Arc::clone(champions));
        let fold = move || {
            let context = TickerContext {
                news: &news,
                economy: &economy,
            };
            fold(&symbol, &bars, &dividends, context, &starts, &asked)
        };
        let predictions = tokio::task::spawn_blocking(fold)
            .await
            .context("analysing missed bars panicked")??;
        if predictions.is_empty() {
            return Ok(());
        }
        let analyses = self
            .decider
            .decide(champions, predictions, self.clock.now());
        let analyses: Vec<Analysis> = analyses
            .into_iter()
            .map(|analysis| Analysis {
                late: true,
                ..analysis
            })
            .collect();
        tracing::info!(
            instrument.symbol = %ticker, bars = analyses.len(),
            "{} bars of {ticker} that were missed are analysed late", analyses.len()
        );
        self.metrics.analyses_late.add(analyses.len());
        self.metrics.analyses_waiting.add(analyses.len() as i64);
        self.analyses
            .send(analyses)
            .await
            .context("the recorder has ended")
    }
}

/// Asks both models about the full windows that end with the bars at `starts`. Rests as long as it works: the live path comes
/// first.
fn fold(
    ticker: &Ticker,
    bars: &[Bar],
    dividends: &DividendFactors,
    context: TickerContext<'_>,
    starts: &BTreeSet<DateTime<Utc>>,
    champions: &Champions,
) -> Result<Vec<(Bar, DualPrediction)>, InferenceError> {
    let mut live = LiveTicker::new();
    live.push_context(context);
    let mut predictions = Vec::new();
    let mut batch: Vec<(Bar, LiveTicker)> = Vec::new();
    let mut began = Instant::now();
    let mut ask = |batch: &mut Vec<(Bar, LiveTicker)>| {
        let inputs: Vec<_> = batch
            .iter()
            .map(|(_, live)| (ticker.clone(), live))
            .collect();
        let answers = inference::predict_both(champions, &inputs)?;
        let asked = batch.drain(..).map(|(bar, _)| bar);
        predictions.extend(asked.zip(answers));
        std::thread::sleep(began.elapsed());
        began = Instant::now();
        Ok::<_, InferenceError>(())
    };
    for bar in bars {
        // Bars outside the regular session have no features.
        let is_full = live.push(&dividends.total_return(bar)).unwrap_or(false);
        if is_full && starts.contains(&bar.start) {
            batch.push((*bar, live.clone()));
        }
        if batch.len() == MAXIMUM_BATCH {
            ask(&mut batch)?;
        }
    }
    if !batch.is_empty() {
        ask(&mut batch)?;
    }
    Ok(predictions)
}
