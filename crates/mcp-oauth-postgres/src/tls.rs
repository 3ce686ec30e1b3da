//! Who vouches for the server.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{OpenError, Settings};

/// TLS to a server that one of the settings' certificates vouches for, or one that this machine trusts.
pub(crate) fn connector(settings: &Settings) -> Result<MakeRustlsConnect, OpenError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| OpenError::Certificates)?;
    let config = if settings.root_certificates.is_empty() {
        config.with_platform_verifier().map_err(|_| OpenError::Certificates)?
    } else {
        config.with_root_certificates(roots(&settings.root_certificates)?)
    };
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

fn roots(pem: &[u8]) -> Result<RootCertStore, OpenError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| OpenError::Certificates)?;
        roots.add(certificate).map_err(|_| OpenError::Certificates)?;
    }
    if roots.is_empty() { Err(OpenError::Certificates) } else { Ok(roots) }
}
