use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// An exchange symbol as Yahoo spells it, such as `AAPL`, `BRK-B` or `^GSPC`.
///
/// Cloning is cheap: the text is shared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ticker(Arc<str>);

/// The text is no exchange symbol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is not a ticker: expected 1 to 15 of A-Z, 0-9, '.', '-', '=' and '^', such as AAPL or BRK-B"
)]
pub struct InvalidTicker {
    text: String,
}

impl Ticker {
    /// Reads a symbol; lower case is accepted and stored in upper case.
    ///
    /// # Errors
    /// [`InvalidTicker`] when the text is empty, too long or has other characters.
    pub fn parse(text: &str) -> Result<Self, InvalidTicker> {
        let upper = text.to_ascii_uppercase();
        let valid = (1..=15).contains(&upper.len())
            && upper.bytes().all(|byte| {
                byte.is_ascii_uppercase() || byte.is_ascii_digit() || b".-=^".contains(&byte)
            });
        if valid {
            Ok(Self(upper.into()))
        } else {
            Err(InvalidTicker {
                text: text.to_owned(),
            })
        }
    }

    /// The symbol's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Ticker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for Ticker {
    type Err = InvalidTicker;

    fn from_str(text: &str) -> Result<Self, InvalidTicker> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Ticker {
    type Error = InvalidTicker;

    fn try_from(text: String) -> Result<Self, InvalidTicker> {
        Self::parse(&text)
    }
}

impl From<Ticker> for String {
    fn from(ticker: Ticker) -> Self {
        ticker.0.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_vendor_spellings() {
        for text in ["AAPL", "BRK-B", "^GSPC", "7203.T", "EURUSD=X"] {
            assert_eq!(Ticker::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(Ticker::parse("aapl").unwrap().as_str(), "AAPL");
    }

    #[test]
    fn refuses_what_no_exchange_lists() {
        for text in [
            "",
            "AA PL",
            "AAPL'; drop table",
            "ÄPFEL",
            "ABCDEFGHIJKLMNOP",
        ] {
            let error = Ticker::parse(text).unwrap_err();
            assert!(error.to_string().contains(&format!("{text:?}")));
        }
        assert!(serde_json::from_str::<Ticker>("\"no ticker\"").is_err());
    }
}
