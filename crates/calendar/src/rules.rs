//! NYSE Rule 7.2 and what the exchange announced for single days.

use std::ops::RangeInclusive;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Utc, Weekday};
use chrono_tz::{America::New_York, Tz};

use crate::{CalendarSettings, OPEN_MINUTE_OF_DAY, REGULAR_SESSION_MINUTES, Session};

/// The rules below hold from here on: earlier years had other half days.
pub(crate) const FIRST_YEAR: i32 = 2005;

/// How far the table reaches. Daylight saving as the law stands today.
pub(crate) const LAST_YEAR: i32 = 2050;

/// Minutes of a half day: 9:30 to 13:00.
const HALF_DAY_MINUTES: u32 = 210;

/// Closures announced for one occasion: year, month, day. Later ones stand in the settings until they stand here.
const SPECIAL_CLOSURES: [(i32, u32, u32); 5] = [
    (2007, 1, 2),   // mourning for President Ford
    (2012, 10, 29), // hurricane Sandy
    (2012, 10, 30), // hurricane Sandy
    (2018, 12, 5),  // mourning for President George H. W. Bush
    (2025, 1, 9),   // mourning for President Carter
];

/// All sessions of these years, in order.
pub(crate) fn sessions(years: RangeInclusive<i32>, settings: &CalendarSettings) -> Vec<Session> {
    years
        .flat_map(|year| sessions_of_year(year, settings))
        .collect()
}

fn sessions_of_year(year: i32, settings: &CalendarSettings) -> Vec<Session> {
    let holidays = holidays(year);
    date(year, 1, 1)
        .iter_days()
        .take_while(|day| day.year() == year)
        .filter(|day| !is_weekend(*day) && !holidays.contains(day))
        .filter(|day| !is_special_closure(*day) && !settings.closures.contains(day))
        .filter_map(|day| session(day, settings))
        .collect()
}

fn session(date: NaiveDate, settings: &CalendarSettings) -> Option<Session> {
    let usual = minutes(date);
    let announced = settings.early_close(date).and_then(|early| early.minutes());
    let minutes = announced.map_or(usual, |announced| announced.min(usual));
    let open = new_york(date, OPEN_MINUTE_OF_DAY)?;
    let close = new_york(date, OPEN_MINUTE_OF_DAY + minutes)?;
    Some(Session {
        date,
        open,
        close,
        early_close: minutes < REGULAR_SESSION_MINUTES,
    })
}

/// Length in minutes that a session of this day has by the rules.
pub(crate) fn minutes(date: NaiveDate) -> u32 {
    if is_half_day(date) {
        HALF_DAY_MINUTES
    } else {
        REGULAR_SESSION_MINUTES
    }
}

/// When a session of so many minutes ends, New York time.
pub(crate) fn time_of_close(minutes: u32) -> String {
    let minute_of_day = OPEN_MINUTE_OF_DAY + minutes;
    format!("{:02}:{:02}", minute_of_day / 60, minute_of_day % 60)
}

fn is_special_closure(day: NaiveDate) -> bool {
    SPECIAL_CLOSURES.contains(&(day.year(), day.month(), day.day()))
}

/// Whether the rules know the day as a holiday.
pub(crate) fn is_holiday(day: NaiveDate) -> bool {
    holidays(day.year()).contains(&day)
}

/// Daylight saving changes on Sundays at 2:00, so a minute of a session always exists and is never ambiguous.
fn new_york(date: NaiveDate, minute_of_day: u32) -> Option<DateTime<Utc>> {
    let time = NaiveTime::from_num_seconds_from_midnight_opt(minute_of_day * 60, 0)?;
    let local: DateTime<Tz> = date.and_time(time).and_local_timezone(New_York).single()?;
    Some(local.with_timezone(&Utc))
}

