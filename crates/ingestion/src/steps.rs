use chrono::{DateTime, Utc};
use domain::{Bar, Price};
use market_data::Split;

/// Largest believable step from one close to the next bar's prices, as a fraction.
const LARGEST_STEP: f64 = 0.5;

/// So many bars in a row at the new level are no bad tick: the price really is there.
const CONFIRMING_BARS: u32 = 5;

/// Watches one ticker's prices for steps that no split explains.
#[derive(Clone, Debug, Default)]
pub(crate) struct StepGuard {
    accepted: Option<Level>,
    /// The refused level and how many bars in a row were there.
    doubted: Option<(Level, u32)>,
}

/// A price and when it was known.
#[derive(Clone, Copy, Debug)]
struct Level {
    bar_start: DateTime<Utc>,
    close: Price,
}

/// A step that nothing explains. Its text names no price, so that the same bar is the same fault each time it is fetched.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("steps by more than half without a split")]
pub(crate) struct Step {
    /// The accepted close that it was measured from.
    pub(crate) from: Price,
}

impl StepGuard {
    /// Begins at the last stored bar.
    pub(crate) fn at(bar: &Bar) -> Self {
        Self {
            accepted: Some(Level::of(bar)),
            doubted: None,
        }
    }

    /// Judges the next bar; bars come in ascending order. `splits` are those that took effect in the fetched period.
    pub(crate) fn check(&mut self, bar: &Bar, splits: &[Split]) -> Result<(), Step> {
        let Some(accepted) = self.accepted else {
            self.accepted = Some(Level::of(bar));
            return Ok(());
        };
        // The vendor sends all bars on the basis of the fetch, the last stored one may be older than the split.
        let ratio: f64 = splits
            .iter()
            .filter(|split| split.effective > accepted.bar_start)
            .map(|split| split.ratio)
            .product();
        if is_near(accepted.close, bar, 1.0) || is_near(accepted.close, bar, ratio) {
            self.accept(bar);
            return Ok(());
        }
        let step = Step {
            from: accepted.close,
        };
        // A bar that is fetched again says nothing new.
        if bar.start > accepted.bar_start {
            let bars = match self.doubted {
                Some((level, _)) if bar.start <= level.bar_start => return Err(step),
                Some((level, bars)) if is_near(level.close, bar, 1.0) => bars + 1,
                _ => 1,
            };
            if bars > CONFIRMING_BARS {
                self.accept(bar);
                return Ok(());
            }
            self.doubted = Some((Level::of(bar), bars));
        }
        Err(step)
    }

    fn accept(&mut self, bar: &Bar) {
        if self
            .accepted
            .is_none_or(|level| bar.start >= level.bar_start)
        {
            self.accepted = Some(Level::of(bar));
            self.doubted = None;
        }
    }
}

impl Level {
    const fn of(bar: &Bar) -> Self {
        Self {
            bar_start: bar.start,
            close: bar.close,
        }
    }
}

/// Whether all prices of the bar lie within a believable step of the close before, after a split of `ratio`.
fn is_near(close: Price, bar: &Bar, ratio: f64) -> bool {
    let close = close.get() / ratio;
    [bar.low, bar.high]
        .iter()
        .all(|price| (price.get() / close - 1.0).abs() <= LARGEST_STEP)
}

#[cfg(test)]
mod tests {
    use chrono::{TimeDelta, TimeZone};

    use super::*;

    fn bar(minute: i64, close: f64) -> Bar {
        let start =
            Utc.with_ymd_and_hms(2018, 3, 26, 13, 30, 0).unwrap() + TimeDelta::minutes(minute);
        Bar::new(start, close, close, close, close, 100.0).unwrap()
    }

    #[test]
    fn one_bad_tick_is_refused_and_the_price_goes_on() {
        let mut guard = StepGuard::at(&bar(0, 100.0));
        guard.check(&bar(1, 149.0), &[]).unwrap();
        guard.check(&bar(2, 100.0), &[]).unwrap();
        let step = guard.check(&bar(3, 1_000.0), &[]).unwrap_err();
        assert_eq!(
            step,
            Step {
                from: Price::new(100.0).unwrap()
            }
        );
        guard.check(&bar(4, 101.0), &[]).unwrap();
        let spike = Bar::new(bar(5, 1.0).start, 101.0, 101.0, 9.9, 101.0, 5.0).unwrap();
        guard.check(&spike, &[]).unwrap_err();
        assert!(guard.check(&bar(6, 102.0), &[]).is_ok());
    }

    #[test]
    fn a_split_explains_the_step_whichever_side_of_it_the_last_bar_was_fetched_on() {
        let split = Split {
            effective: bar(1, 1.0).start,
            ratio: 4.0,
        };
        StepGuard::at(&bar(0, 400.0))
            .check(&bar(1, 101.0), &[split])
            .unwrap();
        StepGuard::at(&bar(0, 100.0))
            .check(&bar(1, 101.0), &[split])
            .unwrap();
        StepGuard::at(&bar(0, 400.0))
            .check(&bar(1, 101.0), &[])
            .unwrap_err();
        let reverse = Split {
            effective: bar(1, 1.0).start,
            ratio: 0.125,
        };
        StepGuard::at(&bar(0, 10.0))
            .check(&bar(1, 81.0), &[reverse])
            .unwrap();
        // The split lies before the last stored bar and explains nothing any more.
        StepGuard::at(&bar(2, 400.0))
            .check(&bar(3, 101.0), &[split])
            .unwrap_err();
    }

    #[test]
    fn a_level_that_stays_is_believed_after_five_bars_and_refetching_confirms_nothing() {
        let mut guard = StepGuard::at(&bar(0, 100.0));
        for _ in 0..20 {
            guard.check(&bar(1, 30.0), &[]).unwrap_err();
        }
        for minute in 2..=5 {
            guard.check(&bar(minute, 30.0), &[]).unwrap_err();
        }
        guard.check(&bar(6, 30.0), &[]).unwrap();
        guard.check(&bar(7, 31.0), &[]).unwrap();
    }

    #[test]
    fn bad_ticks_that_disagree_confirm_nothing() {
        let mut guard = StepGuard::at(&bar(0, 100.0));
        for minute in 1..20 {
            let close = if minute % 2 == 0 { 1_000.0 } else { 10.0 };
            guard.check(&bar(minute, close), &[]).unwrap_err();
        }
    }
}
