//! Economic series from a file, with when each figure could be known.

use std::path::Path;

use anyhow::Context as _;
use calendar::Calendar;
use chrono::{DateTime, Days, Months, NaiveDate, TimeDelta, Utc};
use domain::{MACRO_SERIES, SeriesId};
use features::MacroEvent;
use serde::Deserialize;

/// From a session's open to 18:00 in New York, when the day's publications are out.
const EVENING: TimeDelta = TimeDelta::minutes(8 * 60 + 30);

/// Figures that government shutdowns delayed beyond what is usual: series, period and a day by which they were out.
const DELAYED: [(&str, &str, &str); 9] = [
    ("UNRATE", "2013-09-01", "2013-10-22"),
    ("CPIAUCSL", "2013-09-01", "2013-10-30"),
    ("GDP", "2013-07-01", "2013-11-07"),
    ("GDP", "2018-10-01", "2019-02-28"),
    ("UNRATE", "2025-09-01", "2025-11-20"),
    ("UNRATE", "2025-11-01", "2025-12-16"),
    ("CPIAUCSL", "2025-09-01", "2025-10-24"),
    ("GDP", "2025-07-01", "2025-12-23"),
    ("GDP", "2025-10-01", "2026-03-13"),
];

#[derive(Deserialize)]
struct Row {
    series: String,
    date: NaiveDate,
    /// "." or nothing where there is none.
    value: String,
    #[serde(default)]
    available_at: Option<DateTime<Utc>>,
}

/// The figures of the series that features are made of.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<MacroEvent>> {
    let mut events = Vec::new();
    for row in super::context::rows(path)?.deserialize() {
        let row: Row = row.with_context(|| {
            format!(
                "{} cannot be read as economic series: expected the columns series, date, value and, if known, \
                 available_at (UTC, RFC 3339)",
                path.display()
            )
        })?;
        let value = row.value.trim();
        if !MACRO_SERIES.contains(&row.series.as_str()) || matches!(value, "" | ".") {
            continue;
        }
        let value = value.parse().with_context(|| {
            format!(
                "{} holds {value:?} as {} of {}: expected a number or \".\"",
                path.display(),
                row.series,
                row.date
            )
        })?;
        let known = row
            .available_at
            .or_else(|| known_by(&row.series, row.date, calendar::nyse()));
        // A period that the calendar does not reach lies before all bars.
        let Some(available_at) = known else { continue };
        events.push(MacroEvent {
            available_at,
            series: SeriesId::parse(&row.series)?,
            period: row.date,
            value,
        });
    }
    Ok(events)
}

/// A moment at which the first figure of a period was certainly out, for tables that do not say when it was: 18:00 in New
/// York of a session, later rather than too early. What no rule can mend: such tables hold the figures as revised since.
fn known_by(series: &str, period: NaiveDate, calendar: &Calendar) -> Option<DateTime<Utc>> {
    let delayed = DELAYED
        .iter()
        .find(|(name, start, _)| *name == series && period.to_string() == *start);
    let day_of_next_month = |day: u64| {
        let next = period.checked_add_months(Months::new(1))?;
        next.checked_add_days(Days::new(day - 1))
    };
    let date = match series {
        // H.15 and Cboe: published on the next business day.
        "DGS10" | "T10Y2Y" | "VIXCLS" => period.succ_opt()?,
        // The month's mean: published on the first business days of the next.
        "FEDFUNDS" => day_of_next_month(7)?,
        // The employment report: usually the first Friday, the 10th at the latest.
        "UNRATE" => day_of_next_month(12)?,
        // Between the 10th and the 18th.
        "CPIAUCSL" => day_of_next_month(20)?,
        // The advance estimate: in the last days of the month after the quarter.
        "GDP" => period
            .checked_add_months(Months::new(4))?
            .checked_add_days(Days::new(4))?,
        _ => return None,
    };
    let date = match delayed {
        Some((_, _, date)) => date.parse().ok()?,
        None => date,
    };
    let session = calendar
        .sessions(date, *calendar.coverage().end())
        .first()?;
    // Before the calendar's beginning the first session says nothing.
    (date >= *calendar.coverage().start()).then(|| session.open + EVENING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_count_from_when_they_were_out_at_the_latest() {
        for (series, period, expected) in [
            // Friday's yield is out on Monday evening; after Good Friday likewise.
            ("DGS10", "2018-03-23", "2018-03-26T22:00:00Z"),
            ("VIXCLS", "2018-03-29", "2018-04-02T22:00:00Z"),
            // Really 2018-03-09 (jobs), 03-13 (prices) and 01-26 (output), each at 8:30.
            ("UNRATE", "2018-02-01", "2018-03-12T22:00:00Z"),
            ("CPIAUCSL", "2018-02-01", "2018-03-20T22:00:00Z"),
            ("GDP", "2017-10-01", "2018-02-05T23:00:00Z"),
            ("FEDFUNDS", "2018-02-01", "2018-03-07T23:00:00Z"),
            // A weekend, and a half day that ends at 13:00.
            ("CPIAUCSL", "2018-09-01", "2018-10-22T22:00:00Z"),
            ("DGS10", "2018-11-22", "2018-11-23T23:00:00Z"),
            ("UNRATE", "2025-09-01", "2025-11-20T23:00:00Z"),
        ] {
            assert_eq!(
                known_by(series, period.parse().unwrap(), calendar::nyse()),
                Some(expected.parse().unwrap()),
                "{series} {period}"
            );
        }
        let calendar = calendar::nyse();
        let early = NaiveDate::from_ymd_opt(1962, 1, 2).unwrap();
        assert_eq!(known_by("DGS10", early, calendar), None);
        assert_eq!(
            known_by("GDPC1", "2017-10-01".parse().unwrap(), calendar),
            None
        );
    }

    #[test]
    fn a_file_may_say_itself() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("economy.csv");
        std::fs::write(
            &path,
            "series,date,value,available_at\n\
             CPIAUCSL,2018-02-01,249.5,2018-03-13T12:30:00Z\n\
             CPIAUCSL,2018-03-01,.,2018-04-11T12:30:00Z\n\
             CPIAUCSL,2018-01-01,248.9,\n\
             SP500,2018-01-01,2700,2018-01-02T12:00:00Z\n",
        )
        .unwrap();
        let events = read(&path).unwrap();
        let found: Vec<_> = events
            .iter()
            .map(|event| (event.value, event.available_at.to_rfc3339()))
            .collect();
        assert_eq!(
            found,
            [
                (249.5, "2018-03-13T12:30:00+00:00".to_owned()),
                (248.9, "2018-02-20T23:00:00+00:00".to_owned())
            ]
        );
        std::fs::write(&path, "series,date,value\nDGS10,2018-02-01,n/a\n").unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("\"n/a\" as DGS10 of 2018-02-01"), "{error}");
        std::fs::write(&path, "name,date,value\nDGS10,2018-02-01,1\n").unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(
            error.contains("expected the columns series, date"),
            "{error}"
        );
    }
}
