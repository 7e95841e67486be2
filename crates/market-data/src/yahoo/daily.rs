use calendar::Calendar;
use chrono::NaiveDate;
use domain::{CorporateAction, Price, Ticker};

use super::parse::Chart;
use crate::new_york;

/// One session's prices and volume as Yahoo gives them: adjusted for the splits known at the time of the fetch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DailyBar {
    /// New York date of the session.
    pub session: NaiveDate,
    /// First trade.
    pub open: Price,
    /// Highest trade.
    pub high: Price,
    /// Lowest trade.
    pub low: Price,
    /// Official close.
    pub close: Price,
    /// Close adjusted for later dividends as well; `None` where Yahoo sends none.
    pub adjusted_close: Option<Price>,
    /// Shares traded, auctions included.
    pub volume: u64,
}

/// The finished sessions of a daily chart, ascending and unique; rows without a price are left out. A session with the
/// last trade that the answer knows of inside it is still running and is left out too. Where the last trade came before
/// the closing bell (a thin stock), that day so counts as running until the next one.
pub(crate) fn daily_bars(chart: &Chart, calendar: &Calendar) -> Vec<DailyBar> {
    let mut bars: Vec<DailyBar> = Vec::with_capacity(chart.rows.len());
    for (place, row) in chart.rows.iter().enumerate() {
        let session = new_york::date_at(row.time);
        let is_running = chart
            .market_time
            .zip(calendar.session_on(session))
            .is_some_and(|(market_time, session)| session.contains(market_time));
        let price = |value: Option<f64>| Price::new(value?).ok();
        let adjusted = chart.adjusted_closes.get(place).copied().flatten();
        let bar = || {
            Some(DailyBar {
                session,
                open: price(row.open)?,
                high: price(row.high)?,
                low: price(row.low)?,
                close: price(row.close)?,
                adjusted_close: price(adjusted),
                volume: shares(row.volume)?,
            })
        };
        if !is_running {
            bars.extend(bar());
        }
    }
    bars.sort_by_key(|bar| bar.session);
    bars.dedup_by_key(|bar| bar.session);
    bars
}

/// The splits, spin-offs and dividends of a daily chart, ascending.
pub(crate) fn corporate_actions(
    chart: Chart,
    ticker: &Ticker,
    calendar: &Calendar,
) -> Vec<CorporateAction> {
    let actions = chart.changes.into_iter().map(|(event_time, change)| {
        let ex_date = new_york::date_at(event_time);
        CorporateAction {
            ticker: ticker.clone(),
            ex_date,
            // Yahoo's own time is the session's open; the calendar knows it to be right.
            effective_at: calendar
                .session_on(ex_date)
                .map_or(event_time, |session| session.open),
            change,
        }
    });
    actions.collect()
}

/// A number of shares; no volume at all counts as none.
fn shares(volume: Option<f64>) -> Option<u64> {
    let volume = volume.unwrap_or(0.0);
    // 2^53: the largest range in which every whole number is exact in the vendors' floats.
    if !(0.0..9_007_199_254_740_992.0).contains(&volume) {
        return None;
    }
    #[expect(clippy::cast_sign_loss, reason = "checked above")]
    Some(volume as u64)
}
