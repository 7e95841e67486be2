use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context as _, anyhow};
use axum::{
    Router,
    serve::{Listener as _, ListenerExt as _},
};
use calendar::nyse;
use inference::LiveChampions;
use model_registry::ChampionsFile;
use service_kit::{Clock, TaskProgress, keep_running};
use storage::{Channel, Listener, PgPool};
use tokio::{
    net::{TcpListener, TcpSocket},
    sync::{Mutex, mpsc, watch},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    board::Board,
    catch_up::CatchUp,
    champions::{Diary, Loader, Models, Places},
    engine::{Arrival, Decider, Engine, Progress},
    handlers,
    line::Line,
    metrics::Metrics,
    recorder::{self, Queue},
    settings::{Settings, Timing},
    setup::SetupFile,
    staleness::{Moment, Silence, Watcher},
    standings::{StandingKeeper, Standings},
    state::AppState,
    status::{Facts, StatusKeeper, status},
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
        let moment = Moment::of(&clock);
        let first_status = status(Facts {
            moment,
            source: settings.source,
            calendar,
            models: &Models::default(),
            progress: &waiting,
            setup: None,
            training: None,
            silence: Silence::default(),
        });
        let board = Arc::new(Board::new(&settings.universe.tickers, first_status));
        let (progress_sender, progress) = watch::channel(waiting);
        let tasks = TaskTracker::new();
        let timing = settings.timing;
        let places = Places {
            model_config: settings.model_config,
            models_dir: settings.models_dir,
        };

        // Listening starts before the bars are loaded: what is committed meanwhile is seen twice rather than never.
        let listener = Listener::connect(&pool, &CHANNELS).await?;
        let owner = Owner {
            tasks: tasks.clone(),
            shutdown: shutdown.clone(),
        };
        let (arrivals_sender, arrivals) = mpsc::channel(QUEUE_NOTICES);
        // Whoever is begun again connects anew, and says that something may have been missed.
        let first_listener = Arc::new(Mutex::new(Some(listener)));
        owner.keep("notices of the database", {
            let (pool, shutdown) = (pool.clone(), shutdown.clone());
            move || {
                let (first, pool) = (Arc::clone(&first_listener), pool.clone());
                let (sender, shutdown) = (arrivals_sender.clone(), shutdown.clone());
                async move {
                    let first = first.lock().await.take();
                    let listener = first.unwrap_or_else(|| Listener::new(&pool, &CHANNELS));
                    listen(listener, sender, shutdown).await;
                }
            }
        });
        let (analyses_sender, analyses) = mpsc::channel(recorder::QUEUE_PASSES);
        let queue = Arc::new(Mutex::new(Queue::new(analyses)));
        owner.keep("recorder", {
            let (pool, metrics) = (pool.clone(), Arc::clone(&metrics));
            move || recorder::run(pool.clone(), Arc::clone(&queue), Arc::clone(&metrics))
        });
        let (failures_sender, failures) = watch::channel(None);
        let live_champions = Arc::new(LiveChampions::new(
            ChampionsFile::new(&places.model_config),
            &places.models_dir,
            tickers.len(),
        ));
        owner.keep("models", {
            let (pool, clock) = (pool.clone(), clock.clone());
            let (places, metrics) = (places.clone(), Arc::clone(&metrics));
            let (tickers, coverage) = (tickers.len(), settings.policy.coverage);
            let shutdown = shutdown.clone();
            move || {
                let loader = Loader {
                    live: Arc::clone(&live_champions),
                    places: places.clone(),
                    tickers,
                    models: models_sender.clone(),
                    failures: failures.clone(),
                    metrics: Arc::clone(&metrics),
                    diary: Diary::new(pool.clone(), clock.clone(), coverage),
                    preparing: JoinSet::new(),
                };
                loader.run(Timing::interval(timing.reload_seconds), shutdown.clone())
            }
        });
        let (thresholds_sender, thresholds) = watch::channel(Thresholds::default());
        owner.keep("thresholds", {
            let (pool, clock, models) = (pool.clone(), clock.clone(), models.clone());
            let shutdown = shutdown.clone();
            move || {
                thresholds::keep_moving(
                    pool.clone(),
                    clock.clone(),
                    models.clone(),
                    thresholds_sender.clone(),
                    Timing::interval(timing.safety_seconds),
                    shutdown.clone(),
                )
            }
        });
        let (standings_sender, standings) = watch::channel(Standings::default());
        owner.keep("standings", {
            let keeper = StandingKeeper {
                pool: pool.clone(),
                clock: clock.clone(),
                policy: settings.policy,
                board: Arc::clone(&board),
                models: models.clone(),
                standings: standings_sender,
            };
            let shutdown = shutdown.clone();
            move || keeper.clone().run(shutdown.clone())
        });
        let decider = Decider {
            clock: clock.clone(),
            policy: settings.policy,
            thresholds,
            standings: standings.clone(),
        };
        let arrivals = Arc::new(Mutex::new(arrivals));
        owner.keep("live path", {
            let (pool, clock, shutdown) = (pool.clone(), clock.clone(), shutdown.clone());
            let (board, metrics) = (Arc::clone(&board), Arc::clone(&metrics));
            let (models, decider) = (models.clone(), decider.clone());
            let (analyses, tickers) = (analyses_sender.clone(), tickers.clone());
            move || {
                let engine = Engine {
                    pool: pool.clone(),
                    calendar,
                    clock: clock.clone(),
                    board: Arc::clone(&board),
                    metrics: Arc::clone(&metrics),
                    decider: decider.clone(),
                    models: models.clone(),
                    analyses: analyses.clone(),
                    failures: failures_sender.clone(),
                    progress: progress_sender.clone(),
                    lines: tickers.iter().cloned().map(Line::new).collect(),
                    economy_since: None,
                    next_to_check: 0,
                };
                let safety = Timing::interval(timing.safety_seconds);
                engine.run(Arc::clone(&arrivals), safety, shutdown.clone())
            }
        });
        owner.keep("missed bars", {
            let (pool, clock, shutdown) = (pool.clone(), clock.clone(), shutdown.clone());
            let (metrics, models) = (Arc::clone(&metrics), models.clone());
            move || {
                let catch_up = CatchUp {
                    pool: pool.clone(),
                    calendar,
                    clock: clock.clone(),
                    tickers: tickers.clone(),
                    models: models.clone(),
                    decider: decider.clone(),
                    analyses: analyses_sender.clone(),
                    metrics: Arc::clone(&metrics),
                };
                catch_up.run(Timing::interval(timing.safety_seconds), shutdown.clone())
            }
        });
        let watcher = Watcher {
            board: Arc::clone(&board),
            calendar,
            clock: clock.clone(),
            progress: progress.clone(),
            started: moment.now,
        };
        owner.keep("alerts", {
            let (watcher, alerts) = (watcher.clone(), settings.alerts);
            let (source, shutdown) = (settings.source, shutdown.clone());
            move || {
                let (watcher, alerts) = (watcher.clone(), alerts.clone());
                let shutdown = shutdown.clone();
                async move { watcher.alert(&alerts, source, &shutdown).await }
            }
        });
        let keeper = StatusKeeper {
            board: Arc::clone(&board),
            calendar,
            clock: clock.clone(),
            source: settings.source,
            models: models.clone(),
            progress: progress.clone(),
            setup: SetupFile::new(settings.build_file),
            training: TaskProgress::of_training(&places.models_dir),
            watcher: watcher.clone(),
        };
        owner.keep("status", {
            let shutdown = shutdown.clone();
            move || {
                let repeat = Timing::interval(timing.status_seconds);
                keeper.clone().run(repeat, shutdown.clone())
            }
        });

        let state = AppState {
            pool,
            clock,
            board,
            metrics,
            models,
            standings,
            progress,
            watcher,
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

/// Owns the service's tasks: one that panics is begun again.
struct Owner {
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

impl Owner {
    /// Begins a task that ends when the token is cancelled.
    fn keep<F>(&self, name: &'static str, begin: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        #[cfg(feature = "testing")]
        let begin = move || crate::testing::until_panic(name, begin());
        self.tasks
            .spawn(keep_running(name, self.shutdown.clone(), begin));
    }
}

/// What the live path hears of.
const CHANNELS: [Channel; 5] = [
    Channel::BarCommitted,
    Channel::FormingPrice,
    Channel::CorporateAction,
    Channel::NewsScored,
    Channel::MacroReleased,
];

/// Forwards the database's notices with their time of arrival.
async fn listen(
    mut listener: Listener,
    sender: mpsc::Sender<Arrival>,
    shutdown: CancellationToken,
) {
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
