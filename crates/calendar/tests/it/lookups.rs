use calendar::nyse;
use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use proptest::prelude::*;

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn time(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

#[test]
fn holidays_have_no_session() {
    // Written by hand from the exchange's announcements.
    for day in [
        "2018-03-30", // Good Friday
        "2012-10-29", // hurricane
        "2018-12-05", // mourning
        "2025-01-09", // mourning
        "2010-12-24", // Christmas on Saturday
        "2022-06-20", // Juneteenth on Sunday
        "2021-07-05", // Independence Day on Sunday
        "2027-06-18", // Juneteenth on Saturday
        "2018-03-31", // Saturday
    ] {
        assert_eq!(nyse().session_on(date(day)), None, "{day}");
    }
    // No holiday: New Year's Day 2011 fell on Saturday; Juneteenth began in 2022.
    for day in ["2010-12-31", "2020-06-19", "2021-06-18", "2021-12-31"] {
        assert!(nyse().session_on(date(day)).is_some(), "{day}");
    }
}

#[test]
fn half_days_end_at_one() {
    let session = nyse().session_on(date("2024-11-29")).unwrap();
    assert!(session.early_close);
    assert_eq!(session.close, time("2024-11-29T18:00:00Z"));
    assert_eq!(session.minutes(), 210);
    assert!(!nyse().session_on(date("2011-07-01")).unwrap().early_close);
}

#[test]
fn new_york_keeps_daylight_saving() {
    assert_eq!(
        nyse().session_on(date("2018-03-09")).unwrap().open,
        time("2018-03-09T14:30:00Z")
    );
    assert_eq!(
        nyse().session_on(date("2018-03-12")).unwrap().open,
        time("2018-03-12T13:30:00Z")
    );
}

#[test]
fn a_session_holds_its_open_and_not_its_close() {
    let session = nyse().session_on(date("2018-03-26")).unwrap();
    let last = session.close - TimeDelta::minutes(1);
    assert_eq!(nyse().session_at(session.open), Some(session));
    assert_eq!(nyse().session_at(last), Some(session));
    assert_eq!(nyse().session_at(session.close), None);
    assert_eq!(
        nyse().session_at(session.open - TimeDelta::nanoseconds(1)),
        None
    );
    assert_eq!(session.minute_of(session.open), Some(0));
    assert_eq!(session.minute_of(last), Some(389));
    assert_eq!(session.minute_of(session.close), None);
}

#[test]
fn neighbours_skip_weekends_and_holidays() {
    let thursday = nyse().session_on(date("2018-03-29")).unwrap();
    let monday = nyse().session_on(date("2018-04-02")).unwrap();
    assert_eq!(nyse().next_open(thursday.open), Some(monday));
    assert_eq!(
        nyse().next_open(thursday.open - TimeDelta::seconds(1)),
        Some(thursday)
    );
    assert_eq!(nyse().previous_session(monday.date), Some(thursday));
    assert_eq!(
        nyse().sessions(thursday.date, monday.date),
        [thursday, monday]
    );
    assert!(
        nyse()
            .sessions(date("2018-03-30"), date("2018-04-01"))
            .is_empty()
    );
    assert!(nyse().sessions(monday.date, thursday.date).is_empty());
}

#[test]
fn minutes_of_trading_go_on_at_the_next_open() {
    let after = |from, minutes| nyse().after_trading(time(from), minutes);
    for (from, minutes, expected) in [
        ("2018-03-28T14:31:02Z", 30, "2018-03-28T15:01:02Z"),
        // The close itself, and across the night.
        ("2018-03-28T19:30:00Z", 30, "2018-03-28T20:00:00Z"),
        ("2018-03-28T19:50:02Z", 30, "2018-03-29T13:50:02Z"),
        // Good Friday and the weekend; the close of a half day; before an open.
        ("2018-03-29T20:00:01Z", 30, "2018-04-02T14:00:00Z"),
        ("2018-07-03T16:45:00Z", 30, "2018-07-05T13:45:00Z"),
        ("2018-03-28T11:00:00Z", 1, "2018-03-28T13:31:00Z"),
        // More than a session.
        ("2018-03-28T13:30:00Z", 391, "2018-03-29T13:31:00Z"),
    ] {
        assert_eq!(after(from, minutes), Some(time(expected)), "{from}");
    }
    assert_eq!(after("2051-01-01T00:00:00Z", 1), None);
}

#[test]
fn the_rules_answer_past_the_published_years() {
    assert!(nyse().coverage().contains(&date("2027-12-31")));
    // Good Friday, Juneteenth on Sunday and summer time of 2033 and 2050.
    assert_eq!(nyse().session_on(date("2033-04-15")), None);
    assert_eq!(nyse().session_on(date("2033-06-20")), None);
    assert_eq!(
        nyse().session_on(date("2050-07-05")).unwrap().open,
        time("2050-07-05T13:30:00Z")
    );
    assert_eq!(nyse().next_open(time("2051-01-01T00:00:00Z")), None);
    assert_eq!(nyse().previous_session(date("2005-01-01")), None);
}

proptest! {
    #[test]
    fn lookups_agree_with_each_other(minutes in 0..46_i64 * 365 * 24 * 60) {
        let moment = time("2005-01-01T00:00:00Z") + TimeDelta::minutes(minutes);
        let next = nyse().next_open(moment);
        if let Some(session) = nyse().session_at(moment) {
            prop_assert!(session.contains(moment));
            prop_assert!(session.minute_of(moment).unwrap() < session.minutes());
            prop_assert_eq!(nyse().session_on(session.date), Some(session));
            prop_assert_eq!(next.and_then(|next| nyse().previous_session(next.date)), Some(session));
        } else if let Some(next) = next {
            prop_assert!(next.open > moment);
            let earlier = nyse().previous_session(next.date);
            prop_assert!(earlier.is_none_or(|earlier| earlier.close <= moment));
        }
    }

    #[test]
    fn so_many_minutes_later_so_many_have_passed(start in 0..45_i64 * 365 * 24 * 60, minutes in 0..2_000_u32) {
        let moment = time("2005-01-01T00:00:00Z") + TimeDelta::minutes(start);
        let later = nyse().after_trading(moment, minutes).unwrap();
        prop_assert_eq!(nyse().trading_minutes(moment, later), minutes);
    }
}

#[test]
fn trading_minutes_count_what_lies_in_sessions() {
    let minutes = |from: &str, to: &str| nyse().trading_minutes(time(from), time(to));
    // Within a session, over a night, over Good Friday and its weekend, and around a half day.
    assert_eq!(minutes("2018-03-26T14:00:00Z", "2018-03-26T14:11:00Z"), 11);
    assert_eq!(minutes("2018-03-26T19:55:00Z", "2018-03-27T13:33:00Z"), 8);
    assert_eq!(minutes("2018-03-29T20:00:00Z", "2018-04-02T13:30:00Z"), 0);
    assert_eq!(minutes("2018-03-29T19:59:00Z", "2018-04-03T13:30:00Z"), 391);
    assert_eq!(minutes("2018-11-23T14:30:00Z", "2018-11-26T14:30:00Z"), 210);
    assert_eq!(minutes("2018-03-26T14:00:00Z", "2018-03-26T14:00:00Z"), 0);
    assert_eq!(minutes("2018-03-26T14:00:00Z", "2018-03-23T14:00:00Z"), 0);
}

#[test]
fn the_last_closed_session_is_over_at_its_close() {
    let last = |text: &str| {
        let session = nyse().last_closed(text.parse().unwrap());
        session.map(|session| session.date.to_string())
    };
    // Monday the 26th closes at 20:00 UTC.
    assert_eq!(last("2018-03-26T19:59:59Z").as_deref(), Some("2018-03-23"));
    assert_eq!(last("2018-03-26T20:00:00Z").as_deref(), Some("2018-03-26"));
    assert_eq!(last("2018-03-27T05:30:00Z").as_deref(), Some("2018-03-26"));
    // Good Friday, the weekend, and Monday before the close.
    assert_eq!(last("2018-03-31T05:30:00Z").as_deref(), Some("2018-03-29"));
    assert_eq!(last("2018-04-02T19:00:00Z").as_deref(), Some("2018-03-29"));
    assert_eq!(last("1900-01-01T00:00:00Z"), None);
}
