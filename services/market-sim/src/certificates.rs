use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::vendor::HOSTS;

/// An authority made for one run, and a server certificate for [`HOSTS`] signed by it.
///
/// The authority's key never leaves the program, so its certificate can vouch for nothing else.
#[derive(Debug)]
pub struct Certificates {
    authority: String,
    server: Arc<ServerConfig>,
}

/// A certificate cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Making or signing it failed.
    #[error("failed to make a certificate")]
    Make(#[from] rcgen::Error),
    /// The TLS library refuses it.
    #[error("failed to set up TLS")]
    Tls(#[from] rustls::Error),
}

impl Certificates {
    /// Makes both.
    ///
    /// # Errors
    /// [`CertificateError`] when the system has no randomness to give.
    pub fn generate() -> Result<Self, CertificateError> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "Tandem market-sim authority");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;

        let mut params = CertificateParams::new(HOSTS.map(str::to_owned))?;
        for address in [
            IpAddr::from(Ipv4Addr::LOCALHOST),
            IpAddr::from(Ipv6Addr::LOCALHOST),
        ] {
            params.subject_alt_names.push(SanType::IpAddress(address));
        }
        params
            .distinguished_name
            .push(DnType::CommonName, "Tandem market-sim");
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &authority)?;

        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)?;
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            authority: authority.pem(),
            server: Arc::new(server),
        })
    }

    /// The authority's certificate, PEM: clients that trust it accept the server as any of [`HOSTS`].
    pub fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }
}
