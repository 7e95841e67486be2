//! Closures that no rule knows.

use calendar::{Calendar, CalendarSettings};
use chrono::NaiveDate;
use domain::SettingsSection;

fn settings(text: &str) -> CalendarSettings {
    toml::from_str(text).unwrap()
}

fn date(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

#[test]
fn closures_and_early_closes_are_added_to_the_rules() {
    let settings = settings(
        r#"
        closures = ["2018-03-09"]
        early_closes = [{ date = "2018-03-12", close = "13:00" }]
        "#,
    );
    settings.check().unwrap();
    let calendar = Calendar::new(&settings);
    assert_eq!(calendar.session_on(date("2018-03-09")), None);
    let thursday = calendar.session_on(date("2018-03-08")).unwrap();
    let monday = calendar.next_open(thursday.open).unwrap();
    assert_eq!(monday.date, date("2018-03-12"));
    // Summer time began on the 11th.
    assert_eq!(monday.close.to_rfc3339(), "2018-03-12T17:00:00+00:00");
    assert_eq!((monday.minutes(), monday.early_close), (210, true));
    assert_eq!(calendar.session_at(monday.close), None);
    // The rules alone know neither.
    let rules = Calendar::new(&CalendarSettings::default());
    assert_eq!(rules.session_on(date("2018-03-12")).unwrap().minutes(), 390);
}

#[test]
fn an_early_close_may_shorten_a_half_day() {
    let text = r#"early_closes = [{ date = "2018-11-23", close = "11:15" }]"#;
    let settings = settings(text);
    settings.check().unwrap();
    let session = Calendar::new(&settings).session_on(date("2018-11-23"));
    assert_eq!(session.unwrap().minutes(), 105);
}

#[test]
fn a_closure_that_a_later_version_knows_by_itself_does_not_keep_it_from_starting() {
    settings(r#"closures = ["2018-12-05"]"#).check().unwrap();
}

#[test]
fn what_nobody_means_is_refused_with_the_reason() {
    for (text, reasons) in [
        (
            r#"closures = ["2018-03-10"]"#,
            &["closures = 2018-03-10", "is a Saturday", "take it out"][..],
        ),
        (
            r#"closures = ["2018-03-30"]"#,
            &["2018-03-30 is a holiday that the calendar knows"],
        ),
        (r#"closures = ["1999-03-09"]"#, &["the years 2005 to 2050"]),
        (
            r#"closures = ["2018-03-09", "2018-03-09"]"#,
            &["each day once"],
        ),
        (
            r#"closures = ["2018-03-09"]
            early_closes = [{ date = "2018-03-09", close = "13:00" }]"#,
            &["as a closure or as an early close"],
        ),
        (
            r#"early_closes = [{ date = "2018-03-11", close = "13:00" }]"#,
            &[
                "early_closes = { date = \"2018-03-11\", close = \"13:00\" }",
                "is a Sunday",
            ],
        ),
        (
            r#"early_closes = [{ date = "2018-03-12", close = "16:00" }]"#,
            &["after 09:30 and before 16:00, New York time"],
        ),
        (
            r#"early_closes = [{ date = "2018-03-12", close = "09:30" }]"#,
            &["after 09:30"],
        ),
        (
            r#"early_closes = [{ date = "2018-11-23", close = "13:00" }]"#,
            &["before 13:00"],
        ),
    ] {
        let error = settings(text).check().unwrap_err().to_string();
        for reason in reasons {
            assert!(error.contains(reason), "{reason:?} in {error}");
        }
    }
    for (text, reason) in [
        (r#"closures = ["2018-02-30"]"#, "out of range"),
        (r#"closures = ["9.3.2018"]"#, "invalid"),
        (
            r#"early_closes = [{ date = "2018-03-12", close = "1 pm" }]"#,
            "\"1 pm\" is no time of day: expected New York time such as \"13:00\"",
        ),
        (r#"early_closes = [{ date = "2018-03-12" }]"#, "close"),
        (r#"closure = ["2018-03-09"]"#, "closure"),
    ] {
        let error = toml::from_str::<CalendarSettings>(text)
            .unwrap_err()
            .to_string();
        assert!(error.contains(reason), "{reason:?} in {error}");
    }
}
