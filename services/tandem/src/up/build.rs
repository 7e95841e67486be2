//! The compilation that a first start leaves running behind the page.

use std::{path::PathBuf, time::Duration};

use chrono::Utc;
use service_kit::BuildProgress;

/// How often the file is looked at.
const POLL: Duration = Duration::from_millis(500);

/// The compilation of those programs that the page does not need, as `scripts/run` started it.
#[derive(Clone, Debug)]
pub(super) struct Build {
    /// Where the compilation tells how far it is; none when nothing is compiled.
    file: Option<PathBuf>,
}

impl Build {
    /// The compilation that `TANDEM_BUILD_FILE` tells of, if any.
    pub(super) fn from_environment() -> Self {
        let file = std::env::var_os("TANDEM_BUILD_FILE").filter(|path| !path.is_empty());
        Self {
            file: file.map(PathBuf::from),
        }
    }

    /// Whether it still runs.
    pub(super) fn is_running(&self) -> bool {
        let told = self.file.as_deref().map(BuildProgress::read);
        matches!(told, Some(Ok(Some(told))) if told.is_running(Utc::now()))
    }

    /// Waits until it has ended, well or not: what it did not leave is missed when it is started.
    pub(super) async fn ended(&self) {
        while self.is_running() {
            tokio::time::sleep(POLL).await;
        }
    }
}