/// Days without a session every year, apart from weekends.
fn holidays(year: i32) -> Vec<NaiveDate> {
    let mut days = vec![
        nth_weekday(year, 1, Weekday::Mon, 3), // Martin Luther King
        nth_weekday(year, 2, Weekday::Mon, 3), // Washington's birthday
        easter(year) - Days::new(2),           // Good Friday
        last_monday_of_may(year),              // Memorial Day
        observed(date(year, 7, 4)),            // Independence Day
        nth_weekday(year, 9, Weekday::Mon, 1), // Labor Day
        thanksgiving(year),
        observed(date(year, 12, 25)), // Christmas
    ];
    let new_year = date(year, 1, 1);
    // A New Year's Day on Saturday is not made up for: December 31 closes the books of the year.
    if new_year.weekday() != Weekday::Sat {
        days.push(observed(new_year));
    }
    if year >= 2022 {
        days.push(observed(date(year, 6, 19))); // Juneteenth
    }
    days
}

/// The day after Thanksgiving, and the day before Independence Day and Christmas when the holiday itself falls on
/// Tuesday to Friday.
fn is_half_day(day: NaiveDate) -> bool {
    let eve = matches!((day.month(), day.day()), (7, 3) | (12, 24));
    let before_a_weekday_holiday = eve && day.weekday().num_days_from_monday() <= 3;
    before_a_weekday_holiday || day == thanksgiving(day.year()) + Days::new(1)
}

/// A holiday on Saturday is kept on Friday, one on Sunday on Monday.
fn observed(holiday: NaiveDate) -> NaiveDate {
    match holiday.weekday() {
        Weekday::Sat => holiday - Days::new(1),
        Weekday::Sun => holiday + Days::new(1),
        _ => holiday,
    }
}

fn thanksgiving(year: i32) -> NaiveDate {
    nth_weekday(year, 11, Weekday::Thu, 4)
}

fn last_monday_of_may(year: i32) -> NaiveDate {
    let last = date(year, 5, 31);
    last - Days::new(u64::from(last.weekday().num_days_from_monday()))
}

fn nth_weekday(year: i32, month: u32, weekday: Weekday, n: u64) -> NaiveDate {
    let first = date(year, month, 1);
    let days_until = u64::from(weekday.days_since(first.weekday()));
    first + Days::new(days_until + 7 * (n - 1))
}

/// Easter Sunday, Gregorian calendar: the "anonymous" algorithm (Nature, 20 April 1876; Meeus 1991, chapter 8).
fn easter(year: i32) -> NaiveDate {
    let golden = year % 19;
    let (century, year_of_century) = (year / 100, year % 100);
    let moon_correction = (century + 8) / 25;
    let epact =
        (19 * golden + century - century / 4 - (century - moon_correction + 1) / 3 + 15) % 30;
    let weekday =
        (32 + 2 * (century % 4) + 2 * (year_of_century / 4) - epact - year_of_century % 4) % 7;
    let late = (golden + 11 * epact + 22 * weekday) / 451;
    let days_after_march_22 = epact + weekday - 7 * late;
    date(year, 3, 22) + Days::new(u64::from(days_after_march_22.unsigned_abs()))
}

pub(crate) fn is_weekend(day: NaiveDate) -> bool {
    matches!(day.weekday(), Weekday::Sat | Weekday::Sun)
}

/// A date that exists; every caller names a fixed day of a year near ours.
#[expect(
    clippy::expect_used,
    reason = "the dates in this file are constants that exist in every year"
)]
pub(crate) fn date(year: i32, month: u32, day: u32) -> NaiveDate {
    NaiveDate::from_ymd_opt(year, month, day).expect("the rules name only dates that exist")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn easter_is_where_the_church_has_it() {
        for (year, month, day) in [
            (2008, 3, 23),
            (2011, 4, 24),
            (2018, 4, 1),
            (2025, 4, 20),
            (2038, 4, 25),
        ] {
            assert_eq!(easter(year), date(year, month, day));
        }
    }
}
