//! TLS connections to the database server, and the certificates that they trust.

use core::future::Future;
use core::pin::Pin;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_postgres::Socket;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::guard::Guarded;
use crate::open_error::OpenError;
use crate::settings::Settings;

/// Returns a connector for TLS with limits.
///
/// The connector trusts the settings' root certificates, or those of this machine if there are none.
pub(crate) fn connector(settings: &Settings) -> Result<Guard<MakeRustlsConnect>, OpenError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| OpenError::Certificates)?;
    let config = if settings.root_certificates.is_empty() {
        config.with_platform_verifier().map_err(|_| OpenError::Certificates)?
    } else {
        config.with_root_certificates(roots(&settings.root_certificates)?)
    };
    Ok(Guard(MakeRustlsConnect::new(config.with_no_client_auth())))
}

fn roots(pem: &[u8]) -> Result<RootCertStore, OpenError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| OpenError::Certificates)?;
        roots.add(certificate).map_err(|_| OpenError::Certificates)?;
    }
    if roots.is_empty() { Err(OpenError::Certificates) } else { Ok(roots) }
}

/// Connector that adds limits to the connections of another one.
#[derive(Clone)]
pub(crate) struct Guard<T>(T);

impl<T> MakeTlsConnect<Socket> for Guard<T>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Unpin,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send + 'static,
{
    type Stream = Guarded<T::Stream>;
    type TlsConnect = Guard<T::TlsConnect>;
    type Error = T::Error;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Self::TlsConnect, Self::Error> {
        self.0.make_tls_connect(domain).map(Guard)
    }
}

impl<T> TlsConnect<Socket> for Guard<T>
where
    T: TlsConnect<Socket>,
    T::Stream: Unpin,
    T::Future: Send + 'static,
{
    type Stream = Guarded<T::Stream>;
    type Error = T::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Stream, Self::Error>> + Send>>;

    fn connect(self, socket: Socket) -> Self::Future {
        let connecting = self.0.connect(socket);
        Box::pin(async move { Ok(Guarded::new(connecting.await?, TlsStream::channel_binding)) })
    }
}
