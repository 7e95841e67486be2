use calendar::{Calendar, Session};
use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use domain::{CorporateAction, MAX_VOLUME, Price, ShareChange, Ticker};

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
    pub volume: f64,
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

/// What a chart tells of the shares as corporate actions, ascending. Each takes effect at the open of its day's session, of
/// the next one where that day has none.
pub(crate) fn corporate_actions(
    changes: &[(DateTime<Utc>, ShareChange)],
    ticker: &Ticker,
    calendar: &Calendar,
) -> Vec<CorporateAction> {
    let actions = changes.iter().map(|(event_time, change)| {
        // Yahoo's own time is the session's open, and at times the bare date as midnight UTC.
        let date = if event_time.time() == NaiveTime::MIN {
            event_time.date_naive()
        } else {
            new_york::date_at(*event_time)
        };
        // Longer ago than the calendar knows, Yahoo's word is all there is.
        let is_near = |session: &Session| session.open - *event_time <= TimeDelta::days(7);
        let session = calendar
            .session_on(date)
            .or_else(|| calendar.next_open(*event_time).filter(is_near));
        CorporateAction {
            ticker: ticker.clone(),
            ex_date: session.map_or(date, |session| session.date),
            effective_at: session.map_or(*event_time, |session| session.open),
            change: *change,
        }
    });
    actions.collect()
}

/// A number of shares; no volume at all counts as none.
fn shares(volume: Option<f64>) -> Option<f64> {
    let volume = volume.unwrap_or(0.0);
    (0.0..MAX_VOLUME).contains(&volume).then_some(volume)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_takes_effect_at_an_open_however_its_day_is_written() {
        let dated = |time: &str| {
            let change = (time.parse().unwrap(), ShareChange::Split { ratio: 4.0 });
            let ticker = Ticker::parse("AAPL").unwrap();
            let actions = corporate_actions(&[change], &ticker, calendar::nyse());
            (actions[0].ex_date.to_string(), actions[0].effective_at)
        };
        let open = |time: &str| time.parse::<DateTime<Utc>>().unwrap();
        let monday = ("2018-02-26".to_owned(), open("2018-02-26T14:30:00Z"));
        for time in [
            "2018-02-26T14:30:00Z",
            "2018-02-26T00:00:00Z",
            "2018-02-26T05:00:00Z",
            // A Saturday.
            "2018-02-24T14:30:00Z",
            "2018-02-24T00:00:00Z",
        ] {
            assert_eq!(dated(time), monday, "{time}");
        }
    }
}
