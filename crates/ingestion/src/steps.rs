use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use domain::{Bar, Price};

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
pub struct Step {
    /// The accepted close that it was measured from.
    pub from: Price,
}

/// One ticker's bars, admitted or refused by their steps.
#[derive(Debug, Default)]
pub struct Admitted {
    /// Bars that may be used, ascending.
    pub accepted: Vec<Bar>,
    /// Bars that belong into quarantine, ascending.
    pub refused: Vec<(Bar, Step)>,
    /// Where the accepted prices go on at another level, ascending.
    pub breaks: Vec<PriceBreak>,
}

/// A step of more than half at whose far side the price stays, and which no split explains: an action that nobody told
/// of, or another company that took the ticker over. Features and labels begin anew there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PriceBreak {
    /// Start of the first bar at the new level, UTC.
    pub at: DateTime<Utc>,
    /// Close before it.
    pub from: Price,
    /// Its close.
    pub to: Price,
}

/// Why a bar is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Accepted {
    /// Its prices are near the close before.
    Near,
    /// They are not, but so many bars in a row agree that the price is there.
    Confirmed,
}

/// Admits the history of one ticker as a whole: `bars` ascending and unique, of regular sessions, all on one share
/// basis, that of the bar `before` them included, where one is known. A file passes here, a vendor's answer through the
/// same check with what is stored before it.
pub fn admit(before: Option<&Bar>, bars: Vec<Bar>) -> Admitted {
    let mut admitted = before.map(StepGuard::at).unwrap_or_default().judge(bars);
    let joined = before.zip(admitted.accepted.first());
    if let Some(found) = joined.and_then(|(before, bar)| break_between(before, bar)) {
        admitted.breaks.insert(0, found);
    }
    admitted
}

impl StepGuard {
    /// Begins at the last stored bar.
    pub(crate) fn at(bar: &Bar) -> Self {
        Self {
            accepted: Some(Level::of(bar)),
            doubted: None,
        }
    }

    /// Start of the last accepted bar, UTC.
    pub(crate) fn level_start(&self) -> Option<DateTime<Utc>> {
        self.accepted.map(|level| level.bar_start)
    }

    /// Goes on from the last stored bar, as it is on the share basis of now.
    pub(crate) const fn restart_at(&mut self, bar: &Bar) {
        self.accepted = Some(Level::of(bar));
    }

    /// Judges an answer's bars, ascending, on the share basis of the last accepted one.
    ///
    /// Those older than the last accepted bar are gone through backwards from it: a price that has doubled within the
    /// week is no reason to refuse last week's. A level that is confirmed within the answer is believed from its first
    /// bar on. Where nothing was accepted before, the usual price of the first bars is where the judgement begins: the
    /// very first may be the bad tick.
    pub(crate) fn judge(&mut self, bars: Vec<Bar>) -> Admitted {
        self.accepted = self.accepted.or_else(|| first_level(&bars));
        let past = match self.accepted {
            Some(level) => bars.partition_point(|bar| bar.start < level.bar_start),
            None => 0,
        };
        let mut steps = self.past_steps(bars.get(..past).unwrap_or_default());
        // Bars of this answer at a level that is not confirmed yet.
        let mut doubted: Vec<(usize, Price)> = Vec::new();
        for (place, bar) in bars.iter().enumerate().skip(past) {
            match self.check(bar) {
                Ok(Accepted::Near) => doubted.clear(),
                Ok(Accepted::Confirmed) => {
                    let here = doubted.drain(..).filter(|(_, close)| bar.follows(*close));
                    for (place, _) in here {
                        steps.remove(&place);
                    }
                }
                Err(step) => {
                    doubted.push((place, bar.close));
                    steps.insert(place, step);
                }
            }
        }
        let mut admitted = Admitted::default();
        for (place, bar) in bars.into_iter().enumerate() {
            match steps.remove(&place) {
                None => {
                    admitted.breaks.extend(
                        admitted
                            .accepted
                            .last()
                            .and_then(|before| break_between(before, &bar)),
                    );
                    admitted.accepted.push(bar);
                }
                Some(step) => admitted.refused.push((bar, step)),
            }
        }
        admitted
    }

