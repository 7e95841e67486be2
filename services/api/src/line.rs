//! One ticker in memory: its newest bars, what was known beside them, and the features folded over both.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use domain::{BAR_SECONDS, Bar, DividendFactors, Ticker};
use features::{MacroEvent, NewsEvent, StreamError, TickerContext, WARM_UP_SESSIONS};
use inference::LiveTicker;

/// Minutes of a full regular session.
const SESSION_BARS: usize = 390;

/// How many bars of each ticker are loaded: the warm-up, a session that is cut off at its beginning and does not count,
/// one that the window reaches into, and two to spare for sessions with holes.
pub(crate) const HISTORY_BARS: usize = (WARM_UP_SESSIONS + 4) * SESSION_BARS;

/// How far the bars in memory may grow before the oldest are dropped.
const MOST_BARS: usize = HISTORY_BARS + 10 * SESSION_BARS;

/// Vendors revise the bar of the last minute or two all the time, and old ones rarely: the features at one of the last
/// bars are kept, so that such a revision costs microseconds. This many bars lie between two that are kept.
const CHECKPOINT_BARS: usize = 32;

/// The features up to a bar.
#[derive(Debug)]
struct Checkpoint {
    /// Start of that bar, UTC.
    at: DateTime<Utc>,
    live: LiveTicker,
}

/// Events as the database holds them from a moment on, ascending by when they were available.
#[derive(Clone, Debug)]
pub(crate) struct Events<E> {
    pub(crate) since: DateTime<Utc>,
    pub(crate) events: E,
}

/// One ticker's bars, events and features.
#[derive(Debug)]
pub(crate) struct Line {
    ticker: Ticker,
    /// Ascending by start, without duplicates; prices as they were paid.
    bars: Vec<Bar>,
    /// Taken out of the prices that are folded into the features, as in training.
    dividends: DividendFactors,
    /// Nothing before they were read for the first time.
    news: Option<Events<Vec<NewsEvent>>>,
    /// The same for all lines.
    economy: Option<Events<Arc<[MacroEvent]>>>,
    live: LiveTicker,
    /// Close of the newest bar that is folded into the features, UTC.
    folded_until: Option<DateTime<Utc>>,
    /// Whether there is a full window that ends with the newest bar.
    window_full: bool,
    /// The older one first; together they cover the last 32 to 64 bars.
    checkpoints: [Option<Checkpoint>; 2],
    folded_since_checkpoint: usize,
    /// Start of the newest bar that was analysed by the champions in use, UTC.
    analysed: Option<DateTime<Utc>>,
}

impl Line {
    /// A line without bars.
    pub(crate) fn new(ticker: Ticker) -> Self {
        Self {
            ticker,
            bars: Vec::new(),
            dividends: DividendFactors::default(),
            news: None,
            economy: None,
            live: LiveTicker::new(),
            folded_until: None,
            window_full: false,
            checkpoints: [None, None],
            folded_since_checkpoint: 0,
            analysed: None,
        }
    }

    /// Whose line.
    pub(crate) fn ticker(&self) -> &Ticker {
        &self.ticker
    }

    /// The newest bar.
    pub(crate) fn newest(&self) -> Option<&Bar> {
        self.bars.last()
    }

    /// The oldest bar.
    pub(crate) fn oldest(&self) -> Option<&Bar> {
        self.bars.first()
    }

    /// Since when its news are in memory, UTC; nothing before they were read for the first time.
    pub(crate) fn news_since(&self) -> Option<DateTime<Utc>> {
        self.news.as_ref().map(|news| news.since)
    }

    /// The folded features.
    pub(crate) fn live(&self) -> &LiveTicker {
        &self.live
    }

    /// Whether the models can be asked about the newest bar.
    pub(crate) fn window_full(&self) -> bool {
        self.window_full
    }

    /// Whether the models can be asked about the newest bar and have not been.
    pub(crate) fn awaits_analysis(&self) -> bool {
        self.window_full
            && self
                .newest()
                .is_some_and(|bar| self.analysed.is_none_or(|done| done < bar.start))
    }

    /// Notes that the newest bar was analysed: a bar is analysed once, with what was known at its close, even if the
    /// vendor revises it afterwards.
    pub(crate) fn set_analysed(&mut self) {
        self.analysed = self.newest().map(|bar| bar.start);
    }

