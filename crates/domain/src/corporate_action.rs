use chrono::{DateTime, NaiveDate, Utc};

use crate::Ticker;

/// What a company did to its shares on a day, as a vendor reported it.
#[derive(Clone, Debug, PartialEq)]
pub struct CorporateAction {
    /// Whose shares.
    pub ticker: Ticker,
    /// First day of trading without the right, New York date.
    pub ex_date: NaiveDate,
    /// Open of that day's session, UTC: bars from here on are on the new basis.
    pub effective_at: DateTime<Utc>,
    /// What happened.
    pub change: ShareChange,
}

/// The kinds of corporate action that change prices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ShareChange {
    /// New shares for old: prices are divided and share counts multiplied.
    Split {
        /// Shares after for each share before: 4, or 0.125 for a reverse split.
        ratio: f64,
    },
    /// A part of the company was handed to its shareholders: prices are divided, share counts stay.
    SpinOff {
        /// Price before for each dollar of price after, such as 1.281.
        ratio: f64,
    },
    /// Cash was paid.
    Dividend {
        /// US dollars per share, on the share basis of the day it was reported.
        amount: f64,
    },
}
