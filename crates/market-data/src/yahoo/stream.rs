use std::{io, sync::Arc, time::Duration};

use domain::Ticker;
use futures_util::{SinkExt, StreamExt};
use tokio::{
    net::TcpStream,
    time::{Instant, Interval, MissedTickBehavior, timeout, timeout_at},
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{
        Error as SocketError, Message,
        client::IntoClientRequest,
        http::header::{HeaderValue, ORIGIN, USER_AGENT},
        protocol::WebSocketConfig,
    },
};

use super::pricing::{Frame, LONGEST_FRAME, LiveTrade, read_frame};
use crate::{ConnectionError, VendorConnection, connection::BROWSER};

const HOST: &str = "streamer.finance.yahoo.com";

/// How often the subscription is sent again, in real time. Yahoo forgets a client that does not.
const RENEWAL: Duration = Duration::from_secs(15);

/// How long the other side may say nothing at all, in real time, although it is pinged with each renewal.
const SILENCE: Duration = Duration::from_secs(60);

/// Yahoo's stream of trades: the price between two bars. Best effort, for show; bars come from the chart.
///
/// After an error or the end it is of no further use: reconnecting is the caller's.
#[derive(Debug)]
pub struct YahooStream {
    socket: WebSocketStream<TlsStream<TcpStream>>,
    subscription: Message,
    renewal: Interval,
    heard_at: Instant,
    request_timeout: Duration,
}

/// The stream cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The connection's settings cannot be used.
    #[error(transparent)]
    Settings(#[from] ConnectionError),
    /// No connection, or no secure one.
    #[error("failed to reach {HOST}")]
    Connect {
        /// The network's reason.
        source: io::Error,
    },
    /// The other side speaks no WebSocket, or the connection broke.
    #[error("Yahoo's stream broke")]
    Broken {
        /// The protocol's reason.
        source: Box<SocketError>,
    },
    /// Nothing came in time.
    #[error("Yahoo's stream said nothing for {} s", after.as_secs_f32())]
    Silent {
        /// How long it was waited, in real time.
        after: Duration,
    },
    /// A frame that holds no message of the known format.
    #[error("Yahoo's stream sent {bytes} bytes of an unknown format")]
    Format {
        /// Length of the frame.
        bytes: usize,
    },
}

impl YahooStream {
    /// Connects and subscribes to the trades of `tickers`.
    ///
    /// Goes straight to the vendor or to the connection's address; a proxy is not used.
    ///
    /// # Errors
    /// [`StreamError`] when there is no connection within the connection's timeout.
    pub async fn connect(
        connection: &VendorConnection,
        tickers: &[Ticker],
    ) -> Result<Self, StreamError> {
        let request_timeout = connection.request_timeout;
        let socket = timeout(request_timeout, open(connection))
            .await
            .map_err(|_| StreamError::Silent {
                after: request_timeout,
            })??;
        let symbols: Vec<&str> = tickers.iter().map(Ticker::as_str).collect();
        let subscription = serde_json::json!({ "subscribe": symbols }).to_string();
        // The first tick is at once: the subscription goes out with it.
        let mut renewal = tokio::time::interval(RENEWAL);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Ok(Self {
            socket,
            subscription: Message::text(subscription),
            renewal,
            heard_at: Instant::now(),
            request_timeout,
        })
    }

    /// Waits for the next trade of a regular session; `None` when the other side has ended the stream. Nothing is lost
    /// when the wait is given up. Nothing is read ahead either: who does not ask holds the sender back.
    pub async fn next(&mut self) -> Option<Result<LiveTrade, StreamError>> {
        loop {
            let frame = tokio::select! {
                frame = timeout_at(self.heard_at + SILENCE, self.socket.next()) => frame,
                _ = self.renewal.tick() => {
                    if let Err(error) = self.renew().await {
                        return Some(Err(error));
                    }
                    continue;
                }
            };
            let Ok(frame) = frame else {
                return Some(Err(StreamError::Silent { after: SILENCE }));
            };
            self.heard_at = Instant::now();
            let text = match frame? {
                Ok(Message::Text(text)) => text,
                Ok(Message::Close(_)) => return None,
                // Pings are answered by the library.
                Ok(_) => continue,
                Err(SocketError::ConnectionClosed) => return None,
                Err(source) => return Some(Err(broken(source))),
            };
            match read_frame(&text) {
                Frame::Trade(trade) => return Some(Ok(trade)),
                Frame::Other => (),
                Frame::Unreadable => {
                    return Some(Err(StreamError::Format { bytes: text.len() }));
                }
            }
        }
    }

    async fn renew(&mut self) -> Result<(), StreamError> {
        let sending = async {
            self.socket.feed(self.subscription.clone()).await?;
            self.socket.send(Message::Ping(Vec::new().into())).await
        };
        match timeout(self.request_timeout, sending).await {
            Ok(sent) => sent.map_err(broken),
            Err(_) => Err(StreamError::Silent {
                after: self.request_timeout,
            }),
        }
    }
}

async fn open(
    connection: &VendorConnection,
) -> Result<WebSocketStream<TlsStream<TcpStream>>, StreamError> {
    let connect = |source| StreamError::Connect { source };
    let tls = TlsConnector::from(Arc::new(connection.tls()?));
    let tcp = match connection.fixed_address()? {
        Some(address) => TcpStream::connect(address).await,
        None => TcpStream::connect((HOST, 443)).await,
    };
    let tcp = tcp.map_err(connect)?;
    tcp.set_nodelay(true).map_err(connect)?;
    let name = HOST
        .try_into()
        .map_err(|error| connect(io::Error::other(error)))?;
    let stream = tls.connect(name, tcp).await.map_err(connect)?;
    let mut request = format!("wss://{HOST}/?version=2")
        .into_client_request()
        .map_err(broken)?;
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(BROWSER));
    headers.insert(
        ORIGIN,
        HeaderValue::from_static("https://finance.yahoo.com"),
    );
    let limits = WebSocketConfig::default()
        .max_message_size(Some(LONGEST_FRAME))
        .max_frame_size(Some(LONGEST_FRAME));
    let (socket, _) = client_async_with_config(request, stream, Some(limits))
        .await
        .map_err(broken)?;
    Ok(socket)
}

fn broken(source: SocketError) -> StreamError {
    StreamError::Broken {
        source: Box::new(source),
    }
}
