//! All vendors in this process, as the services reach them.

use std::{sync::Arc, time::Duration};

use market_data::VendorConnection;
use market_sim::{Certificates, Faults, Server, Simulator};
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Nothing in these tests takes this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Vendors {
    pub(crate) connection: VendorConnection,
    pub(crate) faults: Arc<Faults>,
    _served: JoinHandle<Result<(), market_sim::ServerError>>,
    _shutdown: DropGuard,
    _folder: tempfile::TempDir,
}

impl Vendors {
    pub(crate) fn open(simulator: Simulator) -> Self {
        let faults = simulator.faults();
        let certificates = Certificates::generate().unwrap();
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), certificates, simulator).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let certificate = folder.path().join("ca.pem");
        std::fs::write(&certificate, server.authority()).unwrap();
        let connection = VendorConnection {
            address: Some(server.address().to_string()),
            certificate: Some(certificate),
            request_timeout: Duration::from_secs(5),
        };
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(server.run(shutdown.clone()));
        Self {
            connection,
            faults,
            _served: served,
            _shutdown: shutdown.drop_guard(),
            _folder: folder,
        }
    }
}
