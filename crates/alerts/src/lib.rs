#![doc = include_str!("../README.md")]

mod mail;
mod webhook;

use std::{error::Error, time::Duration};

use secrecy::SecretString;

use crate::{mail::Mailbox, webhook::Webhook};

/// How long one way of delivery may take.
const TIMEOUT: Duration = Duration::from_secs(15);

/// The settings of the alerts cannot be used. No text of an address is in any of these: they are secrets.
#[derive(Debug, thiserror::Error)]
pub enum AlertError {
    /// The webhook's address is none.
    #[error(
        "TANDEM_ALERT_WEBHOOK is no address: expected something such as https://hooks.slack.com/services/..."
    )]
    Webhook,
    /// The HTTP client cannot be built.
    #[error("failed to set up the way to the webhook")]
    Client(#[source] reqwest::Error),
    /// The mail server's address is none.
    #[error(
        "TANDEM_ALERT_SMTP_URL is no mail server: expected something such as smtps://user:password@host:465"
    )]
    MailServer,
    /// A mail server without anybody to write to, or the other way round.
    #[error("TANDEM_ALERT_SMTP_URL and TANDEM_ALERT_TO go together: {missing} is not set")]
    Incomplete {
        /// The variable that is missing.
        missing: &'static str,
    },
    /// Somebody's address is none.
    #[error("{variable}={text:?} is no mail address: expected name@host")]
    Address {
        /// The variable it stands in.
        variable: &'static str,
        /// The text.
        text: String,
        /// What is wrong with it.
        source: lettre::address::AddressError,
    },
}

/// Where alerts go. Everything may be missing.
#[derive(Debug, Default)]
pub struct AlertSettings {
    /// Address of a webhook in Slack's format.
    pub webhook: Option<SecretString>,
    /// Address of a mail server, with user and password.
    pub smtp_url: Option<SecretString>,
    /// Who gets the mails, with commas between several.
    pub to: Option<String>,
    /// Who they are from; `None` for `tandem@` and the name of this machine.
    pub from: Option<String>,
}

impl AlertSettings {
    /// Reads the variables named on the crate's page; an empty one counts as not set.
    pub fn from_environment() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            webhook: variable("TANDEM_ALERT_WEBHOOK").map(Into::into),
            smtp_url: variable("TANDEM_ALERT_SMTP_URL").map(Into::into),
            to: variable("TANDEM_ALERT_TO"),
            from: variable("TANDEM_ALERT_FROM"),
        }
    }
}

/// What a person is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// What is wrong, in one line.
    pub subject: String,
    /// What happened and what to do, for people; may have several lines.
    pub text: String,
}

/// The ways to a person.
#[derive(Clone, Debug)]
pub struct Alerts {
    webhook: Option<Webhook>,
    mailbox: Option<Mailbox>,
}

impl Alerts {
    /// Prepares the ways that are set. Connects to nothing yet.
    ///
    /// # Errors
    /// [`AlertError`] names the variable that cannot be used.
    pub fn new(settings: AlertSettings) -> Result<Self, AlertError> {
        let AlertSettings {
            webhook,
            smtp_url,
            to,
            from,
        } = settings;
        let missing = |missing| AlertError::Incomplete { missing };
        let mailbox = match (smtp_url, to) {
            (None, None) => None,
            (Some(url), Some(to)) => Some(Mailbox::new(&url, &to, from.as_deref())?),
            (None, Some(_)) => return Err(missing("TANDEM_ALERT_SMTP_URL")),
            (Some(_), None) => return Err(missing("TANDEM_ALERT_TO")),
        };
        Ok(Self {
            webhook: webhook.map(Webhook::new).transpose()?,
            mailbox,
        })
    }

    /// Whether anybody is told at all.
    pub const fn is_set(&self) -> bool {
        self.webhook.is_some() || self.mailbox.is_some()
    }

    /// Tells the person, by all ways at once. What cannot be delivered is logged; answers whether anything was.
    pub async fn send(&self, alert: &Alert) -> bool {
        tracing::error!("{}: {}", alert.subject, alert.text.replace('\n', "; "));
        let webhook = async {
            match &self.webhook {
                Some(webhook) => delivered("webhook", webhook.send(alert).await),
                None => false,
            }
        };
        let mailbox = async {
            match &self.mailbox {
                Some(mailbox) => delivered("mail", mailbox.send(alert).await),
                None => false,
            }
        };
        let (webhook, mailbox) = tokio::join!(webhook, mailbox);
        webhook || mailbox
    }
}

fn delivered(way: &str, result: Result<(), Undelivered>) -> bool {
    if let Err(error) = &result {
        tracing::warn!(
            way,
            error = error as &dyn Error,
            "failed to deliver an alert by {way}"
        );
    }
    result.is_ok()
}

/// Why an alert did not arrive. The causes name no address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undelivered {
    #[error("failed to reach the webhook")]
    Webhook(#[source] reqwest::Error),
    #[error("the webhook answered {0}")]
    Refused(reqwest::StatusCode),
    #[error("failed to write the mail")]
    Mail(#[source] lettre::error::Error),
    #[error("failed to hand the mail to its server")]
    Smtp(#[source] lettre::transport::smtp::Error),
    #[error("the delivery crashed")]
    Crashed(#[source] tokio::task::JoinError),
    #[error("the mail server took longer than {} s", TIMEOUT.as_secs())]
    Timeout,
}
