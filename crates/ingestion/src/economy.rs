//! Economic series: what a release says, and since when it could be known.

use chrono::{DateTime, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::America::New_York;
use domain::MacroObservation;
use market_data::FredObservation;
use storage::{ObservationCounts, PgPool};

use crate::IngestError;

/// Stores what FRED answered. `first_seen_at` is the market's time just after the answer, UTC. Twice is the same as
/// once.
///
/// A vintage with a release day could be known when that day ends in New York, or when it was first seen if that was
/// sooner. One without (the graph download, which needs no key) could be known when it was first seen: an old value
/// seen today makes no history. Once there is a key, the vintages before the first sight come in beside it.
///
/// # Errors
/// When the database is lost.
pub async fn store_economy(
    pool: &PgPool,
    observations: &[FredObservation],
    first_seen_at: DateTime<Utc>,
) -> Result<ObservationCounts, IngestError> {
    let (released, seen): (Vec<_>, Vec<_>) = observations
        .iter()
        .partition(|observation| observation.realtime_start.is_some());
    let mut counts = ObservationCounts::default();
    for (part, source) in [(released, "fred"), (seen, "fred_csv")] {
        if part.is_empty() {
            continue;
        }
        let vintages: Vec<MacroObservation> = part
            .into_iter()
            .map(|observation| vintage(observation, first_seen_at))
            .collect();
        let stored = storage::store_observations(pool, &vintages, source).await?;
        counts.new_periods += stored.new_periods;
        counts.revisions += stored.revisions;
        counts.unchanged += stored.unchanged;
    }
    Ok(counts)
}

fn vintage(observation: &FredObservation, first_seen_at: DateTime<Utc>) -> MacroObservation {
    let released_by = observation.realtime_start.and_then(end_of_release_day);
    MacroObservation {
        series: observation.series.clone(),
        period: observation.period,
        value: observation.value,
        available_at: released_by.map_or(first_seen_at, |end| end.min(first_seen_at)),
    }
}

/// Returns 24:00 of a day in New York, UTC: FRED names the day of a release, not its hour, and what was released on it
/// was surely known by then. Files of vintages that name days go by it too.
pub fn end_of_release_day(date: NaiveDate) -> Option<DateTime<Utc>> {
    let midnight = date.succ_opt()?.and_time(NaiveTime::MIN);
    // Summer time never begins or ends at midnight.
    Some(
        New_York
            .from_local_datetime(&midnight)
            .earliest()?
            .with_timezone(&Utc),
    )
}

#[cfg(test)]
mod tests {
    use domain::SeriesId;

    use super::*;

    fn available(realtime_start: Option<&str>, first_seen_at: &str) -> String {
        let observation = FredObservation {
            series: SeriesId::parse("CPIAUCSL").unwrap(),
            period: NaiveDate::from_ymd_opt(2026, 2, 1).unwrap(),
            value: Some(327.46),
            realtime_start: realtime_start.map(|day| day.parse().unwrap()),
        };
        let vintage = vintage(&observation, first_seen_at.parse().unwrap());
        vintage
            .available_at
            .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    }

    #[test]
    fn a_release_is_known_at_the_end_of_its_day_in_new_york_or_when_it_is_seen() {
        // Winter and summer time.
        assert_eq!(
            available(Some("2026-03-05"), "2026-11-20T12:00:00Z"),
            "2026-03-06T05:00:00Z"
        );
        assert_eq!(
            available(Some("2026-03-11"), "2026-11-20T12:00:00Z"),
            "2026-03-12T04:00:00Z"
        );
        // Asked a minute after the release.
        assert_eq!(
            available(Some("2026-03-11"), "2026-03-11T12:31:00Z"),
            "2026-03-11T12:31:00Z"
        );
        assert_eq!(
            available(None, "2026-03-11T12:31:00Z"),
            "2026-03-11T12:31:00Z"
        );
    }
}
