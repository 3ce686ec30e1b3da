//! Documents from the public web, and from nowhere else.

use core::fmt;
use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use authorization_server::DocumentRefused;
use bytes::{Bytes, BytesMut};
use futures::future::BoxFuture;
use http::header::ACCEPT;
use http::{Response, StatusCode};
use oauth_types::{ClientIdMetadata, ClientMetadataUrl, InvalidClientIdMetadata, is_local_ip};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, redirect, retry};
use tokio::sync::Semaphore;
use tracing::warn;

use crate::documents::{Budget, ClientDocuments};
use crate::rate::network;

/// Why documents cannot be fetched at all.
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
            Self::Certificate => "a certificate to trust cannot be read",
            Self::Tls => "TLS cannot be set up for want of certificates to trust",
        })
    }
}

impl core::error::Error for WebDocumentsFailed {}

/// Fetches documents by https and HTTP/1.1, without a proxy, a cookie or any credential. A name is resolved once,
/// addresses that are local are left out, and the connection is made to one of those that are left. Redirects are
/// not followed, contents not decompressed, connections not kept.
#[derive(Clone, Debug)]
pub struct WebDocuments(Client);

impl WebDocuments {
    /// Fetches from public addresses only.
    ///
    /// # Errors
    ///
    /// [`WebDocumentsFailed::Tls`] when the system has no certificates to trust.
    pub fn new() -> Result<Self, WebDocumentsFailed> {
        Self::with_hosts([], b"")
    }

    /// What a server fetches with unless it is told otherwise.
    pub(crate) fn or_none() -> Option<Arc<dyn ClientDocuments>> {
        match Self::new() {
            Ok(web) => Some(Arc::new(web)),
            Err(error) => {
                warn!(%error, "no client is known by its document");
                None
            }
        }
    }

    /// Fetches from these hosts too, for development and tests: from each at this one address, even if it is local
    /// and whatever its name resolves to. The certificates (PEM) are trusted besides the system's, for every host.
    ///
    /// The port is the URL's own; when the URL names none it is the address's, or 443 if that is 0. A host that is
    /// itself an address or below `localhost` stays refused: give it a name.
    ///
    /// ```
    /// use mcp_oauth_axum::WebDocuments;
    ///
    /// # fn f(pem: &[u8]) -> Result<WebDocuments, mcp_oauth_axum::WebDocumentsFailed> {
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
        let names =
            Names::new(hosts.into_iter().collect(), Arc::new(|name| Box::pin(system(name))));
        Self::build(names, certificates)
    }

    fn build(names: Names, certificates: &[u8]) -> Result<Self, WebDocumentsFailed> {
        let certificates = Certificate::from_pem_bundle(certificates);
        let certificates = certificates.map_err(|_| WebDocumentsFailed::Certificate)?;
        // A-CIMD-1. Other crates may switch features of reqwest on: each is refused by name.
        let client = Client::builder()
            .dns_resolver(Arc::new(names))
            .https_only(true)
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .pool_max_idle_per_host(0)
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .tls_certs_merge(certificates)
            .build();
        client.map(Self).map_err(|_| WebDocumentsFailed::Tls)
    }
}

impl ClientDocuments for WebDocuments {
    fn fetch<'a>(
        &'a self,
        url: &'a ClientMetadataUrl,
    ) -> BoxFuture<'a, Result<Response<Bytes>, DocumentRefused>> {
        Box::pin(async {
            let request = self.0.get(url.as_url().as_str()).header(ACCEPT, "application/json");
            let answer = request.send().await.map_err(|_| DocumentRefused::Unreachable)?;
            read(answer).await
        })
    }
}

/// Reads an answer up to the limit, whatever it says about its length.
async fn read(mut answer: reqwest::Response) -> Result<Response<Bytes>, DocumentRefused> {
    let mut body = BytesMut::new();
    while answer.status() == StatusCode::OK {
        let chunk = answer.chunk().await.map_err(|_| DocumentRefused::Unreachable)?;
        let Some(chunk) = chunk else { break };
        if chunk.len() > ClientIdMetadata::MAX_BYTES - body.len() {
            return Err(DocumentRefused::Document(InvalidClientIdMetadata::TooLarge));
        }
        body.extend_from_slice(&chunk);
    }
    let mut plain = Response::new(body.freeze());
    *plain.status_mut() = answer.status();
    *plain.headers_mut() = core::mem::take(answer.headers_mut());
    Ok(plain)
}

type LookUp = Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Where names lead. The connection is made to what this answers, and nothing is resolved a second time.
struct Names {
    hosts: BTreeMap<String, SocketAddr>,
    look_up: LookUp,
    places: Arc<Budget>,
    slots: Arc<Semaphore>,
}

impl Names {
    /// Most names that are resolved at once.
    const AT_ONCE: usize = 64;
    /// Most addresses of a name that are tried.
    const ADDRESSES: usize = 4;

