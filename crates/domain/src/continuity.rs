use crate::{Bar, Price};

/// Bars over which the usual distance of two is taken.
const USUAL_BARS: usize = 60;

/// A silence of so many times the usual distance is a hole. Of minutes that trade independently of each other one in
/// twenty thousand is followed by as long a one; no session of the recorded stocks holds one, thin ones included.
const HOLE: u64 = 10;

/// How a bar joins the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joint {
    /// Nothing is missing but minutes in which the stock does not trade: the price stood still.
    Continuous,
    /// So many minutes of trading are missing that nobody knows what happened in them.
    Hole,
    /// The price goes on at another level ([`Bar::follows`]): these bars are another history.
    Break,
}

/// Tells, from one bar of a ticker to the next, whether its history is in one piece. Labels and features share it, so
/// that what is learned from and what is computed live end at the same places. It knows the past only.
///
/// How long a silence may last follows from the stock itself: ten minutes where every minute trades, ten times the usual
/// distance of two bars where it is thin.
#[derive(Clone, Debug)]
pub struct Continuity {
    close: Option<Price>,
    minutes: u64,
    /// [`Self::minutes`] at the newest bars; the oldest is overwritten.
    newest: [u64; USUAL_BARS],
    next: usize,
    bars: usize,
}

impl Default for Continuity {
    fn default() -> Self {
        Self {
            close: None,
            minutes: 0,
            newest: [0; USUAL_BARS],
            next: 0,
            bars: 0,
        }
    }
}

impl Continuity {
    /// Takes the next bar; between the one before and it lie `missing` minutes of trading.
    #[inline]
    pub fn next(&mut self, bar: &Bar, missing: u32) -> Joint {
        let joint = match self.close.replace(bar.close) {
            Some(close) if !bar.follows(close) => Joint::Break,
            Some(_) if self.is_hole(missing) => Joint::Hole,
            _ => Joint::Continuous,
        };
        match joint {
            Joint::Continuous => self.minutes += 1 + u64::from(missing),
            Joint::Hole => self.minutes += 1,
            Joint::Break => {
                self.minutes += 1;
                self.bars = 0;
            }
        }
        if let Some(slot) = self.newest.get_mut(self.next) {
            *slot = self.minutes;
        }
        self.next += 1;
        if self.next == USUAL_BARS {
            self.next = 0;
        }
        self.bars = (self.bars + 1).min(USUAL_BARS);
        joint
    }

    /// Whether so many missing minutes after the newest bar would be a hole.
    #[inline]
    pub fn is_hole(&self, missing: u32) -> bool {
        // The usual distance is a minute or more: this few are none, for almost every bar without a look at it.
        if u64::from(missing) <= HOLE {
            return false;
        }
        let distances = self.bars.saturating_sub(1) as u64;
        if distances == 0 {
            return true;
        }
        let oldest = self.newest[(self.next + USUAL_BARS - self.bars) % USUAL_BARS];
        u64::from(missing) * distances > HOLE * (self.minutes - oldest)
    }

    /// Minutes of trading up to the newest bar, those in which the stock did not trade included, holes left out.
    #[inline]
    pub const fn minutes(&self) -> u64 {
        self.minutes
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn bar(close: f64) -> Bar {
        Bar::new(DateTime::UNIX_EPOCH, close, close, close, close, 1.0).unwrap()
    }

    /// After a hundred bars with `missing` minutes before each.
    fn after(missing: u32) -> Continuity {
        let mut continuity = Continuity::default();
        for _ in 0..100 {
            assert_eq!(continuity.next(&bar(10.0), missing), Joint::Continuous);
        }
        continuity
    }

    #[test]
    fn a_silence_counts_by_the_usual_distance() {
        assert!(!after(0).is_hole(10));
        assert!(after(0).is_hole(11));
        // Every third minute trades.
        assert!(!after(2).is_hole(30));
        assert!(after(2).is_hole(31));
        let mut continuity = after(0);
        assert_eq!(continuity.next(&bar(10.0), 240), Joint::Hole);
        assert_eq!(continuity.minutes(), 101, "what is missing is not traded");
        // A hole makes no thin stock.
        assert!(continuity.is_hole(11));
        assert!(Continuity::default().is_hole(11) && !Continuity::default().is_hole(10));
    }

    #[test]
    fn another_level_is_a_break_and_begins_anew() {
        let mut continuity = after(2);
        assert_eq!(continuity.next(&bar(15.0), 2), Joint::Continuous);
        assert_eq!(continuity.next(&bar(3.0), 2), Joint::Break);
        assert!(continuity.is_hole(11), "the thin stock is gone");
        assert_eq!(continuity.next(&bar(3.1), 0), Joint::Continuous);
    }
}
