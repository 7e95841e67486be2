use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use axum::{
    Router,
    serve::{Listener as _, ListenerExt as _},
};
use calendar::nyse;
use service_kit::Clock;
use storage::{Channel, Listener, PgPool};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{mpsc, watch},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    board::Board,
    champions::{self, Diary, Models, Places},
    engine::{Arrival, Engine, Progress},
    handlers,
    line::Line,
    metrics::Metrics,
    recorder,
    settings::{Settings, Timing},
    setup::SetupFile,
    state::AppState,
    status::{StatusKeeper, status},
    thresholds::{self, Thresholds},
};

/// Notices that may wait while the engine works; then they wait in the connection to the database.
const QUEUE_NOTICES: usize = 256;

/// How long the tasks may take to end after a shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(8);

/// Bytes that the system holds for a client that does not read. Left to itself it grows to megabytes, all of them old
/// prices by the time they are read.
const SEND_BUFFER: u32 = 128 * 1024;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1_024;

/// The running service: the live path and everything around it, except the network.
#[derive(Debug)]
pub struct App {
    state: AppState,
}

impl App {
    /// Starts the live path. It ends when the token is cancelled.
    ///
    /// # Errors
    /// When the database cannot be listened to.
    pub async fn start(
        settings: Settings,
        pool: PgPool,
        clock: Clock,
        shutdown: CancellationToken,
    ) -> anyhow::Result<Self> {
        let calendar = nyse();
        let metrics = Arc::new(Metrics::default());
        let (models_sender, models) = watch::channel(Models::default());
        let tickers = settings.universe.symbols();
        let waiting = Progress {
            watched: tickers.len(),
            ..Progress::default()
        };
        let now = (clock.now(), clock.speed());
        let first_status = status(
            now.0,
            now.1,
            settings.source,
            calendar,
            &Models::default(),
            &waiting,
            None,
        );
        let board = Arc::new(Board::new(&settings.universe.tickers, first_status));
        let (progress_sender, progress) = watch::channel(waiting);
        let tasks = TaskTracker::new();
        let timing = settings.timing;
        let places = Places {
            model_config: settings.model_config,
            models_dir: settings.models_dir,
        };

        // Listening starts before the bars are loaded: what is committed meanwhile is seen twice rather than never.
        let arrivals = listen(&pool, &tasks, shutdown.clone()).await?;
        let (decisions_sender, decisions) = mpsc::channel(recorder::QUEUE_PASSES);
        tasks.spawn(recorder::run(pool.clone(), decisions, Arc::clone(&metrics)));
        tasks.spawn(champions::keep_loaded(
            places.clone(),
            tickers.len(),
            models_sender,
            Arc::clone(&metrics),
            Timing::interval(timing.reload_seconds),
            Diary::new(pool.clone(), clock.clone(), settings.policy.coverage),
            shutdown.clone(),
        ));
        let (thresholds_sender, thresholds) = watch::channel(Thresholds::default());
        tasks.spawn(thresholds::keep_moving(
            pool.clone(),
            clock.clone(),
            models.clone(),
            thresholds_sender,
            Timing::interval(timing.safety_seconds),
            shutdown.clone(),
        ));
        let engine = Engine {
            pool: pool.clone(),
            calendar,
            clock: clock.clone(),
            board: Arc::clone(&board),
            metrics: Arc::clone(&metrics),
            policy: settings.policy,
            models: models.clone(),
            thresholds,
            decisions: decisions_sender,
            progress: progress_sender,
            lines: tickers.into_iter().map(Line::new).collect(),
            economy_since: None,
            next_to_check: 0,
        };
        tasks.spawn(engine.run(
            arrivals,
            Timing::interval(timing.safety_seconds),
            shutdown.clone(),
        ));
        let keeper = StatusKeeper {
            board: Arc::clone(&board),
            calendar,
            clock: clock.clone(),
            source: settings.source,
            models: models.clone(),
            progress: progress.clone(),
            setup: SetupFile::new(settings.build_file),
        };
        tasks.spawn(keeper.run(Timing::interval(timing.status_seconds), shutdown.clone()));

        let state = AppState {
            pool,
            clock,
            board,
            metrics,
            models,
            progress,
            places: Arc::new(places),
            frontend_dir: Arc::new(settings.frontend_dir),
            policy: settings.policy,
            timing,
            shutdown,
            tasks,
        };
        Ok(Self { state })
    }

    /// All routes.
    pub fn router(&self) -> Router {
        handlers::router(self.state.clone())
    }

    /// Serves until the token given to [`App::start`] is cancelled, then closes the clients' connections with a
    /// reason and stores what still waits.
    ///
    /// # Errors
    /// When the socket fails.
    pub async fn serve(self, listener: TcpListener) -> anyhow::Result<()> {
        let router = self.router();
        let shutdown = self.state.shutdown.clone();
        // Small messages are meant to leave at once, not to wait for company.
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "TCP_NODELAY is not available");
            }
        });
        let address = listener.local_addr().context("the socket has no address")?;
        tracing::info!("serving on http://{address}");
        let server = axum::serve(listener, router)
            .with_graceful_shutdown(async move { shutdown.cancelled().await })
            .into_future();
        let ending = async {
            self.state.shutdown.cancelled().await;
            tokio::time::sleep(SHUTDOWN_TIMEOUT).await;
        };
        tokio::select! {
            served = server => served.context("serving failed")?,
            () = ending => tracing::warn!("some requests did not end in time and were cut off"),
        }
        self.end().await;
        Ok(())
    }

    /// Waits for the tasks to end, a bounded time.
    async fn end(self) {
        self.state.shutdown.cancel();
        self.state.tasks.close();
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, self.state.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(
                tasks = self.state.tasks.len(),
                "some tasks did not end in time and were cut off"
            );
        }
    }
}

/// Forwards the database's notices with their time of arrival.
async fn listen(
    pool: &PgPool,
    tasks: &TaskTracker,
    shutdown: CancellationToken,
) -> anyhow::Result<mpsc::Receiver<Arrival>> {
    let channels = [
        Channel::BarCommitted,
        Channel::FormingPrice,
        Channel::CorporateAction,
        Channel::NewsScored,
        Channel::MacroReleased,
    ];
    let mut listener = Listener::connect(pool, &channels).await?;
    let (sender, receiver) = mpsc::channel(QUEUE_NOTICES);
    tasks.spawn(async move {
        loop {
            let notice = tokio::select! {
                () = shutdown.cancelled() => return,
                notice = listener.next() => notice,
            };
            let received = std::time::Instant::now();
            if sender.send(Arrival { received, notice }).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// Takes the address for this process.
///
/// # Errors
/// Says what to change when the port is in use or not allowed.
pub fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    open(address).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => anyhow!(
            "{address} is in use by another program: stop it, or set TANDEM_API_ADDRESS to another address and port"
        ),
        io::ErrorKind::PermissionDenied => anyhow!(
            "the system does not allow to listen on {address}: set TANDEM_API_ADDRESS to a port above 1023"
        ),
        _ => anyhow::Error::new(error).context(format!("failed to listen on {address} (TANDEM_API_ADDRESS)")),
    })
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // As tokio's own bind does: a restart need not wait for the old connections' last packets.
    socket.set_reuseaddr(true)?;
    // Connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
