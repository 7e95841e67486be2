//! One ticker in memory: its newest bars and the features folded over them.

use chrono::{DateTime, Utc};
use domain::{Bar, Ticker};
use features::{StreamError, WARM_UP_SESSIONS};
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

/// One ticker's bars and features.
#[derive(Debug)]
pub(crate) struct Line {
    ticker: Ticker,
    /// Ascending by start, without duplicates.
    bars: Vec<Bar>,
    live: LiveTicker,
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
            live: LiveTicker::new(),
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

    /// Last close before a moment, US dollars per share.
    pub(crate) fn close_before(&self, time: DateTime<Utc>) -> Option<f64> {
        let older = self.bars.partition_point(|bar| bar.start < time);
        self.bars
            .get(older.checked_sub(1)?)
            .map(|bar| bar.close.get())
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

    /// Folds the bars again because the one at `changed`, or its absence, is not what it was.
    fn fold_anew(&mut self, changed: DateTime<Utc>) {
        tracing::debug!(
            instrument.symbol = %self.ticker, bar.start = %changed, "a bar came late or was revised: folding anew"
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
        match self.live.push(bar) {
            Ok(full) => {
                self.window_full = full;
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

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
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
