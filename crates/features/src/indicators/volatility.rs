use domain::Bar;
use ta::{Next, indicators::AverageTrueRange};

use super::{TaBar, wilder};
use crate::ring::Ring;

const ATR_PERIOD: usize = 14;

/// Average true range over 14 bars in the unit of the price (Wilder 1978).
#[derive(Clone, Debug)]
pub struct Atr {
    average: AverageTrueRange,
    bars: usize,
}

impl Default for Atr {
    #[expect(clippy::expect_used, reason = "the period is a constant above zero")]
    fn default() -> Self {
        let average =
            AverageTrueRange::new(wilder(ATR_PERIOD)).expect("ta refuses only a period of zero");
        Self { average, bars: 0 }
    }
}

impl Atr {
    /// Takes the next bar.
    #[inline]
    pub fn next(&mut self, bar: &Bar) -> Option<f64> {
        let value = self.average.next(&TaBar(bar));
        self.bars += 1;
        (self.bars > ATR_PERIOD).then_some(value)
    }
}

const BAND_PERIOD: usize = 20;
const BAND_DEVIATIONS: f64 = 2.0;

/// Bollinger bands: mean of 20 closes and two population standard deviations around it (Bollinger 1992).
#[derive(Clone, Debug)]
pub struct Bollinger {
    closes: Ring<BAND_PERIOD>,
}

/// The bands after one bar, in the unit of the price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bands {
    /// `middle` plus two standard deviations.
    pub upper: f64,
    /// Simple mean of the closes.
    pub middle: f64,
    /// `middle` less two standard deviations.
    pub lower: f64,
}

impl Default for Bollinger {
    fn default() -> Self {
        Self {
            closes: Ring::new(),
        }
    }
}

impl Bollinger {
    /// Takes the next close.
    #[inline]
    pub fn next(&mut self, close: f64) -> Option<Bands> {
        self.closes.push(close);
        if !self.closes.is_full() {
            return None;
        }
        let middle = self.closes.mean();
        let squares = self.closes.sum(|close| (close - middle) * (close - middle));
        let reach = BAND_DEVIATIONS * (squares / BAND_PERIOD as f64).sqrt();
        Some(Bands {
            upper: middle + reach,
            middle,
            lower: middle - reach,
        })
    }
}
