use std::str::FromStr;

use chrono_tz::Tz;
use domain::Ticker;

use crate::{DateOrder, Layout};

/// How a file of bars is to be read, beyond what it says itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// Whose layout it has; told by its columns where none is given.
    pub layout: Option<Layout>,
    /// Which of its columns hold what.
    pub columns: ColumnMap,
    /// Zone of times that state none.
    pub zone: Option<Tz>,
    /// Whether day or month comes first where the year comes last; told by the file's dates where it is not given.
    pub dates: Option<DateOrder>,
    /// Whose bars they are, where no column says so; else the only stock whose rows are read.
    pub ticker: Option<Ticker>,
    /// Which moment of a bar its time is.
    pub stamps: Stamps,
}

/// Reads the name of a zone, such as `America/New_York`; capitals do not matter.
///
/// # Errors
/// When no zone has that name, in words.
pub fn parse_zone(text: &str) -> Result<Tz, String> {
    chrono_tz::TZ_VARIANTS
        .into_iter()
        .find(|zone| zone.name().eq_ignore_ascii_case(text))
        .ok_or_else(|| "expected the name of a zone, such as America/New_York or UTC".to_owned())
}

/// Which moment of a bar its time is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stamps {
    /// Its first: the first bar of a session says 9:30.
    #[default]
    Start,
    /// The first after it: the first bar of a session says 9:31.
    End,
}

impl FromStr for Stamps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "start" => Ok(Self::Start),
            "end" => Ok(Self::End),
            _ => Err("expected start or end".to_owned()),
        }
    }
}

/// A file's own names of the columns, such as `ts=Date+Time,close=Last`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnMap {
    /// Pairs of our name and the file's.
    pairs: Vec<(&'static str, String)>,
}

impl ColumnMap {
    /// The file's name of one of [`crate::layout::COLUMNS`], if it is mapped.
    pub(crate) fn get(&self, column: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(ours, _)| *ours == column)
            .map(|(_, theirs)| theirs.as_str())
    }

    /// Whether columns are meant by their positions, as in a file without a header.
    pub(crate) fn is_positional(&self) -> bool {
        let is_position = |name: &str| {
            name.strip_prefix('#')
                .is_some_and(|number| number.parse::<usize>().is_ok())
        };
        self.pairs.iter().any(|(_, theirs)| is_position(theirs))
    }
}

impl FromStr for ColumnMap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut map = Self::default();
        for pair in text.split(',') {
            let (ours, theirs) = pair
                .split_once('=')
                .ok_or_else(|| format!("{pair:?} lacks its =: write ts=Date,open=First"))?;
            let name = ours.trim().to_ascii_lowercase();
            let known = crate::layout::COLUMNS
                .into_iter()
                .find(|column| *column == name)
                .ok_or_else(|| {
                    format!("{ours:?} is none of {}", crate::layout::COLUMNS.join(", "))
                })?;
            if theirs.trim().is_empty() {
                return Err(format!("{known}= names no column"));
            }
            if map.get(known).is_some() {
                return Err(format!("{known} is given twice"));
            }
            map.pairs.push((known, theirs.trim().to_owned()));
        }
        Ok(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_map_is_read_or_its_fault_named() {
        let map: ColumnMap = "ts=Date-Time, CLOSE = Last Price".parse().unwrap();
        assert_eq!(
            (map.get("ts"), map.get("close"), map.get("open")),
            (Some("Date-Time"), Some("Last Price"), None)
        );
        for (text, fault) in [
            ("ts", "lacks its ="),
            ("time=Date", "is none of ticker, ts"),
            ("ts=", "ts= names no column"),
            ("ts=A,ts=B", "ts is given twice"),
        ] {
            let error = text.parse::<ColumnMap>().unwrap_err();
            assert!(error.contains(fault), "{error}");
        }
    }
}
