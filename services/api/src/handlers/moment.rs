//! Dates and times in the forms in which people write them.

use chrono::{DateTime, Datelike as _, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use chrono_tz::America::New_York;
use utoipa::openapi::{
    KnownFormat, ObjectBuilder, OneOfBuilder, RefOr, Schema, SchemaFormat, Type,
};

use crate::error::ApiError;

/// Years that can be asked for: those that four digits can name.
const YEARS: std::ops::RangeInclusive<i32> = 0..=9999;

/// No stock was traded on this exchange before, or will have been: what lies beyond means the same. The database reckons
/// with these times.
const HISTORY: [DateTime<Utc>; 2] = [year(1800), year(2200)];

/// A longer text is shown by its beginning.
const SHOWN: usize = 60;

/// Reads a parameter of a query: a date, which means its first moment in New York, or a time with its zone. A plus sign
/// that was not escaped arrives as a space.
pub(super) fn moment(name: &str, text: &str) -> Result<DateTime<Utc>, ApiError> {
    let wrong = |problem: String| {
        let shown: String = text.chars().take(SHOWN).collect();
        ApiError::bad_parameter(name, format!("{shown:?} {problem}"))
    };
    let plain = text.trim();
    let (local, time) = if let Ok(date) = NaiveDate::parse_from_str(plain, "%Y-%m-%d") {
        let local = date.and_time(NaiveTime::MIN);
        (local, None)
    } else if let Some(time) = zoned(plain) {
        (time.naive_local(), Some(time.to_utc()))
    } else if let Some(local) = unzoned(plain) {
        let zone = local.and_local_timezone(New_York).earliest();
        let in_new_york = zone.map_or_else(String::new, |time| {
            format!(" or {} (New York)", time.format("%Y-%m-%dT%H:%M:%S%:z"))
        });
        return Err(wrong(format!(
            "names no time zone: write {}Z (UTC){in_new_york}",
            local.format("%Y-%m-%dT%H:%M:%S")
        )));
    } else {
        return Err(wrong(
            "is neither a date nor a time: expected a date such as 2018-03-07 (its first moment in New York) or a time \
             with its zone such as 2018-03-07T14:30:00Z or 2018-03-07T09:30:00-05:00"
                .to_owned(),
        ));
    };
    if !YEARS.contains(&local.year()) {
        return Err(wrong(format!(
            "is out of range: expected a year from {:04} to {}",
            YEARS.start(),
            YEARS.end()
        )));
    }
    // New York's clocks change at two in the morning: every day has a midnight.
    let time = time.or_else(|| {
        let midnight = local.and_local_timezone(New_York).earliest()?;
        Some(midnight.to_utc())
    });
    let time = time.ok_or_else(|| wrong("is no time in New York".to_owned()))?;
    Ok(time.clamp(HISTORY[0], HISTORY[1]))
}

/// A time with its zone.
fn zoned(text: &str) -> Option<DateTime<chrono::FixedOffset>> {
    let text = with_plus(text);
    ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"]
        .into_iter()
        .find_map(|format| DateTime::parse_from_str(&text, format).ok())
}

fn unzoned(text: &str) -> Option<NaiveDateTime> {
    let text = with_plus(text);
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .into_iter()
        .find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok())
}

/// In upper case, with a `T` between date and time and a plus sign before the zone, where spaces stood.
fn with_plus(text: &str) -> String {
    let text = text.to_ascii_uppercase();
    let Some((date, time)) = text.split_once(['T', ' ']) else {
        return text;
    };
    let time = match time.trim().rsplit_once(' ') {
        Some((time, zone)) if zone.starts_with(|first: char| first.is_ascii_digit()) => {
            format!("{time}+{zone}")
        }
        Some((time, zone)) => format!("{time}{zone}"),
        None => time.trim().to_owned(),
    };
    format!(
        "{date}T{}",
        time.strip_suffix("UTC")
            .map_or_else(|| time.clone(), |time| format!("{time}Z"))
    )
}

/// The first moment of a year, UTC.
const fn year(year: i32) -> DateTime<Utc> {
    match NaiveDate::from_ymd_opt(year, 1, 1) {
        Some(date) => date.and_time(NaiveTime::MIN).and_utc(),
        None => DateTime::<Utc>::UNIX_EPOCH,
    }
}

