use std::{
    convert::Infallible,
    io,
    net::{SocketAddr, TcpListener},
    time::Duration,
};

use axum::{Router, ServiceExt, extract::Request, response::Response};
use axum_server::{
    Handle,
    accept::NoDelayAcceptor,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use tokio_util::sync::CancellationToken;
use tower::util::MapResult;

use crate::{Certificates, Simulator, faults::HangUp};

/// How long answers in progress may take after the end was asked for.
const LAST_ANSWERS: Duration = Duration::from_secs(3);

/// The simulator, listening.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    certificates: Certificates,
    app: Router,
    ending: CancellationToken,
}

/// The simulator cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken or not this machine's.
    #[error("failed to listen on {address}: is another program using the port?")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
    /// The listener failed while serving.
    #[error("failed to serve on {address}")]
    Serve {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: io::Error,
    },
}

impl Server {
    /// Listens; port 0 takes a free one. Connections are served by [`Server::run`].
    ///
    /// # Errors
    /// [`ServerError::Listen`] when the address cannot be had.
    pub fn bind(
        address: SocketAddr,
        certificates: Certificates,
        simulator: Simulator,
    ) -> Result<Self, ServerError> {
        let listen = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) =
            listen().map_err(|source| ServerError::Listen { address, source })?;
        Ok(Self {
            listener,
            address,
            certificates,
            ending: simulator.ending.clone(),
            app: simulator.into_app(),
        })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that clients must trust, PEM.
    pub fn authority(&self) -> &str {
        self.certificates.authority()
    }

    /// Serves until the token is cancelled, then lets answers in progress finish.
    ///
    /// # Errors
    /// [`ServerError::Serve`] when the listener fails.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), ServerError> {
        let address = self.address;
        let handle = Handle::new();
        let serve = async {
            let config = RustlsConfig::from_config(self.certificates.server());
            // Without it the second answer on a connection waits 40 ms for an acknowledgement.
            let acceptor = RustlsAcceptor::new(config).acceptor(NoDelayAcceptor::new());
            let app = MapResult::new(self.app, end_where_asked);
            axum_server::from_tcp(self.listener)?
                .acceptor(acceptor)
                .handle(handle.clone())
                .serve(ServiceExt::<Request>::into_make_service(app))
                .await
        };
        let stop = async {
            shutdown.cancelled().await;
            self.ending.cancel();
            handle.graceful_shutdown(Some(LAST_ANSWERS));
            std::future::pending().await // `serve` ends when the last answer is out
        };
        let served: io::Result<()> =
            tokio::select! { served = serve => served, served = stop => served };
        served.map_err(|source| ServerError::Serve { address, source })
    }
}

/// What makes the server end a connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the connection was to end without an answer")]
struct HungUp;

impl From<Infallible> for HungUp {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

fn end_where_asked(answer: Result<Response, Infallible>) -> Result<Response, HungUp> {
    match answer {
        Ok(response) if response.extensions().get::<HangUp>().is_some() => Err(HungUp),
        Ok(response) => Ok(response),
    }
}
