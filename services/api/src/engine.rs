//! The live path: a committed bar wakes it, it reads the new bars of all changed tickers in one query, asks both
//! models in one batch, publishes and hands over for storing.
//!
//! One task owns all lines; nothing is locked. Work that arrives while a pass runs is merged into the next pass, so
//! that twenty commits in a row become one batch.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use calendar::Calendar;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{
    Bar, DividendFactors, MACRO_SERIES, ModelKind, Policy, Prediction, Recommendation, SeriesId,
    Ticker,
};
use features::{MACRO_HORIZON, MacroEvent, NEWS_HORIZON, NewsEvent};
use inference::{Champions, DualPrediction, InferenceError, Opinion};
use service_kit::Clock;
use storage::{FormingPrice, Notice, PgPool};
use tokio::{
    sync::{Mutex, mpsc, watch},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;

use crate::{
    board::{Board, Update},
    body::{AnalysisBody, BarBody, ModelOutputBody, ModelOutputsBody, Quote, TimingBody},
    champions::{Failure, Models},
    line::{Events, HISTORY_BARS, Line},
    metrics::Metrics,
    recorder::Analysis,
    staleness::Moment,
    standings::Standings,
    thresholds::Thresholds,
};

/// Reading bars takes milliseconds; what takes this long will not come.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

/// After a failure the same work is tried again this much later, doubling up to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(250);
const LONGEST_RETRY: Duration = Duration::from_secs(10);

/// Bars that are read again beside the new ones, so that a hole before them shows.
const OVERLAP_BARS: usize = 3;

/// What is said of a bar so long after its close is late, market time: no rhythm of polls is that slow.
const LATE_AFTER: TimeDelta = TimeDelta::minutes(5);

/// How far the live path has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// Watched tickers.
    pub(crate) watched: usize,
    /// Tickers with at least one bar.
    pub(crate) with_bars: usize,
    /// Tickers with enough bars for the models.
    pub(crate) ready: usize,
    /// Tickers with an analysis.
    pub(crate) analysed: usize,
    /// Whether the database was read once.
    pub(crate) loaded: bool,
    /// What it suffers from, for people.
    pub(crate) trouble: Option<String>,
}

/// Makes decisions of what the models say.
#[derive(Clone)]
pub(crate) struct Decider {
    pub(crate) clock: Clock,
    pub(crate) policy: Policy,
    pub(crate) thresholds: watch::Receiver<Thresholds>,
    pub(crate) standings: watch::Receiver<Standings>,
}

/// The live path's state.
pub(crate) struct Engine {
    pub(crate) pool: PgPool,
    pub(crate) calendar: &'static Calendar,
    pub(crate) clock: Clock,
    pub(crate) board: Arc<Board>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) decider: Decider,
    pub(crate) models: watch::Receiver<Models>,
    pub(crate) analyses: mpsc::Sender<Vec<Analysis>>,
    /// Tells of champions that failed on what they were asked.
    pub(crate) failures: watch::Sender<Option<Failure>>,
    pub(crate) progress: watch::Sender<Progress>,
    /// In the order of the board.
    pub(crate) lines: Vec<Line>,
    /// Since when economic figures are in memory, UTC; nothing before they were read.
    pub(crate) economy_since: Option<DateTime<Utc>>,
    /// Place of the line that the safety net looks at next.
    pub(crate) next_to_check: usize,
}

/// A notice of the database and when it arrived.
pub(crate) struct Arrival {
    pub(crate) received: Instant,
    pub(crate) notice: Notice,
}

/// What has to be looked at in the next pass.
#[derive(Debug, Default)]
struct Work {
    /// Arrival of the first notice that this work goes back to.
    received: Option<Instant>,
    /// Places of the tickers with changed bars.
    places: BTreeSet<usize>,
    /// Start of the oldest changed bar, UTC.
    since: Option<DateTime<Utc>>,
    /// Start of the newest changed bar, UTC.
    until: Option<DateTime<Utc>>,
    /// Places of the tickers whose bars may all have changed.
    anew: BTreeSet<usize>,
    /// Places of the tickers with changed news.
    news: BTreeSet<usize>,
    /// There are economic figures that were not read yet.
    economy: bool,
    /// Everything may have changed: read as at the start.
    everything: bool,
    /// There are new champions.
    new_champions: bool,
}

