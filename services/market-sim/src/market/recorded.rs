use std::{collections::BTreeMap, sync::Arc};

use bar_files::BarFile;
use calendar::{Calendar, Session};
use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::America::New_York;
use domain::{Bar, Ticker};

use super::{DailyBar, Profile};
use crate::tape::extended_hours;

/// A market that was: the bars of a file, at their own dates.
pub(super) struct RecordedMarket {
    stocks: BTreeMap<Ticker, RecordedStock>,
    outside: usize,
}

struct RecordedStock {
    profile: Profile,
    /// The sessions with bars or an official day, ascending.
    sessions: Vec<Session>,
    /// Per session its bars, those before the open and after the close included.
    bars: Vec<Arc<[Bar]>>,
    daily: Vec<DailyBar>,
}

impl RecordedMarket {
    pub(super) fn new(file: BarFile, calendar: &Calendar) -> Self {
        let mut outside = 0;
        let mut stocks = BTreeMap::new();
        for (ticker, bars) in file.bars {
            let mut stock = RecordedStock {
                profile: Profile::of(&ticker),
                sessions: Vec::new(),
                bars: Vec::new(),
                daily: Vec::new(),
            };
            let date_of = |bar: &Bar| bar.start.with_timezone(&New_York).date_naive();
            for day in bars.chunk_by(|earlier, later| date_of(earlier) == date_of(later)) {
                let session = day
                    .first()
                    .and_then(|bar| calendar.session_on(date_of(bar)));
                let Some(session) = session else {
                    outside += day.len();
                    continue;
                };
                let hours = extended_hours(&session);
                let bars: Arc<[Bar]> = day
                    .iter()
                    .filter(|bar| hours.contains(&bar.start))
                    .copied()
                    .collect();
                outside += day.len() - bars.len();
                let regular: Vec<Bar> = bars
                    .iter()
                    .filter(|bar| session.contains(bar.start))
                    .copied()
                    .collect();
                match DailyBar::of(&regular) {
                    Some(daily) => {
                        stock.sessions.push(session);
                        stock.bars.push(bars);
                        stock.daily.push(daily);
                    }
                    None => outside += bars.len(),
                }
            }
            if !stock.sessions.is_empty() {
                stocks.insert(ticker, stock);
            }
        }
        Self { stocks, outside }
    }

    /// Bars left out because no exchange trades at their time.
    pub(super) fn outside(&self) -> usize {
        self.outside
    }

    pub(super) fn tickers(&self) -> impl Iterator<Item = &Ticker> {
        self.stocks.keys()
    }

    pub(super) fn profile(&self, ticker: &Ticker) -> Option<&Profile> {
        self.stocks.get(ticker).map(|stock| &stock.profile)
    }

    pub(super) fn sessions(&self, ticker: &Ticker) -> &[Session] {
        self.stocks.get(ticker).map_or(&[], |stock| &stock.sessions)
    }

    pub(super) fn bars(&self, ticker: &Ticker, index: usize) -> Arc<[Bar]> {
        self.stocks
            .get(ticker)
            .and_then(|stock| stock.bars.get(index))
            .cloned()
            .unwrap_or_default()
    }

    /// First open and last close of the days with minutes.
    pub(super) fn coverage(&self, ticker: &Ticker) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let stock = self.stocks.get(ticker)?;
        let mut days = stock.sessions.iter().zip(&stock.bars);
        let first = days.clone().find(|(_, bars)| !bars.is_empty())?;
        let last = days.rfind(|(_, bars)| !bars.is_empty())?;
        Some((first.0.open, last.0.close))
    }

    /// Puts official days in the place of those made of minutes, and between them where there are no minutes. Tickers
    /// without minutes stay unknown.
    pub(super) fn add_days(&mut self, ticker: &Ticker, days: Vec<(Session, DailyBar)>) {
        let Some(stock) = self.stocks.get_mut(ticker) else {
            return;
        };
        let known = std::mem::take(&mut stock.sessions)
            .into_iter()
            .zip(std::mem::take(&mut stock.bars))
            .zip(std::mem::take(&mut stock.daily));
        let mut all: BTreeMap<NaiveDate, (Session, Arc<[Bar]>, DailyBar)> = known
            .map(|((session, bars), daily)| (session.date, (session, bars, daily)))
            .collect();
        for (session, official) in days {
            let day = all
                .entry(session.date)
                .or_insert_with(|| (session, Arc::default(), official));
            day.2 = official;
        }
        for (session, bars, daily) in all.into_values() {
            stock.sessions.push(session);
            stock.bars.push(bars);
            stock.daily.push(daily);
        }
    }

    pub(super) fn daily(&self, ticker: &Ticker, index: usize) -> Option<DailyBar> {
        self.stocks.get(ticker)?.daily.get(index).copied()
    }
}
