use calendar::{Calendar, Session};
use chrono::{DateTime, Utc};
use domain::{Bar, Class};
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
pub fn triple_barrier(bars: &[Bar], settings: &BarrierSettings, calendar: &Calendar) -> Vec<Label> {
    let path = Path::new(bars, settings, calendar);
    let mut deviation = WeightedDeviation::new(settings.target_span);
    let horizon_root = (settings.horizon as f64).sqrt();
    let mut labels = Vec::with_capacity(bars.len());
    let mut before: Option<f64> = None;
    for (position, step) in path.steps.iter().enumerate() {
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

/// The bars that count, in order.
struct Path<'a> {
    steps: Vec<Step<'a>>,
    /// Whether the last step ends its session, so that nothing can follow in it.
    ended: bool,
}

#[derive(Clone, Copy)]
struct Step<'a> {
    index: usize,
    bar: &'a Bar,
    /// One more than the position of the last step in the same stretch: the session, or everything.
    stretch_end: usize,
}

impl<'a> Path<'a> {
    fn new(bars: &'a [Bar], settings: &BarrierSettings, calendar: &Calendar) -> Self {
        let all = bars.iter().enumerate();
        if !settings.within_session {
            let stretch_end = bars.len();
            let steps = all
                .map(|(index, bar)| Step {
                    index,
                    bar,
                    stretch_end,
                })
                .collect();
            return Self {
                steps,
                ended: false,
            };
        }
        let mut steps: Vec<Step<'a>> = Vec::with_capacity(bars.len());
        let mut stretch_start = 0;
        let mut today: Option<Session> = None;
        for (index, bar) in all {
            if !today.is_some_and(|session| session.contains(bar.start)) {
                let Some(session) = calendar.session_at(bar.start) else {
                    continue;
                };
                end_stretch(&mut steps, stretch_start);
                stretch_start = steps.len();
                today = Some(session);
            }
            steps.push(Step {
                index,
                bar,
                stretch_end: 0,
            });
        }
        end_stretch(&mut steps, stretch_start);
        let last = steps.last().map(|step| step.bar.close_time());
        let ended = today
            .zip(last)
            .is_some_and(|(session, last)| last >= session.close);
        Self { steps, ended }
    }

    /// The steps after this one until the vertical barrier; none where the data end before it, or where nothing is left
    /// of the session.
    fn ahead(&self, position: usize, horizon: usize) -> Option<&[Step<'a>]> {
        let stretch_end = self.steps.get(position)?.stretch_end;
        let horizon_end = position + 1 + horizon;
        let covered = horizon_end <= stretch_end || stretch_end < self.steps.len() || self.ended;
        let ahead = self.steps.get(position + 1..horizon_end.min(stretch_end))?;
        (covered && !ahead.is_empty()).then_some(ahead)
    }
}

fn end_stretch(steps: &mut [Step<'_>], start: usize) {
    let end = steps.len();
    for step in steps.iter_mut().skip(start) {
        step.stretch_end = end;
    }
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
    let barriers = Barriers {
        close,
        upper: reach(settings.profit),
        lower: -reach(settings.stop),
    };
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
}

impl Barriers {
    fn ret(&self, price: f64) -> f64 {
        price / self.close - 1.0
    }

    /// Beyond, not at the barrier: as the reference does.
    fn touched_by_close(&self, bar: &Bar) -> Option<(f64, i8)> {
        let ret = self.ret(bar.close.get());
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