impl Work {
    fn everything() -> Self {
        Self {
            everything: true,
            ..Self::default()
        }
    }

    fn is_empty(&self) -> bool {
        self.places.is_empty()
            && self.anew.is_empty()
            && self.news.is_empty()
            && !self.economy
            && !self.everything
            && !self.new_champions
    }

    fn add(
        &mut self,
        places: impl IntoIterator<Item = usize>,
        since: DateTime<Utc>,
        until: DateTime<Utc>,
    ) {
        self.places.extend(places);
        self.since = Some(self.since.map_or(since, |known| known.min(since)));
        self.until = Some(self.until.map_or(until, |known| known.max(until)));
    }
}

impl Engine {
    /// Runs until the token is cancelled. `arrivals` are the database's notices; they go on to the next engine should this
    /// one panic.
    pub(crate) async fn run(
        mut self,
        arrivals: Arc<Mutex<mpsc::Receiver<Arrival>>>,
        safety: Duration,
        shutdown: CancellationToken,
    ) {
        let mut arrivals = arrivals.lock().await;
        let mut safety = tokio::time::interval(safety);
        safety.set_missed_tick_behavior(MissedTickBehavior::Delay);
        safety.reset();
        let mut work = Work::everything();
        let mut retry = FIRST_RETRY;
        loop {
            let mut failed = false;
            if !work.is_empty() {
                match self.pass(&work).await {
                    Ok(()) => {
                        work = Work::default();
                        retry = FIRST_RETRY;
                    }
                    Err(error) => {
                        self.report(&error, &mut work);
                        failed = true;
                    }
                }
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return,
                arrival = arrivals.recv() => {
                    let Some(arrival) = arrival else { return };
                    self.note(arrival, &mut work);
                    while let Ok(arrival) = arrivals.try_recv() {
                        self.note(arrival, &mut work);
                    }
                }
                // What waited for the first pair is analysed now; a later pair begins with the next bar.
                Ok(()) = self.models.changed() => work.new_champions = true,
                _ = safety.tick() => if let Err(error) = self.find_missed(&mut work).await {
                    self.report(&error, &mut work);
                },
                () = tokio::time::sleep(retry), if failed => retry = (retry * 2).min(LONGEST_RETRY),
            }
        }
    }

    fn report(&mut self, error: &anyhow::Error, work: &mut Work) {
        tracing::error!(
            error = format!("{error:#}"),
            "the live path failed and will try again"
        );
        self.metrics.database_failures.add(1);
        self.metrics.database_up.set(0);
        // A panic in a pass takes the lines with it.
        if self.lines.is_empty() {
            self.lines = self
                .board
                .view()
                .tickers()
                .into_iter()
                .map(Line::new)
                .collect();
            work.everything = true;
        }
        self.progress.send_modify(|progress| {
            progress.trouble = Some("new bars cannot be read or analysed; trying again".to_owned());
        });
    }

    fn note(&mut self, arrival: Arrival, work: &mut Work) {
        match arrival.notice {
            Notice::BarsCommitted {
                tickers,
                first,
                last,
            } => {
                work.received.get_or_insert(arrival.received);
                work.add(self.places(tickers), first, last);
            }
            Notice::FormingPrices(prices) => self.publish_forming(&prices),
            Notice::CorporateActions { tickers } => work.anew.extend(self.places(tickers)),
            Notice::NewsScored { tickers } => work.news.extend(self.places(tickers)),
            Notice::MacroReleased => work.economy = true,
            // The standings' keeper listens to these.
            Notice::OutcomesStored => (),
            Notice::Reconnected => {
                tracing::info!("listening to the database again: reading what was missed");
                work.received.get_or_insert(arrival.received);
                work.everything = true;
            } // The engine does not listen to these.
        }
    }

    /// Places of these tickers; all when there are too many to be named.
    fn places(&self, tickers: Option<Vec<Ticker>>) -> Vec<usize> {
        match tickers {
            Some(tickers) => {
                let places = tickers.iter().filter_map(|ticker| self.board.place(ticker));
                places.collect()
            }
            None => (0..self.lines.len()).collect(),
        }
    }