    /// Steps among bars (ascending) before the last accepted one, by place. The vendor sends them all at once, so that
    /// a level that stays is believed from its first bar on.
    fn past_steps(&self, bars: &[Bar]) -> BTreeMap<usize, Step> {
        let mut steps = BTreeMap::new();
        let Some(mut level) = self.accepted else {
            return steps;
        };
        let mut doubted: Vec<(usize, Level)> = Vec::new();
        for (place, bar) in bars.iter().enumerate().rev() {
            let here = Level::of(bar);
            if bar.follows(level.close) {
                level = here;
                doubted.clear();
                continue;
            }
            let stays = doubted
                .last()
                .is_none_or(|(_, later)| bar.follows(later.close));
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
    fn check(&mut self, bar: &Bar) -> Result<Accepted, Step> {
        let Some(accepted) = self.accepted else {
            self.accepted = Some(Level::of(bar));
            return Ok(Accepted::Near);
        };
        if bar.follows(accepted.close) {
            self.accept(bar);
            return Ok(Accepted::Near);
        }
        let step = Step {
            from: accepted.close,
        };
        // A bar that is fetched again says nothing new.
        if bar.start > accepted.bar_start {
            let bars = match self.doubted {
                Some((level, _)) if bar.start <= level.bar_start => return Err(step),
                Some((level, bars)) if bar.follows(level.close) => bars + 1,
                _ => 1,
            };
            if bars > CONFIRMING_BARS {
                self.accept(bar);
                return Ok(Accepted::Confirmed);
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

/// The bar with the middle close of the first ones: what a history begins at when as many of them as confirm a level
/// are bad ticks. Of fewer than three bars nobody knows which is wrong.
fn first_level(bars: &[Bar]) -> Option<Level> {
    let mut first: Vec<&Bar> = bars.iter().take(2 * CONFIRMING_BARS as usize + 1).collect();
    if first.len() > 2 {
        first.sort_by(|one, other| one.close.get().total_cmp(&other.close.get()));
    }
    first
        .get((first.len().max(1) - 1) / 2)
        .copied()
        .map(Level::of)
}

/// The step between two accepted bars, if it is one.
fn break_between(before: &Bar, bar: &Bar) -> Option<PriceBreak> {
    (!bar.follows(before.close)).then_some(PriceBreak {
        at: bar.start,
        from: before.close,
        to: bar.close,
    })
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
        guard.check(&bar(1, 149.0)).unwrap();
        guard.check(&bar(2, 100.0)).unwrap();
        let step = guard.check(&bar(3, 1_000.0)).unwrap_err();
        assert_eq!(
            step,
            Step {
                from: Price::new(100.0).unwrap()
            }
        );
        guard.check(&bar(4, 101.0)).unwrap();
        let spike = Bar::new(bar(5, 1.0).start, 101.0, 101.0, 9.9, 101.0, 5.0).unwrap();
        guard.check(&spike).unwrap_err();
        assert!(guard.check(&bar(6, 102.0)).is_ok());
    }

    #[test]
    fn a_level_that_stays_is_believed_after_five_bars_and_refetching_confirms_nothing() {
        let mut guard = StepGuard::at(&bar(0, 100.0));
        for _ in 0..20 {
            guard.check(&bar(1, 30.0)).unwrap_err();
        }
        for minute in 2..=5 {
            guard.check(&bar(minute, 30.0)).unwrap_err();
        }
        guard.check(&bar(6, 30.0)).unwrap();
        guard.check(&bar(7, 31.0)).unwrap();
    }

    #[test]
    fn bad_ticks_that_disagree_confirm_nothing() {
        let mut guard = StepGuard::at(&bar(0, 100.0));
        for minute in 1..20 {
            let close = if minute % 2 == 0 { 1_000.0 } else { 10.0 };
            guard.check(&bar(minute, close)).unwrap_err();
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
        let judged = guard.judge(bars);
        let refused: Vec<_> = judged
            .refused
            .iter()
            .map(|(refused, _)| refused.start)
            .collect();
        assert_eq!(refused, [bar(5, 1.0).start, bar(25, 1.0).start]);
        assert_eq!(judged.accepted.len(), 30);
        assert!(judged.accepted.is_sorted_by_key(|bar| bar.start));
    }

    /// The minutes of the refused bars of a history.
    fn refused(closes: &[f64]) -> Vec<i64> {
        let bars = (0..).zip(closes).map(|(minute, close)| bar(minute, *close));
        let refused = admit(None, bars.collect()).refused;
        let minutes = refused
            .iter()
            .map(|(refused, _)| refused.start - bar(0, 1.0).start);
        minutes.map(|distance| distance.num_minutes()).collect()
    }

    #[test]
    fn a_history_is_judged_by_its_usual_price_not_by_its_first_bar() {
        let usual = [100.0; 12];
        let begins = |ticks: &[f64]| refused(&[ticks, &usual].concat());
        assert_eq!(begins(&[]), [0_i64; 0]);
        assert_eq!(begins(&[9_900.0]), [0]);
        assert_eq!(begins(&[9_900.0, 100.0, 1.0]), [0, 2]);
        assert_eq!(begins(&[1.0, 1.0, 1.0, 1.0, 1.0]), [0, 1, 2, 3, 4]);
        assert_eq!(refused(&[100.0, 9_900.0, 100.0]), [1]);
        assert_eq!(
            refused(&[9_900.0, 100.0]),
            [1],
            "nobody knows which is wrong"
        );
        assert!(admit(None, Vec::new()).accepted.is_empty());
    }

    #[test]
    fn another_company_under_the_ticker_is_a_break_and_no_bar_is_lost() {
        let bars = || (0..40).map(|minute| bar(minute, if minute < 20 { 12.0 } else { 184.0 }));
        let admitted = admit(None, bars().collect());
        assert_eq!((admitted.accepted.len(), admitted.refused.len()), (40, 0));
        let found = PriceBreak {
            at: bar(20, 1.0).start,
            from: Price::new(12.0).unwrap(),
            to: Price::new(184.0).unwrap(),
        };
        assert_eq!(admitted.breaks, [found]);
        // In two files, of which the second begins at the other level, or with a bad tick.
        let (last, whole): (Bar, Vec<Bar>) = (bar(19, 12.0), bars().skip(20).collect());
        let admitted = admit(Some(&last), whole);
        assert_eq!(
            (admitted.accepted.len(), &*admitted.breaks),
            (20, &[found][..])
        );
        let next = [20, 21, 22].map(|minute| bar(minute, if minute == 20 { 184.0 } else { 12.0 }));
        let admitted = admit(Some(&last), next.to_vec());
        assert_eq!((admitted.accepted.len(), admitted.breaks.len()), (2, 0));
        // The vendor's minutes one by one, each with the few before it once more: the sixth confirms all of them.
        let mut guard = StepGuard::at(&bar(19, 12.0));
        let bars: Vec<Bar> = bars().collect();
        for last in 20..=24 {
            let judged = guard.judge(bars[15..=last].to_vec());
            assert_eq!(judged.refused.len(), last - 19);
        }
        let judged = guard.judge(bars[15..=25].to_vec());
        assert!(judged.refused.is_empty());
        assert_eq!(judged.breaks, [found]);
    }

    #[test]
    fn a_bad_tick_before_a_new_level_is_not_confirmed_with_it() {
        let mut guard = StepGuard::at(&bar(0, 100.0));
        let price = |minute| if minute == 1 { 1_000.0 } else { 30.0 };
        let bars: Vec<Bar> = (1..=7).map(|minute| bar(minute, price(minute))).collect();
        let judged = guard.judge(bars);
        assert_eq!(judged.refused.len(), 1);
        assert_eq!(judged.refused[0].0.start, bar(1, 1.0).start);
    }
}
