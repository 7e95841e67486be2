use calendar::{Calendar, Session};
use chrono::{DateTime, Utc};
use domain::{BAR_SECONDS, Bar, Class, Continuity, Joint};
use serde::{Deserialize, Serialize};

use crate::{BarrierPath, BarrierSettings, volatility::WeightedDeviation};

/// Which barrier was touched first after one bar.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// Position of the bar, at whose close the label begins, in the bars given.
    pub index: usize,
    /// Start of that bar, UTC.
    pub start: DateTime<Utc>,
    /// Distance of a barrier at `profit` or `stop` 1, as a fraction of the close.
    pub target: f64,
    /// Start of the bar that touched a barrier, UTC; the touch is known at its close.
    pub first_touch: DateTime<Utc>,
    /// Position of that bar in the bars given.
    pub touch_index: usize,
    /// Simple return from the bar's close to the touch: the close of the touching bar or, on the high-low path, the
    /// price of the barrier (the open, if that lay beyond it).
    pub ret: f64,
    /// 1 upper barrier, -1 lower barrier, 0 vertical barrier.
    pub bin: i8,
}

impl Label {
    /// The class that a model is to foresee.
    pub fn class(&self) -> Class {
        match self.bin {
            1 => Class::Up,
            -1 => Class::Down,
            _ => Class::Neutral,
        }
    }
}

/// Labels of one ticker's bars (ascending), one for each bar that has a volatility and whose vertical barrier the data
/// reach.
///
/// The horizon is minutes of trading, not bars: where a thin stock does not trade for some minutes its price stands still
/// and touches nothing, and time goes on. Minutes that are missing beyond that, as [`Continuity`] tells from the stock's
/// own rhythm, are a hole, be it within a session or up to the close of one that was cut short: nobody knows what was
/// touched in it, so that bars whose vertical barrier lies beyond have no label, whatever was touched before. The move
/// across a hole is no bar's return and stays out of the volatility. At a break, where the price goes on at another
/// level, the volatility begins anew.
pub fn triple_barrier(bars: &[Bar], settings: &BarrierSettings, calendar: &Calendar) -> Vec<Label> {
    let path = Path::new(bars, settings, calendar);
    let mut deviation = WeightedDeviation::new(settings.target_span);
    let horizon_root = (settings.horizon as f64).sqrt();
    let mut labels = Vec::with_capacity(bars.len());
    let mut before: Option<f64> = None;
    for (position, step) in path.steps.iter().enumerate() {
        match step.joint {
            Joint::Continuous => (),
            Joint::Hole => before = None,
            Joint::Break => {
                before = None;
                deviation = WeightedDeviation::new(settings.target_span);
            }
        }
        let close = step.bar.close.get();
        let volatility = before
            .replace(close)
            .and_then(|before| deviation.next(close / before - 1.0));
        let Some(target) =
            volatility.map(|one_bar| (one_bar * horizon_root).max(settings.minimum_target))
        else {
            continue;
        };
        // Flat prices and no smallest target: barriers without a distance cannot be told apart.
        if target <= 0.0 {
            continue;
        }
        if let Some(ahead) = path.ahead(position, settings.horizon) {
            labels.extend(first_touch(step, ahead, target, settings));
        }
    }
    labels
}

/// The bars of regular sessions, in stretches: of a session each, or of all that is in one piece.
struct Path<'a> {
    steps: Vec<Step<'a>>,
    /// In order.
    stretches: Vec<Stretch>,
}

/// A bar of a regular session.
#[derive(Clone, Copy)]
struct Step<'a> {
    index: usize,
    bar: &'a Bar,
    /// Minutes of trading up to it.
    minutes: u64,
    /// Place of the stretch that it lies in.
    stretch: u32,
    joint: Joint,
}

/// What labels may look at.
#[derive(Clone, Copy)]
struct Stretch {
    /// One more than the position of its last step.
    end: usize,
    /// Minutes of trading up to which it is known what happened in it; without a limit where it ends with its session, as
    /// nothing can follow.
    known_until: u64,
}

impl<'a> Path<'a> {
    fn new(bars: &'a [Bar], settings: &BarrierSettings, calendar: &Calendar) -> Self {
        let mut path = Self {
            steps: Vec::with_capacity(bars.len()),
            stretches: Vec::new(),
        };
        let mut continuity = Continuity::default();
        let mut today: Option<Session> = None;
        for (index, bar) in bars.iter().enumerate() {
            let last = path.steps.last().map(|step| step.bar);
            let opens_session = !today.is_some_and(|session| session.contains(bar.start));
            let mut is_over = false;
            let missing = if opens_session {
                let Some(session) = calendar.session_at(bar.start) else {
                    continue;
                };
                // Another session shows that the one before is over, unless it was cut short: that at most a silence
                // ends it.
                is_over = today.zip(last).is_some_and(|(today, last)| {
                    !continuity.is_hole(minutes_missing(last, today.close))
                });
                today = Some(session);
                last.map_or(0, |last| {
                    calendar.trading_minutes(last.close_time(), bar.start)
                })
            } else {
                last.map_or(0, |last| minutes_missing(last, bar.start))
            };
            let joint = continuity.next(bar, missing);
            if joint != Joint::Continuous || (opens_session && settings.within_session) {
                path.end_stretch(settings.within_session && is_over);
            }
            path.steps.push(Step {
                index,
                bar,
                minutes: continuity.minutes(),
                stretch: path.stretches.len() as u32,
                joint,
            });
        }
        // Of the last session more may come, unless its last minute is there.
        let is_over = today
            .zip(path.steps.last())
            .is_some_and(|(today, last)| last.bar.close_time() >= today.close);
        path.end_stretch(settings.within_session && is_over);
        path
    }

