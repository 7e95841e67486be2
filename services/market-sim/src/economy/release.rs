use calendar::Calendar;
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveTime, TimeZone, Utc, Weekday};
use chrono_tz::America::New_York;

/// How often a series has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Quarterly,
    Annual,
}

impl Frequency {
    /// What the days between the first days of its periods say.
    pub(super) fn of(mut gaps: Vec<i64>) -> Self {
        gaps.sort_unstable();
        match gaps.get(gaps.len() / 2) {
            None | Some(..=4) => Self::Daily,
            Some(..=10) => Self::Weekly,
            Some(..=45) => Self::Monthly,
            Some(..=120) => Self::Quarterly,
            Some(_) => Self::Annual,
        }
    }

    /// FRED's word and letter.
    pub(crate) const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Daily => ("Daily", "D"),
            Self::Weekly => ("Weekly", "W"),
            Self::Monthly => ("Monthly", "M"),
            Self::Quarterly => ("Quarterly", "Q"),
            Self::Annual => ("Annual", "A"),
        }
    }
}

/// Series whose first value comes with the employment report, and those that are averages of a month's market rates.
const EMPLOYMENT: [&str; 5] = ["UNRATE", "PAYEMS", "CIVPART", "AWHNONAG", "CES0500000003"];
const RATES: [&str; 4] = ["FEDFUNDS", "GS10", "GS2", "TB3MS"];

/// Half past eight in the morning: the hour of the statistical offices. Six in the evening: of market rates.
const MORNING: (u32, u32) = (8, 30);
const EVENING: (u32, u32) = (18, 0);

/// When a period's first value is published, UTC: a plausible rule where the true day is not known.
pub(super) fn first_release(
    series: &str,
    frequency: Frequency,
    period: NaiveDate,
    calendar: &Calendar,
) -> Option<DateTime<Utc>> {
    let business_day = |date| business_day(date, calendar);
    let next_month = || period.with_day(1)?.checked_add_months(Months::new(1));
    match frequency {
        Frequency::Daily => local(business_day(period.succ_opt()?)?, EVENING),
        // A week that ends on Saturday, told on Thursday.
        Frequency::Weekly => local(
            business_day(period.checked_add_days(Days::new(5))?)?,
            MORNING,
        ),
        Frequency::Monthly if EMPLOYMENT.contains(&series) => {
            let mut days = next_month()?.iter_days();
            local(days.find(|day| day.weekday() == Weekday::Fri)?, MORNING)
        }
        Frequency::Monthly if RATES.contains(&series) => {
            local(business_day(next_month()?)?, EVENING)
        }
        Frequency::Monthly => local(business_day(next_month()?.with_day(13)?)?, MORNING),
        Frequency::Quarterly => {
            let end = period.with_day(1)?.checked_add_months(Months::new(3))?;
            local(business_day(end.checked_add_days(Days::new(29))?)?, MORNING)
        }
        Frequency::Annual => {
            let end = period.with_day(1)?.checked_add_months(Months::new(12))?;
            local(business_day(end.checked_add_days(Days::new(29))?)?, MORNING)
        }
    }
}

/// The evening of a day, by which what was seen on it had been published.
pub(super) fn evening(date: NaiveDate) -> Option<DateTime<Utc>> {
    local(date, EVENING)
}

/// The morning of a day, or of the next business day.
pub(super) fn morning(date: NaiveDate, calendar: &Calendar) -> Option<DateTime<Utc>> {
    local(business_day(date, calendar)?, MORNING)
}

/// The day itself or the next on which the exchange is open; outside the calendar the next weekday.
fn business_day(date: NaiveDate, calendar: &Calendar) -> Option<NaiveDate> {
    let open = calendar.sessions(date, date.checked_add_days(Days::new(7))?);
    match open.first() {
        Some(session) => Some(session.date),
        None => date
            .iter_days()
            .find(|day| !matches!(day.weekday(), Weekday::Sat | Weekday::Sun)),
    }
}

fn local(date: NaiveDate, (hour, minute): (u32, u32)) -> Option<DateTime<Utc>> {
    let wall = date.and_time(NaiveTime::from_hms_opt(hour, minute, 0)?);
    Some(New_York.from_local_datetime(&wall).earliest()?.to_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_out_when_they_would() {
        for (series, frequency, period, released) in [
            // Good Friday: the next session is Monday.
            (
                "DGS10",
                Frequency::Daily,
                "2026-04-02",
                "2026-04-06T22:00:00Z",
            ),
            (
                "CPIAUCSL",
                Frequency::Monthly,
                "2026-02-01",
                "2026-03-13T12:30:00Z",
            ),
            (
                "CPIAUCSL",
                Frequency::Monthly,
                "2026-05-01",
                "2026-06-15T12:30:00Z",
            ),
            (
                "UNRATE",
                Frequency::Monthly,
                "2026-01-01",
                "2026-02-06T13:30:00Z",
            ),
            (
                "FEDFUNDS",
                Frequency::Monthly,
                "2026-02-01",
                "2026-03-02T23:00:00Z",
            ),
            (
                "GDP",
                Frequency::Quarterly,
                "2025-07-01",
                "2025-10-30T12:30:00Z",
            ),
            (
                "ICSA",
                Frequency::Weekly,
                "2026-03-07",
                "2026-03-12T12:30:00Z",
            ),
        ] {
            let found = first_release(series, frequency, period.parse().unwrap(), calendar::nyse());
            assert_eq!(found, Some(released.parse().unwrap()), "{series} {period}");
        }
    }
}
