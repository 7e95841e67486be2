use std::{collections::BTreeSet, fmt};

use chrono::{Datelike, NaiveDate, NaiveTime, Timelike};
use domain::{InvalidSettings, SettingsCheck, SettingsSection};
use serde::{Deserialize, Deserializer, de};

use crate::{OPEN_MINUTE_OF_DAY, rules};

/// Closures and early closes that the exchange announced and no rule can know: section `[calendar]` of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CalendarSettings {
    /// Days without trading, New York dates, such as `"2018-12-05"`.
    pub closures: Vec<NaiveDate>,
    /// Days on which trading ends early.
    pub early_closes: Vec<EarlyClose>,
}

/// A day on which trading ends before the usual time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyClose {
    /// The day in New York.
    pub date: NaiveDate,
    /// When trading ends, New York time, such as `"13:00"`.
    #[serde(deserialize_with = "time_of_day")]
    pub close: NaiveTime,
}

impl fmt::Display for EarlyClose {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{{ date = \"{}\", close = \"{}\" }}",
            self.date,
            self.close.format("%H:%M")
        )
    }
}

impl EarlyClose {
    /// Minutes of the shortened session.
    pub(crate) fn minutes(&self) -> Option<u32> {
        let minute_of_day = self.close.num_seconds_from_midnight() / 60;
        minute_of_day
            .checked_sub(OPEN_MINUTE_OF_DAY)
            .filter(|minutes| *minutes > 0)
    }
}

impl CalendarSettings {
    pub(crate) fn early_close(&self, date: NaiveDate) -> Option<&EarlyClose> {
        self.early_closes.iter().find(|early| early.date == date)
    }
}

impl SettingsSection for CalendarSettings {
    const SECTION: &'static str = "calendar";

    /// Refuses days without a session, which nobody means, and times at which trading does not end early.
    fn check(&self) -> Result<(), InvalidSettings> {
        let mut check = SettingsCheck::new(Self::SECTION);
        let mut named = BTreeSet::new();
        for date in &self.closures {
            let mistake = mistaken_date(*date);
            check = check
                .field(
                    "closures",
                    date,
                    mistake.is_none(),
                    mistake.unwrap_or_default(),
                )
                .field("closures", date, named.insert(*date), "each day once");
        }
        for early in &self.early_closes {
            let usual = rules::minutes(early.date);
            let ends_early =
                early.minutes().is_some_and(|minutes| minutes < usual) && early.close.second() == 0;
            let close = rules::time_of_close(usual);
            let mistake = mistaken_date(early.date).or_else(|| {
                (!ends_early)
                    .then(|| format!("a close after 09:30 and before {close}, New York time"))
            });
            check = check
                .field(
                    "early_closes",
                    early,
                    mistake.is_none(),
                    mistake.unwrap_or_default(),
                )
                .field(
                    "early_closes",
                    early,
                    named.insert(early.date),
                    "each day once, as a closure or as an early close",
                );
        }
        check.end()
    }
}

/// Why no session can be closed or shortened on a day; none when there is one.
fn mistaken_date(date: NaiveDate) -> Option<String> {
    let (first, last) = (rules::FIRST_YEAR, rules::LAST_YEAR);
    if !(first..=last).contains(&date.year()) {
        return Some(format!("a day of the years {first} to {last}"));
    }
    let kind = if rules::is_weekend(date) {
        date.format("a %A").to_string()
    } else if rules::is_holiday(date) {
        "a holiday that the calendar knows".to_owned()
    } else {
        return None;
    };
    Some(format!(
        "a day on which the exchange would trade; {date} is {kind}: correct it, or take it out"
    ))
}

fn time_of_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    let read = |format| NaiveTime::parse_from_str(text.trim(), format);
    read("%H:%M").or_else(|_| read("%H:%M:%S")).map_err(|_| {
        de::Error::custom(format!(
            "{text:?} is no time of day: expected New York time such as \"13:00\""
        ))
    })
}
