use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

/// Passes everything on between clients and a server, until it is told to hush: from then on what the connections of that
/// moment say is swallowed, and they stay open, as when a cable is cut. Later ones are served.
#[derive(Debug)]
pub struct HushingProxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    hush: watch::Sender<()>,
    hush_at: Mutex<Option<String>>,
}

impl HushingProxy {
    /// Begins to listen on this machine and to pass on to the PostgreSQL that an address leads to.
    ///
    /// # Errors
    /// The system's, when nothing can be listened to.
    pub async fn start(url: &str) -> io::Result<Self> {
        let server = Self::host_and_port(url).to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            hush: watch::Sender::new(()),
            hush_at: Mutex::new(None),
        });
        let all = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(server) = TcpStream::connect(&server).await else {
                    continue;
                };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(pass_on(from_client, to_server, Arc::clone(&all), true));
                tokio::spawn(pass_on(from_server, to_client, Arc::clone(&all), false));
            }
        });
        Ok(Self { port, shared })
    }

    /// The address that leads through the proxy instead.
    pub fn through(&self, url: &str) -> String {
        url.replacen(
            Self::host_and_port(url),
            &format!("127.0.0.1:{}", self.port),
            1,
        )
    }

    /// Swallows from now on what the connections of this moment say.
    pub fn hush(&self) {
        self.shared.hush.send_replace(());
    }

    /// Does so before this text of a client reaches the server, once.
    pub fn hush_at(&self, text: &str) {
        let mut hush_at = self
            .shared
            .hush_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *hush_at = Some(text.to_owned());
    }

    /// Whether a text is waited for that no client has said yet.
    pub fn is_waiting(&self) -> bool {
        let hush_at = self.shared.hush_at.lock();
        hush_at.unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What stands between the user and the name of the database.
    fn host_and_port(url: &str) -> &str {
        let server = url.split_once("://").map_or(url, |(_, rest)| rest);
        let server = server.split(['/', '?']).next().unwrap_or(server);
        server.rsplit_once('@').map_or(server, |(_, server)| server)
    }
}

async fn pass_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    shared: Arc<Shared>,
    is_client: bool,
) {
    let mut hushed = shared.hush.subscribe();
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = tokio::select! {
            biased;
            _ = hushed.changed() => return std::future::pending().await,
            read = from.read(&mut buffer) => read.unwrap_or(0),
        };
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else {
            return;
        };
        if is_client && shared.hears(part) {
            shared.hush.send_replace(());
            return std::future::pending().await;
        }
        if to.write_all(part).await.is_err() {
            return;
        }
    }
}

impl Shared {
    /// Whether the text that is waited for stands in this part of what a client says.
    fn hears(&self, part: &[u8]) -> bool {
        let found = |text: &mut String| {
            part.windows(text.len().max(1))
                .any(|window| window == text.as_bytes())
        };
        let mut hush_at = self.hush_at.lock().unwrap_or_else(PoisonError::into_inner);
        hush_at.take_if(found).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_through_the_proxy() {
        for (url, expected) in [
            ("postgres://u:p@127.0.0.1:5433/stocks", "127.0.0.1:5433"),
            (
                "postgres://localhost:5432/stocks?sslmode=disable",
                "localhost:5432",
            ),
            ("postgres://u@host:1", "host:1"),
        ] {
            assert_eq!(HushingProxy::host_and_port(url), expected);
        }
    }
}
