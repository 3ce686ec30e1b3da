//! An authorization server that is not ours, over the network. What its documents mean is decided by
//! `resource-server`.

use core::fmt;
use core::future::Future;
use core::net::SocketAddr;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::{Bytes, BytesMut};
use http::header::ACCEPT;
use http::{Request, Response};
use oauth_types::{
    AuthorizationServerMetadata, EndpointUrl, InvalidUri, Issuer, Location, MetadataNotFound,
    MetadataSearch, MetadataStep, Origin, UnixTime, authorization_server_urls, is_local_ip,
    issued_by,
};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Client, redirect, retry};
use resource_server::Kept;
use tokio::time::timeout;
use tracing::warn;

use super::flight::Flight;
use crate::verifier::VerifierUnavailable;

/// Why an authorization server cannot be asked at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidRemote {
    /// Its issuer has no well-known URLs.
    Issuer(InvalidUri),
    /// A certificate to trust cannot be read.
    Certificate,
    /// The system has no certificates to trust, or TLS cannot be set up.
    Tls,
}

impl fmt::Display for InvalidRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer(rule) => write!(f, "the URL of the issuer's metadata {rule}"),
            Self::Certificate => f.write_str("a certificate to trust cannot be read"),
            Self::Tls => f.write_str("TLS cannot be set up for want of certificates to trust"),
        }
    }
}

impl core::error::Error for InvalidRemote {}

/// Why there is no answer, for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unreachable {
    LocalAddress,
    NoConnection,
    NoAnswer,
    Broken,
    TooLarge,
    NotFound(MetadataNotFound),
}

impl Unreachable {
    fn of(error: &reqwest::Error) -> Self {
        let first: &(dyn core::error::Error + 'static) = error;
        let mut causes = core::iter::successors(Some(first), |error| error.source());
        if causes.any(|cause| cause.is::<LeadsHome>()) {
            Self::LocalAddress
        } else if error.is_timeout() {
            Self::NoAnswer
        } else if error.is_connect() {
            Self::NoConnection
        } else {
            Self::Broken
        }
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalAddress => f.write_str("a document leads to a local address"),
            Self::NoConnection => f.write_str("no connection can be made"),
            Self::NoAnswer => f.write_str("there is no answer in time"),
            Self::Broken => f.write_str("the exchange broke off"),
            Self::TooLarge => f.write_str("the answer is too long"),
            Self::NotFound(why) => why.fmt(f),
        }
    }
}

/// An authorization server that is not ours: its documents are fetched when they are first needed, so that a server
/// starts while its authorization server is down.
///
/// It is asked by https (http on a loopback host), without a proxy; redirects of its documents are followed on the same origin
/// (301, 307, 308, three at most). The hosts of the issuer
/// and of endpoints that the configuration names may be anywhere. Where its documents lead elsewhere, only addresses of
/// the public internet are connected to, unless the issuer is a local address itself.
///
/// Clones share what is known.
#[derive(Clone, Debug)]
pub struct RemoteServer {
    issuer: Issuer,
    search: MetadataSearch,
    reach: Reach,
    http: Client,
    metadata: Arc<Mutex<Kept<AuthorizationServerMetadata>>>,
    flight: Arc<Flight>,
}

impl RemoteServer {
    /// Longest answer that is read, in bytes.
    const MAX_BODY: usize = 128 * 1024;
    /// Longest time for an exchange, and for the search for metadata.
    const TIMEOUT: Duration = Duration::from_secs(5);
    /// How long metadata is kept, and used on while it cannot be had.
    const KEPT: (Duration, Duration) =
        (Duration::from_secs(60 * 60), Duration::from_secs(24 * 60 * 60));

    /// The authorization server with this issuer.
    ///
    /// # Errors
    ///
    /// [`InvalidRemote`] when it cannot be asked for its documents.
    pub fn new(issuer: Issuer) -> Result<Self, InvalidRemote> {
        Self::build(issuer, false, b"")
    }

