//! A vendor in this process: answers over TLS with a certificate of its own, for whatever host name it is called.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header},
    response::IntoResponse,
};
use market_data::VendorConnection;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

/// Every vendor's host name.
const HOSTS: [&str; 8] = [
    "query1.finance.yahoo.com",
    "query2.finance.yahoo.com",
    "streamer.finance.yahoo.com",
    "api.stlouisfed.org",
    "fred.stlouisfed.org",
    "newsapi.org",
    "finnhub.io",
    "www.alphavantage.co",
];

/// What the client asked.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) host: String,
    pub(crate) user_agent: String,
    pub(crate) ticker: String,
    /// `period1` and `period2`, Unix seconds.
    pub(crate) period: (i64, i64),
}

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: &'static str,
    pub(crate) body: String,
    pub(crate) delay: Duration,
}

impl Answer {
    pub(crate) fn json(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            content_type: "application/json",
            body: body.into(),
            delay: Duration::ZERO,
        }
    }

    pub(crate) fn status(status: u16, content_type: &'static str, body: impl Into<String>) -> Self {
        Self {
            status,
            content_type,
            body: body.into(),
            delay: Duration::ZERO,
        }
    }
}

pub(crate) struct VendorServer {
    pub(crate) connection: VendorConnection,
    pub(crate) calls: Arc<Mutex<Vec<Call>>>,
    _folder: tempfile::TempDir,
}

impl VendorServer {
    pub(crate) async fn start(answer: impl Fn(&Call) -> Answer + Send + Sync + 'static) -> Self {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let (recorded, answer) = (Arc::clone(&calls), Arc::new(answer));
        let router = Router::new().fallback(move |request: Request| {
            let call = read_call(&request);
            recorded.lock().unwrap().push(call.clone());
            let answer = answer(&call);
            async move {
                tokio::time::sleep(answer.delay).await;
                let status = StatusCode::from_u16(answer.status).unwrap();
                (
                    status,
                    [(header::CONTENT_TYPE, answer.content_type)],
                    answer.body,
                )
                    .into_response()
            }
        });
        let (connection, folder) = serve(router).await;
        Self {
            connection,
            calls,
            _folder: folder,
        }
    }
}

/// Serves a router over TLS under every vendor's name; the folder holds the certificate's root.
pub(crate) async fn serve(router: Router) -> (VendorConnection, tempfile::TempDir) {
    // Another test of this process may have been first.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(HOSTS.map(str::to_owned))
        .unwrap()
        .signed_by(&key, &Issuer::new(authority, authority_key))
        .unwrap();
    let tls = axum_server::tls_rustls::RustlsConfig::from_pem(
        certificate.pem().into_bytes(),
        key.serialize_pem().into_bytes(),
    )
    .await
    .unwrap();

    let folder = tempfile::tempdir().unwrap();
    let root_path = folder.path().join("ca.pem");
    std::fs::write(&root_path, root.pem()).unwrap();

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let server = axum_server::from_tcp_rustls(listener, tls).unwrap();
    tokio::spawn(server.serve(router.into_make_service()));

    let connection = VendorConnection {
        address: Some(address.to_string()),
        certificate: Some(root_path),
        request_timeout: Duration::from_secs(5),
    };
    (connection, folder)
}

fn read_call(request: &Request) -> Call {
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let uri = request.uri();
    // HTTP/2 carries the host in the address, HTTP/1 in a header.
    let host = uri
        .host()
        .map_or_else(|| header(header::HOST), str::to_owned);
    let query = uri.query().unwrap_or_default();
    let number = |name: &str| {
        let pair = query
            .split('&')
            .find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        pair.and_then(|value| value.parse().ok())
            .unwrap_or_default()
    };
    Call {
        host,
        user_agent: header(header::USER_AGENT),
        ticker: uri.path().rsplit('/').next().unwrap_or_default().to_owned(),
        period: (number("period1"), number("period2")),
    }
}