    /// The safety net, for what no notice told of: tickers with newer bars than those in memory, and one ticker after the
    /// other as a whole, so that a lost revision or story is found within a round.
    async fn find_missed(&mut self, work: &mut Work) -> anyhow::Result<()> {
        let stored = tokio::time::timeout(READ_TIMEOUT, storage::last_bar_starts(&self.pool))
            .await
            .with_context(|| {
                format!(
                    "no answer from the database within {} s",
                    READ_TIMEOUT.as_secs()
                )
            })?
            .context("the starts of the newest bars cannot be read")?;
        for (ticker, last) in stored {
            let Some(place) = self.board.place(&ticker) else {
                continue;
            };
            let known = self
                .lines
                .get(place)
                .and_then(Line::newest)
                .map(|bar| bar.start);
            if known.is_none_or(|known| known < last) {
                work.add([place], known.unwrap_or(last), last);
            }
        }
        if self.next_to_check >= self.lines.len() {
            self.next_to_check = 0;
            work.economy = true;
        }
        work.anew.insert(self.next_to_check);
        work.news.insert(self.next_to_check);
        self.next_to_check += 1;
        Ok(())
    }

    fn publish_forming(&self, prices: &[FormingPrice]) {
        let updates: Vec<Update> = prices
            .iter()
            .filter_map(|forming| {
                let line = self.lines.get(self.board.place(&forming.ticker)?)?;
                // A price of a minute that has already closed tells nothing new.
                if line
                    .newest()
                    .is_some_and(|bar| forming.time < bar.close_time())
                {
                    return None;
                }
                let quote = self.quote(line, forming.price.get(), forming.time)?;
                Some(Update::Forming {
                    ticker: forming.ticker.clone(),
                    quote,
                })
            })
            .collect();
        self.metrics.forming_prices.add(updates.len());
        self.board.publish(updates);
    }