    fn new(hosts: BTreeMap<String, SocketAddr>, look_up: LookUp) -> Self {
        let (places, slots) = (Arc::new(Budget::new()), Arc::new(Semaphore::new(Self::AT_ONCE)));
        Self { hosts, look_up, places, slots }
    }
}

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        if let Some(address) = self.hosts.get(name.as_str()) {
            let address: Addrs = Box::new([*address].into_iter());
            return Box::pin(async { Ok(address) });
        }
        let look_up = (self.look_up)(name.as_str().to_owned());
        let (places, slots) = (Arc::clone(&self.places), Arc::clone(&self.slots));
        Box::pin(async move {
            let slot = slots.acquire_owned().await?;
            // The system's resolver cannot be interrupted: it keeps its slot, whoever stops waiting for it.
            let found = tokio::spawn(async move {
                let found = look_up.await;
                drop(slot);
                found
            });
            let mut found = found.await??;
            // A-CIMD-1
            found.retain(|address| !is_local_ip(address.ip()));
            found.truncate(Self::ADDRESSES);
            // Whoever owns a name chooses where it leads, and can have any number of names.
            if !found.iter().all(|address| places.allows(network(address.ip()))) {
                found.clear();
            }
            if found.is_empty() {
                return Err(NoAddress.into());
            }
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

/// A name has no address that may be connected to now.
#[derive(Debug)]
struct NoAddress;

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name leads to no address that may be connected to")
    }
}

impl core::error::Error for NoAddress {}

async fn system(name: String) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((name, 0)).await?.collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Names that lead to what a list says, an answer after the other; and how often they were asked.
    fn names(answers: &'static [&'static [&'static str]]) -> (Names, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let look_up: LookUp = Arc::new(move |_| {
            let answer = answers[count.fetch_add(1, Ordering::Relaxed).min(answers.len() - 1)];
            let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
            let answer = answer.iter().map(address).collect();
            Box::pin(async move { Ok(answer) })
        });
        (Names::new(BTreeMap::new(), look_up), asked)
    }

    async fn resolve(names: &Names) -> Vec<String> {
        match names.resolve("c.example".parse().unwrap()).await {
            Ok(found) => found.map(|address| address.ip().to_string()).collect(),
            Err(error) => {
                assert!(error.is::<NoAddress>());
                Vec::new()
            }
        }
    }

    #[tokio::test]
    async fn sec_118_a_name_leads_to_public_addresses_only() {
        const LOCAL: &[&str] = &[
            "10.0.0.1",
            "172.16.0.1",
            "192.168.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "100.64.0.1",
            "0.0.0.0",
            "::1",
            "fc00::1",
            "fe80::1",
            "::ffff:7f00:1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "203.0.113.1",
            "3fff::1",
        ];
        let (names, asked) = names(&[LOCAL, &["10.0.0.1", "1.1.1.1", "::1"], &[]]);
        assert!(resolve(&names).await.is_empty());
        assert_eq!(resolve(&names).await, ["1.1.1.1"]);
        assert!(resolve(&names).await.is_empty());
        assert_eq!(asked.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn sec_120_a_name_that_is_rebound_is_connected_to_at_no_other_address() {
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = server.local_addr().unwrap().port();
        // A sink of the DNS, which answers no web request, and then this machine.
        let (names, asked) = names(&[&["192.31.196.1"], &["127.0.0.1"]]);
        let url = format!("https://c.example:{port}/m");
        let url = ClientMetadataUrl::parse(&url).unwrap();
        let web = WebDocuments::build(names, b"").unwrap();
        let short = core::time::Duration::from_millis(300);
        // Asked once, whether the connection fails or takes too long.
        let first = tokio::time::timeout(short, web.fetch(&url)).await;
        assert!(matches!(first, Err(_) | Ok(Err(DocumentRefused::Unreachable))));
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        let second = tokio::time::timeout(short, web.fetch(&url)).await;
        assert!(matches!(second, Ok(Err(DocumentRefused::Unreachable))));
        assert_eq!(asked.load(Ordering::Relaxed), 2);
        assert!(tokio::time::timeout(short, server.accept()).await.is_err(), "nobody came");
    }

    #[tokio::test]
    async fn sec_126_many_names_of_one_address_share_its_budget() {
        let (names, _) = names(&[&["1.1.1.1"]]);
        let mut reached = 0;
        for _ in 0..100 {
            reached += resolve(&names).await.len();
        }
        assert!((10..=12).contains(&reached), "{reached}");
    }

    #[test]
    fn certificates_have_to_be_readable() {
        let bad = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        let failed = WebDocuments::with_hosts([], bad).unwrap_err();
        assert_eq!(failed, WebDocumentsFailed::Certificate);
    }
}
