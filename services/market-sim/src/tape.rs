//! What is known of a stock at a moment: nothing after it.

use std::{ops::Range, sync::Arc};

use calendar::Session;
use chrono::{DateTime, TimeDelta, Utc};
use domain::{BAR_SECONDS, Bar};

use crate::market::{DailyBar, Stock};

/// For so long after its start Yahoo often has no figures yet for the forming minute.
const UNSETTLED_SECONDS: i64 = 3;

/// The last trade of a session is stamped a moment after the close.
const CLOSING_DELAY: TimeDelta = TimeDelta::seconds(1);

/// From four in the morning to eight in the evening (five after a half day): the open less 5.5 h to the close plus 4 h.
pub(crate) fn extended_hours(session: &Session) -> Range<DateTime<Utc>> {
    session.open - TimeDelta::minutes(330)..session.close + TimeDelta::hours(4)
}

/// One line of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) time: DateTime<Utc>,
    /// Null in the forming minute's first seconds.
    pub(crate) values: Option<DailyBar>,
}

impl Row {
    fn of_bar(bar: &Bar) -> Self {
        Self {
            time: bar.start,
            values: DailyBar::of(&[*bar]),
        }
    }

    /// One price and no volume.
    fn of_price(time: DateTime<Utc>, price: f64) -> Self {
        Self {
            time,
            values: Some(DailyBar {
                open: price,
                high: price,
                low: price,
                close: price,
                volume: 0.0,
            }),
        }
    }
}

/// What is known of one session at a moment.
pub(crate) struct Tape {
    pub(crate) session: Session,
    hours: Range<DateTime<Utc>>,
    now: DateTime<Utc>,
    extended: bool,
    bars: Arc<[Bar]>,
    /// Which of `bars` are over.
    closed: Range<usize>,
    forming: Option<Forming>,
}

/// A minute that has traded but is not over.
#[derive(Clone, Copy)]
struct Forming {
    start: DateTime<Utc>,
    /// Whole seconds since, 1 to 59.
    elapsed: i64,
    so_far: DailyBar,
}

impl Tape {
    pub(crate) fn at(
        stock: Stock<'_>,
        index: usize,
        now: DateTime<Utc>,
        extended: bool,
    ) -> Option<Self> {
        let session = *stock.sessions().get(index)?;
        let hours = if extended {
            extended_hours(&session)
        } else {
            session.open..session.close
        };
        let bars = stock.bars(index);
        let first = bars.partition_point(|bar| bar.start < hours.start);
        let end = bars.partition_point(|bar| bar.start < hours.end);
        let over = bars
            .partition_point(|bar| bar.close_time() <= now)
            .clamp(first, end);
        let forming = bars
            .get(over..end)
            .and_then(<[Bar]>::first)
            .and_then(|bar| Forming::of(bar, now));
        Some(Self {
            session,
            hours,
            now,
            extended,
            bars,
            closed: first..over,
            forming,
        })
    }

    /// The minutes that are over.
    pub(crate) fn closed(&self) -> &[Bar] {
        self.bars.get(self.closed.clone()).unwrap_or_default()
    }

    fn is_over(&self) -> bool {
        self.now >= self.hours.end
    }

    /// Time and price of the last trade.
    pub(crate) fn last_trade(&self) -> Option<(DateTime<Utc>, f64)> {
        if let Some(forming) = &self.forming {
            return Some((
                forming.start + TimeDelta::seconds(forming.elapsed),
                forming.so_far.close,
            ));
        }
        let bar = self.closed().last()?;
        let time = if self.is_over() {
            (self.hours.end + CLOSING_DELAY).min(self.now)
        } else {
            bar.close_time() - TimeDelta::seconds(1)
        };
        Some((time, bar.close.get()))
    }

