use std::time::Duration;

use chrono::TimeDelta;
use domain::{InvalidSettings, SettingsCheck, SettingsSection};
use serde::Deserialize;

/// How prices are fetched: section `[ingest]` of the settings. All durations but the timeout are in market time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestSettings {
    /// Requests a second to the vendor, sustained. One poll of all tickers may go out at once.
    pub requests_per_second: f64,
    /// Requests under way at a time.
    pub concurrency: usize,
    /// How long one request may take, in milliseconds of real time.
    pub request_timeout_ms: u64,
    /// How long after its end a minute counts as closed, in milliseconds; below a minute.
    pub grace_ms: u64,
    /// Whether the price of the running minute comes from the vendor's live stream; while that is away, and without it,
    /// from polls every `forming_interval_s`.
    pub live_stream: bool,
    /// How often the price of the running minute is asked for between two closes, in seconds; 0 for never.
    pub forming_interval_s: u64,
    /// Minutes before the last stored bar that each poll asks for again, to catch revised and late bars.
    pub overlap_minutes: u32,
    /// Days of history fetched for a ticker without bars; Yahoo has 30.
    pub backfill_days: u32,
    /// Days on which a gap is asked for before it is given up: the vendor has nothing there.
    pub gap_attempts: u32,
    /// How long the vendor must be away, in minutes, before the second source (Alpha Vantage, when
    /// `ALPHA_VANTAGE_API_KEY` is set) is asked instead.
    pub second_source_after_minutes: u32,
    /// Requests a day (UTC) to the second source, the news' included, up to which prices ask it; 25 is its free plan.
    /// A fifth of them may be about gaps of other days. 0 never asks it.
    pub second_source_daily_requests: u32,
}

impl Default for IngestSettings {
    fn default() -> Self {
        Self {
            requests_per_second: 4.0,
            concurrency: 20,
            request_timeout_ms: 10_000,
            grace_ms: 1_000,
            live_stream: true,
            forming_interval_s: 15,
            overlap_minutes: 5,
            backfill_days: 30,
            gap_attempts: 3,
            second_source_after_minutes: 10,
            second_source_daily_requests: 25,
        }
    }
}

impl SettingsSection for IngestSettings {
    const SECTION: &'static str = "ingest";

    /// Refuses values that would stop or flood the vendor.
    fn check(&self) -> Result<(), InvalidSettings> {
        let rate = self.requests_per_second;
        SettingsCheck::new(Self::SECTION)
            .field(
                "requests_per_second",
                rate,
                rate > 0.0 && rate <= 10_000.0,
                "a number above 0, such as 4",
            )
            .size("concurrency", self.concurrency, 1, 1_000)
            .count("request_timeout_ms", self.request_timeout_ms, 1, 600_000)
            .field(
                "grace_ms",
                self.grace_ms,
                self.grace_ms < 60_000,
                "less than a minute (60000)",
            )
            .field(
                "forming_interval_s",
                self.forming_interval_s,
                self.forming_interval_s <= 3_600,
                "an hour (3600) or less, 0 for never",
            )
            .field(
                "overlap_minutes",
                self.overlap_minutes,
                self.overlap_minutes <= 390,
                "a session (390) or less",
            )
            .field(
                "backfill_days",
                self.backfill_days,
                (1..=30).contains(&self.backfill_days),
                "1 to 30, which is all that Yahoo has",
            )
            .count("gap_attempts", self.gap_attempts, 1, 1_000)
            .count(
                "second_source_after_minutes",
                self.second_source_after_minutes,
                1,
                1_440,
            )
            .end()
    }
}

impl IngestSettings {
    /// [`IngestSettings::grace_ms`] as a span of market time.
    pub fn grace(&self) -> TimeDelta {
        TimeDelta::milliseconds(i64::try_from(self.grace_ms).unwrap_or(i64::MAX))
    }

    /// [`IngestSettings::request_timeout_ms`] as a span of real time.
    pub const fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }

    /// [`IngestSettings::overlap_minutes`] as a span of market time.
    pub(crate) fn overlap(&self) -> TimeDelta {
        TimeDelta::minutes(i64::from(self.overlap_minutes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_polite_and_valid() {
        let settings = IngestSettings::default();
        settings.check().unwrap();
        // 20 tickers, one poll a close and one each forming price: what is left is for retries.
        let polls_a_minute = 60 / settings.forming_interval_s;
        assert!((polls_a_minute * 20) as f64 / 60.0 < settings.requests_per_second / 2.0);
    }

    #[test]
    fn a_bad_setting_is_named_with_its_value() {
        let refused = |settings: IngestSettings| settings.check().unwrap_err().to_string();
        let zero_rate = IngestSettings {
            requests_per_second: 0.0,
            ..IngestSettings::default()
        };
        assert!(refused(zero_rate).contains("[ingest] requests_per_second = 0"));
        let too_long = IngestSettings {
            backfill_days: 60,
            ..IngestSettings::default()
        };
        assert!(refused(too_long).contains("backfill_days = 60"));
    }

    #[test]
    fn an_unknown_setting_is_refused() {
        let error = serde_json::from_str::<IngestSettings>(r#"{"backfil_days": 3}"#).unwrap_err();
        assert!(error.to_string().contains("backfil_days"), "{error}");
    }
}
