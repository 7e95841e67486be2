//! What the drift of a model's inputs is measured against, from training rows only.

use std::collections::BTreeMap;

use calendar::Calendar;
use chrono::{DateTime, Utc};
use domain::{Bar, Ticker};
use evaluation::{LastClose, Observation, TimesOfDay};
use features::{CLOCK_FEATURES, FeatureSchema, FeatureVector};

/// Minutes of a half hour.
const HALF_HOUR: i64 = 30;

/// Chooses the bars that are kept; the same data keep the same.
const SEED: u64 = 1;

/// The last close of each ticker.
pub(crate) fn last_closes(bars: &BTreeMap<Ticker, Vec<Bar>>) -> Vec<LastClose> {
    let closes = bars.iter().filter_map(|(ticker, bars)| {
        let last = bars.last()?;
        Some(LastClose {
            ticker: ticker.clone(),
            at: last.start,
            close: last.close.get(),
        })
    });
    closes.collect()
}

/// The features by time of day, of the bars that start at the times given (UTC); none of too few bars.
pub(crate) fn times_of_day<'a>(
    rows: impl Iterator<Item = (DateTime<Utc>, &'a FeatureVector)>,
    calendar: &Calendar,
) -> Option<TimesOfDay> {
    let observations: Vec<Observation<'_>> = rows
        .filter_map(|(start, features)| {
            let session = calendar.session_at(start)?;
            let minutes = (start - session.open).num_minutes();
            Some(Observation {
                session: session.date,
                half_hour: usize::try_from(minutes / HALF_HOUR).ok()?,
                values: features,
            })
        })
        .collect();
    // Those of the clock go together whatever the market does, those of news and economy hardly with anything.
    let correlated: Vec<usize> = (0..CLOCK_FEATURES.start).collect();
    let names = FeatureSchema::current().names;
    TimesOfDay::fit(&names, &correlated, &observations, SEED).ok()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use features::FEATURE_COUNT;

    use super::*;

    #[test]
    fn bars_stand_in_their_half_hour() {
        let calendar = calendar::nyse();
        let opens: Vec<DateTime<Utc>> = ["2018-03-08T14:30:00Z", "2018-03-12T13:30:00Z"]
            .map(|open| open.parse().unwrap())
            .into();
        // The clocks went forward in between: the session opens an hour earlier in UTC.
        let rows: Vec<(DateTime<Utc>, FeatureVector)> = opens
            .iter()
            .flat_map(|open| {
                (0..400).map(move |minute| {
                    let start = *open + TimeDelta::minutes(minute);
                    (start, [(minute / 30) as f32; FEATURE_COUNT])
                })
            })
            .collect();
        let rows = rows.iter().map(|(start, features)| (*start, features));
        let found = times_of_day(rows, calendar).unwrap();
        assert_eq!(found.sessions, 2);
        for (half_hour, bars) in found.half_hours.iter().enumerate() {
            assert_eq!(bars.len(), 60);
            assert!(
                bars.iter()
                    .flatten()
                    .all(|value| *value == half_hour as f32)
            );
        }
        assert!(times_of_day(std::iter::empty(), calendar).is_none());
    }
}
