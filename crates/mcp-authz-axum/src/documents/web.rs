//! Fetching client documents from the public web, and from no local address.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use authorization_server::DocumentRefused;
use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::ACCEPT;
use http::{Method, Response, StatusCode};
use mcp_authz_http::{
    BuildError, GuardedClient, GuardedClientBuilder, HttpError, HttpErrorKind, read_body,
};
use oauth_types::{ClientIdMetadata, ClientMetadataUrl, InvalidClientIdMetadata};
use tracing::warn;

use crate::documents::ClientDocuments;
use crate::documents::lane::{Lane, NetworkBudget};
use crate::rate::Rate;

/// Error of setting up the client that fetches documents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum WebDocumentsFailed {
    /// A certificate to trust cannot be read.
    Certificate,
    /// The system has no certificates to trust, or TLS cannot be set up.
    Tls,
}

impl fmt::Display for WebDocumentsFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Certificate => "a certificate to trust cannot be read: pass certificates in PEM",
            Self::Tls => {
                "TLS cannot be set up: install certificates to trust on this machine, or call \
                 `without_client_documents`"
            }
        })
    }
}

impl core::error::Error for WebDocumentsFailed {}

impl From<BuildError> for WebDocumentsFailed {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Certificate => Self::Certificate,
            _ => Self::Tls,
        }
    }
}

/// Fetches documents by https and HTTP/1.1, without proxy, cookies or credentials.
///
/// Names are resolved once, local addresses are left out, and the connection is made to one of the other addresses.
/// Redirects are not followed, bodies are not decompressed, and connections are not kept open.
///
/// URLs whose last answer was good have places in the resolver and budgets of addresses of their own, so that made-up
/// names at a silent name server do not delay known clients.
#[derive(Clone, Debug)]
pub struct WebDocuments {
    new: GuardedClient,
    known: GuardedClient,
}

impl WebDocuments {
    /// Rate of fetches from one address, or network of addresses, whatever names lead there.
    const OF_ADDRESS: Rate = Rate::of(10, Duration::from_secs(1));

    /// Fetches from public addresses only.
    ///
    /// # Errors
    ///
    /// [`WebDocumentsFailed::Tls`] when the system has no certificates to trust.
    pub fn new() -> Result<Self, WebDocumentsFailed> {
        Self::with_hosts([], b"")
    }

    /// Returns the default fetcher, or `None` and a warning if it cannot be set up.
    pub(crate) fn or_none() -> Option<Arc<dyn ClientDocuments>> {
        match Self::new() {
            Ok(web) => Some(Arc::new(web)),
            Err(error) => {
                warn!(%error, "no client is known by its document");
                None
            }
        }
    }

    /// Fetches from these hosts as well, for development and tests.
    ///
    /// Each host is fetched from at this one address, even if that is local and whatever its name resolves to. The
    /// certificates (PEM) are trusted besides the system's, for every host.
    ///
    /// The port is the URL's own; when the URL names none it is the address's, or 443 if that is 0. A host that is
    /// itself an address or below `localhost` stays refused: give it a name.
    ///
    /// ```
    /// use mcp_authz_axum::WebDocuments;
    ///
    /// # fn f(pem: &[u8]) -> Result<WebDocuments, mcp_authz_axum::WebDocumentsFailed> {
    /// let here = ([127, 0, 0, 1], 8443).into();
    /// let documents = WebDocuments::with_hosts([("client.test".to_owned(), here)], pem)?;
    /// # Ok(documents) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`WebDocumentsFailed`] when a certificate cannot be read, or there are none to trust.
    pub fn with_hosts(
        hosts: impl IntoIterator<Item = (String, SocketAddr)>,
        certificates: &[u8],
    ) -> Result<Self, WebDocumentsFailed> {
        let hosts: Vec<_> = hosts.into_iter().collect();
        let client = || {
            let pin = |client: GuardedClientBuilder, (host, address): (String, SocketAddr)| {
                client.pin(host, address)
            };
            hosts.iter().cloned().fold(Self::client().certificates(certificates), pin)
        };
        Self::build([client(), client()])
    }

    fn build([new, known]: [GuardedClientBuilder; 2]) -> Result<Self, WebDocumentsFailed> {
        Ok(Self { new: new.build()?, known: known.build()? })
    }

    fn client() -> GuardedClientBuilder {
        // A-CIMD-1
        let addresses = NetworkBudget::new(Self::OF_ADDRESS);
        GuardedClient::builder()
            .https_only()
            .untrusted_urls(move |address| addresses.allows(address))
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
    }
}

impl ClientDocuments for WebDocuments {
    fn fetch<'a>(
        &'a self,
        url: &'a ClientMetadataUrl,
    ) -> BoxFuture<'a, Result<Response<Bytes>, DocumentRefused>> {
        Box::pin(get(&self.new, url))
    }

    fn fetch_known<'a>(
        &'a self,
        url: &'a ClientMetadataUrl,
    ) -> BoxFuture<'a, Result<Response<Bytes>, DocumentRefused>> {
        Box::pin(get(&self.known, url))
    }
}