    /// Whether any of its bars was analysed.
    pub(crate) fn is_analysed(&self) -> bool {
        self.analysed.is_some()
    }

    /// Last close before a moment, US dollars per share.
    pub(crate) fn close_before(&self, time: DateTime<Utc>) -> Option<f64> {
        let older = self.bars.partition_point(|bar| bar.start < time);
        self.bars
            .get(older.checked_sub(1)?)
            .map(|bar| bar.close.get())
    }

    /// Whether the first of these bars from the database that is in memory as well is the same there. Otherwise older
    /// ones may have changed with it: a share split changes all before it.
    pub(crate) fn agrees_at_start(&self, stored: &[Bar]) -> bool {
        let known = |bar: &Bar| {
            let place = self
                .bars
                .binary_search_by_key(&bar.start, |known| known.start);
            self.bars.get(place.ok()?)
        };
        stored
            .iter()
            .find_map(|bar| Some(known(bar)? == bar))
            .unwrap_or(true)
    }

    /// Takes over the newest bars that the database holds, as many as features need: no older one stays, which might be
    /// on another share basis. Answers as [`Self::take`].
    pub(crate) fn take_anew(&mut self, stored: &[Bar]) -> bool {
        if let Some(first) = stored.first() {
            let older = self.bars.partition_point(|known| known.start < first.start);
            self.bars.drain(..older);
        }
        self.take(stored)
    }

    /// Takes over what takes dividends out of prices. At an ex-date's open the features are folded anew, so that none
    /// holds the fall for a loss.
    pub(crate) fn take_dividends(&mut self, dividends: DividendFactors) {
        if dividends == self.dividends {
            return;
        }
        self.dividends = dividends;
        if let Some(oldest) = self.oldest().map(|bar| bar.start) {
            self.fold_anew(oldest);
        }
    }

    /// Takes over all stories since a moment.
    pub(crate) fn take_news(&mut self, news: Events<Vec<NewsEvent>>) {
        let known = self.news.as_ref();
        let known = known.map_or(&[][..], |known| known.events.as_slice());
        let changed = first_change(known, &news.events, news.since, |event| event.available_at);
        self.news = Some(news);
        self.take_events(changed);
    }

    /// Takes over all economic figures since a moment.
    pub(crate) fn take_economy(&mut self, economy: Events<Arc<[MacroEvent]>>) {
        let known = self.economy.as_ref();
        let known = known.map_or(&[][..], |known| &*known.events);
        let since = economy.since;
        let changed = first_change(known, &economy.events, since, |event| event.available_at);
        self.economy = Some(economy);
        self.take_events(changed);
    }

    /// The events from `changed` on are others than before.
    fn take_events(&mut self, changed: Option<DateTime<Utc>>) {
        match changed {
            None => (),
            Some(changed) if self.folded_until.is_some_and(|until| changed <= until) => {
                self.fold_anew(changed - TimeDelta::seconds(BAR_SECONDS));
            }
            Some(_) => self.push_unused_events(),
        }
    }

    /// Gives the stream the events that no bar has used yet.
    fn push_unused_events(&mut self) {
        let used = |time: DateTime<Utc>| self.folded_until.is_some_and(|until| time <= until);
        let news = self
            .news
            .as_ref()
            .map_or(&[][..], |news| news.events.as_slice());
        let economy = self
            .economy
            .as_ref()
            .map_or(&[][..], |economy| &*economy.events);
        let (_, news) = news.split_at(news.partition_point(|event| used(event.available_at)));
        let (_, economy) =
            economy.split_at(economy.partition_point(|event| used(event.available_at)));
        self.live.forget_unused_events();
        self.live.push_context(TickerContext { news, economy });
    }

