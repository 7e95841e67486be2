use std::time::Duration;

use chrono::TimeDelta;
use domain::{InvalidSettings, SettingsCheck, SettingsSection};
use serde::Deserialize;

/// How news are fetched and read: section `[news]` of the settings. Spans are market time unless they say otherwise.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewsSettings {
    /// Minutes in which a source is asked once about every stock; longer where its daily allowance demands it.
    pub round_minutes: u32,
    /// Requests a day to NewsAPI, whose free plan has 100; counted from 00:00 UTC.
    pub news_api_per_day: u32,
    /// Requests a day to Alpha Vantage after which no more news are asked for. Its free plan has 25, and prices may need
    /// some of them.
    pub alpha_vantage_per_day: u32,
    /// Days back from now for which the sources with keys are asked.
    pub lookback_days: u32,
    /// How long one request may take, in milliseconds of real time.
    pub request_timeout_ms: u64,
    /// Headlines that the sentiment model reads at a time.
    pub batch: u32,
}

impl Default for NewsSettings {
    fn default() -> Self {
        Self {
            round_minutes: 15,
            news_api_per_day: 100,
            alpha_vantage_per_day: 15,
            lookback_days: 2,
            request_timeout_ms: 15_000,
            batch: 32,
        }
    }
}

impl SettingsSection for NewsSettings {
    const SECTION: &'static str = "news";

    /// Refuses what would stop or flood a source.
    fn check(&self) -> Result<(), InvalidSettings> {
        SettingsCheck::new(Self::SECTION)
            .count("round_minutes", self.round_minutes, 1, 24 * 60)
            .field(
                "news_api_per_day",
                self.news_api_per_day,
                self.news_api_per_day > 0,
                "1 or more; without NEWSAPI_API_KEY it is not asked at all",
            )
            .field(
                "alpha_vantage_per_day",
                self.alpha_vantage_per_day,
                self.alpha_vantage_per_day > 0,
                "1 or more; without ALPHA_VANTAGE_API_KEY it is not asked at all",
            )
            .count("lookback_days", self.lookback_days, 1, 30)
            .count("request_timeout_ms", self.request_timeout_ms, 1, 600_000)
            .count("batch", self.batch, 1, 1_000)
            .end()
    }
}

impl NewsSettings {
    /// [`NewsSettings::request_timeout_ms`] as a span of real time.
    pub const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// Between two requests to a source: so that a round takes its time and the day's allowance lasts the day.
    pub(crate) fn spacing(&self, tickers: usize, per_day: Option<u32>) -> TimeDelta {
        let tickers = i64::try_from(tickers.max(1)).unwrap_or(i64::MAX);
        let round = TimeDelta::seconds(i64::from(self.round_minutes) * 60 / tickers);
        let day = per_day.map_or(TimeDelta::zero(), |requests| {
            TimeDelta::seconds(24 * 3_600 / i64::from(requests.max(1)))
        });
        round.max(day).max(TimeDelta::seconds(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_takes_its_time_and_an_allowance_lasts_the_day() {
        let settings = NewsSettings::default();
        settings.check().unwrap();
        assert_eq!(settings.spacing(20, None), TimeDelta::seconds(45));
        assert_eq!(settings.spacing(20, Some(100)), TimeDelta::seconds(864));
        assert_eq!(settings.spacing(20, Some(15)), TimeDelta::seconds(5_760));
        assert_eq!(settings.spacing(0, Some(0)), TimeDelta::days(1));
        assert_eq!(settings.spacing(10_000, None), TimeDelta::seconds(1));
    }

    #[test]
    fn a_bad_setting_is_named_with_its_value() {
        let settings = NewsSettings {
            round_minutes: 0,
            ..NewsSettings::default()
        };
        let message = settings.check().unwrap_err().to_string();
        assert!(message.contains("[news] round_minutes = 0"), "{message}");
    }
}