    /// Reads, analyses and publishes once.
    async fn pass(&mut self, work: &Work) -> anyhow::Result<()> {
        let received = work.received.unwrap_or_else(Instant::now);
        let read = async {
            let bars = self.read(work).await?;
            let news = self.read_news(work, &bars).await?;
            anyhow::Ok(Stored {
                economy: self.read_economy(work, &bars).await?,
                dividends: self.read_dividends(&bars).await?,
                bars,
                news,
            })
        };
        let stored = tokio::time::timeout(READ_TIMEOUT, read)
            .await
            .with_context(|| {
                format!(
                    "no answer from the database within {} s",
                    READ_TIMEOUT.as_secs()
                )
            })??;
        if let Some(economy) = &stored.economy {
            self.economy_since = Some(economy.since);
        }
        let wake = received.elapsed();
        let champions = self.models.borrow().champions.clone();
        let batch = Batch {
            lines: std::mem::take(&mut self.lines),
            stored,
            champions: champions.clone(),
        };
        let outcome = tokio::task::spawn_blocking(move || batch.run())
            .await
            .context("analysing the new bars panicked")?;
        self.lines = outcome.lines;
        let as_of = self.clock.now();
        let timing = TimingBody {
            wake_ms: milliseconds(wake),
            features_ms: milliseconds(outcome.features),
            inference_ms: milliseconds(outcome.inference),
            total_ms: milliseconds(received.elapsed()),
        };
        let mut updates = self.bar_updates(&outcome.new_bars);
        let analyses = match (champions, outcome.predictions) {
            (Some(champions), Ok(predictions)) => {
                self.decider.decide(&champions, predictions, as_of)
            }
            (Some(champions), Err(error)) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the models failed; prices go on"
                );
                self.metrics.inference_failures.add(1);
                // The bars wait for whoever is put in their place.
                self.failures
                    .send_replace(Some(Failure::new(champions, &error)));
                Vec::new()
            }
            (None, _) => Vec::new(),
        };
        updates.extend(
            analyses
                .iter()
                .map(|analysis| Update::Analysis(analysis_body(analysis, timing))),
        );
        self.board.publish(updates);
        self.measure(
            received,
            wake,
            &outcome.new_bars,
            &analyses,
            outcome.features,
            outcome.inference,
        );
        if !analyses.is_empty() {
            self.metrics.analyses_waiting.add(analyses.len() as i64);
            // Waits when a thousand passes could not be stored yet: better late than lost.
            self.analyses
                .send(analyses)
                .await
                .context("the recorder has ended")?;
        }
        Ok(())
    }

    /// The stored bars of the changed tickers, each from before its first change to its newest.
    async fn read(&self, work: &Work) -> anyhow::Result<Vec<StoredBars>> {
        let mut anew = work.anew.clone();
        if work.everything {
            anew.extend(0..self.lines.len());
        }
        let mut stored = Vec::new();
        let changed: Vec<usize> = work.places.difference(&anew).copied().collect();
        if !changed.is_empty() {
            let limit = self.bars_to_read(work);
            for (place, bars) in self.read_newest(changed, limit).await? {
                // The estimate counts the minutes of trading: what came may not reach back to what is known. And a
                // change of the oldest may be one of all before it.
                let short = bars.len() >= limit && !self.reaches_back(place, &bars, work);
                let line = self.lines.get(place);
                if short || line.is_some_and(|line| !line.agrees_at_start(&bars)) {
                    anew.insert(place);
                } else {
                    let whole = false;
                    stored.push(StoredBars { place, bars, whole });
                }
            }
        }
        if !anew.is_empty() {
            let read = self.read_newest(anew, HISTORY_BARS).await?;
            let whole = true;
            stored.extend(
                read.into_iter()
                    .map(|(place, bars)| StoredBars { place, bars, whole }),
            );
        }
        Ok(stored)
    }

    /// What takes dividends out of the prices of tickers that were read anew, as when an action was told, or whose first
    /// bar of a session was read: it may be an ex-date.
    async fn read_dividends(
        &self,
        stored: &[StoredBars],
    ) -> anyhow::Result<Vec<(usize, DividendFactors)>> {
        let day = |bar: &Bar| bar.start.date_naive();
        let wanted: BTreeMap<Ticker, usize> = stored
            .iter()
            .filter_map(|stored| {
                let line = self.lines.get(stored.place)?;
                let newest = stored.bars.last()?;
                (stored.whole || line.newest().map(day) != Some(day(newest)))
                    .then(|| (line.ticker().clone(), stored.place))
            })
            .collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let tickers: Vec<Ticker> = wanted.keys().cloned().collect();
        let mut factors = storage::dividend_factors(&self.pool, &tickers)
            .await
            .with_context(|| {
                format!("the dividends of {} tickers cannot be read", tickers.len())
            })?;
        Ok(wanted
            .into_iter()
            .map(|(ticker, place)| (place, factors.remove(&ticker).unwrap_or_default()))
            .collect())
    }

    /// Stories of the tickers where they changed, or where bars came that reach further back than the stories known.
    async fn read_news(
        &self,
        work: &Work,
        stored: &[StoredBars],
    ) -> anyhow::Result<Vec<(usize, Events<Vec<NewsEvent>>)>> {
        let changed = |place: &usize| work.everything || work.news.contains(place);
        let oldest = (0..self.lines.len()).filter_map(|place| {
            let needed = self.oldest_bar(place, stored)? - NEWS_HORIZON;
            let known = self.lines.get(place).and_then(Line::news_since);
            (changed(&place) || known.is_none_or(|known| known > needed)).then_some((place, needed))
        });
        let wanted: Vec<(usize, DateTime<Utc>)> = oldest.collect();
        let Some(since) = wanted.iter().map(|(_, needed)| *needed).min() else {
            return Ok(Vec::new());
        };
        let mut news: BTreeMap<usize, Vec<NewsEvent>> = BTreeMap::new();
        let mut tickers = Vec::new();
        for (place, _) in &wanted {
            news.insert(*place, Vec::new());
            tickers.extend(self.lines.get(*place).map(|line| line.ticker().clone()));
        }
        let scores = storage::news_events(&self.pool, &tickers, since, self.events_until())
            .await
            .with_context(|| format!("the news of {} tickers cannot be read", tickers.len()))?;
        for (ticker, score) in scores {
            let place = self.board.place(&ticker);
            if let Some(events) = place.and_then(|place| news.get_mut(&place)) {
                events.push(NewsEvent {
                    available_at: score.available_at,
                    score: score.score,
                });
            }
        }
        Ok(news
            .into_iter()
            .map(|(place, events)| (place, Events { since, events }))
            .collect())
    }

    /// Economic figures where there are new ones, or where bars came that reach further back than those known.
    async fn read_economy(
        &self,
        work: &Work,
        stored: &[StoredBars],
    ) -> anyhow::Result<Option<Events<Arc<[MacroEvent]>>>> {
        let oldest = (0..self.lines.len()).filter_map(|place| self.oldest_bar(place, stored));
        let Some(since) = oldest.min().map(|oldest| oldest - MACRO_HORIZON) else {
            return Ok(None);
        };
        let reaches_back = self.economy_since.is_some_and(|known| known <= since);
        if reaches_back && !work.everything && !work.economy {
            return Ok(None);
        }
        let series = MACRO_SERIES
            .into_iter()
            .map(SeriesId::parse)
            .collect::<Result<Vec<_>, _>>()?;
        let events = storage::macro_observations(&self.pool, &series, self.events_until())
            .await
            .context("the economic figures cannot be read")?
            .iter()
            .filter(|observation| observation.available_at >= since)
            .filter_map(MacroEvent::from_observation)
            .collect();
        Ok(Some(Events { since, events }))
    }

    /// Start of the oldest bar of a ticker, in memory or just read, UTC.
    fn oldest_bar(&self, place: usize, stored: &[StoredBars]) -> Option<DateTime<Utc>> {
        let read = stored.iter().find(|stored| stored.place == place);
        let read = read.and_then(|stored| stored.bars.first());
        let known = self.lines.get(place).and_then(Line::oldest);
        let starts = read.into_iter().chain(known).map(|bar| bar.start);
        starts.min()
    }

    /// Beyond now, as the clock of the program that stored them may be ahead; what is too early for a bar waits in its
    /// line.
    fn events_until(&self) -> DateTime<Utc> {
        self.clock.now() + TimeDelta::days(1)
    }

    /// How many of each changed ticker's newest bars hold all changes: the minutes of trading since the first.
    fn bars_to_read(&self, work: &Work) -> usize {
        let lines = || {
            work.places
                .iter()
                .filter_map(|place| self.lines.get(*place))
        };
        if lines().any(|line| line.newest().is_none()) {
            return HISTORY_BARS;
        }
        let newest = || lines().filter_map(Line::newest).map(|bar| bar.start);
        let since = newest().chain(work.since).min();
        let until = newest().chain(work.until).max();
        let (Some(since), Some(until)) = (since, until) else {
            return HISTORY_BARS;
        };
        let sessions = self
            .calendar
            .sessions(since.date_naive(), until.date_naive());
        let minutes: i64 = sessions
            .iter()
            .map(|session| {
                let minute = TimeDelta::minutes(1);
                let last = until.min(session.close - minute);
                (last + minute - session.open.max(since)).num_minutes()
            })
            .filter(|minutes| *minutes > 0)
            .sum();
        (usize::try_from(minutes).unwrap_or(0) + OVERLAP_BARS).min(HISTORY_BARS)
    }

    fn reaches_back(&self, place: usize, bars: &[Bar], work: &Work) -> bool {
        let Some(first) = bars.first() else {
            return false;
        };
        let newest = self.lines.get(place).and_then(Line::newest);
        bars.len() >= HISTORY_BARS
            || (newest.is_some_and(|known| first.start <= known.start)
                && work.since.is_none_or(|since| first.start <= since))
    }

    async fn read_newest(
        &self,
        places: impl IntoIterator<Item = usize>,
        limit: usize,
    ) -> anyhow::Result<Vec<(usize, Vec<Bar>)>> {
        let tickers: Vec<Ticker> = places
            .into_iter()
            .filter_map(|place| self.lines.get(place))
            .map(|line| line.ticker().clone())
            .collect();
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let bars = storage::newest_bars(&self.pool, &tickers, limit)
            .await
            .with_context(|| {
                format!(
                    "the newest {limit} bars of {} tickers cannot be read",
                    tickers.len()
                )
            })?;
        Ok(bars
            .into_iter()
            .filter_map(|(ticker, bars)| Some((self.board.place(&ticker)?, bars)))
            .collect())
    }

    fn bar_updates(&self, places: &[usize]) -> Vec<Update> {
        places
            .iter()
            .filter_map(|place| {
                let line = self.lines.get(*place)?;
                let bar = line.newest()?;
                let quote = self.quote(line, bar.close.get(), bar.close_time())?;
                Some(Update::Bar {
                    ticker: line.ticker().clone(),
                    quote,
                    bar: BarBody::from(bar),
                })
            })
            .collect()
    }

    /// A price beside the last close of the session before its own.
    fn quote(&self, line: &Line, price: f64, time: DateTime<Utc>) -> Option<Quote> {
        // After the close the session that has just ended still counts.
        let newest = line.newest()?;
        let session = self
            .calendar
            .session_at(time)
            .or_else(|| self.calendar.session_at(newest.start));
        let previous_close = session.and_then(|session| line.close_before(session.open));
        Some(Quote {
            price,
            time,
            previous_close,
        })
    }

    fn measure(
        &self,
        received: Instant,
        wake: Duration,
        new_bars: &[usize],
        analyses: &[Analysis],
        features: Duration,
        inference: Duration,
    ) {
        let metrics = &self.metrics;
        metrics.database_up.set(1);
        metrics.bars.add(new_bars.len());
        metrics.analyses.add(analyses.len());
        if !new_bars.is_empty() {
            metrics.wake.observe(wake);
            metrics.features.observe(features);
            metrics.publication.observe(received.elapsed());
        }
        if !analyses.is_empty() {
            metrics.inference.observe(inference);
        }
        if let Some(close) = self
            .lines
            .iter()
            .filter_map(Line::newest)
            .map(Bar::close_time)
            .max()
        {
            metrics.newest_bar_close.set(close.timestamp());
        }
        let progress = Progress {
            watched: self.lines.len(),
            with_bars: self
                .lines
                .iter()
                .filter(|line| line.newest().is_some())
                .count(),
            ready: self.lines.iter().filter(|line| line.window_full()).count(),
            analysed: self.lines.iter().filter(|line| line.is_analysed()).count(),
            loaded: true,
            trouble: None,
        };
        self.progress.send_if_modified(|known| {
            let changed = *known != progress;
            *known = progress;
            changed
        });
    }
}