    /// All of it as one bar.
    fn so_far(&self) -> Option<DailyBar> {
        let closed = DailyBar::of(self.closed());
        let Some(forming) = self.forming.map(|forming| forming.so_far) else {
            return closed;
        };
        Some(closed.map_or(forming, |closed| DailyBar {
            open: closed.open,
            high: closed.high.max(forming.high),
            low: closed.low.min(forming.low),
            close: forming.close,
            volume: closed.volume + forming.volume,
        }))
    }
}

impl Forming {
    /// The part of a bar that has happened: the price runs from the open over one extreme to the other and to the
    /// close, the nearer extreme first; volume grows evenly.
    fn of(bar: &Bar, now: DateTime<Utc>) -> Option<Self> {
        let elapsed = (now - bar.start).num_seconds();
        if !(1..BAR_SECONDS).contains(&elapsed) {
            return None;
        }
        let [open, high, low, close] =
            [bar.open, bar.high, bar.low, bar.close].map(domain::Price::get);
        let stations = if close >= open {
            [open, low, high, close]
        } else {
            [open, high, low, close]
        };
        // A third of the minute between two stations each.
        let progress = elapsed as f64 / BAR_SECONDS as f64 * 3.0;
        let mut so_far = DailyBar {
            open,
            high: open,
            low: open,
            close: open,
            volume: 0.0,
        };
        for (leg, ends) in stations.windows(2).enumerate() {
            let [from, to] = ends else { continue };
            let part = (progress - leg as f64).clamp(0.0, 1.0);
            so_far.close = ((from + (to - from) * part) * 100.0).round() / 100.0;
            so_far.close = so_far.close.clamp(low, high);
            so_far.high = so_far.high.max(so_far.close);
            so_far.low = so_far.low.min(so_far.close);
            if part < 1.0 {
                break;
            }
        }
        so_far.volume = (bar.volume * elapsed as f64 / BAR_SECONDS as f64).floor();
        Some(Self {
            start: bar.start,
            elapsed,
            so_far,
        })
    }
}

/// The rows of one session's minutes.
pub(crate) fn minute_rows(tape: &Tape, is_latest: bool) -> Vec<Row> {
    let forming = tape.forming.map(|forming| Row {
        time: forming.start,
        values: (forming.elapsed >= UNSETTLED_SECONDS).then_some(forming.so_far),
    });
    let last = match tape.last_trade() {
        Some((time, price)) if !tape.is_over() => Some(Row::of_price(time, price)),
        Some((_, price)) if is_latest && !tape.extended => {
            Some(Row::of_price(tape.session.close, price))
        }
        _ => None,
    };
    tape.closed()
        .iter()
        .map(Row::of_bar)
        .chain(forming)
        .chain(last)
        .collect()
}

/// A session as one row, stamped at its open; while it lasts, what has happened of it.
pub(crate) fn day_row(stock: Stock<'_>, session: usize, now: DateTime<Utc>) -> Option<Row> {
    let time = stock.sessions().get(session)?.open;
    let values = day_so_far(stock, session, now)?;
    Some(Row {
        time,
        values: Some(values),
    })
}

fn day_so_far(stock: Stock<'_>, session: usize, now: DateTime<Utc>) -> Option<DailyBar> {
    if stock.sessions().get(session)?.close <= now {
        stock.daily(session)
    } else {
        Tape::at(stock, session, now, false)?.so_far()
    }
}

/// The last session that has traded.
pub(crate) struct Latest {
    pub(crate) session: usize,
    pub(crate) time: DateTime<Utc>,
    pub(crate) price: f64,
    pub(crate) day: DailyBar,
}

impl Latest {
    pub(crate) fn at(stock: Stock<'_>, now: DateTime<Utc>) -> Option<Self> {
        let opened = stock
            .sessions()
            .partition_point(|session| session.open <= now);
        // In the first second of a session nothing has traded yet.
        (0..opened).rev().find_map(|session| {
            let tape = Tape::at(stock, session, now, false)?;
            let (time, price) = tape.last_trade()?;
            Some(Self {
                session,
                time,
                price,
                day: tape.so_far()?,
            })
        })
    }
}
