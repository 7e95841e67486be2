//! The stored bars of all stocks up to a moment, with their features.

use std::collections::BTreeMap;

use calendar::{Calendar, Session};
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use domain::{Bar, Ticker};
use features::{Context, FEATURE_COUNT, FeatureVector, Scaler, WINDOW};

/// Minutes of a half hour.
const HALF_HOUR: i64 = 30;

/// What is stored up to a moment. Every bar is on today's share basis.
pub(crate) struct Market {
    /// Bars that close later are not here, UTC.
    pub(crate) as_of: DateTime<Utc>,
    /// The session looked at: the one in progress, else the last one.
    pub(crate) session: Session,
    pub(crate) stocks: Vec<Stock>,
    /// Rows of each half hour of each session, over all stocks.
    rows: BTreeMap<(NaiveDate, usize), Vec<Place>>,
}

pub(crate) struct Stock {
    pub(crate) ticker: Ticker,
    /// Ascending.
    pub(crate) bars: Vec<Bar>,
    /// Of the bars from the warm-up on, ascending.
    pub(crate) rows: Vec<Row>,
}

/// The features of a bar.
pub(crate) struct Row {
    /// Position of the bar.
    pub(crate) bar: usize,
    pub(crate) features: FeatureVector,
}

/// Where a row is.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    stock: usize,
    row: usize,
}

impl Market {
    /// Computes the features of all bars (ascending per ticker) that are closed by `as_of`; nothing if the calendar knows
    /// no session that has begun.
    pub(crate) fn new(
        bars: BTreeMap<Ticker, Vec<Bar>>,
        context: &Context,
        as_of: DateTime<Utc>,
        calendar: &'static Calendar,
    ) -> Option<Self> {
        let stocks = bars
            .into_iter()
            .map(|(ticker, mut bars)| {
                bars.retain(|bar| bar.close_time() <= as_of);
                let features = features::fold(&bars, context.of(&ticker));
                let rows = features.into_iter().enumerate();
                let rows = rows
                    .filter_map(|(bar, features)| features.map(|features| Row { bar, features }))
                    .collect();
                Stock { ticker, bars, rows }
            })
            .collect();
        Self::from_stocks(stocks, as_of, calendar)
    }

    pub(crate) fn from_stocks(
        stocks: Vec<Stock>,
        as_of: DateTime<Utc>,
        calendar: &Calendar,
    ) -> Option<Self> {
        let mut rows: BTreeMap<(NaiveDate, usize), Vec<Place>> = BTreeMap::new();
        for (stock, of) in stocks.iter().enumerate() {
            let mut session: Option<Session> = None;
            for (row, Row { bar, .. }) in of.rows.iter().enumerate() {
                let Some(start) = of.bars.get(*bar).map(|bar| bar.start) else {
                    continue;
                };
                if !session.is_some_and(|session| session.contains(start)) {
                    session = calendar.session_at(start);
                }
                if let Some(session) = session {
                    let half_hour = (start - session.open).num_minutes() / HALF_HOUR;
                    if let Ok(half_hour) = usize::try_from(half_hour) {
                        let key = (session.date, half_hour);
                        rows.entry(key).or_default().push(Place { stock, row });
                    }
                }
            }
        }
        Some(Self {
            as_of,
            session: begun(as_of, calendar)?,
            stocks,
            rows,
        })
    }

    /// Sessions that have rows, the newest first.
    pub(crate) fn sessions(&self) -> Vec<NaiveDate> {
        let mut sessions: Vec<NaiveDate> = self.rows.keys().map(|(session, _)| *session).collect();
        sessions.dedup();
        sessions.reverse();
        sessions
    }

    /// Rows of a half hour of a session; none while the half hour is not over.
    pub(crate) fn half_hour(&self, session: NaiveDate, half_hour: usize) -> &[Place] {
        if session == self.session.date {
            let minutes = HALF_HOUR * (half_hour as i64 + 1);
            if self.session.open + TimeDelta::minutes(minutes) > self.as_of {
                return &[];
            }
        }
        self.rows
            .get(&(session, half_hour))
            .map_or(&[], Vec::as_slice)
    }

    pub(crate) fn features(&self, place: Place) -> Option<&FeatureVector> {
        let row = self.stocks.get(place.stock)?.rows.get(place.row)?;
        Some(&row.features)
    }

    /// Adds the window `[WINDOW, FEATURE_COUNT]` that ends with a row, scaled, to `windows`; false without a full one.
    pub(crate) fn push_window(
        &self,
        place: Place,
        scaler: &Scaler,
        windows: &mut Vec<f32>,
    ) -> bool {
        self.stocks
            .get(place.stock)
            .is_some_and(|stock| stock.push_window(place.row, scaler, windows))
    }
}

impl Stock {
    /// As [`Market::push_window`].
    pub(crate) fn push_window(&self, row: usize, scaler: &Scaler, windows: &mut Vec<f32>) -> bool {
        let Some(rows) = (row + 1)
            .checked_sub(WINDOW)
            .and_then(|first| self.rows.get(first..=row))
        else {
            return false;
        };
        let mut scaled = [0.0; FEATURE_COUNT];
        for row in rows {
            scaler.apply(&row.features, &mut scaled);
            windows.extend_from_slice(&scaled);
        }
        true
    }

    /// Bars of a session, or none.
    pub(crate) fn bars_of(&self, session: &Session) -> &[Bar] {
        let first = self.bars.partition_point(|bar| bar.start < session.open);
        let end = self.bars.partition_point(|bar| bar.start < session.close);
        self.bars.get(first..end).unwrap_or_default()
    }
}

/// The newest session that has begun by a moment.
pub(crate) fn begun(as_of: DateTime<Utc>, calendar: &Calendar) -> Option<Session> {
    calendar.session_at(as_of).or_else(|| {
        // In New York it may still be the day before; a session that is yet to open is no candidate either way.
        let tomorrow = as_of.date_naive().succ_opt()?;
        let mut last = calendar.previous_session(tomorrow)?;
        while last.open > as_of {
            last = calendar.previous_session(last.date)?;
        }
        Some(last)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_looked_at_has_begun() {
        let on = |time: &str| begun(time.parse().unwrap(), calendar::nyse()).unwrap().date;
        let date = |text: &str| text.parse::<NaiveDate>().unwrap();
        assert_eq!(on("2018-03-26T13:29:00Z"), date("2018-03-23"));
        assert_eq!(on("2018-03-26T13:30:00Z"), date("2018-03-26"));
        assert_eq!(on("2018-03-26T20:20:00Z"), date("2018-03-26"));
        // In New York still Monday, in UTC Tuesday.
        assert_eq!(on("2018-03-27T02:00:00Z"), date("2018-03-26"));
        // Good Friday.
        assert_eq!(on("2018-03-30T15:00:00Z"), date("2018-03-29"));
    }
}
