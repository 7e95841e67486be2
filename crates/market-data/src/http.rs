//! One question to a vendor over HTTPS, and the answer as text.

use std::time::Duration;

use reqwest::header::{HeaderValue, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;

use crate::{Asked, ConnectionError, Vendor, VendorConnection, VendorError, text};

/// Longest answer that is read, in bytes: some twenty times the longest that the vendors send.
const LONGEST_ANSWER: usize = 64 << 20;

/// A key shorter than this is a placeholder: blotting it out would blot out data.
const SHORTEST_KEY: usize = 8;

/// A client of one vendor with its key.
#[derive(Debug)]
pub(crate) struct Http {
    client: reqwest::Client,
    key: Option<Key>,
}

#[derive(Debug)]
pub(crate) struct Key {
    secret: SecretString,
    place: KeyPlace,
}

/// Where a vendor wants the key.
#[derive(Clone, Copy, Debug)]
pub(crate) enum KeyPlace {
    Header(&'static str),
    Query(&'static str),
}

/// What came back. The key does not occur in it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: String,
}

impl Key {
    pub(crate) const fn new(secret: SecretString, place: KeyPlace) -> Self {
        Self { secret, place }
    }
}

impl Http {
    pub(crate) fn new(
        vendor: Vendor,
        connection: &VendorConnection,
        key: Option<Key>,
    ) -> Result<Self, ConnectionError> {
        let client = connection.client(vendor)?;
        Ok(Self { client, key })
    }

    pub(crate) const fn with_client(client: reqwest::Client) -> Self {
        Self { client, key: None }
    }

    pub(crate) const fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Asks, with the key where there is one.
    pub(crate) async fn get(
        &self,
        url: &str,
        query: &[(&str, &str)],
        asked: &Asked,
    ) -> Result<Answer, VendorError> {
        self.send(url, query, asked, self.key.as_ref()).await
    }

    /// Asks without the key.
    pub(crate) async fn get_openly(
        &self,
        url: &str,
        query: &[(&str, &str)],
        asked: &Asked,
    ) -> Result<Answer, VendorError> {
        self.send(url, query, asked, None).await
    }

    async fn send(
        &self,
        url: &str,
        query: &[(&str, &str)],
        asked: &Asked,
        key: Option<&Key>,
    ) -> Result<Answer, VendorError> {
        let network = |source| VendorError::from_network(source, asked.clone());
        let mut request = self.client.get(url).query(query);
        if let Some(key) = key {
            let secret = key.secret.expose_secret();
            request = match key.place {
                KeyPlace::Query(name) => request.query(&[(name, secret)]),
                KeyPlace::Header(name) => {
                    let Ok(mut value) = HeaderValue::from_str(secret) else {
                        let detail = "it holds characters that no key has".to_owned();
                        return Err(VendorError::KeyRefused {
                            asked: asked.clone(),
                            detail,
                        });
                    };
                    value.set_sensitive(true);
                    request.header(name, value)
                }
            };
        }
        let mut response = request.send().await.map_err(network)?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.trim().parse().ok())
            .map(Duration::from_secs);
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(network)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LONGEST_ANSWER {
                let detail = format!("an answer of more than {} MiB", LONGEST_ANSWER >> 20);
                return Err(VendorError::Server {
                    asked: asked.clone(),
                    detail,
                });
            }
        }
        let body = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Ok(Answer {
            status,
            retry_after,
            body: match key {
                Some(key) => without_key(body, &key.secret),
                None => body,
            },
        })
    }
}

/// Alpha Vantage echoes the key in some messages: what never enters cannot get out.
fn without_key(body: String, key: &SecretString) -> String {
    let key = key.expose_secret();
    if key.len() >= SHORTEST_KEY && body.contains(key) {
        body.replace(key, "[key]")
    } else {
        body
    }
}

impl Answer {
    /// What the status alone says, in the order of a vendor that uses statuses as they are meant. `detail` is the vendor's
    /// reason.
    pub(crate) fn refusal(&self, asked: &Asked, detail: &str) -> Option<VendorError> {
        let (asked, detail) = (asked.clone(), text::excerpt(detail));
        let said = |otherwise: &str| {
            if detail.is_empty() {
                otherwise.to_owned()
            } else {
                detail.clone()
            }
        };
        match self.status {
            200..=299 => None,
            401 | 403 => Some(VendorError::KeyRefused {
                asked,
                detail: said("it is missing or invalid"),
            }),
            404 => Some(VendorError::UnknownSymbol { asked }),
            408 | 500..=599 => Some(VendorError::Server {
                detail: said(&format!("status {}", self.status)),
                asked,
            }),
            429 => Some(VendorError::rate_limited(asked, self.retry_after)),
            status => Some(VendorError::Refused {
                detail: said(&format!("status {status}")),
                asked,
            }),
        }
    }

    /// The body as JSON. What vendors send in its place says what is wrong.
    pub(crate) fn json<T: DeserializeOwned>(&self, asked: &Asked) -> Result<T, VendorError> {
        if let Some(error) = not_json(&self.body, asked) {
            return Err(error);
        }
        serde_json::from_str(&self.body)
            .map_err(|source| VendorError::from_json(source, asked.clone()))
    }
}

/// The bodies that stand in for JSON: nothing, a web page, and the edge's plain words.
pub(crate) fn not_json(body: &str, asked: &Asked) -> Option<VendorError> {
    let body = body.trim_start_matches('\u{feff}').trim();
    let asked = asked.clone();
    if body.is_empty() {
        let detail = "an empty answer".to_owned();
        Some(VendorError::Server { asked, detail })
    } else if body.starts_with('<') {
        let detail = "a web page instead of data".to_owned();
        Some(VendorError::Server { asked, detail })
    } else if body.len() < 100 && body.contains("Too Many Requests") {
        Some(VendorError::rate_limited(asked, None))
    } else {
        None
    }
}