impl Decider {
    pub(crate) fn decide(
        &self,
        champions: &Champions,
        predictions: Vec<(Bar, DualPrediction)>,
        as_of: DateTime<Utc>,
    ) -> Vec<Analysis> {
        let thresholds = self.thresholds.borrow();
        let standings = self.standings.borrow();
        let models = [champions.lstm.id(), champions.transformer.id()];
        let late_after = Moment::of(&self.clock).at_least(LATE_AFTER);
        predictions
            .into_iter()
            .map(
                |(
                    bar,
                    DualPrediction {
                        ticker,
                        lstm,
                        transformer,
                        volatility,
                    },
                )| {
                    let lstm_record = thresholds.of(&champions.lstm, bar.start);
                    let transformer_record = thresholds.of(&champions.transformer, bar.start);
                    let late = as_of - bar.close_time() > late_after;
                    let decision = inference::confirm(
                        &self.policy,
                        // The models' foresight of a late one began at its bar's close all the same.
                        if late { bar.close_time() } else { as_of },
                        volatility,
                        Opinion {
                            probabilities: &lstm,
                            abstention: lstm_record.as_ref(),
                        },
                        Opinion {
                            probabilities: &transformer,
                            abstention: transformer_record.as_ref(),
                        },
                    );
                    let direction = decision.action().direction();
                    let standing = direction.map(|direction| standings.of(models, direction));
                    let recommendation =
                        Recommendation::new(ticker.clone(), bar.start, decision, standing);
                    let prediction = |kind, model: &inference::Model, probabilities| Prediction {
                        ticker: ticker.clone(),
                        bar_start: bar.start,
                        kind,
                        model_id: model.manifest().model_id.clone(),
                        probabilities,
                    };
                    Analysis {
                        bar,
                        lstm: prediction(ModelKind::Lstm, &champions.lstm, lstm),
                        transformer: prediction(
                            ModelKind::Transformer,
                            &champions.transformer,
                            transformer,
                        ),
                        recommendation,
                        as_of,
                        late,
                    }
                },
            )
            .collect()
    }
}

