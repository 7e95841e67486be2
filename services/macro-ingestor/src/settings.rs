use std::{collections::BTreeSet, time::Duration};

use chrono::{NaiveDate, TimeDelta};
use domain::{InvalidSettings, MACRO_SERIES, SeriesId, SettingsCheck, SettingsSection};
use serde::Deserialize;

/// Which economic series are followed: section `[economy]` of the settings.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EconomySettings {
    /// Series beside those that Tandem always follows, as FRED spells them.
    pub more_series: Vec<SeriesId>,
    /// First year whose periods are fetched.
    pub from_year: i32,
    /// Hours between two looks, market time.
    pub check_hours: u32,
    /// How long one request may take, in milliseconds of real time. All vintages of a daily series are some megabytes.
    pub request_timeout_ms: u64,
}

impl Default for EconomySettings {
    fn default() -> Self {
        Self {
            more_series: Vec::new(),
            from_year: 2005,
            check_hours: 6,
            request_timeout_ms: 60_000,
        }
    }
}

impl SettingsSection for EconomySettings {
    const SECTION: &'static str = "economy";

    /// Refuses what would stop or flood the vendor.
    fn check(&self) -> Result<(), InvalidSettings> {
        SettingsCheck::new(Self::SECTION)
            .field(
                "from_year",
                self.from_year,
                (1900..=2100).contains(&self.from_year),
                "1900 to 2100",
            )
            .count("check_hours", self.check_hours, 1, 168)
            .count("request_timeout_ms", self.request_timeout_ms, 1, 600_000)
            .end()
    }
}

impl EconomySettings {
    /// [`EconomySettings::request_timeout_ms`] as a span of real time.
    pub const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// All series to follow, each once.
    pub(crate) fn series(&self) -> Vec<SeriesId> {
        let always = MACRO_SERIES
            .iter()
            .filter_map(|series| SeriesId::parse(series).ok());
        let all: BTreeSet<SeriesId> = always.chain(self.more_series.iter().cloned()).collect();
        all.into_iter().collect()
    }

    /// The first period that is fetched.
    pub(crate) fn from(&self) -> NaiveDate {
        NaiveDate::from_ymd_opt(self.from_year, 1, 1).unwrap_or(NaiveDate::MIN)
    }

    pub(crate) fn interval(&self) -> TimeDelta {
        TimeDelta::hours(self.check_hours.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_add_to_what_is_always_followed() {
        let settings = EconomySettings {
            more_series: vec![
                SeriesId::parse("PAYEMS").unwrap(),
                SeriesId::parse("GDP").unwrap(),
            ],
            ..EconomySettings::default()
        };
        settings.check().unwrap();
        assert_eq!(settings.series().len(), MACRO_SERIES.len() + 1);
    }

    #[test]
    fn a_bad_setting_is_named_with_its_value() {
        let settings = EconomySettings {
            check_hours: 0,
            ..EconomySettings::default()
        };
        assert!(
            settings
                .check()
                .unwrap_err()
                .to_string()
                .contains("[economy] check_hours = 0")
        );
    }
}
