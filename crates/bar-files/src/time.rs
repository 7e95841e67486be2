//! Times as vendors, programs and people write them. One without a zone is never guessed at.

use std::str::FromStr;

use chrono::{
    DateTime, FixedOffset, LocalResult, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Utc,
};
use chrono_tz::Tz;

/// Seconds since 1970 below this would be a time before 1973: such a number is something else.
const FIRST_EPOCH: u64 = 100_000_000;

/// Why a text is no moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeFault {
    /// It is not a time in any form that is known.
    #[error("not a time")]
    Unreadable,
    /// It names a day only.
    #[error("a date without a time of day")]
    NoTimeOfDay,
    /// It names no zone, and none was given.
    #[error("a time without a zone")]
    NoZone,
    /// The clocks went back: it happened twice.
    #[error("a time that the clocks showed twice when they went back")]
    Ambiguous,
    /// The clocks went forward: it never happened.
    #[error("a time that the clocks left out when they went forward")]
    Skipped,
    /// Day and month cannot be told apart.
    #[error("a date whose day and month cannot be told apart: write the year first")]
    DayOrMonth,
}

/// Which comes first where the year comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    /// 20/02/2018
    DayFirst,
    /// 02/20/2018
    MonthFirst,
}

impl FromStr for DateOrder {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "day" => Ok(Self::DayFirst),
            "month" => Ok(Self::MonthFirst),
            _ => Err("expected day or month, whichever comes first".to_owned()),
        }
    }
}

/// What the times of a file say of their order: a number above twelve is a day.
#[derive(Clone, Copy, Debug, Default)]
pub struct OrderVotes {
    day_first: bool,
    month_first: bool,
}

impl OrderVotes {
    /// Takes a time.
    pub fn add(&mut self, time: &str) {
        let mut numbers = time
            .trim()
            .split(|character: char| !character.is_ascii_digit())
            .map(|number| number.parse::<u32>().unwrap_or_default());
        self.day_first |= numbers.next().is_some_and(|number| number > 12);
        self.month_first |= numbers.next().is_some_and(|number| number > 12);
    }

    /// Tells the order, if the times do.
    pub const fn order(self) -> Option<DateOrder> {
        match (self.day_first, self.month_first) {
            (true, false) => Some(DateOrder::DayFirst),
            (false, true) => Some(DateOrder::MonthFirst),
            _ => None,
        }
    }
}

/// Whether a time is written so that the order of day and month matters.
pub(crate) fn order_matters(time: &str) -> bool {
    let time = time.trim();
    let first = time.bytes().take_while(u8::is_ascii_digit).count();
    (1..=2).contains(&first)
        && matches!(time.as_bytes().get(first), Some(b'/' | b'-'))
        && time
            .as_bytes()
            .get(first + 1)
            .is_some_and(u8::is_ascii_digit)
}

/// Reads times of one file.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimeParser {
    /// Zone of times that state none.
    pub zone: Option<Tz>,
    /// Order of day and month where the year comes last.
    pub order: Option<DateOrder>,
}

/// Joins a date and a time of day that stand apart. Programs that took the time for a number dropped its leading zero.
pub fn join_date_and_time(date: &str, time: &str) -> String {
    let is_number = time.bytes().all(|byte| byte.is_ascii_digit());
    match time.len() {
        3 | 5 if is_number => format!("{date} 0{time}"),
        _ => format!("{date} {time}"),
    }
}

/// Reads a time with its zone.
pub fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    TimeParser::default().parse(text).ok()
}