/// What was read of one ticker.
struct StoredBars {
    place: usize,
    bars: Vec<Bar>,
    /// As many as features need: nothing older shall stay.
    whole: bool,
}

/// What was read in a pass.
struct Stored {
    bars: Vec<StoredBars>,
    /// By place.
    news: Vec<(usize, Events<Vec<NewsEvent>>)>,
    /// By place.
    dividends: Vec<(usize, DividendFactors)>,
    /// For all lines, where there is something new.
    economy: Option<Events<Arc<[MacroEvent]>>>,
}

/// The part of a pass that computes: runs on a thread of its own.
struct Batch {
    lines: Vec<Line>,
    stored: Stored,
    champions: Option<Arc<Champions>>,
}

struct Outcome {
    lines: Vec<Line>,
    /// Places of the lines with a new newest bar, or other values of it.
    new_bars: Vec<usize>,
    predictions: Result<Vec<(Bar, DualPrediction)>, InferenceError>,
    features: Duration,
    inference: Duration,
}

impl Batch {
    fn run(mut self) -> Outcome {
        let started = Instant::now();
        // Before the bars, so that these are folded once.
        for (place, news) in self.stored.news {
            if let Some(line) = self.lines.get_mut(place) {
                line.take_news(news);
            }
        }
        if let Some(economy) = &self.stored.economy {
            for line in &mut self.lines {
                line.take_economy(economy.clone());
            }
        }
        for (place, dividends) in self.stored.dividends {
            if let Some(line) = self.lines.get_mut(place) {
                line.take_dividends(dividends);
            }
        }
        let mut new_bars = Vec::new();
        for StoredBars { place, bars, whole } in &self.stored.bars {
            let changed = self.lines.get_mut(*place).is_some_and(|line| {
                if *whole {
                    line.take_anew(bars)
                } else {
                    line.take(bars)
                }
            });
            if changed {
                new_bars.push(*place);
            }
        }
        let features = started.elapsed();
        let started = Instant::now();
        let predictions = Self::predict(&mut self.lines, self.champions.as_deref());
        let inference = started.elapsed();
        Outcome {
            lines: self.lines,
            new_bars,
            predictions,
            features,
            inference,
        }
    }

