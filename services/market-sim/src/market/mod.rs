//! Where prices come from: a file of bars or a seeded generator. Both know the whole day; what may be told of it at a
//! given moment is decided in `tape`.

mod actions;
mod generated;
mod official;
mod profile;
mod recorded;

use std::{collections::BTreeMap, io::Write, sync::Arc};

use bar_files::BarFile;
use calendar::{Calendar, Session};
use chrono::{DateTime, NaiveDate, SecondsFormat, Utc};
use domain::{Bar, Ticker};

pub(crate) use actions::fraction;
pub use actions::{Actions, Basis, Dividend, Split};
use generated::GeneratedMarket;
pub use official::OfficialDays;
pub use profile::{DEFAULT_TICKERS, Exchange, Profile};
use recorded::RecordedMarket;

/// The prices that are served.
pub struct Market {
    source: Source,
    /// What was done to the shares, where something was.
    changes: BTreeMap<Ticker, Changes>,
}

/// A stock's splits and dividends in order of time, past and future.
#[derive(Clone, Debug)]
struct Changes {
    /// What the kept prices mean.
    basis: Basis,
    splits: Vec<Split>,
    /// In shares after all splits.
    dividends: Vec<Dividend>,
}

enum Source {
    Recorded(RecordedMarket),
    Generated(Box<GeneratedMarket>),
}

/// A market cannot be made of what was given.
#[derive(Debug, thiserror::Error)]
pub enum MarketError {
    /// A ticker was asked for that the file does not have.
    #[error("the file has no bars of {ticker}: it has {known}")]
    UnknownTicker {
        /// The ticker asked for.
        ticker: Ticker,
        /// The file's tickers.
        known: String,
    },
    /// The file has no bar in any session of the exchange.
    #[error("the file has no bars within the exchange's sessions")]
    NoBars,
    /// Dividends were given for an invented stock.
    #[error("{ticker} is invented and pays its own dividends: give splits only")]
    InventedDividends {
        /// The stock.
        ticker: Ticker,
    },
    /// Official days were given for an invented market.
    #[error("an invented market has its own days: give them with recorded bars only")]
    InventedDays,
}

impl Market {
    /// The bars of a file, at their own dates, prices as they are. `tickers` limits it to some; none means all.
    ///
    /// # Errors
    /// [`MarketError`] when the file lacks one of the tickers or has no bars at all.
    pub fn recorded(
        mut file: BarFile,
        tickers: &[Ticker],
        calendar: &Calendar,
    ) -> Result<Self, MarketError> {
        if let Some(ticker) = tickers
            .iter()
            .find(|ticker| !file.bars.contains_key(ticker))
        {
            let known: Vec<&str> = file.bars.keys().map(Ticker::as_str).collect();
            return Err(MarketError::UnknownTicker {
                ticker: ticker.clone(),
                known: known.join(", "),
            });
        }
        if !tickers.is_empty() {
            file.bars.retain(|ticker, _| tickers.contains(ticker));
        }
        let market = RecordedMarket::new(file, calendar);
        if market.tickers().next().is_none() {
            return Err(MarketError::NoBars);
        }
        if market.outside() > 0 {
            tracing::warn!(
                bars = market.outside(),
                "left out bars at times when no exchange trades"
            );
        }
        Ok(Self::of(Source::Recorded(market)))
    }

    /// An invented market from 2005 to the calendar's end. The same seed gives the same prices, whichever tickers are
    /// chosen; none means [`DEFAULT_TICKERS`].
    pub fn generated(seed: u64, tickers: &[Ticker], calendar: &Calendar) -> Self {
        let market = if tickers.is_empty() {
            let tickers: Vec<Ticker> = DEFAULT_TICKERS
                .iter()
                .flat_map(|text| Ticker::parse(text))
                .collect();
            GeneratedMarket::new(seed, &tickers, calendar)
        } else {
            GeneratedMarket::new(seed, tickers, calendar)
        };
        Self::of(Source::Generated(Box::new(market)))
    }

    fn of(source: Source) -> Self {
        Self {
            source,
            changes: BTreeMap::new(),
        }
    }

