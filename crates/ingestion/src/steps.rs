use std::collections::BTreeMap;

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

/// An answer's bars, sorted.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Ascending.
    pub(crate) accepted: Vec<Bar>,
    /// Ascending.
    pub(crate) refused: Vec<(Bar, Step)>,
}

impl StepGuard {
    /// Begins at the last stored bar.
    pub(crate) fn at(bar: &Bar) -> Self {
        Self {
            accepted: Some(Level::of(bar)),
            doubted: None,
        }
    }

    /// Judges an answer's bars, ascending. `splits` are those that took effect in the fetched period.
    ///
    /// Those older than the last accepted bar are gone through backwards from it: a price that has doubled within the
    /// week is no reason to refuse last week's.
    pub(crate) fn judge(&mut self, bars: Vec<Bar>, splits: &[Split]) -> Judged {
        let past = match self.accepted {
            Some(level) => bars.partition_point(|bar| bar.start < level.bar_start),
            None => 0,
        };
        let mut steps = self.past_steps(bars.get(..past).unwrap_or_default(), splits);
        let mut judged = Judged::default();
        for (place, bar) in bars.into_iter().enumerate() {
            let step = if place < past {
                steps.remove(&place)
            } else {
                self.check(&bar, splits).err()
            };
            match step {
                None => judged.accepted.push(bar),
                Some(step) => judged.refused.push((bar, step)),
            }
        }
        judged
    }

    /// Steps among bars (ascending) before the last accepted one, by place. The vendor sends them all at once, so that
    /// a level that stays is believed from its first bar on.
    fn past_steps(&self, bars: &[Bar], splits: &[Split]) -> BTreeMap<usize, Step> {
        let mut steps = BTreeMap::new();
        let Some(mut level) = self.accepted else {
            return steps;
        };
        // All bars are on the basis of the fetch, the accepted one may be older than a split.
        let ratio = ratio_since(level.bar_start, splits);
        let mut doubted: Vec<(usize, Level)> = Vec::new();
        for (place, bar) in bars.iter().enumerate().rev() {
            let here = Level::of(bar);
            if is_near(level.close, bar, 1.0) || is_near(level.close, bar, ratio) {
                level = here;
                doubted.clear();
                continue;
            }
            let stays = doubted
                .last()
                .is_none_or(|(_, later)| is_near(later.close, bar, 1.0));
            if !stays {
                doubted.clear();
            }
            doubted.push((place, here));
            steps.insert(place, Step { from: level.close });
            if doubted.len() > CONFIRMING_BARS as usize {
                for (place, _) in doubted.drain(..) {
                    steps.remove(&place);
                }
                level = here;
            }
        }
        steps
    }

    /// Judges the next bar; bars come in ascending order.
    fn check(&mut self, bar: &Bar, splits: &[Split]) -> Result<(), Step> {
        let Some(accepted) = self.accepted else {
            self.accepted = Some(Level::of(bar));
            return Ok(());
        };
        // The vendor sends all bars on the basis of the fetch, the last stored one may be older than the split.
        let ratio = ratio_since(accepted.bar_start, splits);
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

/// New shares for one old share by all splits after a moment (UTC).
fn ratio_since(time: DateTime<Utc>, splits: &[Split]) -> f64 {
    let later = splits.iter().filter(|split| split.effective > time);
    later.map(|split| split.ratio).product()
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

    #[test]
    fn the_past_is_believed_when_it_joins_the_present_and_single_ticks_are_not() {
        // Half its price was lost overnight, between the minutes 19 and 20, and is accepted as such by now.
        let mut guard = StepGuard::at(&bar(30, 40.0));
        let price = |minute| match minute {
            5 | 25 => 1_000.0,
            0..20 => 100.0,
            _ => 41.0,
        };
        let bars = (0..=31).map(|minute| bar(minute, price(minute))).collect();
        let judged = guard.judge(bars, &[]);
        let refused: Vec<_> = judged
            .refused
            .iter()
            .map(|(refused, _)| refused.start)
            .collect();
        assert_eq!(refused, [bar(5, 1.0).start, bar(25, 1.0).start]);
        assert_eq!(judged.accepted.len(), 30);
        assert!(judged.accepted.is_sorted_by_key(|bar| bar.start));
        // A split since the last accepted bar changes the basis of all that is sent.
        let mut guard = StepGuard::at(&bar(30, 400.0));
        let split = Split {
            effective: bar(31, 1.0).start,
            ratio: 4.0,
        };
        let bars = (25..35).map(|minute| bar(minute, 100.0)).collect();
        assert!(guard.judge(bars, &[split]).refused.is_empty());
    }
}
