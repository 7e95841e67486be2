use domain::Bar;
use ta::{
    Next,
    indicators::{ExponentialMovingAverage, TrueRange},
};

use super::{TaBar, exponential_average, wilder};

const FAST: usize = 12;
const SLOW: usize = 26;
const SIGNAL: usize = 9;

/// MACD 12/26/9 with the two averages it is made of (Appel 1979).
#[derive(Clone, Debug)]
pub struct Macd {
    fast: ExponentialMovingAverage,
    slow: ExponentialMovingAverage,
    signal: ExponentialMovingAverage,
    bars: usize,
}

/// The averages and differences after one bar, in the unit of the price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MacdValue {
    /// EMA over 12 closes; warm from the 12th bar.
    pub ema_12: f64,
    /// EMA over 26 closes; warm from the 26th bar.
    pub ema_26: f64,
    /// `ema_12 - ema_26`; like the next two warm from the 34th bar.
    pub macd: f64,
    /// EMA over 9 values of `macd`.
    pub signal: f64,
    /// `macd - signal`.
    pub histogram: f64,
}

impl Default for Macd {
    fn default() -> Self {
        Self {
            fast: exponential_average(FAST),
            slow: exponential_average(SLOW),
            signal: exponential_average(SIGNAL),
            bars: 0,
        }
    }
}

impl Macd {
    /// Takes the next close. Answers while cold too, as its parts warm up at different bars: see
    /// [`Macd::is_warm`] and its siblings.
    #[inline]
    pub fn next(&mut self, close: f64) -> MacdValue {
        let ema_12 = self.fast.next(close);
        let ema_26 = self.slow.next(close);
        let macd = ema_12 - ema_26;
        let signal = self.signal.next(macd);
        self.bars += 1;
        MacdValue {
            ema_12,
            ema_26,
            macd,
            signal,
            histogram: macd - signal,
        }
    }

    /// Whether `macd`, `signal` and `histogram` are warm.
    pub fn is_warm(&self) -> bool {
        self.bars >= SLOW + SIGNAL - 1
    }

    /// Whether `ema_12` is warm.
    pub fn ema_12_is_warm(&self) -> bool {
        self.bars >= FAST
    }

    /// Whether `ema_26` is warm.
    pub fn ema_26_is_warm(&self) -> bool {
        self.bars >= SLOW
    }
}

const ADX_PERIOD: usize = 14;

/// Average directional index over 14 bars, 0 to 100 (Wilder 1978).
#[derive(Clone, Debug)]
pub struct Adx {
    previous: Option<Bar>,
    true_range: TrueRange,
    range: ExponentialMovingAverage,
    plus: ExponentialMovingAverage,
    minus: ExponentialMovingAverage,
    index: ExponentialMovingAverage,
    value: f64,
    bars: usize,
}

impl Default for Adx {
    fn default() -> Self {
        let average = || exponential_average(wilder(ADX_PERIOD));
        Self {
            previous: None,
            true_range: TrueRange::new(),
            range: average(),
            plus: average(),
            minus: average(),
            index: average(),
            value: 0.0,
            bars: 0,
        }
    }
}

impl Adx {
    /// Takes the next bar.
    pub fn next(&mut self, bar: &Bar) -> Option<f64> {
        let true_range = self.true_range.next(&TaBar(bar));
        self.bars += 1;
        let previous = self.previous.replace(*bar)?;

        let up = bar.high.get() - previous.high.get();
        let down = previous.low.get() - bar.low.get();
        let plus = self.plus.next(if up > down && up > 0.0 { up } else { 0.0 });
        let minus = self
            .minus
            .next(if down > up && down > 0.0 { down } else { 0.0 });
        let range = self.range.next(true_range);

        // The smoothed range divides both sides and cancels; without any movement the index stays where it was.
        if range > 0.0 && plus + minus > 0.0 {
            self.value = self
                .index
                .next(100.0 * (plus - minus).abs() / (plus + minus));
        }
        (self.bars >= 2 * ADX_PERIOD).then_some(self.value)
    }
}