/// What [`moment`] takes, for the description of the interface.
pub(super) fn schema() -> RefOr<Schema> {
    let text = |format| {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(format)))
    };
    Schema::from(
        OneOfBuilder::new()
            .item(text(KnownFormat::DateTime))
            .item(text(KnownFormat::Date)),
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let shown = |time: DateTime<Utc>| time.format("%Y-%m-%dT%H:%M:%SZ").to_string();
        moment("start", text)
            .map(shown)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_date_is_its_first_moment_in_new_york() {
        assert_eq!(read("2018-03-07").unwrap(), "2018-03-07T05:00:00Z");
        assert_eq!(
            read(" 2018-03-12 ").unwrap(),
            "2018-03-12T04:00:00Z",
            "summer time"
        );
        assert_eq!(
            read("2018-03-11").unwrap(),
            "2018-03-11T05:00:00Z",
            "the day on which it begins"
        );
    }

    #[test]
    fn a_time_has_its_zone_in_any_usual_form() {
        for text in [
            "2018-03-07T14:30:00Z",
            "2018-03-07t14:30:00z",
            "2018-03-07T14:30:00+00:00",
            // As a plus sign arrives that was not escaped.
            "2018-03-07T14:30:00 00:00",
            "2018-03-07T15:30:00 01:00",
            "2018-03-07T15:30:00 0100",
            "2018-03-07 14:30:00Z",
            "2018-03-07 14:30:00 00:00",
            "2018-03-07 14:30:00.000Z",
            "2018-03-07 14:30 UTC",
            "2018-03-07 14:30 Z",
            "2018-03-07T14:30Z",
            "2018-03-07T09:30:00-05:00",
            "2018-03-07 09:30:00 -05:00",
            "2018-03-07T14:30:00.123456789012Z",
        ] {
            assert_eq!(read(text).as_deref(), Ok("2018-03-07T14:30:00Z"), "{text}");
        }
    }

    #[test]
    fn a_time_without_a_zone_is_told_both_ways_to_write_it() {
        for text in [
            "2018-03-07T14:30:00",
            "2018-03-07 14:30",
            "2018-03-07t14:30:00.0",
        ] {
            let error = read(text).unwrap_err();
            assert!(
                error.starts_with(&format!("start: {text:?} names no time zone"))
                    && error.ends_with(
                        "write 2018-03-07T14:30:00Z (UTC) or 2018-03-07T14:30:00-05:00 (New York)"
                    ),
                "{error}"
            );
        }
    }

    #[test]
    fn anything_else_is_told_what_is_expected() {
        for text in [
            "",
            "10000-01-01",
            "monday",
            "7.3.2018",
            "03/07/2018",
            "20180307",
            "1520433000",
            "2018-13-01",
            "2018-02-30",
            "2018-03-07T25:00:00Z",
            "2018-03-07T14:30:00 New York",
            "2018-03-07T",
            "T14:30:00Z",
            "\u{0}",
            "２０１８-03-07",
        ] {
            let error = read(text).unwrap_err();
            assert!(
                error.starts_with("start: ")
                    && error.contains("expected a date such as 2018-03-07"),
                "{text:?}: {error}"
            );
        }
        let long = read(&"9".repeat(10_000)).unwrap_err();
        assert!(long.len() < 400, "{}", long.len());
    }

    #[test]
    fn what_lies_beyond_all_calendars_is_refused_and_what_lies_beyond_all_bars_is_not() {
        for text in [
            "-4800-01-01",
            "-4713-01-01T00:00:00Z",
            "+12345-01-01",
            "+262142-12-31T23:59:59Z",
        ] {
            let error = read(text).unwrap_err();
            assert!(
                error.contains("expected a year from 0000 to 9999"),
                "{error}"
            );
        }
        for (text, bound) in [
            ("0000-01-01", "1800-01-01T00:00:00Z"),
            ("0000-01-01T00:00:00+23:59", "1800-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59-23:59", "2200-01-01T00:00:00Z"),
            ("9999-12-31", "2200-01-01T00:00:00Z"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(bound), "{text}");
        }
    }
}