    /// Takes over what the database holds from the first of these bars (ascending) to its newest.
    ///
    /// New bars are folded into the features; if a known bar was revised, or an older one came late, the features are
    /// folded anew. Answers whether there is a new newest bar, or other values of it.
    pub(crate) fn take(&mut self, stored: &[Bar]) -> bool {
        let Some(first) = stored.first() else {
            return false;
        };
        let newest_before = self.newest().copied();
        let replaced = self
            .bars
            .split_off(self.bars.partition_point(|bar| bar.start < first.start));
        let equal = replaced
            .iter()
            .zip(stored)
            .take_while(|(known, stored)| known == stored)
            .count();
        self.bars.extend_from_slice(stored);
        if equal == replaced.len() {
            for bar in stored.iter().skip(equal) {
                self.fold(bar);
            }
        } else if let Some(changed) = replaced.get(equal) {
            let earliest = stored
                .get(equal)
                .map_or(changed.start, |stored| stored.start.min(changed.start));
            self.fold_anew(earliest);
        }
        if self.bars.len() > MOST_BARS {
            self.bars.drain(..self.bars.len() - HISTORY_BARS);
        }
        self.newest() != newest_before.as_ref()
    }

    /// Folds the bars again because the one at `changed`, or its absence, or what was known at its close, is not what it
    /// was.
    fn fold_anew(&mut self, changed: DateTime<Utc>) {
        tracing::debug!(
            instrument.symbol = %self.ticker, bar.start = %changed,
            "a bar or an event came late or was revised: folding anew"
        );
        let checkpoint = self
            .checkpoints
            .iter()
            .rev()
            .flatten()
            .find(|checkpoint| checkpoint.at < changed);
        let (live, done) = match checkpoint {
            Some(checkpoint) => (checkpoint.live.clone(), Some(checkpoint.at)),
            None => (LiveTicker::new(), None),
        };
        self.live = live;
        self.folded_until = done.map(|start| start + TimeDelta::seconds(BAR_SECONDS));
        self.push_unused_events();
        self.window_full = false;
        for checkpoint in &mut self.checkpoints {
            checkpoint.take_if(|checkpoint| checkpoint.at >= changed);
        }
        self.folded_since_checkpoint = 0;
        let bars = std::mem::take(&mut self.bars);
        for bar in bars
            .iter()
            .filter(|bar| done.is_none_or(|done| bar.start > done))
        {
            self.fold(bar);
        }
        self.bars = bars;
    }

    fn keep_checkpoint(&mut self, at: DateTime<Utc>) {
        self.folded_since_checkpoint += 1;
        if self.folded_since_checkpoint >= CHECKPOINT_BARS {
            self.folded_since_checkpoint = 0;
            let [_, newer] = &mut self.checkpoints;
            let older = newer.replace(Checkpoint {
                at,
                live: self.live.clone(),
            });
            if older.is_some() {
                self.checkpoints[0] = older;
            }
        }
    }

    fn fold(&mut self, bar: &Bar) {
        match self.live.push(&self.dividends.total_return(bar)) {
            Ok(full) => {
                self.window_full = full;
                self.folded_until = Some(bar.close_time());
                self.keep_checkpoint(bar.start);
            }
            // Bars outside the regular session have no features; a window never contains them.
            Err(StreamError::OutsideSession { .. }) => self.window_full = false,
            Err(error) => tracing::warn!(
                instrument.symbol = %self.ticker, bar.start = %bar.start, %error, "a bar has no features"
            ),
        }
    }
}

/// When the first event became available that is only in one of the two, looking at those since a moment; both ascending.
fn first_change<E: PartialEq>(
    known: &[E],
    stored: &[E],
    since: DateTime<Utc>,
    available_at: impl Fn(&E) -> DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    // What is older has been forgotten in the one and not been read in the other.
    let (_, known) = known.split_at(known.partition_point(|event| available_at(event) < since));
    let (_, stored) = stored.split_at(stored.partition_point(|event| available_at(event) < since));
    let equal = known
        .iter()
        .zip(stored)
        .take_while(|(known, stored)| known == stored)
        .count();
    let first = [known.get(equal), stored.get(equal)];
    first.into_iter().flatten().map(available_at).min()
}

#[cfg(test)]
mod tests {
    use features::{FEATURE_COUNT, Scaler, WINDOW};

    use super::*;

    /// Bars of the last sessions up to 2018-03-26.
    fn history() -> Vec<Bar> {
        let day = |day| chrono::NaiveDate::from_ymd_opt(2018, 3, day).unwrap();
        let sessions = calendar::nyse().sessions(day(14), day(26));
        let starts = sessions.iter().flat_map(|session| {
            (0..session.minutes()).map(|minute| session.open + TimeDelta::minutes(minute.into()))
        });
        starts
            .enumerate()
            .map(|(number, start)| bar(start, (number * number % 97) as f64))
            .collect()
    }

