use domain::Bar;

use super::{Average, true_range};
use crate::ring::Ring;

const ATR_PERIOD: usize = 14;

/// Average true range over 14 bars in the unit of the price (Wilder 1978).
#[derive(Clone, Debug)]
pub struct Atr {
    previous: Option<f64>,
    average: Average,
}

impl Default for Atr {
    fn default() -> Self {
        Self {
            previous: None,
            average: Average::wilder(ATR_PERIOD),
        }
    }
}

impl Atr {
    /// Takes the next bar.
    #[inline]
    pub fn next(&mut self, bar: &Bar) -> Option<f64> {
        let close_before = self.previous.replace(bar.close.get())?;
        self.average.next(true_range(bar, close_before))
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
