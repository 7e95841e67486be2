use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize, Serializer};

use crate::{InvalidPrice, Price};

/// Length of a bar in seconds. Tandem works on one-minute bars throughout.
pub const BAR_SECONDS: i64 = 60;

/// Largest believable step from one close to the next bar's prices, as a part of the close.
pub const LARGEST_STEP: f64 = 0.5;

/// Volumes are below this, 2^53: the largest range in which a float holds every whole number exactly, and so does a sum
/// of them.
pub const MAX_VOLUME: f64 = 9_007_199_254_740_992.0;

/// One minute of trading that is over.
///
/// Stamped at its START (as Yahoo does) in UTC: the bar 14:30 holds the trades of 14:30:00 to 14:30:59 and is known
/// at [`Bar::close_time`], 14:31.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bar {
    /// First moment of the bar, UTC, on the minute.
    pub start: DateTime<Utc>,
    /// First trade.
    pub open: Price,
    /// Highest trade.
    pub high: Price,
    /// Lowest trade.
    pub low: Price,
    /// Last trade.
    pub close: Price,
    /// Shares traded: most vendors send whole numbers, some fractions of shares (and coins are traded in fractions).
    /// Finite, 0 or more.
    #[serde(serialize_with = "serialize_volume")]
    pub volume: f64,
}

/// Why a vendor's row is no bar. The row belongs into quarantine with this reason.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BarFault {
    /// One of the four prices is missing, NaN, zero or negative.
    #[error("{field}: {source}")]
    Price {
        /// `open`, `high`, `low` or `close`.
        field: &'static str,
        /// What is wrong with it.
        source: InvalidPrice,
    },
    /// `high` is below `low`.
    #[error("high {high} is below low {low}")]
    HighBelowLow {
        /// The high.
        high: Price,
        /// The low.
        low: Price,
    },
    /// Open or close lies outside `low..=high`.
    #[error("{field} {value} lies outside low {low} to high {high}")]
    OutsideRange {
        /// `open` or `close`.
        field: &'static str,
        /// Its value.
        value: Price,
        /// The low.
        low: Price,
        /// The high.
        high: Price,
    },
    /// Volume is NaN, infinite, negative or beyond any count of shares.
    #[error("volume {volume} is not a number of shares")]
    Volume {
        /// The value found.
        volume: f64,
    },
    /// The start is not on a whole minute.
    #[error("start {start} is not on the minute")]
    OffMinute {
        /// The value found.
        start: DateTime<Utc>,
    },
}

impl Bar {
    /// Checks a vendor's row: prices above zero, `low <= open, close <= high`, a volume, a start on the minute.
    ///
    /// An open or close that lies outside by rounding, at most one unit of the last decimal place that the prices are
    /// written with, widens the range.
    ///
    /// # Errors
    /// The first [`BarFault`] found.
    pub fn new(
        start: DateTime<Utc>,
        open: f64,
        high: f64,
        low: f64,
        close: f64,
        volume: f64,
    ) -> Result<Self, BarFault> {
        let price =
            |field, value| Price::new(value).map_err(|source| BarFault::Price { field, source });
        let (open, high, low, close) = (
            price("open", open)?,
            price("high", high)?,
            price("low", low)?,
            price("close", close)?,
        );
        let (high, low) = range(open, high, low, close)?;
        if !(0.0..MAX_VOLUME).contains(&volume) {
            return Err(BarFault::Volume { volume });
        }
        if start.timestamp() % BAR_SECONDS != 0 || start.timestamp_subsec_nanos() != 0 {
            return Err(BarFault::OffMinute { start });
        }
        Ok(Self {
            start,
            open,
            high,
            low,
            close,
            // A negative zero is a zero.
            volume: volume.abs(),
        })
    }

    /// First moment after the bar, UTC: from here on it may be known and used.
    pub fn close_time(&self) -> DateTime<Utc> {
        self.start + TimeDelta::seconds(BAR_SECONDS)
    }

