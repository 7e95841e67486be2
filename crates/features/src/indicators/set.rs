use domain::Bar;

use super::{Adx, Atr, Bollinger, Cci, Ema, Macd, Mfi, Obv, Roc, Rsi, Stochastic};

/// How many indicators an [`IndicatorSet`] computes.
pub const INDICATOR_COUNT: usize = 19;

/// Their names, in the order of [`IndicatorSet::next`].
pub const INDICATOR_NAMES: [&str; INDICATOR_COUNT] = [
    "rsi_14",
    "macd",
    "macd_signal",
    "macd_hist",
    "ema_12",
    "ema_26",
    "sma_20",
    "bb_upper",
    "bb_middle",
    "bb_lower",
    "atr_14",
    "adx_14",
    "cci_20",
    "mfi_14",
    "obv",
    "roc_5",
    "stoch_k",
    "stoch_d",
    "willr_14",
];

/// All textbook indicators of one ticker, for research and for comparison with other libraries.
#[derive(Clone, Debug)]
pub struct IndicatorSet {
    rsi: Rsi,
    macd: Macd,
    ema_12: Ema,
    ema_26: Ema,
    bollinger: Bollinger,
    atr: Atr,
    adx: Adx,
    cci: Cci,
    mfi: Mfi,
    obv: Obv,
    roc: Roc,
    stochastic: Stochastic,
}

impl Default for IndicatorSet {
    fn default() -> Self {
        Self {
            rsi: Rsi::default(),
            macd: Macd::default(),
            ema_12: Ema::new(12),
            ema_26: Ema::new(26),
            bollinger: Bollinger::default(),
            atr: Atr::default(),
            adx: Adx::default(),
            cci: Cci::default(),
            mfi: Mfi::default(),
            obv: Obv::default(),
            roc: Roc::default(),
            stochastic: Stochastic::default(),
        }
    }
}

impl IndicatorSet {
    /// Takes the next bar; values in the order of [`INDICATOR_NAMES`], `None` while warming up.
    pub fn next(&mut self, bar: &Bar) -> [Option<f64>; INDICATOR_COUNT] {
        let close = bar.close.get();
        let macd = self.macd.next(close);
        let bands = self.bollinger.next(close);
        let stochastic = self.stochastic.next(bar);
        [
            self.rsi.next(close),
            macd.map(|macd| macd.macd),
            macd.map(|macd| macd.signal),
            macd.map(|macd| macd.histogram),
            self.ema_12.next(close),
            self.ema_26.next(close),
            bands.map(|bands| bands.middle),
            bands.map(|bands| bands.upper),
            bands.map(|bands| bands.middle),
            bands.map(|bands| bands.lower),
            self.atr.next(bar),
            self.adx.next(bar),
            self.cci.next(bar),
            self.mfi.next(bar),
            Some(self.obv.next(bar)),
            self.roc.next(close),
            stochastic.k,
            stochastic.d,
            stochastic.williams,
        ]
    }
}
