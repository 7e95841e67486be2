use std::{fmt::Write as _, ops::Range, sync::LazyLock};

use sha2::{Digest, Sha256};

use crate::WINDOW;

/// Features per bar.
pub const FEATURE_COUNT: usize = 40;

/// Places of the features that are made of news and macro data; those before are made of bars.
pub const CONTEXT_FEATURES: Range<usize> = 24..FEATURE_COUNT;

/// One bar's features in the order of [`FeatureSchema::names`]: finite, scale-free where prices and
/// volumes are concerned, not yet scaled to 0..1.
pub type FeatureVector = [f32; FEATURE_COUNT];

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
}