    /// The same market with the splits and dividends of a file. An invented market takes splits only.
    ///
    /// `basis` says what recorded prices mean. None looks at splits within the file: prices that jump there are raw;
    /// without such a split they are taken for raw. Invented prices are adjusted.
    ///
    /// # Errors
    /// [`MarketError::InventedDividends`].
    pub fn with_actions(
        mut self,
        actions: &Actions,
        basis: Option<Basis>,
        calendar: &Calendar,
    ) -> Result<Self, MarketError> {
        let mut changes = BTreeMap::new();
        for ticker in self.tickers() {
            let splits = actions.splits(ticker, calendar);
            let dividends = actions.dividends(ticker, calendar);
            if matches!(self.source, Source::Generated(_)) && !dividends.is_empty() {
                let ticker = ticker.clone();
                return Err(MarketError::InventedDividends { ticker });
            }
            if !splits.is_empty() || !dividends.is_empty() {
                let basis = Basis::Adjusted;
                let change = Changes {
                    basis,
                    splits,
                    dividends,
                };
                changes.insert(ticker.clone(), change);
            }
        }
        if matches!(self.source, Source::Recorded(_)) {
            let basis = basis.unwrap_or_else(|| self.basis_found(&changes));
            for change in changes.values_mut() {
                change.basis = basis;
            }
        }
        self.changes = changes;
        Ok(self)
    }

    /// What the prices around splits say.
    fn basis_found(&self, changes: &BTreeMap<Ticker, Changes>) -> Basis {
        let mut raw = 0;
        let mut adjusted = 0;
        for (ticker, changes) in changes {
            let Some(stock) = self.stock(ticker) else {
                continue;
            };
            // A spin-off of some percent is no larger than a usual day.
            for split in changes
                .splits
                .iter()
                .filter(|split| split.ratio.ln().abs() > 0.3)
            {
                let after = stock
                    .sessions()
                    .partition_point(|session| session.open < split.effective);
                let around = after.checked_sub(1).and_then(|before| {
                    let step = stock.daily(before)?.close / stock.daily(after)?.open;
                    Some(step.ln())
                });
                match around {
                    Some(step) if (step - split.ratio.ln()).abs() < step.abs() => raw += 1,
                    Some(_) => adjusted += 1,
                    None => (),
                }
            }
        }
        if adjusted > raw {
            Basis::Adjusted
        } else {
            Basis::Raw
        }
    }

    /// The same market with official daily bars, which are served as days instead of the sum of the minutes (minutes
    /// leave out the auctions), also for days without minutes. Comes after [`Market::with_actions`]: the days are
    /// split-adjusted.
    ///
    /// # Errors
    /// [`MarketError::InventedDays`].
    pub fn with_official_days(
        mut self,
        days: &OfficialDays,
        calendar: &Calendar,
    ) -> Result<Self, MarketError> {
        let Source::Recorded(market) = &mut self.source else {
            return Err(MarketError::InventedDays);
        };
        for (ticker, days) in days.iter() {
            let change = self.changes.get(ticker);
            let kept = days.iter().filter_map(|(date, day)| {
                let session = calendar.session_on(*date)?;
                let factor = match change {
                    Some(change) if change.basis == Basis::Raw => {
                        change.product(|split| split.effective > session.open)
                    }
                    _ => 1.0,
                };
                Some((session, day.rebased(factor)))
            });
            market.add_days(ticker, kept.collect());
        }
        Ok(self)
    }

