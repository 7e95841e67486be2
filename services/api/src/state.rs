use std::{path::PathBuf, sync::Arc};

use domain::Policy;
use service_kit::Clock;
use storage::PgPool;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    board::Board,
    champions::{Models, Places},
    engine::Progress,
    metrics::Metrics,
    settings::Timing,
    staleness::Watcher,
    standings::Standings,
};

/// What every handler may use. Cloning is cheap.
#[derive(Clone, Debug)]
pub(crate) struct AppState {
    pub(crate) pool: PgPool,
    pub(crate) clock: Clock,
    pub(crate) board: Arc<Board>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) models: watch::Receiver<Models>,
    pub(crate) standings: watch::Receiver<Standings>,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) watcher: Watcher,
    pub(crate) places: Arc<Places>,
    pub(crate) frontend_dir: Arc<PathBuf>,
    pub(crate) policy: Policy,
    pub(crate) timing: Timing,
    pub(crate) shutdown: CancellationToken,
    /// Owns every task of the service, WebSocket clients among them.
    pub(crate) tasks: TaskTracker,
}