    /// Whether the bar goes on from a close before it: all its prices lie within half of that close. What does not is a
    /// bad tick or, when the price stays there, an action that nobody told of or another company's stock: no bar is
    /// admitted, no label made and no feature computed across it.
    #[inline]
    pub fn follows(&self, close: Price) -> bool {
        let close = close.get();
        self.low.get() >= (1.0 - LARGEST_STEP) * close
            && self.high.get() <= (1.0 + LARGEST_STEP) * close
    }

    /// Of two rows for one minute the bar: the fuller one, which holds more volume, else the later. A provisional row
    /// holds less than the final one, whichever comes first.
    #[must_use]
    pub fn or_fuller(self, later: Self) -> Self {
        if self.volume > later.volume {
            self
        } else {
            later
        }
    }
}

/// High and low, widened where rounding left the open or the close outside.
fn range(open: Price, high: Price, low: Price, close: Price) -> Result<(Price, Price), BarFault> {
    let (mut highest, mut lowest) = (high, low);
    for price in [open, high, low, close] {
        highest = if price > highest { price } else { highest };
        lowest = if price < lowest { price } else { lowest };
    }
    if highest == high && lowest == low {
        return Ok((high, low));
    }
    let beyond = (highest.get() - high.get()).max(low.get() - lowest.get());
    if beyond <= rounding([open, high, low, close]) {
        return Ok((highest, lowest));
    }
    if high < low {
        return Err(BarFault::HighBelowLow { high, low });
    }
    let (field, value) = if open < low || open > high {
        ("open", open)
    } else {
        ("close", close)
    };
    Err(BarFault::OutsideRange {
        field,
        value,
        low,
        high,
    })
}

/// How far prices may be apart by rounding alone: one unit of the last decimal place that any of them is written with,
/// but no more than a part of the price that makes no bad tick; at least what single precision leaves.
fn rounding(prices: [Price; 4]) -> f64 {
    /// Whole prices would otherwise be off by a whole unit.
    const LARGEST: f64 = 5e-3;
    let decimals = prices.map(|price| {
        let text = price.get().to_string();
        text.split_once('.')
            .map_or(0, |(_, decimals)| decimals.len())
    });
    let decimals = decimals.into_iter().max().unwrap_or(0);
    let unit = 0.1_f64.powi(i32::try_from(decimals).unwrap_or(i32::MAX));
    let price = prices[0].get();
    // The difference of two decimals is itself rounded.
    (1.000_001 * unit)
        .min(LARGEST * price)
        .max(f64::from(f32::EPSILON) * price)
}