    fn predict(
        lines: &mut [Line],
        champions: Option<&Champions>,
    ) -> Result<Vec<(Bar, DualPrediction)>, InferenceError> {
        let Some(champions) = champions else {
            return Ok(Vec::new());
        };
        let waiting: Vec<&Line> = lines.iter().filter(|line| line.awaits_analysis()).collect();
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let inputs: Vec<_> = waiting
            .iter()
            .map(|line| (line.ticker().clone(), line.live()))
            .collect();
        let predictions = inference::predict_both(champions, &inputs)?;
        let bars: Vec<Bar> = waiting
            .iter()
            .filter_map(|line| line.newest().copied())
            .collect();
        for line in lines.iter_mut().filter(|line| line.awaits_analysis()) {
            line.set_analysed();
        }
        Ok(bars.into_iter().zip(predictions).collect())
    }
}

fn analysis_body(analysis: &Analysis, timing: TimingBody) -> Arc<AnalysisBody> {
    Arc::new(AnalysisBody {
        ticker: analysis.recommendation.ticker.clone(),
        bar: BarBody::from(&analysis.bar),
        predictions: ModelOutputsBody {
            lstm: ModelOutputBody::from(&analysis.lstm),
            transformer: ModelOutputBody::from(&analysis.transformer),
        },
        recommendation: analysis.recommendation.clone().into(),
        as_of: analysis.as_of,
        late: analysis.late,
        timing,
    })
}

fn milliseconds(duration: Duration) -> f64 {
    // Microseconds are as fine as anybody wants to read it.
    (duration.as_secs_f64() * 1e6).round() / 1e3
}
