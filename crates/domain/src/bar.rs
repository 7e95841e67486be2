use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::{InvalidPrice, Price};

/// Length of a bar in seconds. Tandem works on one-minute bars throughout.
pub const BAR_SECONDS: i64 = 60;

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
    /// Shares traded.
    pub volume: u64,
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
    /// Volume is NaN, negative or beyond any count of shares.
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
        if high < low {
            return Err(BarFault::HighBelowLow { high, low });
        }
        for (field, value) in [("open", open), ("close", close)] {
            if value < low || value > high {
                return Err(BarFault::OutsideRange {
                    field,
                    value,
                    low,
                    high,
                });
            }
        }
        // 2^53: the largest range in which every whole number is exact in the vendors' floats.
        if !(0.0..9_007_199_254_740_992.0).contains(&volume) {
            return Err(BarFault::Volume { volume });
        }
        if start.timestamp() % BAR_SECONDS != 0 || start.timestamp_subsec_nanos() != 0 {
            return Err(BarFault::OffMinute { start });
        }
        #[expect(clippy::cast_sign_loss, reason = "checked above")]
        Ok(Self {
            start,
            open,
            high,
            low,
            close,
            volume: volume as u64,
        })
    }

    /// First moment after the bar, UTC: from here on it may be known and used.
    pub fn close_time(&self) -> DateTime<Utc> {
        self.start + TimeDelta::seconds(BAR_SECONDS)
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
}
