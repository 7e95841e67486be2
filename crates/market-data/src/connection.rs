use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use domain::Ticker;
use reqwest::{
    Certificate, Client,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect,
};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::Vendor;

/// Yahoo refuses at once (429) whoever does not look like a browser.
pub(crate) const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/131.0.0.0 Safari/537.36";

/// What we call ourselves elsewhere.
const TANDEM: &str = concat!("Tandem/", env!("CARGO_PKG_VERSION"));

/// How the vendors are reached.
#[derive(Clone, Debug)]
pub struct VendorConnection {
    /// `host:port` that every vendor's host name is connected to; `None` for the vendors themselves.
    /// Variable `TANDEM_VENDOR_ADDRESS`.
    pub address: Option<String>,
    /// PEM file with the only root certificate to trust; `None` for the system's roots.
    /// Variable `TANDEM_VENDOR_CA`.
    pub certificate: Option<PathBuf>,
    /// How long one request may take, connecting included.
    pub request_timeout: Duration,
}

/// The connection's settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// The address is not `host:port`.
    #[error(
        "TANDEM_VENDOR_ADDRESS={value:?} is no address: expected host:port, such as 127.0.0.1:8443"
    )]
    Address {
        /// The value found.
        value: String,
    },
    /// The certificate's file cannot be read.
    #[error("failed to read the certificate {} named by TANDEM_VENDOR_CA", path.display())]
    ReadCertificate {
        /// Path of the file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The certificate's file holds no certificate.
    #[error("{} named by TANDEM_VENDOR_CA holds no certificate in PEM format", path.display())]
    Certificate {
        /// Path of the file.
        path: PathBuf,
    },
    /// The HTTP client cannot be built.
    #[error("failed to set up the HTTP client")]
    Client {
        /// The client's reason.
        source: reqwest::Error,
    },
    /// The system's root certificates cannot be used.
    #[error("failed to set up TLS with the system's root certificates")]
    Tls {
        /// The TLS library's reason.
        source: rustls::Error,
    },
    /// The vendor's library refuses the HTTP client.
    #[error("failed to set up yahoo_finance_api")]
    Library {
        /// The library's reason.
        source: yahoo_finance_api::YahooError,
    },
}

/// Tickers that Yahoo does not know as they are spelled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("[universe] tickers = {} cannot be used: Yahoo writes a class of shares with a hyphen, so expected {}", list(.0, |ticker| ticker.as_str().to_owned()), list(.0, hyphened))]
pub struct UnknownSpelling(Vec<Ticker>);

fn list(tickers: &[Ticker], text: impl Fn(&Ticker) -> String) -> String {
    let texts: Vec<String> = tickers.iter().map(text).collect();
    texts.join(", ")
}

fn hyphened(ticker: &Ticker) -> String {
    ticker.as_str().replace('.', "-")
}

/// Whether a ticker ends in a class of shares after a dot, such as `BRK.B`; Yahoo has exchanges there, of one letter
/// only Frankfurt, London, Tokyo and the TSX Venture.
fn is_dotted_class(ticker: &Ticker) -> bool {
    ticker
        .as_str()
        .rsplit_once('.')
        .is_some_and(|(_, class)| class.len() == 1 && !["F", "L", "T", "V"].contains(&class))
}

impl VendorConnection {
    /// Checks that the vendors can know the tickers; a simulator knows them in any spelling.
    ///
    /// # Errors
    /// [`UnknownSpelling`] names those that Yahoo spells otherwise.
    pub fn check_tickers(&self, tickers: &[Ticker]) -> Result<(), UnknownSpelling> {
        let misspelt: Vec<Ticker> = tickers
            .iter()
            .filter(|ticker| self.address.is_none() && is_dotted_class(ticker))
            .cloned()
            .collect();
        if misspelt.is_empty() {
            Ok(())
        } else {
            Err(UnknownSpelling(misspelt))
        }
    }

