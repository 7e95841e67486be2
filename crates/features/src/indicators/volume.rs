use domain::Bar;
use ta::{Next, indicators::OnBalanceVolume};

use super::{FLAT, TaBar, typical_price};
use crate::ring::Ring;

/// On-balance volume in shares: volume added when the close rises, taken away when it falls (Granville 1963). The
/// first bar counts as a rise.
#[derive(Clone, Debug, Default)]
pub struct Obv {
    total: OnBalanceVolume,
}

impl Obv {
    /// Takes the next bar.
    pub fn next(&mut self, bar: &Bar) -> f64 {
        self.total.next(&TaBar(bar))
    }
}

const MFI_PERIOD: usize = 14;

/// Money flow index over 14 bars, 0 to 100 (Quong and Soudack 1989). 50 where no money flowed.
#[derive(Clone, Debug)]
pub struct Mfi {
    previous: Option<f64>,
    inflow: Ring<MFI_PERIOD>,
    outflow: Ring<MFI_PERIOD>,
}

impl Default for Mfi {
    fn default() -> Self {
        Self {
            previous: None,
            inflow: Ring::new(),
            outflow: Ring::new(),
        }
    }
}

impl Mfi {
    /// Takes the next bar.
    pub fn next(&mut self, bar: &Bar) -> Option<f64> {
        let typical = typical_price(bar);
        let previous = self.previous.replace(typical)?;
        let flow = typical * bar.volume;
        // Typical prices that are equal on paper differ in the last digit; a whole bar's flow must not hang on that.
        let change = typical - previous;
        let tie = change.abs() <= FLAT * typical;
        self.inflow
            .push(if change > 0.0 && !tie { flow } else { 0.0 });
        self.outflow
            .push(if change < 0.0 && !tie { flow } else { 0.0 });
        if !self.inflow.is_full() {
            return None;
        }
        let inflow = self.inflow.sum(|flow| flow);
        let total = inflow + self.outflow.sum(|flow| flow);
        Some(if total > 0.0 {
            (100.0 * inflow / total).min(100.0)
        } else {
            50.0
        })
    }
}
