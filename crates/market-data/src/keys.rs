use secrecy::SecretString;

use crate::Vendor;

/// The API keys of the vendors that have them. A vendor without a key is not asked, or asked for what needs none.
#[derive(Clone, Debug, Default)]
pub struct VendorKeys {
    /// Variable `ALPHA_VANTAGE_API_KEY`.
    pub alpha_vantage: Option<SecretString>,
    /// Variable `NEWSAPI_API_KEY`.
    pub news_api: Option<SecretString>,
    /// Variable `FINNHUB_API_KEY`.
    pub finnhub: Option<SecretString>,
    /// Variable `FRED_API_KEY`.
    pub fred: Option<SecretString>,
}

/// A variable holds something that no vendor gives as a key. It is not shown: it may be one with a slip.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{variable} is not a key: expected letters and digits as the vendor shows them, without quotes or spaces"
)]
pub struct InvalidKey {
    variable: &'static str,
}

impl VendorKeys {
    /// The keys that the environment holds; an empty variable is none.
    ///
    /// # Errors
    /// [`InvalidKey`] names the first variable that cannot hold a key.
    pub fn from_environment() -> Result<Self, InvalidKey> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidKey> {
        let key = |vendor: Vendor| {
            let Some(name) = vendor.key_variable() else {
                return Ok(None);
            };
            let value = variable(name).unwrap_or_default();
            let trimmed = value.trim();
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
            if !trimmed.bytes().all(plain) {
                return Err(InvalidKey { variable: name });
            }
            Ok((!trimmed.is_empty()).then(|| SecretString::from(trimmed)))
        };
        Ok(Self {
            alpha_vantage: key(Vendor::AlphaVantage)?,
            news_api: key(Vendor::NewsApi)?,
            finnhub: key(Vendor::Finnhub)?,
            fred: key(Vendor::Fred)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn an_empty_variable_is_no_key_and_no_key_is_shown() {
        let keys = VendorKeys::from_variables(|name| match name {
            "FRED_API_KEY" => Some(" sesame\n".to_owned()),
            "FINNHUB_API_KEY" => Some(" ".to_owned()),
            _ => None,
        })
        .unwrap();
        assert_eq!(keys.fred.as_ref().unwrap().expose_secret(), "sesame");
        assert!(keys.finnhub.is_none() && keys.news_api.is_none());
        assert!(!format!("{keys:?}").contains("sesame"));
    }

    #[test]
    fn what_is_no_key_is_named_and_not_shown() {
        for value in ["\"sesame\"", "open sesame", "<your key>"] {
            let keys = VendorKeys::from_variables(|name| {
                (name == "FRED_API_KEY").then(|| value.to_owned())
            });
            let error = keys.unwrap_err().to_string();
            assert!(error.starts_with("FRED_API_KEY is not a key"), "{error}");
            assert!(!error.contains(value), "{error}");
        }
    }
}