    fn bar(start: DateTime<Utc>, step: f64) -> Bar {
        let close = 100.0 + step / 50.0;
        Bar::new(start, 100.0, close + 0.5, 99.5, close, 1_000.0 + step).unwrap()
    }

    fn line() -> Line {
        Line::new(Ticker::parse("AAPL").unwrap())
    }

    fn window(live: &LiveTicker) -> Vec<f32> {
        let scaler = Scaler {
            minimum: vec![0.0; FEATURE_COUNT],
            range: vec![1.0; FEATURE_COUNT],
        };
        let mut window = vec![0.0; WINDOW * FEATURE_COUNT];
        live.write_window(&scaler, &mut window);
        window
    }

    #[test]
    fn a_dividend_is_no_loss_to_the_models_and_prices_stay_those_that_were_paid() {
        // A dividend of a tenth on the last day: every price from its open on is lower by it.
        let before = history();
        let ex_date = chrono::NaiveDate::from_ymd_opt(2018, 3, 26).unwrap();
        let open = calendar::nyse().session_on(ex_date).unwrap().open;
        let paid: Vec<Bar> = before
            .iter()
            .map(|bar| {
                let factor = if bar.start < open { 1.0 } else { 0.9 };
                let [open, high, low, close] =
                    [bar.open, bar.high, bar.low, bar.close].map(|price| price.get() * factor);
                Bar::new(bar.start, open, high, low, close, bar.volume).unwrap()
            })
            .collect();
        let folded = |bars: &[Bar]| {
            let mut line = line();
            line.take(bars);
            window(line.live())
        };
        let dividends = DividendFactors::new(vec![(open, 0.9)]).unwrap();
        let known = paid.partition_point(|bar| bar.start < open);
        let mut line = line();
        line.take(&paid[..known]);
        // With the first bar of the ex-date, as the engine reads it.
        line.take_dividends(dividends);
        line.take(&paid[known - 3..]);
        let largest = |left: &[f32], right: &[f32]| {
            let differences = left
                .iter()
                .zip(right)
                .map(|(left, right)| (left - right).abs());
            differences.fold(0.0_f32, f32::max)
        };
        let expected = folded(&before);
        assert!(largest(&window(line.live()), &expected) < 1e-4);
        assert!(
            largest(&folded(&paid), &expected) > 0.01,
            "without it the fall is seen"
        );
        assert_eq!(line.close_before(open), Some(before[known - 1].close.get()));
        assert_eq!(line.newest(), paid.last());
    }

    #[test]
    fn however_bars_arrive_the_features_are_those_of_a_fold_over_all() {
        let bars = history();
        let expected = |bars: &[Bar]| {
            let mut whole = line();
            whole.take(bars);
            assert!(whole.window_full());
            window(whole.live())
        };
        // One by one, with overlap as the engine reads them.
        let mut line = line();
        line.take(&bars[..2_000]);
        for end in 2_001..=bars.len() - 100 {
            assert!(line.take(&bars[end - 3..end]));
        }
        let known = bars.len() - 100;
        assert!(!line.take(&bars[known - 3..known]));
        assert_eq!(window(line.live()), expected(&bars[..known]));

        // Revisions at any distance, each also the next one's past; the last is of the newest bar.
        let mut revised = bars[..known].to_vec();
        for back in [1_500, 100, 70, 40, 33, 32, 31, 2, 1] {
            let place = known - back;
            revised[place] = bar(revised[place].start, 96.0 + back as f64);
            assert_eq!(line.take(&revised[place..]), back == 1);
            assert_eq!(window(line.live()), expected(&revised), "{back} bars back");
        }

        // Late bars.
        for back in [50, 5] {
            let mut without = super::tests::line();
            let mut holed = revised.clone();
            let late = holed.remove(known - back);
            without.take(&holed);
            without.take(&revised[known - back..]);
            assert!(revised.contains(&late));
            assert_eq!(
                window(without.live()),
                expected(&revised),
                "{back} bars late"
            );
        }
    }

    fn story(available_at: DateTime<Utc>, score: f32) -> NewsEvent {
        NewsEvent {
            available_at,
            score,
        }
    }

