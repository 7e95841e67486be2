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

impl VendorKeys {
    /// The keys that the environment holds; an empty variable is none.
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let key = |vendor: Vendor| {
            let value = variable(vendor.key_variable()?)?;
            let trimmed = value.trim();
            (!trimmed.is_empty()).then(|| SecretString::from(trimmed))
        };
        Self {
            alpha_vantage: key(Vendor::AlphaVantage),
            news_api: key(Vendor::NewsApi),
            finnhub: key(Vendor::Finnhub),
            fred: key(Vendor::Fred),
        }
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
        });
        assert_eq!(keys.fred.as_ref().unwrap().expose_secret(), "sesame");
        assert!(keys.finnhub.is_none() && keys.news_api.is_none());
        assert!(!format!("{keys:?}").contains("sesame"));
    }
}