    /// One whose documents may lead to local addresses, as on a network of one's own. The certificates (PEM, or
    /// nothing) are trusted besides the system's.
    ///
    /// ```no_run
    /// use mcp_authz_axum::RemoteServer;
    /// use oauth_types::Issuer;
    ///
    /// # fn f(authority: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    /// let issuer = Issuer::parse("https://login.corp.example")?;
    /// let server = RemoteServer::on_own_network(issuer, authority)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn on_own_network(issuer: Issuer, certificates: &[u8]) -> Result<Self, InvalidRemote> {
        Self::build(issuer, true, certificates)
    }

    fn build(issuer: Issuer, local: bool, certificates: &[u8]) -> Result<Self, InvalidRemote> {
        let places = authorization_server_urls(&issuer).map_err(InvalidRemote::Issuer)?;
        let search = MetadataSearch::new(places);
        let search = search.ok_or(InvalidRemote::Issuer(InvalidUri::Syntax))?;
        let certificates = Certificate::from_pem_bundle(certificates);
        let certificates = certificates.map_err(|_| InvalidRemote::Certificate)?;
        let origin = search.url().origin();
        let local = local || origin.is_local_address();
        let reach = Reach { hosts: Arc::new(RwLock::new(vec![origin.host().into()])), local };
        // Other crates may switch features of reqwest on: each is refused by name.
        let client = Client::builder()
            .dns_resolver(Arc::new(reach.clone()))
            .no_proxy()
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .referer(false)
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate()
            .timeout(Self::TIMEOUT)
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")))
            .tls_certs_merge(certificates)
            .build();
        let http = client.map_err(|_| InvalidRemote::Tls)?;
        let metadata = Arc::new(Mutex::new(Kept::new(Self::KEPT.0, Self::KEPT.1)));
        Ok(Self { issuer, search, reach, http, metadata, flight: Arc::default() })
    }

    /// Its issuer.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The configuration names this URL: its host may be anywhere, as the issuer's own.
    pub(crate) fn admit(&self, url: &EndpointUrl) {
        let mut hosts = self.reach.hosts.write().unwrap_or_else(PoisonError::into_inner);
        hosts.push(url.origin().host().into());
    }

    /// What it says about itself, fetched when it is first needed and every hour. One search serves all who need it;
    /// they wait for it only while nothing is known.
    ///
    /// # Errors
    ///
    /// [`VerifierUnavailable`] when nothing is known and it cannot be had now.
    pub async fn metadata(
        &self,
        now: UnixTime,
    ) -> Result<Arc<AuthorizationServerMetadata>, VerifierUnavailable> {
        let known = self.kept().value(now).cloned();
        let search = self.flight.join(|| self.search(now));
        if let (None, Some(search)) = (&known, search) {
            search.await;
            return self.kept().value(now).cloned().ok_or(VerifierUnavailable);
        }
        known.ok_or(VerifierUnavailable)
    }

    /// The search, if it is time for one.
    fn search(&self, now: UnixTime) -> Option<impl Future<Output = ()> + Send + use<>> {
        let is_due = {
            let kept = self.kept();
            kept.is_stale(now) && kept.may_fetch(now)
        };
        let server = self.clone();
        is_due.then_some(async move {
            let found = timeout(Self::TIMEOUT, server.find()).await;
            let found = found.unwrap_or(Err(Unreachable::NoAnswer));
            if let Err(why) = &found {
                warn!(issuer = %server.issuer, %why, "no metadata of an authorization server");
            }
            server.kept().fetched(found.ok(), now);
        })
    }

    /// What the metadata led to was not there: it is asked for again when it may be, and used until then.
    pub(crate) fn doubt(&self) {
        self.kept().doubt();
    }

    /// The metadata is of no use: it is as good as none.
    pub(crate) fn clear(&self) {
        self.kept().clear();
    }

    fn kept(&self) -> MutexGuard<'_, Kept<AuthorizationServerMetadata>> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find(&self) -> Result<AuthorizationServerMetadata, Unreachable> {
        let mut search = self.search.clone();
        loop {
            let answer = match self.ask(search.url()).await {
                // A page for people may be as long as it likes: it is no document.
                Err(Unreachable::TooLarge) => None,
                answer => Some(answer?),
            };
            let step = match &answer {
                Some(answer) => search.resume(answer, issued_by(&self.issuer)),
                None => search.too_large(),
            };
            match step.map_err(Unreachable::NotFound)? {
                MetadataStep::Found { document, .. } => {
                    let body = answer.map(Response::into_body).unwrap_or_default();
                    for member in AuthorizationServerMetadata::passed_over(&body) {
                        warn!(issuer = %self.issuer, member, "a malformed member was passed over");
                    }
                    return Ok(document);
                }
                MetadataStep::Next(next) => search = next,
            }
        }
    }

    /// Fetches a JSON document, also where it has moved on its origin.
    pub(crate) async fn get(&self, url: &EndpointUrl) -> Result<Response<Bytes>, Unreachable> {
        let mut url = url.clone();
        for _ in 0..Location::MAX_REDIRECTS {
            let answer = self.ask(&url).await?;
            match Location::of_document(&url, answer.status(), answer.headers()) {
                Some(moved) => url = moved,
                None => return Ok(answer),
            }
        }
        self.ask(&url).await
    }

    /// One request for a JSON document.
    async fn ask(&self, url: &EndpointUrl) -> Result<Response<Bytes>, Unreachable> {
        let request = Request::get(url.as_str()).header(ACCEPT, "application/json");
        let request = request.body(Bytes::new()).map_err(|_| Unreachable::Broken)?;
        self.send(request).await
    }

    /// One exchange with the server, at a place that it or the configuration names.
    pub(crate) async fn send(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Unreachable> {
        let (parts, body) = request.into_parts();
        // Literal addresses do not come by the resolver.
        let origin = Origin::of(&parts.uri.to_string()).map_err(|_| Unreachable::Broken)?;
        if origin.is_local_address() && !self.reach.admits(origin.host()) {
            return Err(Unreachable::LocalAddress);
        }
        let request = Request::from_parts(parts, reqwest::Body::from(body));
        let request = request.try_into().map_err(|_| Unreachable::Broken)?;
        let answer = self.http.execute(request).await.map_err(|error| Unreachable::of(&error))?;
        read(answer, Self::MAX_BODY).await
    }
}

