use std::{fmt::Write as _, ops::Range, sync::LazyLock};

use sha2::{Digest, Sha256};

use crate::WINDOW;

/// Features per bar.
pub const FEATURE_COUNT: usize = 40;

/// Places of the features that follow from the calendar alone, whatever the market does.
pub const CLOCK_FEATURES: Range<usize> = 17..24;

/// Places of the features that are made of a ticker's news; those before are made of its bars.
pub const NEWS_FEATURES: Range<usize> = 24..28;

/// Places of the features that are made of economic figures published daily.
pub const DAILY_ECONOMY_FEATURES: Range<usize> = 28..33;

/// Places of the features that are made of economic figures published monthly and quarterly.
pub const SLOW_ECONOMY_FEATURES: Range<usize> = 33..FEATURE_COUNT;

/// Places of all features that are made of what is known beside the bars.
pub const CONTEXT_FEATURES: Range<usize> = NEWS_FEATURES.start..FEATURE_COUNT;

/// Place of the natural logarithm of the realised volatility.
const REALISED_VOLATILITY: usize = 13;

/// One bar's features in the order of [`FeatureSchema::names`]: finite, scale-free where prices and volumes are concerned,
/// not yet scaled to 0..1.
pub type FeatureVector = [f32; FEATURE_COUNT];

/// A stock's realised volatility at a bar, from its unscaled features: root mean square of the newest one-minute returns,
/// a fraction of the price.
pub fn realised_volatility(features: &FeatureVector) -> f64 {
    f64::from(features[REALISED_VOLATILITY]).exp()
}

/// Raised with every change of what a feature means; a change of the names changes the hash by itself.
const VERSION: u32 = 2;

const NAMES: [&str; FEATURE_COUNT] = [
    "return_1",
    "return_5",
    "return_15",
    "return_30",
    "rsi_14",
    "macd",
    "macd_signal",
    "macd_hist",
    "ema_12_distance",
    "ema_26_distance",
    "bollinger_position",
    "bollinger_width",
    "atr_14",
    "realised_volatility",
    "relative_volume",
    "relative_volume_15",
    "overnight_gap",
    "minutes_since_open",
    "minutes_to_close",
    "minute_of_hour_sin",
    "minute_of_hour_cos",
    "hour_of_day",
    "day_of_week_sin",
    "day_of_week_cos",
    "news_count",
    "news_sentiment",
    "news_sentiment_faded",
    "news_recency",
    "vix",
    "vix_change",
    "ten_year_yield",
    "ten_year_yield_change",
    "yield_curve",
    "fed_funds_rate",
    "unemployment",
    "unemployment_change",
    "inflation",
    "inflation_of_the_month",
    "gdp_growth",
    "release_recency",
];

/// What the models read. Saved with every model; a model of another hash must not be loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureSchema {
    /// Version of the features' meaning.
    pub version: u32,
    /// Names in the order of a [`FeatureVector`].
    pub names: [&'static str; FEATURE_COUNT],
    hash: String,
}

impl FeatureSchema {
    /// The schema of this build.
    pub fn current() -> &'static Self {
        static CURRENT: LazyLock<FeatureSchema> = LazyLock::new(|| FeatureSchema {
            version: VERSION,
            names: NAMES,
            hash: hash(VERSION, &NAMES, WINDOW),
        });
        &CURRENT
    }

    /// SHA-256 over version, window and names, as 64 hexadecimal digits.
    pub fn hash(&self) -> &str {
        &self.hash
    }
}

fn hash(version: u32, names: &[&str], window: usize) -> String {
    let text = format!("version {version}\nwindow {window}\n{}\n", names.join("\n"));
    Sha256::digest(text)
        .iter()
        .fold(String::new(), |mut hash, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hash, "{byte:02x}");
            hash
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_depends_on_everything() {
        let reference = hash(1, &["a", "b"], 60);
        assert_eq!(reference.len(), 64);
        assert_ne!(reference, hash(2, &["a", "b"], 60));
        assert_ne!(reference, hash(1, &["b", "a"], 60));
        assert_ne!(reference, hash(1, &["ab"], 60));
        assert_ne!(reference, hash(1, &["a", "b"], 30));
    }

    #[test]
    fn names_are_unique() {
        let unique: std::collections::HashSet<_> = NAMES.iter().collect();
        assert_eq!(unique.len(), FEATURE_COUNT);
    }

    #[test]
    fn the_parts_are_where_they_are_said_to_be() {
        assert_eq!(NAMES[CLOCK_FEATURES.start], "minutes_since_open");
        assert_eq!(CLOCK_FEATURES.end, NEWS_FEATURES.start);
        assert_eq!(NAMES[NEWS_FEATURES.start], "news_count");
        assert_eq!(NAMES[DAILY_ECONOMY_FEATURES.start], "vix");
        assert_eq!(NAMES[SLOW_ECONOMY_FEATURES.start], "fed_funds_rate");
        assert_eq!(CONTEXT_FEATURES, 24..40);
        assert_eq!(NAMES[REALISED_VOLATILITY], "realised_volatility");
    }
}