impl TimeParser {
    /// Reads a time: RFC 3339 and its kin, a date before a time of day in the usual orders, a number of seconds or of
    /// thousandths, millionths or billionths of them since 1970. Its own zone counts, by offset or name, else that of
    /// the parser.
    ///
    /// # Errors
    /// [`TimeFault`] says what is wrong.
    pub fn parse(&self, text: &str) -> Result<DateTime<Utc>, TimeFault> {
        let text = text.trim();
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(time.to_utc());
        }
        let whole = text.split_once('.').map_or(text, |(whole, fraction)| {
            if fraction.bytes().all(|byte| byte == b'0') {
                whole
            } else {
                text
            }
        });
        if !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit()) {
            return self.number(whole);
        }
        // As FIX and Interactive Brokers write UTC: 20180220-14:30:00.
        if let Some((date, time)) = text.split_once('-')
            && date.len() == 8
            && date.bytes().all(|byte| byte.is_ascii_digit())
            && time.contains(':')
            && let Some(time) = clock(time)
        {
            return Ok(self.date(date)?.and_time(time).and_utc());
        }
        let (date, rest) = split_date(text);
        let date = self.date(date)?;
        if rest.is_empty() {
            return Err(TimeFault::NoTimeOfDay);
        }
        let (time, zone) = time_of_day(rest).ok_or(TimeFault::Unreadable)?;
        let local = date.and_time(time);
        match Zone::of(zone).ok_or(TimeFault::Unreadable)? {
            Zone::None => self.local(local),
            Zone::Offset(offset) => resolve(&offset, local),
            Zone::Named(zone) => resolve(&zone, local),
        }
    }

    /// A wall clock's time in the zone of the parser.
    ///
    /// # Errors
    /// [`TimeFault::NoZone`] where it has none, and for times that the clocks left out or showed twice.
    pub fn local(&self, local: NaiveDateTime) -> Result<DateTime<Utc>, TimeFault> {
        resolve(&self.zone.ok_or(TimeFault::NoZone)?, local)
    }

    /// A run of digits: a date and time of day without separators, or a count since 1970.
    fn number(&self, digits: &str) -> Result<DateTime<Utc>, TimeFault> {
        let compact = match digits.len() {
            8 => return self.date(digits).and(Err(TimeFault::NoTimeOfDay)),
            12 | 14 if digits.starts_with("19") || digits.starts_with("20") => {
                let (date, time) = digits.split_at(8);
                self.date(date).ok().zip(clock(time))
            }
            _ => None,
        };
        match compact {
            Some((date, time)) => self.local(date.and_time(time)),
            None => digits
                .parse()
                .ok()
                .and_then(moment)
                .ok_or(TimeFault::Unreadable),
        }
    }

    fn date(&self, text: &str) -> Result<NaiveDate, TimeFault> {
        let date = |year, month, day| {
            NaiveDate::from_ymd_opt(year, month, day).ok_or(TimeFault::Unreadable)
        };
        let number = |text: &str| text.parse::<u32>().map_err(|_| TimeFault::Unreadable);
        let year = |text: &str| match text.len() {
            4 => text.parse().map_err(|_| TimeFault::Unreadable),
            _ => Err(TimeFault::Unreadable),
        };
        // Excel writes two digits of a year, which then comes last.
        let last_year = |text: &str| match text.len() {
            2 => number(text).map(|year| 2_000 + year as i32),
            _ => year(text),
        };
        if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            let (years, rest) = text.split_at(4);
            let (months, days) = rest.split_at(2);
            return date(year(years)?, number(months)?, number(days)?);
        }
        let separator = text
            .chars()
            .find(|character| matches!(character, '-' | '/' | '.'))
            .ok_or(TimeFault::Unreadable)?;
        let parts: Vec<&str> = text.split(separator).collect();
        let [first, second, third] = *parts else {
            return Err(TimeFault::Unreadable);
        };
        if first.len() == 4 {
            return date(year(first)?, month(second)?, number(third)?);
        }
        if second.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return date(last_year(third)?, month(second)?, number(first)?);
        }
        // Here 18-02-20 may begin with its year.
        let last_year = |text: &str| match separator {
            '-' => year(text),
            _ => last_year(text),
        };
        let order = if separator == '.' {
            Some(DateOrder::DayFirst)
        } else {
            self.order
        };
        match order.ok_or(TimeFault::DayOrMonth)? {
            DateOrder::DayFirst => date(last_year(third)?, number(second)?, number(first)?),
            DateOrder::MonthFirst => date(last_year(third)?, number(first)?, number(second)?),
        }
    }
}

/// A moment from a count since 1970: of seconds, or of thousandths, millionths or billionths of them, told by its size.
fn moment(count: i64) -> Option<DateTime<Utc>> {
    match count.unsigned_abs() {
        0..FIRST_EPOCH => None,
        FIRST_EPOCH..100_000_000_000 => DateTime::from_timestamp(count, 0),
        100_000_000_000..100_000_000_000_000 => DateTime::from_timestamp_millis(count),
        100_000_000_000_000..100_000_000_000_000_000 => DateTime::from_timestamp_micros(count),
        _ => Some(DateTime::from_timestamp_nanos(count)),
    }
}

/// What a text says of its zone.
enum Zone {
    None,
    Offset(FixedOffset),
    Named(Tz),
}