/// Serializes a volume without a fraction where it has none, as vendors write it: 1000, not 1000.0.
///
/// # Errors
/// As the serializer.
pub fn serialize_volume<S: Serializer>(volume: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if volume.fract() == 0.0 && (0.0..MAX_VOLUME).contains(volume) {
        serializer.serialize_u64(*volume as u64)
    } else {
        serializer.serialize_f64(*volume)
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;

    use super::*;

    fn start() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2018, 3, 26, 13, 30, 0).unwrap()
    }

    #[test]
    fn is_known_a_minute_after_its_stamp() {
        let bar = Bar::new(start(), 10.0, 11.0, 9.0, 10.5, 100.0).unwrap();
        assert_eq!(
            bar.close_time(),
            Utc.with_ymd_and_hms(2018, 3, 26, 13, 31, 0).unwrap()
        );
    }

    #[test]
    fn refuses_each_bad_tick_with_its_reason() {
        let fault = |open, high, low, close, volume| {
            Bar::new(start(), open, high, low, close, volume)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            fault(f64::NAN, 11.0, 9.0, 10.0, 1.0),
            "open: NaN is not a price: expected a finite number above zero"
        );
        assert_eq!(
            fault(10.0, 11.0, 9.0, -1.0, 1.0),
            "close: -1 is not a price: expected a finite number above zero"
        );
        assert_eq!(fault(10.0, 9.0, 11.0, 10.0, 1.0), "high 9 is below low 11");
        assert_eq!(
            fault(12.0, 11.0, 9.0, 10.0, 1.0),
            "open 12 lies outside low 9 to high 11"
        );
        assert_eq!(
            fault(10.0, 11.0, 9.0, 10.0, -5.0),
            "volume -5 is not a number of shares"
        );
        let late =
            Bar::new(start() + TimeDelta::seconds(17), 10.0, 11.0, 9.0, 10.0, 1.0).unwrap_err();
        assert!(matches!(late, BarFault::OffMinute { .. }));
    }

    #[test]
    fn one_unit_of_the_last_place_is_rounding() {
        let range = |open, high, low, close| {
            let bar = Bar::new(start(), open, high, low, close, 1.0);
            bar.map(|bar| (bar.high.get(), bar.low.get()))
        };
        assert_eq!(range(100.12, 100.13, 100.12, 100.14), Ok((100.14, 100.12)));
        assert_eq!(
            range(100.1199, 100.13, 100.12, 100.12),
            Ok((100.13, 100.1199))
        );
        assert_eq!(
            range(27.950_001, 27.95, 27.95, 27.95),
            Ok((27.950_001, 27.95))
        );
        // What adding up leaves in double and in single precision.
        let (above, single) = (100.120_000_000_000_02, f64::from(100.12_f32));
        assert_eq!(range(100.12, 100.12, 100.12, above), Ok((above, 100.12)));
        assert_eq!(range(100.12, 100.12, 100.12, single), Ok((single, 100.12)));
        assert_eq!(range(100.12, 100.11, 100.12, 100.12), Ok((100.12, 100.11)));
        // Two units, and a unit that is no rounding at such a price.
        for (open, high) in [(100.15, 100.13), (1.5, 1.4), (12.0, 11.0)] {
            assert!(
                range(open, high, high, high).is_err(),
                "{open} above {high}"
            );
        }
    }

    #[test]
    fn half_of_the_close_is_the_largest_step() {
        let close = Price::new(100.0).unwrap();
        let bar = |low, high| Bar::new(start(), high, high, low, low, 1.0).unwrap();
        assert!(bar(50.0, 150.0).follows(close));
        assert!(!bar(100.0, 151.0).follows(close));
        assert!(!bar(49.9, 100.0).follows(close));
    }

    #[test]
    fn the_fuller_row_of_a_minute_is_the_bar_and_of_equals_the_later() {
        let row = |close, volume| Bar::new(start(), 10.0, 11.0, 9.0, close, volume).unwrap();
        let (full, provisional) = (row(10.5, 15_924.0), row(10.0, 6.0));
        assert_eq!(full.or_fuller(provisional), full);
        assert_eq!(provisional.or_fuller(full), full);
        assert_eq!(row(10.0, 6.0).or_fuller(row(10.1, 6.0)), row(10.1, 6.0));
    }

    #[test]
    fn fractions_of_shares_are_kept_and_whole_numbers_are_written_as_such() {
        let bar = |volume| Bar::new(start(), 10.0, 11.0, 9.0, 10.5, volume);
        assert_eq!(bar(0.000_12).unwrap().volume, 0.000_12);
        assert!(bar(-0.0).unwrap().volume.is_sign_positive());
        for volume in [f64::NAN, f64::INFINITY, -0.5, MAX_VOLUME] {
            assert!(
                matches!(bar(volume), Err(BarFault::Volume { .. })),
                "{volume}"
            );
        }
        for (volume, written) in [(1_206_871.0, "1206871"), (0.0, "0"), (12.5, "12.5")] {
            let bar = bar(volume).unwrap();
            let json = serde_json::to_string(&bar).unwrap();
            assert!(json.ends_with(&format!("\"volume\":{written}}}")), "{json}");
            assert_eq!(serde_json::from_str::<Bar>(&json).unwrap(), bar);
        }
    }
}