async fn get(
    client: &GuardedClient,
    url: &ClientMetadataUrl,
) -> Result<Response<Bytes>, DocumentRefused> {
    let request = client.request(Method::GET, url.as_url().as_str());
    let request = request.header(ACCEPT, "application/json").timeout(Lane::DEADLINE).build();
    let request = request.map_err(|_| DocumentRefused::Unreachable)?;
    let mut answer = client.execute(request).await.map_err(refused)?;
    if answer.status() == StatusCode::OK {
        return read_body(answer, ClientIdMetadata::MAX_BYTES).await.map_err(refused);
    }
    // The status is the answer, so the body is not read, however long it is.
    let mut plain = Response::new(Bytes::new());
    *plain.status_mut() = answer.status();
    *plain.headers_mut() = core::mem::take(answer.headers_mut());
    Ok(plain)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn refused(error: HttpError) -> DocumentRefused {
    match error.kind() {
        HttpErrorKind::Busy => DocumentRefused::Busy,
        HttpErrorKind::TooLarge => DocumentRefused::Document(InvalidClientIdMetadata::TooLarge),
        _ => DocumentRefused::Unreachable,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;

    /// Most names that are resolved at once.
    const AT_ONCE: usize = 64;

    /// SEC-126
    #[tokio::test(start_paused = true)]
    async fn many_names_of_one_address_share_its_budget() {
        // A sink of the DNS, which answers no web request. Time stands still until all names are resolved.
        let sink = || vec![SocketAddr::from(([192, 31, 196, 1], 0))];
        let client = || WebDocuments::client().look_up_with(move |_| async move { Ok(sink()) });
        let web = WebDocuments::build([client(), client()]).unwrap();
        let url = |number| format!("https://c{number}.example/m");
        let urls: Vec<_> =
            (0..100).map(|number| ClientMetadataUrl::parse(&url(number)).unwrap()).collect();
        let new = join_all(urls.iter().map(|url| web.fetch(url)));
        let known = join_all(urls.iter().map(|url| web.fetch_known(url)));
        // Known documents have a budget of their own.
        let (new, known) = tokio::join!(new, known);
        for answers in [new, known] {
            let is_busy: Vec<_> = answers
                .iter()
                .map(|answer| answer.as_ref().err() == Some(&DocumentRefused::Busy))
                .collect();
            let first = is_busy.iter().position(|is_busy| *is_busy).unwrap();
            assert!((10..=12).contains(&first), "{first}");
            assert!(is_busy.iter().skip(first).all(|is_busy| *is_busy), "{is_busy:?}");
        }
    }

    /// SEC-118
    #[tokio::test]
    async fn a_name_that_leads_to_a_local_address_is_not_connected_to() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = server.local_addr().unwrap();
        let client = || WebDocuments::client().look_up_with(move |_| async move { Ok(vec![here]) });
        let web = WebDocuments::build([client(), client()]).unwrap();
        let url = ClientMetadataUrl::parse(&format!("https://c.example:{}/m", here.port()));
        let url = url.unwrap();
        for answer in [web.fetch(&url).await, web.fetch_known(&url).await] {
            assert_eq!(answer.err(), Some(DocumentRefused::Unreachable));
        }
        let nobody = tokio::time::timeout(Duration::from_millis(50), server.accept()).await;
        assert!(nobody.is_err(), "somebody came");
    }

    /// SEC-229
    #[tokio::test(start_paused = true)]
    async fn a_silent_name_server_delays_no_name_that_was_good() {
        let silent = WebDocuments::client()
            .look_up_with(|_| core::future::pending::<io::Result<Vec<SocketAddr>>>());
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let known = WebDocuments::client().look_up_with(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            async { Ok(Vec::new()) }
        });
        let web = WebDocuments::build([silent, known]).unwrap();
        let url = ClientMetadataUrl::parse("https://c.example/m").unwrap();
        for _ in 0..AT_ONCE {
            let (web, url) = (web.clone(), url.clone());
            tokio::spawn(async move { drop(web.fetch(&url).await) });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        // One more waits for its own time, and no host was silent: nothing was sent.
        let start = tokio::time::Instant::now();
        assert_eq!(web.fetch(&url).await.err(), Some(DocumentRefused::Busy));
        assert_eq!(start.elapsed().as_secs(), 1);
        let start = tokio::time::Instant::now();
        assert_eq!(web.fetch_known(&url).await.err(), Some(DocumentRefused::Unreachable));
        assert_eq!((asked.load(Ordering::Relaxed), start.elapsed().as_millis()), (1, 0));
    }

    #[test]
    fn certificates_have_to_be_readable() {
        let bad = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        let failed = WebDocuments::with_hosts([], bad).unwrap_err();
        assert_eq!(failed, WebDocumentsFailed::Certificate);
    }
}