impl Zone {
    /// `None` for what is no zone.
    fn of(text: &str) -> Option<Self> {
        // Java writes both: 2018-02-20T09:30-05:00[America/New_York].
        let text = match text.split_once('[') {
            Some(("", name)) => name.strip_suffix(']')?,
            Some((offset, _)) => offset.trim(),
            None => text,
        };
        Some(match text {
            "" => Self::None,
            "Z" | "z" | "UTC" | "GMT" => Self::Named(Tz::UTC),
            "ET" => Self::Named(Tz::America__New_York),
            "EST" => Self::Offset(FixedOffset::west_opt(5 * 3_600)?),
            "EDT" => Self::Offset(FixedOffset::west_opt(4 * 3_600)?),
            _ if text.starts_with(['+', '-']) => Self::Offset(offset(text)?),
            _ => Self::Named(Tz::from_str(text).ok()?),
        })
    }
}

/// `-05:00`, `-0500` or `-05`.
fn offset(text: &str) -> Option<FixedOffset> {
    let (sign, rest) = text.split_at_checked(1)?;
    let digits = rest.replace(':', "");
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = match digits.len() {
        2 => (digits.parse::<i32>().ok()?, 0),
        4 => (digits[..2].parse().ok()?, digits[2..].parse::<i32>().ok()?),
        _ => return None,
    };
    let seconds = hours * 3_600 + minutes * 60;
    FixedOffset::east_opt(if sign == "-" { -seconds } else { seconds })
}

/// Cuts a text behind its date.
fn split_date(text: &str) -> (&str, &str) {
    let end = text.char_indices().find(|&(index, character)| {
        // A "T" that is no part of a month's name.
        let is_t = matches!(character, 'T' | 't')
            && text[..index].ends_with(|before: char| before.is_ascii_digit());
        is_t || character.is_whitespace() || matches!(character, ';' | ',')
    });
    match end {
        Some((index, separator)) => {
            let (date, rest) = text.split_at(index);
            (date, rest[separator.len_utf8()..].trim_start())
        }
        None => (text, ""),
    }
}

/// Reads a time of day, with AM or PM where it stands there, and what follows it: the zone.
fn time_of_day(text: &str) -> Option<(NaiveTime, &str)> {
    let end = text
        .find(|character: char| !character.is_ascii_digit() && !matches!(character, ':' | '.'))
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let time = clock(digits)?;
    let rest = rest.trim();
    // Not the beginning of America.
    let is_word = rest
        .as_bytes()
        .get(2)
        .is_none_or(|next| !next.is_ascii_alphabetic());
    let half = rest
        .get(..2)
        .filter(|_| is_word)
        .map(str::to_ascii_uppercase);
    let (time, rest) = match half.as_deref() {
        Some(half @ ("AM" | "PM")) => {
            use chrono::Timelike as _;
            let hour = time.hour();
            if !(1..=12).contains(&hour) {
                return None;
            }
            let hour = hour % 12 + if half == "PM" { 12 } else { 0 };
            (time.with_hour(hour)?, rest[2..].trim_start())
        }
        _ => (time, rest),
    };
    Some((time, rest))
}

/// `9:30`, `09:30:00`, `09:30:00.000000000`, `0930` or `093000`.
fn clock(text: &str) -> Option<NaiveTime> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let compact = |text: &str, at: usize| text.get(at..at + 2)?.parse::<u32>().ok();
    let (hour, minute, second) = if whole.contains(':') {
        let mut parts = whole.split(':').map(|part| part.parse::<u32>().ok());
        let hour = parts.next()??;
        let minute = parts.next()??;
        let second = parts.next().unwrap_or(Some(0))?;
        if parts.next().is_some() {
            return None;
        }
        (hour, minute, second)
    } else {
        match whole.len() {
            4 => (compact(whole, 0)?, compact(whole, 2)?, 0),
            6 => (compact(whole, 0)?, compact(whole, 2)?, compact(whole, 4)?),
            _ => return None,
        }
    };
    let nanos = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)
}

/// `2`, `02`, `Feb` or `February`.
fn month(text: &str) -> Result<u32, TimeFault> {
    let number = || text.parse().ok();
    let name = || {
        chrono::Month::from_str(text)
            .ok()
            .map(|month| month.number_from_month())
    };
    number().or_else(name).ok_or(TimeFault::Unreadable)
}

