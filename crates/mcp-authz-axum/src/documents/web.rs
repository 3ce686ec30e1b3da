//! Documents from the public web, and from nowhere else.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
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

use crate::documents::ClientDocuments;
use crate::documents::lane::NetworkBudget;
use crate::rate::Rate;

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
///
/// Places in the resolver, and the budget of each address, are apart for URLs whose last answer was good: names that
/// were made up, and lead to a name server that is silent, do not delay clients that are known.
#[derive(Clone, Debug)]
pub struct WebDocuments {
    new: Client,
    known: Client,
}

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
        let hosts: BTreeMap<_, _> = hosts.into_iter().collect();
        let names = || Names::new(hosts.clone(), Arc::new(|name| Box::pin(system(name))));
        Self::build([names(), names()], certificates)
    }

    fn build([new, known]: [Names; 2], certificates: &[u8]) -> Result<Self, WebDocumentsFailed> {
        let certificates = Certificate::from_pem_bundle(certificates);
        let certificates = certificates.map_err(|_| WebDocumentsFailed::Certificate)?;
        let new = Self::client(new, certificates.clone())?;
        Ok(Self { new, known: Self::client(known, certificates)? })
    }

    fn client(names: Names, certificates: Vec<Certificate>) -> Result<Client, WebDocumentsFailed> {
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
        client.map_err(|_| WebDocumentsFailed::Tls)
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

async fn get(client: &Client, url: &ClientMetadataUrl) -> Result<Response<Bytes>, DocumentRefused> {
    let request = client.get(url.as_url().as_str()).header(ACCEPT, "application/json");
    let answer = request.send().await.map_err(|error| {
        let causes = core::iter::successors(core::error::Error::source(&error), |it| it.source());
        match causes.filter_map(|cause| cause.downcast_ref()).next() {
            Some(NoAddress::Busy) => DocumentRefused::Busy,
            Some(NoAddress::Public) | None => DocumentRefused::Unreachable,
        }
    })?;
    read(answer).await
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
    places: Arc<NetworkBudget>,
    slots: Arc<Semaphore>,
}

impl Names {
    /// Most names that are resolved at once.
    const AT_ONCE: usize = 64;
    /// Most addresses of a name that are tried.
    const ADDRESSES: usize = 4;
    /// Longest wait until a name is resolved among others. What is left of the deadline is the fetch's.
    const WAIT: Duration = Duration::from_secs(1);
    /// Fetches from one address, or network of addresses, whatever names lead there.
    const OF_ADDRESS: Rate = Rate::new(10, Duration::from_secs(1));

    fn new(hosts: BTreeMap<String, SocketAddr>, look_up: LookUp) -> Self {
        let places = Arc::new(NetworkBudget::new(Self::OF_ADDRESS));
        Self { hosts, look_up, places, slots: Arc::new(Semaphore::new(Self::AT_ONCE)) }
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
            let Ok(slot) = tokio::time::timeout(Self::WAIT, slots.acquire_owned()).await else {
                return Err(NoAddress::Busy.into());
            };
            let slot = slot?;
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
            if !found.iter().all(|address| places.allows(address.ip())) {
                return Err(NoAddress::Busy.into());
            }
            if found.is_empty() {
                return Err(NoAddress::Public.into());
            }
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

/// Reasons for which a name has no address that may be connected to now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum NoAddress {
    /// None of its addresses is public.
    Public,
    /// Too many names are being resolved, or too many lead to the same address.
    Busy,
}

impl fmt::Display for NoAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Public => "the name leads to no address that may be connected to",
            Self::Busy => "too many names are being resolved, or lead to the same address",
        })
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
        let (known, _) = self::names(&[&[]]);
        let web = WebDocuments::build([names, known], b"").unwrap();
        let short = Duration::from_millis(300);
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

    #[tokio::test(start_paused = true)]
    async fn sec_229_a_silent_name_server_delays_no_name_that_was_good() {
        let silent = || -> LookUp { Arc::new(|_| Box::pin(core::future::pending())) };
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let known: LookUp = Arc::new(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Ok(Vec::new()) })
        });
        let names = |look_up| Names::new(BTreeMap::new(), look_up);
        let web = WebDocuments::build([names(silent()), names(known)], b"").unwrap();
        let url = ClientMetadataUrl::parse("https://c.example/m").unwrap();
        for _ in 0..Names::AT_ONCE {
            let (web, url) = (web.clone(), url.clone());
            tokio::spawn(async move { drop(web.fetch(&url).await) });
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        // One more waits for its own time, and no host was silent: nothing was sent.
        let start = tokio::time::Instant::now();
        assert_eq!(web.fetch(&url).await.err(), Some(DocumentRefused::Busy));
        assert_eq!(start.elapsed().as_secs(), Names::WAIT.as_secs());
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
