use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::Ticker;

/// Where a story came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewsSource {
    /// Yahoo's search endpoint, which needs no key.
    Yahoo,
    /// newsapi.org.
    NewsApi,
    /// finnhub.io.
    Finnhub,
    /// alphavantage.co.
    AlphaVantage,
    /// A file of headlines, read by the research commands. What comes from one is not stored.
    File,
}

impl NewsSource {
    /// All sources of stored stories, the keyless one first.
    pub const ALL: [Self; 4] = [
        Self::Yahoo,
        Self::NewsApi,
        Self::Finnhub,
        Self::AlphaVantage,
    ];

    /// The name under which it is stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Yahoo => "yahoo",
            Self::NewsApi => "news_api",
            Self::Finnhub => "finnhub",
            Self::AlphaVantage => "alpha_vantage",
            Self::File => "file",
        }
    }
}

impl fmt::Display for NewsSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A story as a vendor reported it.
///
/// It carries the publisher's time only, which may lie (evergreen pages keep an old one, re-dated stories a new one):
/// what could be known when goes by the time Tandem first saw it, which is stored beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewsArticle {
    /// Which vendor reported it.
    pub source: NewsSource,
    /// The vendor's own id, or the address where it has none.
    pub vendor_id: String,
    /// The stocks that the vendor files it under; one story under many is intended.
    pub tickers: Vec<Ticker>,
    /// When the publisher says it appeared, UTC.
    pub published_at: DateTime<Utc>,
    /// Headline, plain text.
    pub title: String,
    /// The first sentences, plain text, where the vendor sends them.
    pub summary: Option<String>,
    /// Name of the publisher.
    pub publisher: Option<String>,
    /// Address of the story.
    pub url: Option<String>,
}

/// How a text sounds to an investor: three probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawSentiment")]
pub struct Sentiment {
    negative: f32,
    neutral: f32,
    positive: f32,
}

/// The numbers are no distribution.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error(
    "{negative}, {neutral}, {positive} are not probabilities of negative, neutral and positive: each must be \
     0 to 1 and their sum 1"
)]
pub struct InvalidSentiment {
    negative: f32,
    neutral: f32,
    positive: f32,
}

#[derive(Deserialize)]
struct RawSentiment {
    negative: f32,
    neutral: f32,
    positive: f32,
}

impl Sentiment {
    /// Checks that the three are probabilities that sum to 1 (within 1e-3).
    ///
    /// # Errors
    /// [`InvalidSentiment`] otherwise.
    pub fn new(negative: f32, neutral: f32, positive: f32) -> Result<Self, InvalidSentiment> {
        let parts = [negative, neutral, positive];
        let valid = parts.iter().all(|part| (0.0..=1.0).contains(part))
            && (parts.iter().sum::<f32>() - 1.0).abs() <= 1e-3;
        if valid {
            Ok(Self {
                negative,
                neutral,
                positive,
            })
        } else {
            Err(InvalidSentiment {
                negative,
                neutral,
                positive,
            })
        }
    }

    /// Probability that the text is bad news, 0 to 1.
    pub const fn negative(self) -> f32 {
        self.negative
    }

    /// Probability that the text is neither, 0 to 1.
    pub const fn neutral(self) -> f32 {
        self.neutral
    }

    /// Probability that the text is good news, 0 to 1.
    pub const fn positive(self) -> f32 {
        self.positive
    }

    /// Positive less negative: -1 bad news, 1 good news.
    pub fn score(self) -> f32 {
        self.positive - self.negative
    }
}

impl TryFrom<RawSentiment> for Sentiment {
    type Error = InvalidSentiment;

    fn try_from(raw: RawSentiment) -> Result<Self, InvalidSentiment> {
        Self::new(raw.negative, raw.neutral, raw.positive)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentiment_is_a_distribution() {
        assert_eq!(Sentiment::new(0.1, 0.3, 0.6).unwrap().score(), 0.6 - 0.1);
        for (negative, neutral, positive) in
            [(0.5, 0.5, 0.5), (-0.1, 0.5, 0.6), (f32::NAN, 0.5, 0.5)]
        {
            assert!(Sentiment::new(negative, neutral, positive).is_err());
        }
        let json = r#"{"negative": 0.9, "neutral": 0.9, "positive": 0.9}"#;
        assert!(serde_json::from_str::<Sentiment>(json).is_err());
    }
}
