//! Where prices come from: a file of bars or a seeded generator. Both know the whole day; what may be told of it at a
//! given moment is decided in `tape`.

mod generated;
mod profile;
mod random;
mod recorded;

use std::sync::Arc;

use bar_files::BarFile;
use calendar::{Calendar, Session};
use chrono::{DateTime, Utc};
use domain::{Bar, Ticker};

use generated::GeneratedMarket;
pub use profile::{DEFAULT_TICKERS, Exchange, Profile};
use recorded::RecordedMarket;

/// The prices that are served.
pub struct Market(Source);

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
        Ok(Self(Source::Recorded(market)))
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
        Self(Source::Generated(Box::new(market)))
    }

    /// The tickers on offer, in alphabetical order.
    pub fn tickers(&self) -> Vec<&Ticker> {
        match &self.0 {
            Source::Recorded(market) => market.tickers().collect(),
            Source::Generated(market) => market.tickers().collect(),
        }
    }

    /// First open and last close of what is on offer, UTC.
    pub fn coverage(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let tickers = self.tickers();
        let sessions = tickers
            .iter()
            .filter_map(|ticker| self.stock(ticker))
            .map(|stock| stock.sessions());
        let ends =
            sessions.filter_map(|sessions| Some((sessions.first()?.open, sessions.last()?.close)));
        ends.reduce(|(open, close), (other_open, other_close)| {
            (open.min(other_open), close.max(other_close))
        })
    }

    /// One stock, if the market has it.
    pub fn stock(&self, ticker: &Ticker) -> Option<Stock<'_>> {
        let profile = match &self.0 {
            Source::Recorded(market) => market.profile(ticker),
            Source::Generated(market) => market.profile(ticker),
        }?;
        Some(Stock {
            market: self,
            ticker: &profile.ticker,
            profile,
        })
    }
}

/// One stock of a market. Its sessions are numbered from 0.
#[derive(Clone, Copy)]
pub struct Stock<'a> {
    market: &'a Market,
    ticker: &'a Ticker,
    profile: &'a Profile,
}

impl<'a> Stock<'a> {
    /// The company.
    pub fn profile(&self) -> &'a Profile {
        self.profile
    }

    /// The sessions in which it trades, ascending, past and future.
    pub fn sessions(&self) -> &'a [Session] {
        match &self.market.0 {
            Source::Recorded(market) => market.sessions(self.ticker),
            Source::Generated(market) => market.sessions(),
        }
    }

    /// All bars of a session's day, ascending, its future included; empty beyond the last session.
    pub fn bars(&self, session: usize) -> Arc<[Bar]> {
        match &self.market.0 {
            Source::Recorded(market) => market.bars(self.ticker, session),
            Source::Generated(market) => market.bars(self.ticker, session),
        }
    }

    /// A whole session as one bar, its future included.
    pub fn daily(&self, session: usize) -> Option<DailyBar> {
        match &self.market.0 {
            Source::Recorded(market) => market.daily(self.ticker, session),
            Source::Generated(market) => market.daily(self.ticker, session),
        }
    }

    /// Its dividends, past and future, in order. A file has none.
    pub fn dividends(&self) -> &'a [Dividend] {
        match &self.market.0 {
            Source::Recorded(_) => &[],
            Source::Generated(market) => market.dividends(self.ticker),
        }
    }
}

/// A cash dividend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dividend {
    /// Number of the session at whose open the stock trades without it.
    pub session: usize,
    /// US dollars per share.
    pub amount: f64,
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
    pub volume: u64,
}

impl DailyBar {
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