fn resolve<Z: TimeZone>(zone: &Z, local: NaiveDateTime) -> Result<DateTime<Utc>, TimeFault> {
    match zone.from_local_datetime(&local) {
        LocalResult::Single(time) => Ok(time.to_utc()),
        LocalResult::Ambiguous(..) => Err(TimeFault::Ambiguous),
        LocalResult::None => Err(TimeFault::Skipped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DateTime<Utc>, TimeFault> {
        let parser = TimeParser {
            zone: None,
            order: order(&[text]),
        };
        parser.parse(text)
    }

    fn order(times: &[&str]) -> Option<DateOrder> {
        let mut votes = OrderVotes::default();
        times.iter().for_each(|time| votes.add(time));
        votes.order()
    }

    #[test]
    fn times_with_a_zone_are_read_in_every_usual_form() {
        let expected = "2018-02-20T14:30:00Z".parse::<DateTime<Utc>>().unwrap();
        for text in [
            "2018-02-20T14:30:00Z",
            "2018-02-20T14:30Z",
            "2018-02-20t14:30:00z",
            "2018-02-20T14:30:00.000Z",
            "2018-02-20T14:30:00.000000000Z",
            "2018-02-20 14:30:00+00:00",
            "2018-02-20 14:30:00 +0000",
            "2018-02-20 14:30:00+00",
            "2018-02-20 09:30:00-05:00",
            "2018-02-20T09:30:00-0500",
            "2018-02-20T09:30-05:00[America/New_York]",
            "2018-02-20T09:30[America/New_York]",
            "2018-02-20 14:30:00 UTC",
            "20180220 09:30:00 US/Eastern",
            "20180220  09:30:00 America/New_York",
            "20180220 093000 EST",
            "2018/02/20 09:30 ET",
            "02/20/2018 09:30:00 AM -05:00",
            "2/20/2018 9:30 AM ET",
            "20/02/2018 14:30 GMT",
            "20.02.2018 15:30:00 Europe/Berlin",
            "20-Feb-2018 09:30:00 US/Eastern",
            "20-Feb-18 09:30:00 US/Eastern",
            "2/20/18 9:30 ET",
            "20180220-14:30:00",
            "20180220-14:30:00.000",
            "1519137000",
            "1519137000.0",
            "1519137000000",
            "1519137000000000",
            "1519137000000000000",
            " 1519137000 ",
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_time_without_a_zone_wants_one() {
        let parser = TimeParser {
            zone: Some(Tz::America__New_York),
            order: Some(DateOrder::MonthFirst),
        };
        let expected = "2018-02-20T19:30:00Z".parse::<DateTime<Utc>>().unwrap();
        for text in [
            "2018-02-20 14:30:00",
            "2018-02-20T14:30",
            "20180220 14:30:00",
            "20180220 143000",
            "20180220143000",
            "201802201430",
            "02/20/2018 02:30:00 PM",
            "02/20/2018 14:30",
            "20.02.2018 14:30",
            // Its own zone counts.
            "2018-02-20 19:30:00+00:00",
        ] {
            assert_eq!(parser.parse(text), Ok(expected), "{text}");
        }
        assert_eq!(parse("2018-02-20 14:30:00"), Err(TimeFault::NoZone));
        assert_eq!(parse("20180220143000"), Err(TimeFault::NoZone));
        assert_eq!(parser.parse("2018-03-11 02:30:00"), Err(TimeFault::Skipped));
        assert_eq!(
            parser.parse("2018-11-04 01:30:00"),
            Err(TimeFault::Ambiguous)
        );
    }

    #[test]
    fn what_is_no_moment_says_why() {
        for (text, fault) in [
            ("", TimeFault::Unreadable),
            ("ts", TimeFault::Unreadable),
            ("43151.604167", TimeFault::Unreadable),
            ("2018-02-30 14:30:00Z", TimeFault::Unreadable),
            ("2018-02-20 25:30:00Z", TimeFault::Unreadable),
            ("2018-02-20 14:30:00 Mars/Olympus", TimeFault::Unreadable),
            ("2018-02-20 13:30 PM", TimeFault::Unreadable),
            ("2018-02-20", TimeFault::NoTimeOfDay),
            ("20180220", TimeFault::NoTimeOfDay),
            ("02/03/2018 14:30 UTC", TimeFault::DayOrMonth),
            ("2/3/18 14:30 UTC", TimeFault::DayOrMonth),
            ("18-02-20 14:30 UTC", TimeFault::Unreadable),
            ("20180220-0930", TimeFault::Unreadable),
            ("20180230-14:30:00", TimeFault::Unreadable),
        ] {
            assert_eq!(parse(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn a_file_tells_the_order_of_day_and_month() {
        for (times, expected) in [
            (["02/03/2018", "02/20/2018"], Some(DateOrder::MonthFirst)),
            (["03/02/2018", "20/02/2018"], Some(DateOrder::DayFirst)),
            (["20/02/2018", "02/20/2018"], None),
        ] {
            assert_eq!(order(&times), expected, "{times:?}");
        }
        assert!(order_matters("2/20/2018") && !order_matters("2018/02/20"));
        assert!(!order_matters("20-Feb-2018") && !order_matters("20.02.2018"));
    }
}