    #[test]
    fn however_events_arrive_the_features_are_those_of_a_fold_over_all() {
        let bars = history();
        let since = bars[0].start - TimeDelta::days(3);
        let known = bars.len() - 100;
        let before =
            |back: usize, seconds| bars[known - back].close_time() + TimeDelta::seconds(seconds);
        let series = domain::SeriesId::parse("DGS10").unwrap();
        let figure = |available_at: DateTime<Utc>, value| MacroEvent {
            available_at,
            series: series.clone(),
            period: available_at.date_naive(),
            value,
        };
        let expected = |bars: &[Bar], news: &[NewsEvent], economy: &[MacroEvent]| {
            let mut live = LiveTicker::new();
            live.push_context(TickerContext { news, economy });
            for bar in bars {
                live.push(bar).unwrap();
            }
            window(&live)
        };
        let mut line = line();
        let (mut news, mut economy) = (Vec::new(), Vec::new());
        line.take(&bars[..known]);
        // Each is read after the bars whose closes it precedes, the last after none.
        for (back, seconds) in [
            (1_500, 0),
            (70, 1),
            (40, -1),
            (33, 0),
            (5, 30),
            (1, 0),
            (1, 1),
            (1, 30),
        ] {
            let available_at = before(back, seconds);
            news.push(story(available_at, 0.1 + back as f32 / 2_000.0));
            economy.push(figure(available_at, 2.0 + back as f64 / 1_000.0));
            line.take_news(Events {
                since,
                events: news.clone(),
            });
            line.take_economy(Events {
                since,
                events: economy.clone().into(),
            });
            assert_eq!(
                window(line.live()),
                expected(&bars[..known], &news, &economy),
                "{back} bars and {seconds} seconds"
            );
        }
        // Reading the same again, or what a later beginning leaves of it, changes nothing.
        for since in [since, before(50, 0)] {
            let events = news
                .iter()
                .filter(|event| event.available_at >= since)
                .copied()
                .collect();
            line.take_news(Events { since, events });
            assert_eq!(
                window(line.live()),
                expected(&bars[..known], &news, &economy)
            );
        }
        line.take_news(Events {
            since,
            events: news.clone(),
        });
        // A story that is judged anew, and bars that go on.
        news[4].score = -0.9;
        line.take_news(Events {
            since,
            events: news.clone(),
        });
        for end in known..bars.len() {
            line.take(&bars[end - 3..=end]);
        }
        assert_eq!(window(line.live()), expected(&bars, &news, &economy));
        // A revised bar far back folds the events again as well.
        let mut revised = bars.clone();
        revised[known] = bar(revised[known].start, 96.0);
        line.take(&revised[known..]);
        assert_eq!(window(line.live()), expected(&revised, &news, &economy));
    }

    #[test]
    fn bars_of_another_share_basis_replace_all() {
        let bars = history();
        let halved: Vec<Bar> = bars
            .iter()
            .map(|bar| {
                let price = |price: domain::Price| price.get() / 2.0;
                let (open, high) = (price(bar.open), price(bar.high));
                let (low, close) = (price(bar.low), price(bar.close));
                Bar::new(bar.start, open, high, low, close, bar.volume * 2.0).unwrap()
            })
            .collect();
        let mut line = line();
        line.take(&bars[..bars.len() - 1]);
        let tail = bars.len() - 4;
        assert!(line.agrees_at_start(&bars[tail..]));
        assert!(!line.agrees_at_start(&halved[tail..]));
        // As many as were asked for, fewer than are in memory.
        assert!(line.take_anew(&halved[500..]));
        assert_eq!(line.oldest(), Some(&halved[500]));
        let mut whole = super::tests::line();
        whole.take(&halved[500..]);
        assert_eq!(window(line.live()), window(whole.live()));
    }

    #[test]
    fn a_bar_is_analysed_once() {
        let bars = history();
        let mut line = line();
        line.take(&bars[..bars.len() - 1]);
        assert!(line.awaits_analysis());
        line.set_analysed();
        let newest = bars.len() - 2;
        line.take(&[bar(bars[newest].start, 50.0)]);
        assert!(!line.awaits_analysis());
        line.take(&bars[newest..]);
        assert!(line.awaits_analysis());
    }
}