    fn end_stretch(&mut self, ends_session: bool) {
        let last = self.steps.last().map_or(0, |step| step.minutes);
        self.stretches.push(Stretch {
            end: self.steps.len(),
            known_until: if ends_session { u64::MAX } else { last },
        });
    }

    /// The steps after this one until the vertical barrier; none where it is not known what happened up to there, or
    /// where nothing is left.
    fn ahead(&self, position: usize, horizon: usize) -> Option<&[Step<'a>]> {
        let step = self.steps.get(position)?;
        let stretch = self.stretches.get(step.stretch as usize)?;
        let vertical = step.minutes + horizon as u64;
        if vertical > stretch.known_until {
            return None;
        }
        // Every bar is a minute at the least.
        let end = stretch.end.min(position + 1 + horizon);
        let ahead = self.steps.get(position + 1..end)?;
        let is_before = |step: &Step<'_>| step.minutes <= vertical;
        // Almost always the stock trades in every minute.
        if ahead.last().is_some_and(is_before) {
            return Some(ahead);
        }
        let ahead = ahead.get(..ahead.partition_point(is_before))?;
        (!ahead.is_empty()).then_some(ahead)
    }
}

/// Minutes of one session from the end of a bar to a later moment of it.
fn minutes_missing(last: &Bar, to: DateTime<Utc>) -> u32 {
    let minutes = (to.timestamp() - last.start.timestamp()) / BAR_SECONDS - 1;
    u32::try_from(minutes).unwrap_or(0)
}

/// The first barrier touched on the steps ahead, else the vertical one at the last of them.
fn first_touch(
    from: &Step<'_>,
    ahead: &[Step<'_>],
    target: f64,
    settings: &BarrierSettings,
) -> Option<Label> {
    let close = from.bar.close.get();
    let reach = |multiple: f64| {
        if multiple > 0.0 {
            multiple * target
        } else {
            f64::INFINITY
        }
    };
    let barriers = Barriers::new(close, reach(settings.profit), -reach(settings.stop));
    let touched = ahead.iter().find_map(|step| {
        let touch = match settings.path {
            BarrierPath::Close => barriers.touched_by_close(step.bar),
            BarrierPath::HighLow => barriers.touched_by_range(step.bar),
        };
        touch.map(|(ret, bin)| (step, ret, bin))
    });
    let (step, ret, bin) = match touched {
        Some(touch) => touch,
        None => {
            let last = ahead.last()?;
            (last, barriers.ret(last.bar.close.get()), 0)
        }
    };
    Some(Label {
        index: from.index,
        start: from.bar.start,
        target,
        first_touch: step.bar.start,
        touch_index: step.index,
        ret,
        bin,
    })
}

/// The horizontal barriers as returns on the close: `lower < 0 < upper`.
struct Barriers {
    close: f64,
    upper: f64,
    lower: f64,
    /// Prices strictly between which nothing is touched, whatever the rounding of a return.
    untouched: (f64, f64),
}

/// Far more than the rounding of a return, far less than a step of a price.
const ROUNDING: f64 = 1e-12;

impl Barriers {
    fn new(close: f64, upper: f64, lower: f64) -> Self {
        let untouched = (
            close * (1.0 + lower) + close * ROUNDING,
            close * (1.0 + upper) - close * ROUNDING,
        );
        Self {
            close,
            upper,
            lower,
            untouched,
        }
    }

    /// Almost all bars touch nothing, and a comparison costs less than a division.
    fn are_far_from(&self, low: f64, high: f64) -> bool {
        self.untouched.0 < low && high < self.untouched.1
    }

    fn ret(&self, price: f64) -> f64 {
        price / self.close - 1.0
    }

    /// Beyond, not at the barrier: as the reference does.
    fn touched_by_close(&self, bar: &Bar) -> Option<(f64, i8)> {
        let price = bar.close.get();
        if self.are_far_from(price, price) {
            return None;
        }
        let ret = self.ret(price);
        if ret > self.upper {
            Some((ret, 1))
        } else if ret < self.lower {
            Some((ret, -1))
        } else {
            None
        }
    }

    /// A bar that opens beyond a barrier was there first; of two touched within one bar the lower, adverse one counts.
    fn touched_by_range(&self, bar: &Bar) -> Option<(f64, i8)> {
        if self.are_far_from(bar.low.get(), bar.high.get()) {
            return None;
        }
        let open = self.ret(bar.open.get());
        if open >= self.upper {
            Some((open, 1))
        } else if open <= self.lower {
            Some((open, -1))
        } else if self.ret(bar.low.get()) <= self.lower {
            Some((self.lower, -1))
        } else if self.ret(bar.high.get()) >= self.upper {
            Some((self.upper, 1))
        } else {
            None
        }
    }
}