    /// What is planted in an invented market for models to find, in words; nothing is in a recorded one.
    pub fn planted_effect(&self) -> Option<&'static str> {
        self.seed().map(|_| domain::PLANTED_EFFECT)
    }

    /// The seed of an invented market.
    pub(crate) fn seed(&self) -> Option<u64> {
        match &self.source {
            Source::Recorded(_) => None,
            Source::Generated(market) => Some(market.seed()),
        }
    }

    /// The tickers on offer, in alphabetical order.
    pub fn tickers(&self) -> Vec<&Ticker> {
        match &self.source {
            Source::Recorded(market) => market.tickers().collect(),
            Source::Generated(market) => market.tickers().collect(),
        }
    }

    /// First open and last close of the minutes on offer, UTC.
    pub fn coverage(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let ends = self
            .tickers()
            .into_iter()
            .filter_map(|ticker| match &self.source {
                Source::Recorded(market) => market.coverage(ticker),
                Source::Generated(market) => {
                    let sessions = market.sessions();
                    Some((sessions.first()?.open, sessions.last()?.close))
                }
            });
        ends.reduce(|(open, close), (other_open, other_close)| {
            (open.min(other_open), close.max(other_close))
        })
    }

    /// Writes the one-minute bars of all sessions from one New York date to another, both included, as CSV
    /// (`ticker,ts,open,high,low,close,volume`; `ts` is a bar's start, UTC) and answers how many there were.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write_bars(
        &self,
        from: NaiveDate,
        to: NaiveDate,
        out: impl Write,
    ) -> Result<usize, csv::Error> {
        let mut table = csv::Writer::from_writer(out);
        table.write_record(["ticker", "ts", "open", "high", "low", "close", "volume"])?;
        let mut written = 0;
        for stock in self
            .tickers()
            .into_iter()
            .filter_map(|ticker| self.stock(ticker))
        {
            for (index, session) in stock.sessions().iter().enumerate() {
                if !(from..=to).contains(&session.date) {
                    continue;
                }
                for bar in stock.bars(index).iter() {
                    table.serialize((
                        stock.ticker,
                        bar.start.to_rfc3339_opts(SecondsFormat::Secs, true),
                        bar.open.get(),
                        bar.high.get(),
                        bar.low.get(),
                        bar.close.get(),
                        bar.volume.to_string(),
                    ))?;
                    written += 1;
                }
            }
        }
        table.flush()?;
        Ok(written)
    }

    /// One stock by the text of a request, if the market has it.
    pub(crate) fn find(&self, symbol: &str) -> Option<Stock<'_>> {
        self.stock(&Ticker::parse(symbol).ok()?)
    }

    /// One stock, if the market has it.
    pub fn stock(&self, ticker: &Ticker) -> Option<Stock<'_>> {
        let profile = match &self.source {
            Source::Recorded(market) => market.profile(ticker),
            Source::Generated(market) => market.profile(ticker),
        }?;
        Some(Stock {
            market: self,
            ticker: &profile.ticker,
            profile,
            view: View::Kept,
        })
    }
}

/// On which share basis prices are told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum View {
    /// As the market keeps them.
    Kept,
    /// Divided by the splits since, up to a moment: as Yahoo tells them then.
    AsOf(DateTime<Utc>),
    /// As they traded.
    Raw,
}

/// One stock of a market. Its sessions are numbered from 0.
#[derive(Clone, Copy)]
pub struct Stock<'a> {
    market: &'a Market,
    ticker: &'a Ticker,
    profile: &'a Profile,
    view: View,
}

impl<'a> Stock<'a> {
    /// The same stock with prices, volumes and dividends in the shares of a moment, UTC.
    #[must_use]
    pub fn as_of(self, now: DateTime<Utc>) -> Self {
        let view = View::AsOf(now);
        Self { view, ..self }
    }

    /// The same stock with prices, volumes and dividends in the shares of their own day.
    #[must_use]
    pub fn raw(self) -> Self {
        let view = View::Raw;
        Self { view, ..self }
    }

