use std::fmt;

use lettre::{
    Message, SmtpTransport, Transport,
    message::{Mailbox as Person, header::ContentType},
};
use secrecy::{ExposeSecret, SecretString};

use crate::{Alert, AlertError, TIMEOUT, Undelivered};

/// A mail server and the people who are written to.
#[derive(Clone)]
pub(crate) struct Mailbox {
    server: SmtpTransport,
    from: Person,
    to: Vec<Person>,
}

/// Without the server, which holds the password.
impl fmt::Debug for Mailbox {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Mailbox")
            .field("from", &self.from)
            .field("to", &self.to)
            .finish_non_exhaustive()
    }
}

impl Mailbox {
    pub(crate) fn new(
        url: &SecretString,
        to: &str,
        from: Option<&str>,
    ) -> Result<Self, AlertError> {
        let server = SmtpTransport::from_url(url.expose_secret())
            .map_err(|_| AlertError::MailServer)?
            .timeout(Some(TIMEOUT))
            .build();
        let from = from.map_or_else(own_address, str::to_owned);
        Ok(Self {
            server,
            from: person("TANDEM_ALERT_FROM", &from)?,
            to: to
                .split(',')
                .map(|text| person("TANDEM_ALERT_TO", text.trim()))
                .collect::<Result<_, _>>()?,
        })
    }

    pub(crate) async fn send(&self, alert: &Alert) -> Result<(), Undelivered> {
        let mut message = Message::builder()
            .from(self.from.clone())
            // A line break would end the header and begin another.
            .subject(alert.subject.replace(['\r', '\n'], " "))
            .header(ContentType::TEXT_PLAIN);
        for person in &self.to {
            message = message.to(person.clone());
        }
        let message = message
            .body(alert.text.clone())
            .map_err(Undelivered::Mail)?;
        let server = self.server.clone();
        let sending = tokio::task::spawn_blocking(move || server.send(&message));
        // The server's own timeout counts anew with each of its answers.
        tokio::time::timeout(TIMEOUT * 2, sending)
            .await
            .map_err(|_| Undelivered::Timeout)?
            .map_err(Undelivered::Crashed)?
            .map_err(Undelivered::Smtp)?;
        Ok(())
    }
}

fn person(variable: &'static str, text: &str) -> Result<Person, AlertError> {
    text.parse().map_err(|source| AlertError::Address {
        variable,
        text: text.to_owned(),
        source,
    })
}

/// `tandem@` and the name of this machine.
fn own_address() -> String {
    let host = hostname::get()
        .ok()
        .and_then(|name| name.into_string().ok())
        .filter(|name| !name.is_empty());
    format!("tandem@{}", host.as_deref().unwrap_or("localhost"))
}
