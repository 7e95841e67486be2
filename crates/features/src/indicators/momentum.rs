use domain::Bar;
use ta::{
    Next,
    indicators::{Maximum, Minimum},
};

use super::{Average, FLAT, typical_price};
use crate::ring::Ring;

const RSI_PERIOD: usize = 14;

/// Relative strength index over 14 bars, 0 to 100 (Wilder 1978). 50 where the price has not moved.
#[derive(Clone, Debug)]
pub struct Rsi {
    previous: Option<f64>,
    gain: Average,
    loss: Average,
}

impl Default for Rsi {
    fn default() -> Self {
        Self {
            previous: None,
            gain: Average::wilder(RSI_PERIOD),
            loss: Average::wilder(RSI_PERIOD),
        }
    }
}

impl Rsi {
    /// Takes the next close.
    #[inline]
    pub fn next(&mut self, close: f64) -> Option<f64> {
        let change = close - self.previous.replace(close)?;
        let gain = self.gain.next(change.max(0.0));
        let loss = self.loss.next((-change).max(0.0));
        let gain = gain?;
        let movement = gain + loss?;
        Some(if movement > FLAT * close {
            (100.0 * gain / movement).min(100.0)
        } else {
            50.0
        })
    }
}

const CCI_PERIOD: usize = 20;

/// Commodity channel index over 20 bars (Lambert 1980). 0 where the price has not moved.
#[derive(Clone, Debug)]
pub struct Cci {
    typical_prices: Ring<CCI_PERIOD>,
}

impl Default for Cci {
    fn default() -> Self {
        Self {
            typical_prices: Ring::new(),
        }
    }
}

impl Cci {
    /// Takes the next bar.
    pub fn next(&mut self, bar: &Bar) -> Option<f64> {
        let typical = typical_price(bar);
        self.typical_prices.push(typical);
        if !self.typical_prices.is_full() {
            return None;
        }
        let mean = self.typical_prices.mean();
        let deviation = self.typical_prices.sum(|value| (value - mean).abs()) / CCI_PERIOD as f64;
        // Lambert's 0.015 puts most values between -100 and 100.
        Some(if deviation > FLAT * mean {
            (typical - mean) / (0.015 * deviation)
        } else {
            0.0
        })
    }
}

const ROC_PERIOD: usize = 5;

/// Rate of change over 5 bars, percent.
#[derive(Clone, Debug)]
pub struct Roc {
    closes: Ring<{ ROC_PERIOD + 1 }>,
}

impl Default for Roc {
    fn default() -> Self {
        Self {
            closes: Ring::new(),
        }
    }
}

impl Roc {
    /// Takes the next close.
    pub fn next(&mut self, close: f64) -> Option<f64> {
        self.closes.push(close);
        let before = self.closes.back(ROC_PERIOD);
        self.closes
            .is_full()
            .then(|| (close / before - 1.0) * 100.0)
    }
}

const RANGE_PERIOD: usize = 14;
const SLOWING: usize = 3;

/// Where the close lies in the range of the last 14 bars: the slow stochastic 14, 3, 3 with simple averages (Lane) and
/// Williams' %R.
#[derive(Clone, Debug)]
pub struct Stochastic {
    highest: Maximum,
    lowest: Minimum,
    fast: Ring<SLOWING>,
    slow: Ring<SLOWING>,
    bars: usize,
}

/// The parts after one bar; each `None` while warming up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StochasticValue {
    /// Mean of three positions in the range, 0 to 100. Starts together with `d`, as in TA-Lib.
    pub k: Option<f64>,
    /// Mean of three values of `k`.
    pub d: Option<f64>,
    /// Williams' %R of this bar alone, -100 to 0.
    pub williams: Option<f64>,
}

impl Default for Stochastic {
    #[expect(clippy::expect_used, reason = "the period is a constant above zero")]
    fn default() -> Self {
        Self {
            highest: Maximum::new(RANGE_PERIOD).expect("ta refuses only a period of zero"),
            lowest: Minimum::new(RANGE_PERIOD).expect("ta refuses only a period of zero"),
            fast: Ring::new(),
            slow: Ring::new(),
            bars: 0,
        }
    }
}

impl Stochastic {
    /// Takes the next bar. The middle of the range where there is none.
    pub fn next(&mut self, bar: &Bar) -> StochasticValue {
        let highest = self.highest.next(bar.high.get());
        let lowest = self.lowest.next(bar.low.get());
        self.bars += 1;
        if self.bars < RANGE_PERIOD {
            return StochasticValue {
                k: None,
                d: None,
                williams: None,
            };
        }
        let range = highest - lowest;
        let position = |from_edge: f64| {
            if range > 0.0 {
                (100.0 * from_edge / range).min(100.0)
            } else {
                50.0
            }
        };
        let close = bar.close.get();
        self.fast.push(position(close - lowest));
        if self.fast.is_full() {
            self.slow.push(self.fast.mean().min(100.0));
        }
        StochasticValue {
            k: self.slow.is_full().then(|| self.slow.back(0)),
            d: self.slow.is_full().then(|| self.slow.mean().min(100.0)),
            // Not -0 at the highest price.
            williams: Some(0.0 - position(highest - close)),
        }
    }
}
