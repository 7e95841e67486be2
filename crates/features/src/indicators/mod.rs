//! Textbook indicators, one bar at a time, sessions joined end to end.
//!
//! Each `next` takes the next bar (or close) and answers `None` while warming up, for as many bars as TA-Lib does.
//! Recursive averages begin with a simple mean, as Wilder and TA-Lib begin them, so that the first value is already the
//! indicator's own; what is bounded never leaves its bounds by rounding.
//!
//! Windowed ones are computed anew over the window for each bar. Running sums, as the `ta` crate keeps them, drift over
//! months of bars, keep a residue where prices are flat, and remember what lies before the window; its recursive averages
//! begin with the first value, which makes the first hundreds of values those of another indicator.

mod momentum;
mod set;
mod trend;
mod volatility;
mod volume;

use domain::Bar;
pub use momentum::{Cci, Roc, Rsi, Stochastic, StochasticValue};
pub use set::{INDICATOR_COUNT, INDICATOR_NAMES, IndicatorSet};
pub use trend::{Adx, Ema, Macd, MacdValue};
pub use volatility::{Atr, Bands, Bollinger};
pub use volume::{Mfi, Obv};

/// Movement below this part of the price is rounding, or what a recursive average keeps of moves hundreds of bars ago:
/// the price is flat.
const FLAT: f64 = 1e-12;

/// Recursive average that begins with the simple mean of its first values.
#[derive(Clone, Debug)]
struct Average {
    period: usize,
    /// Of the newest value.
    weight: f64,
    seen: usize,
    /// The sum of the values until `period` of them were seen.
    value: f64,
}

impl Average {
    /// The newest value weighs `2 / (period + 1)`.
    fn exponential(period: usize) -> Self {
        Self::new(period, 2.0 / (period as f64 + 1.0))
    }

    /// Wilder's smoothing: the newest value weighs `1 / period`.
    fn wilder(period: usize) -> Self {
        Self::new(period, 1.0 / period as f64)
    }

    const fn new(period: usize, weight: f64) -> Self {
        Self {
            period,
            weight,
            seen: 0,
            value: 0.0,
        }
    }

    /// Takes the next value; `None` until there are as many as the period.
    #[inline]
    fn next(&mut self, value: f64) -> Option<f64> {
        if self.seen == self.period {
            self.value = self.weight * value + (1.0 - self.weight) * self.value;
            return Some(self.value);
        }
        self.seen += 1;
        self.value += value;
        if self.seen < self.period {
            return None;
        }
        self.value /= self.period as f64;
        Some(self.value)
    }
}

/// The bar's range, the close before it included (Wilder 1978).
fn true_range(bar: &Bar, close_before: f64) -> f64 {
    bar.high.get().max(close_before) - bar.low.get().min(close_before)
}

/// A bar as `ta` wants to see it.
struct TaBar<'a>(&'a Bar);

impl ta::Close for TaBar<'_> {
    fn close(&self) -> f64 {
        self.0.close.get()
    }
}

impl ta::Volume for TaBar<'_> {
    fn volume(&self) -> f64 {
        self.0.volume
    }
}

/// Mean of high, low and close.
fn typical_price(bar: &Bar) -> f64 {
    (bar.high.get() + bar.low.get() + bar.close.get()) / 3.0
}
