use chrono::{DateTime, Utc};
use domain::{Bar, BarFault, CorporateAction, Price};
use serde::Serialize;

/// What one answer of a vendor holds. See the crate's page for what is promised.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FetchedBars {
    /// Finished minutes of regular sessions, ascending, each start once.
    pub closed: Vec<Bar>,
    /// The newest price of the minute that is still running.
    pub forming: Option<FormingTrade>,
    /// Rows of finished minutes that are no bars.
    pub rejected: Vec<RejectedRow>,
    /// What is told of the requested period: splits, spin-offs and dividends, ascending, those of the near future among
    /// them.
    pub actions: Vec<CorporateAction>,
    /// What is told and has no meaning: odd events, and rows without a time.
    pub rejected_events: Vec<RejectedEvent>,
    /// Rows without a single value: minutes without trades.
    pub without_trades: usize,
    /// Rows outside the regular sessions, the extra entry at a session's end included.
    pub outside_session: usize,
}

/// The newest trade while a session is open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FormingTrade {
    /// When it happened, UTC, as far as the vendor says.
    pub time: DateTime<Utc>,
    /// Its price.
    pub price: Price,
}

/// A row that is no bar, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct RejectedRow {
    /// The row as it came.
    pub row: VendorRow,
    /// What is wrong with it.
    pub fault: BarFault,
}

/// One row as the vendor sent it; `None` where it sent null or nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct VendorRow {
    /// Start of the row, UTC.
    pub time: DateTime<Utc>,
    /// First price.
    pub open: Option<f64>,
    /// Highest price.
    pub high: Option<f64>,
    /// Lowest price.
    pub low: Option<f64>,
    /// Last price.
    pub close: Option<f64>,
    /// Shares traded.
    pub volume: Option<f64>,
}

/// An event that is no split, spin-off or dividend, or a row without a time, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct RejectedEvent {
    /// When it takes effect as the vendor says, UTC; nothing when that is what is wrong.
    pub time: Option<DateTime<Utc>>,
    /// What is wrong with it.
    pub reason: &'static str,
    /// The event as it came.
    pub event: serde_json::Value,
}

impl RejectedEvent {
    /// A row whose time cannot be read: whatever it says, it is no bar.
    pub(crate) const fn without_time(row: serde_json::Value) -> Self {
        Self {
            time: None,
            reason: "a row without a time",
            event: row,
        }
    }
}

impl VendorRow {
    /// Whether the row holds nothing at all.
    pub(crate) fn is_empty(&self) -> bool {
        [self.open, self.high, self.low, self.close, self.volume]
            .iter()
            .all(Option::is_none)
    }

    /// Whether the row is one price without volume, as Yahoo writes a trade rather than a bar.
    pub(crate) fn is_single_price(&self) -> bool {
        let one_price = self.close.is_some()
            && [self.open, self.high, self.low]
                .iter()
                .all(|price| *price == self.close);
        one_price && self.volume.unwrap_or(0.0) == 0.0
    }

    /// The row as a bar.
    pub(crate) fn to_bar(self) -> Result<Bar, BarFault> {
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        Bar::new(
            self.time,
            number(self.open),
            number(self.high),
            number(self.low),
            number(self.close),
            number(self.volume),
        )
    }
}