    /// The company.
    pub fn profile(&self) -> &'a Profile {
        self.profile
    }

    /// The sessions in which it trades, ascending, past and future.
    pub fn sessions(&self) -> &'a [Session] {
        match &self.market.source {
            Source::Recorded(market) => market.sessions(self.ticker),
            Source::Generated(market) => market.sessions(),
        }
    }

    /// All bars of a session's day, ascending, its future included; empty beyond the last session.
    pub fn bars(&self, session: usize) -> Arc<[Bar]> {
        let bars = match &self.market.source {
            Source::Recorded(market) => market.bars(self.ticker, session),
            Source::Generated(market) => market.bars(self.ticker, session),
        };
        let factor = self.factor(session);
        if factor == 1.0 {
            return bars;
        }
        // Positive and in the same order as before: always bars.
        let rebased = |bar: &Bar| {
            let [open, high, low, close] =
                [bar.open, bar.high, bar.low, bar.close].map(|price| price.get() * factor);
            let volume = (bar.volume / factor).round();
            Bar::new(bar.start, open, high, low, close, volume)
        };
        bars.iter().flat_map(rebased).collect()
    }

    /// A whole session as one bar, its future included.
    pub fn daily(&self, session: usize) -> Option<DailyBar> {
        let daily = match &self.market.source {
            Source::Recorded(market) => market.daily(self.ticker, session),
            Source::Generated(market) => market.daily(self.ticker, session),
        }?;
        Some(daily.rebased(self.factor(session)))
    }

    /// Its splits, past and future, in order.
    pub fn splits(&self) -> &'a [Split] {
        let changes = self.market.changes.get(self.ticker);
        changes.map_or(&[], |changes| &changes.splits)
    }

    /// Its dividends, past and future, in order.
    pub fn dividends(&self) -> impl Iterator<Item = Dividend> + use<'a> {
        let changes = self.market.changes.get(self.ticker);
        let dividends: &[Dividend] = match (&self.market.source, changes) {
            (Source::Generated(market), _) => market.dividends(self.ticker),
            (Source::Recorded(_), Some(changes)) => &changes.dividends,
            (Source::Recorded(_), None) => &[],
        };
        let stock = *self;
        dividends.iter().map(move |dividend| {
            // They are kept in shares after all splits.
            let later = |split: &Split| split.effective > dividend.effective;
            let factor = match (stock.view, changes) {
                (View::AsOf(now), Some(changes)) => {
                    changes.product(|split| later(split) && split.effective > now)
                }
                (View::Raw, Some(changes)) => changes.product(later),
                (View::Kept, _) | (_, None) => 1.0,
            };
            Dividend {
                amount: dividend.amount * factor,
                ..*dividend
            }
        })
    }

    /// What kept prices of a session are multiplied by.
    fn factor(&self, session: usize) -> f64 {
        let (Some(changes), Some(session)) = (
            self.market.changes.get(self.ticker),
            self.sessions().get(session),
        ) else {
            return 1.0;
        };
        let later = |split: &Split| split.effective > session.open;
        match (changes.basis, self.view) {
            (_, View::Kept) | (Basis::Raw, View::Raw) => 1.0,
            (Basis::Raw, View::AsOf(now)) => {
                1.0 / changes.product(|split| later(split) && split.effective <= now)
            }
            (Basis::Adjusted, View::Raw) => changes.product(later),
            (Basis::Adjusted, View::AsOf(now)) => {
                changes.product(|split| later(split) && split.effective > now)
            }
        }
    }
}

impl Changes {
    /// The product of some splits' ratios.
    fn product(&self, which: impl Fn(&Split) -> bool) -> f64 {
        let ratios = self.splits.iter().filter(|split| which(split));
        ratios.map(|split| split.ratio).product()
    }
}

/// Several bars as one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DailyBar {
    /// First trade.
    pub open: f64,
    /// Highest trade.
    pub high: f64,
    /// Lowest trade.
    pub low: f64,
    /// Last trade.
    pub close: f64,
    /// Shares traded.
    pub volume: f64,
}

impl DailyBar {
    /// In other shares: prices times a factor, volume divided by it.
    fn rebased(self, factor: f64) -> Self {
        if factor == 1.0 {
            return self;
        }
        Self {
            open: self.open * factor,
            high: self.high * factor,
            low: self.low * factor,
            close: self.close * factor,
            volume: (self.volume / factor).round(),
        }
    }

    /// Adds up bars in order; none of no bars.
    pub fn of(bars: &[Bar]) -> Option<Self> {
        let first = bars.first()?;
        let mut daily = Self {
            open: first.open.get(),
            low: f64::MAX,
            ..Self::default()
        };
        for bar in bars {
            daily.high = daily.high.max(bar.high.get());
            daily.low = daily.low.min(bar.low.get());
            daily.close = bar.close.get();
            daily.volume += bar.volume;
        }
        Some(daily)
    }
}
