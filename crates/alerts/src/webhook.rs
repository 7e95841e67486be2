use reqwest::{Client, Url};
use secrecy::{ExposeSecret, SecretString};

use crate::{Alert, AlertError, TIMEOUT, Undelivered};

/// A webhook in Slack's format. Its address is a secret: whoever knows it may post.
#[derive(Clone, Debug)]
pub(crate) struct Webhook {
    address: SecretString,
    client: Client,
}

impl Webhook {
    pub(crate) fn new(address: SecretString) -> Result<Self, AlertError> {
        let url = Url::parse(address.expose_secret()).map_err(|_| AlertError::Webhook)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(AlertError::Webhook);
        }
        let client = Client::builder()
            .timeout(TIMEOUT)
            .build()
            .map_err(AlertError::Client)?;
        Ok(Self { address, client })
    }

    pub(crate) async fn send(&self, alert: &Alert) -> Result<(), Undelivered> {
        let text = format!("*{}*\n{}", escaped(&alert.subject), escaped(&alert.text));
        let response = self
            .client
            .post(self.address.expose_secret())
            .json(&serde_json::json!({ "text": text }))
            .send()
            .await
            .map_err(|error| Undelivered::Webhook(error.without_url()))?;
        if !response.status().is_success() {
            return Err(Undelivered::Refused(response.status()));
        }
        Ok(())
    }
}

/// Slack takes these three characters for its own marks, and wants no others escaped.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