    /// The connection that `TANDEM_VENDOR_ADDRESS` and `TANDEM_VENDOR_CA` describe; the real vendors when unset.
    pub fn from_environment(request_timeout: Duration) -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        Self {
            address: set("TANDEM_VENDOR_ADDRESS").map(|value| value.to_string_lossy().into_owned()),
            certificate: set("TANDEM_VENDOR_CA").map(PathBuf::from),
            request_timeout,
        }
    }

    /// Checks that vendors can be connected to: the form of the address, and the certificate.
    ///
    /// # Errors
    /// [`ConnectionError`] names the variable.
    pub fn check(&self) -> Result<(), ConnectionError> {
        self.client(Vendor::Yahoo).map(drop)
    }

    pub(crate) fn client(&self, vendor: Vendor) -> Result<Client, ConnectionError> {
        let mut builder = Client::builder()
            .https_only(true)
            .connect_timeout(self.request_timeout)
            .timeout(self.request_timeout);
        builder = match vendor {
            Vendor::Yahoo => builder.user_agent(BROWSER),
            // Where a key travels, no redirect takes it along to another host.
            _ => builder
                .user_agent(TANDEM)
                .referer(false)
                .redirect(redirect::Policy::none()),
        };
        if let Some(address) = self.fixed_address()? {
            // A proxy would resolve the vendor's name itself and reach the real vendor.
            builder = builder
                .no_proxy()
                .dns_resolver(Arc::new(FixedAddress(address.into())));
        }
        if let Some((path, pem)) = self.read_certificate()? {
            let roots = Certificate::from_pem_bundle(&pem)
                .ok()
                .filter(|roots| !roots.is_empty())
                .ok_or_else(|| ConnectionError::Certificate { path: path.clone() })?;
            builder = builder.tls_certs_only(roots);
        }
        builder
            .build()
            .map_err(|source| ConnectionError::Client { source })
    }

    /// TLS for what is no HTTP request, with the same trust.
    pub(crate) fn tls(&self) -> Result<ClientConfig, ConnectionError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = |source| ConnectionError::Tls { source };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(tls)?;
        let Some((path, pem)) = self.read_certificate()? else {
            let builder = builder.with_platform_verifier().map_err(tls)?;
            return Ok(builder.with_no_client_auth());
        };
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(&pem).flatten() {
            roots.add(certificate).map_err(tls)?;
        }
        if roots.is_empty() {
            return Err(ConnectionError::Certificate { path: path.clone() });
        }
        Ok(builder.with_root_certificates(roots).with_no_client_auth())
    }

    /// The checked address that stands in for every vendor.
    pub(crate) fn fixed_address(&self) -> Result<Option<&str>, ConnectionError> {
        let Some(address) = self.address.as_deref() else {
            return Ok(None);
        };
        let port = address
            .rsplit_once(':')
            .filter(|(host, _)| !host.is_empty());
        if port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0)) {
            Ok(Some(address))
        } else {
            Err(ConnectionError::Address {
                value: address.to_owned(),
            })
        }
    }

    /// The only root to trust, if one is named: its path and the file's bytes.
    pub(crate) fn read_certificate(&self) -> Result<Option<(&PathBuf, Vec<u8>)>, ConnectionError> {
        let Some(path) = &self.certificate else {
            return Ok(None);
        };
        let pem = std::fs::read(path).map_err(|source| ConnectionError::ReadCertificate {
            path: path.clone(),
            source,
        })?;
        Ok(Some((path, pem)))
    }
}

/// Answers every host name with one address, whose port replaces the vendor's 443.
struct FixedAddress(Arc<str>);

impl Resolve for FixedAddress {
    fn resolve(&self, _name: Name) -> Resolving {
        let address = Arc::clone(&self.0);
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host(&*address).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(address: Option<&str>, certificate: Option<PathBuf>) -> VendorConnection {
        VendorConnection {
            address: address.map(str::to_owned),
            certificate,
            request_timeout: Duration::from_secs(1),
        }
    }

    #[test]
    fn a_class_of_shares_has_a_hyphen_at_yahoo() {
        let tickers = ["BRK.B", "BRK-B", "7203.T", "SHEL.L", "SAP.DE"]
            .map(|ticker| Ticker::parse(ticker).unwrap());
        let error = connection(None, None).check_tickers(&tickers).unwrap_err();
        assert_eq!(
            error.to_string(),
            "[universe] tickers = BRK.B cannot be used: Yahoo writes a class of shares with a hyphen, so expected BRK-B"
        );
        connection(Some("127.0.0.1:8443"), None)
            .check_tickers(&tickers)
            .unwrap();
    }

    #[test]
    fn an_address_needs_host_and_port() {
        for bad in [
            "127.0.0.1",
            ":8443",
            "market-sim:",
            "market-sim:https",
            "market-sim:0",
        ] {
            let error = connection(Some(bad), None)
                .client(Vendor::Yahoo)
                .unwrap_err();
            assert!(error.to_string().contains(bad), "{error}");
        }
        for good in ["127.0.0.1:8443", "market-sim:8443", "[::1]:8443"] {
            connection(Some(good), None).client(Vendor::Yahoo).unwrap();
        }
    }

    #[test]
    fn a_bad_certificate_file_is_named() {
        let missing = connection(None, Some("no-such-file.pem".into()))
            .client(Vendor::Yahoo)
            .unwrap_err();
        assert!(missing.to_string().contains("no-such-file.pem"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, "not a certificate").unwrap();
        let error = connection(None, Some(path))
            .client(Vendor::Yahoo)
            .unwrap_err();
        assert!(
            matches!(error, ConnectionError::Certificate { .. }),
            "{error}"
        );
    }
}
