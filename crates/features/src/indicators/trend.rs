use domain::Bar;

use super::{Average, true_range};

const FAST: usize = 12;
const SLOW: usize = 26;
const SIGNAL: usize = 9;

/// Exponential average of closes, in the unit of the price.
#[derive(Clone, Debug)]
pub struct Ema(Average);

impl Ema {
    /// An average over so many closes.
    pub fn new(period: usize) -> Self {
        Self(Average::exponential(period))
    }

    /// Takes the next close.
    #[inline]
    pub fn next(&mut self, close: f64) -> Option<f64> {
        self.0.next(close)
    }
}

/// MACD 12/26/9 with the two averages it is made of (Appel 1979).
#[derive(Clone, Debug)]
pub struct Macd {
    fast: Ema,
    slow: Ema,
    signal: Average,
    closes: usize,
}

/// The averages and differences after one bar, in the unit of the price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MacdValue {
    /// EMA over 12 closes.
    pub ema_12: f64,
    /// EMA over 26 closes.
    pub ema_26: f64,
    /// `ema_12 - ema_26`.
    pub macd: f64,
    /// EMA over 9 values of `macd`.
    pub signal: f64,
    /// `macd - signal`.
    pub histogram: f64,
}

impl Default for Macd {
    fn default() -> Self {
        Self {
            fast: Ema::new(FAST),
            slow: Ema::new(SLOW),
            signal: Average::exponential(SIGNAL),
            closes: 0,
        }
    }
}

impl Macd {
    /// Takes the next close.
    #[inline]
    pub fn next(&mut self, close: f64) -> Option<MacdValue> {
        self.closes += 1;
        // Both averages begin at the same close, as TA-Lib's do, so that their first difference is no leftover.
        let ema_12 = if self.closes > SLOW - FAST {
            self.fast.next(close)
        } else {
            None
        };
        let ema_26 = self.slow.next(close)?;
        let ema_12 = ema_12?;
        let macd = ema_12 - ema_26;
        let signal = self.signal.next(macd)?;
        Some(MacdValue {
            ema_12,
            ema_26,
            macd,
            signal,
            histogram: macd - signal,
        })
    }
}

const ADX_PERIOD: usize = 14;

/// Average directional index over 14 bars, 0 to 100 (Wilder 1978). Bars without any movement leave it where it was.
#[derive(Clone, Debug)]
pub struct Adx {
    previous: Option<Bar>,
    /// Wilder's running sums of the movements up and down and of the true range.
    plus: f64,
    minus: f64,
    range: f64,
    index: Average,
    value: Option<f64>,
    bars: usize,
}

impl Default for Adx {
    fn default() -> Self {
        Self {
            previous: None,
            plus: 0.0,
            minus: 0.0,
            range: 0.0,
            index: Average::wilder(ADX_PERIOD),
            value: None,
            bars: 0,
        }
    }
}

impl Adx {
    /// Takes the next bar.
    pub fn next(&mut self, bar: &Bar) -> Option<f64> {
        self.bars += 1;
        let previous = self.previous.replace(*bar)?;
        let is_first_sum = self.bars <= ADX_PERIOD;
        let add = |sum: &mut f64, value: f64| {
            if !is_first_sum {
                *sum -= *sum / ADX_PERIOD as f64;
            }
            *sum += value;
        };
        let up = bar.high.get() - previous.high.get();
        let down = previous.low.get() - bar.low.get();
        add(&mut self.plus, if up > down && up > 0.0 { up } else { 0.0 });
        add(
            &mut self.minus,
            if down > up && down > 0.0 { down } else { 0.0 },
        );
        add(&mut self.range, true_range(bar, previous.close.get()));
        if is_first_sum {
            return None;
        }
        // The summed range divides both sides and cancels.
        let movement = self.plus + self.minus;
        if self.range > 0.0 && movement > 0.0 {
            let index = 100.0 * (self.plus - self.minus).abs() / movement;
            self.value = self.index.next(index.min(100.0));
        } else if self.value.is_none() {
            self.value = self.index.next(0.0);
        }
        self.value.map(|value| value.min(100.0))
    }
}
