//! `/ws`: one task for each client, woken by the board.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Error,
    extract::{
        State, WebSocketUpgrade,
        ws::{CloseFrame, Message, WebSocket, close_code},
    },
    response::Response,
};
use domain::Ticker;
use futures_util::SinkExt as _;
use serde::Deserialize;
use tokio::{sync::watch, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    board::{View, single_message},
    error::ErrorBody,
    metrics::Metrics,
    settings::Timing,
    state::AppState,
};

/// Clients only send subscriptions.
const LARGEST_MESSAGE: usize = 16 * 1024;

/// tungstenite allocates 128 KiB to read into by default: 25 MiB for 200 clients that send next to nothing.
const READ_BUFFER: usize = 4 * 1024;

/// A client that does not take the closing frame within this time does without.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a client may send.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    /// The tickers that it wants to hear of from now on.
    subscribe: Vec<Ticker>,
}

/// Why a connection ends.
enum End {
    /// The client went away.
    Gone,
    /// The client accepts or answers nothing.
    TimedOut,
    /// The service ends.
    Shutdown,
}

impl From<Error> for End {
    fn from(_: Error) -> Self {
        Self::Gone
    }
}

/// Accepts a client.
pub(crate) async fn connect(State(state): State<AppState>, upgrade: WebSocketUpgrade) -> Response {
    let upgrade = upgrade
        .read_buffer_size(READ_BUFFER)
        .max_message_size(LARGEST_MESSAGE);
    // Counted from here on: the shutdown waits for every client that got its token.
    let token = state.tasks.token();
    upgrade.on_upgrade(async move |socket| {
        let _running = token;
        let _counted = Counted::new(&state.metrics);
        Client::new(&state).serve(socket).await;
    })
}

/// Counts a client while it lives.
struct Counted(Arc<Metrics>);

impl Counted {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.clients.add(1);
        Self(Arc::clone(metrics))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.clients.add(-1);
    }
}

struct Client<'a> {
    state: &'a AppState,
    view: watch::Receiver<Arc<View>>,
    /// Of the last message sent.
    sequence: u64,
    /// Version of the view that was sent last.
    seen: u64,
    /// For each place on the board; none for all.
    subscription: Option<Vec<bool>>,
}

impl<'a> Client<'a> {
    fn new(state: &'a AppState) -> Self {
        Self {
            state,
            view: state.board.subscribe(),
            sequence: 0,
            seen: 0,
            subscription: None,
        }
    }

    async fn serve(mut self, mut socket: WebSocket) {
        let close = match self.converse(&mut socket).await {
            Ok(()) | Err(End::Gone) => return,
            Err(End::TimedOut) => {
                self.state.metrics.clients_timed_out.add(1);
                CloseFrame {
                    code: close_code::POLICY,
                    reason: "no answer: reconnect when you can".into(),
                }
            }
            Err(End::Shutdown) => CloseFrame {
                code: close_code::AWAY,
                reason: "the server is shutting down: reconnect later".into(),
            },
        };
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, socket.send(Message::Close(Some(close)))).await;
    }

    async fn converse(&mut self, socket: &mut WebSocket) -> Result<(), End> {
        let Timing {
            ping_seconds,
            client_timeout_seconds,
            ..
        } = self.state.timing;
        let patience = Timing::interval(client_timeout_seconds);
        let shutdown = self.state.shutdown.clone();
        let mut pings = tokio::time::interval(Timing::interval(ping_seconds));
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        let mut heard = Instant::now();
        within(patience, &shutdown, self.send_snapshot(socket)).await?;
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return Err(End::Shutdown),
                message = socket.recv() => {
                    heard = Instant::now();
                    match message {
                        None | Some(Err(_) | Ok(Message::Close(_))) => return Err(End::Gone),
                        Some(Ok(Message::Text(text))) => {
                            let answer = self.subscribe(&text);
                            within(patience, &shutdown, self.answer(answer, socket)).await?;
                        }
                        // tungstenite answers pings itself.
                        Some(Ok(_)) => (),
                    }
                }
                changed = self.view.changed() => {
                    if changed.is_err() {
                        return Err(End::Shutdown);
                    }
                    within(patience, &shutdown, self.send_news(socket)).await?;
                }
                _ = pings.tick() => {
                    if heard.elapsed() > patience {
                        return Err(End::TimedOut);
                    }
                    socket.send(Message::Ping(Default::default())).await?;
                }
            }
        }
    }

    async fn send_snapshot(&mut self, socket: &mut WebSocket) -> Result<(), Error> {
        let view = Arc::clone(&self.view.borrow_and_update());
        let snapshot = view.snapshot(self.state.clock.now(), |place| self.wants(place));
        self.sequence += 1;
        let text = single_message("snapshot", self.sequence, &snapshot);
        self.seen = view.version();
        self.state.metrics.messages.add(1);
        socket.send(Message::Text(text.into())).await
    }

    /// Everything that is newer than what the client has, in one write.
    async fn send_news(&mut self, socket: &mut WebSocket) -> Result<(), Error> {
        let view = Arc::clone(&self.view.borrow_and_update());
        let messages = view.messages_since(self.seen, |place| self.wants(place));
        for message in &messages {
            self.sequence += 1;
            socket
                .feed(Message::Text(message.text(self.sequence).into()))
                .await?;
        }
        self.seen = view.version();
        self.state.metrics.messages.add(messages.len());
        socket.flush().await
    }

    fn wants(&self, place: usize) -> bool {
        self.subscription
            .as_ref()
            .is_none_or(|wanted| wanted.get(place) == Some(&true))
    }

    fn subscribe(&mut self, text: &str) -> Result<(), ErrorBody> {
        let request: Request = serde_json::from_str(text).map_err(|error| {
            ErrorBody::new(
                "bad_message",
                format!("expected {{\"subscribe\":[\"AAPL\"]}}: {error}"),
            )
        })?;
        let mut wanted = vec![false; self.state.board.len()];
        for ticker in &request.subscribe {
            let place = self
                .state
                .board
                .place(ticker)
                .and_then(|place| wanted.get_mut(place));
            match place {
                Some(wanted) => *wanted = true,
                None => {
                    return Err(ErrorBody::new(
                        "unknown_ticker",
                        format!("{ticker} is not watched"),
                    ));
                }
            }
        }
        self.subscription = Some(wanted);
        Ok(())
    }

    async fn answer(
        &mut self,
        answer: Result<(), ErrorBody>,
        socket: &mut WebSocket,
    ) -> Result<(), Error> {
        match answer {
            Ok(()) => self.send_snapshot(socket).await,
            Err(error) => {
                self.sequence += 1;
                let text = single_message("error", self.sequence, &error);
                socket.send(Message::Text(text.into())).await
            }
        }
    }
}

/// Sends, unless the client accepts nothing for too long or the service ends.
async fn within(
    patience: Duration,
    shutdown: &CancellationToken,
    sending: impl Future<Output = Result<(), Error>>,
) -> Result<(), End> {
    tokio::select! {
        biased;
        sent = tokio::time::timeout(patience, sending) => match sent {
            Ok(sent) => Ok(sent?),
            Err(_elapsed) => Err(End::TimedOut),
        },
        () = shutdown.cancelled() => Err(End::Shutdown),
    }
}