/// Reads an answer up to the limit, whatever it says about its length.
async fn read(mut answer: reqwest::Response, limit: usize) -> Result<Response<Bytes>, Unreachable> {
    let mut body = BytesMut::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| Unreachable::of(&error))? {
        if chunk.len() > limit - body.len() {
            return Err(Unreachable::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    let mut plain = Response::new(body.freeze());
    *plain.status_mut() = answer.status();
    *plain.headers_mut() = core::mem::take(answer.headers_mut());
    Ok(plain)
}

/// Where the server may be, and where its documents may lead.
#[derive(Clone, Debug)]
struct Reach {
    /// Those that the configuration names.
    hosts: Arc<RwLock<Vec<Box<str>>>>,
    local: bool,
}

impl Reach {
    /// Whether this host may be at a local address.
    fn admits(&self, host: &str) -> bool {
        let hosts = self.hosts.read().unwrap_or_else(PoisonError::into_inner);
        self.local || hosts.iter().any(|own| host.eq_ignore_ascii_case(own))
    }
}

impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let may_be_local = self.admits(name.as_str());
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut found: Vec<SocketAddr> = found.collect();
            found.retain(|address| may_be_local || !is_local_ip(address.ip()));
            if found.is_empty() {
                return Err(LeadsHome.into());
            }
            let found: Addrs = Box::new(found.into_iter());
            Ok(found)
        })
    }
}

/// A name has no address that may be connected to.
#[derive(Debug)]
struct LeadsHome;

impl fmt::Display for LeadsHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name leads to no address that may be connected to")
    }
}

impl core::error::Error for LeadsHome {}

#[cfg(test)]
mod tests;
