//! Textbook indicators, one bar at a time, sessions joined end to end.
//!
//! Each `next` takes the next bar (or close) and answers `None` while warming up, for as many bars as TA-Lib does.
//! Recursive averages come from the `ta` crate; they start from the first value where TA-Lib starts from a simple
//! average, which makes no difference at 1e-8 after 400 bars.
//!
//! Windowed ones are our own, computed anew over the window for each bar. `ta` keeps running sums, which drift over
//! months of bars, keep a residue where prices are flat, and remember what lies before the window; its CCI takes the
//! deviation of closes where the definition asks for typical prices; its RSI starts from absolute prices of 0.1,
//! which is not scale-free.

mod momentum;
mod set;
mod trend;
mod volatility;
mod volume;

use domain::Bar;
use ta::indicators::ExponentialMovingAverage;

pub use momentum::{Cci, Roc, Rsi, Stochastic, StochasticValue};
pub use set::{INDICATOR_COUNT, INDICATOR_NAMES, IndicatorSet};
pub use trend::{Adx, Macd, MacdValue};
pub use volatility::{Atr, Bands, Bollinger};
pub use volume::{Mfi, Obv};

/// Movement below this part of the price is rounding, or what a recursive average keeps of moves hundreds of bars ago:
/// the price is flat.
const FLAT: f64 = 1e-12;

/// Average whose newest value weighs `2 / (period + 1)`.
#[expect(
    clippy::expect_used,
    reason = "the periods in this module are constants above zero"
)]
fn exponential_average(period: usize) -> ExponentialMovingAverage {
    ExponentialMovingAverage::new(period).expect("ta refuses only a period of zero")
}

/// Period of the exponential average that equals Wilder's smoothing over `period`: weight `1 / period`.
const fn wilder(period: usize) -> usize {
    2 * period - 1
}

/// A bar as `ta` wants to see it.
struct TaBar<'a>(&'a Bar);

impl ta::High for TaBar<'_> {
    fn high(&self) -> f64 {
        self.0.high.get()
    }
}

impl ta::Low for TaBar<'_> {
    fn low(&self) -> f64 {
        self.0.low.get()
    }
}

impl ta::Close for TaBar<'_> {
    fn close(&self) -> f64 {
        self.0.close.get()
    }
}

impl ta::Volume for TaBar<'_> {
    fn volume(&self) -> f64 {
        self.0.volume as f64
    }
}

/// Mean of high, low and close.
fn typical_price(bar: &Bar) -> f64 {
    (bar.high.get() + bar.low.get() + bar.close.get()) / 3.0
}
