//! External authorization server: fetching its metadata and documents. `resource-server` interprets them.

use core::fmt;
use core::future::Future;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Request, Response};
use mcp_authz_http::{Bounds, BuildError, GuardedClient, HttpError, HttpErrorKind};
use oauth_types::{
    AuthorizationServerMetadata, EndpointUrl, InvalidUri, Issuer, MetadataNotFound, MetadataSearch,
    MetadataStep, ServerPlaces, UnixTime, issued_by,
};
use resource_server::Cached;
use tokio::time::timeout;
use tracing::warn;

use super::flight::Flight;
use crate::verifier::VerifierUnavailable;

/// Error of setting up the connection to an authorization server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum InvalidRemote {
    /// The issuer has no well-known URLs.
    Issuer(InvalidUri),
    /// A certificate to trust cannot be read.
    Certificate,
    /// The system has no certificates to trust, or TLS cannot be set up.
    Tls,
}

impl fmt::Display for InvalidRemote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Issuer(rule) => {
                write!(f, "the URL of the issuer's metadata {rule}; correct the configured issuer")
            }
            Self::Certificate => {
                f.write_str("a certificate to trust cannot be read: pass certificates in PEM")
            }
            Self::Tls => {
                f.write_str("TLS cannot be set up: install certificates to trust on this machine")
            }
        }
    }
}

impl core::error::Error for InvalidRemote {}

impl From<BuildError> for InvalidRemote {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Certificate => Self::Certificate,
            _ => Self::Tls,
        }
    }
}

/// Reason for a missing answer, for the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Unreachable {
    Http(HttpErrorKind),
    NotFound(MetadataNotFound),
}

impl From<HttpError> for Unreachable {
    fn from(error: HttpError) -> Self {
        Self::Http(error.kind())
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(why) => why.fmt(f),
            Self::NotFound(why) => why.fmt(f),
        }
    }
}

/// Addresses to which the documents of an authorization server may lead.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Network {
    /// Addresses of the public internet.
    Public,
    /// Local addresses as well.
    Own,
}

/// External authorization server, whose documents are fetched at first use.
///
/// A server therefore starts while its authorization server is down. Requests go by https (http on a loopback host),
/// without a proxy; redirects of documents are followed on the same origin (301, 307, 308, three at most). The hosts
/// of the issuer and of configured endpoints may have any address. Where documents lead to other hosts, only
/// addresses of the public internet are connected to, unless the issuer is a local address itself.
///
/// Clones share what is known.
#[derive(Clone, Debug)]
pub struct RemoteServer {
    issuer: Issuer,
    search: MetadataSearch,
    http: GuardedClient,
    metadata: Arc<Mutex<Cached<AuthorizationServerMetadata>>>,
    flight: Arc<Flight>,
}

impl RemoteServer {
    /// Longest answer that is read, in bytes, and longest time for an exchange.
    const BOUNDS: Bounds = Bounds::new(128 * 1024, Self::TIMEOUT);
    /// Longest time for an exchange, and for the search for metadata.
    const TIMEOUT: Duration = Duration::from_secs(5);
    /// Time for which metadata is cached, and time for which it is used while it cannot be fetched.
    const KEPT: (Duration, Duration) =
        (Duration::from_secs(60 * 60), Duration::from_secs(24 * 60 * 60));

    /// Creates the client of the authorization server with this issuer.
    ///
    /// # Errors
    ///
    /// [`InvalidRemote`] when it cannot be asked for its documents.
    pub fn new(issuer: Issuer) -> Result<Self, InvalidRemote> {
        Self::build(issuer, Network::Public, b"")
    }

    /// Creates a client whose documents may lead to local addresses, as on a private network.
    ///
    /// The certificates (PEM, or nothing) are trusted besides the system's.
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
        Self::build(issuer, Network::Own, certificates)
    }

    fn build(issuer: Issuer, network: Network, certificates: &[u8]) -> Result<Self, InvalidRemote> {
        let search = MetadataSearch::of_server(&issuer, ServerPlaces::WellKnown);
        let search = search.map_err(InvalidRemote::Issuer)?;
        let origin = search.url().origin();
        let mut http = GuardedClient::builder()
            .trust_host(origin.host())
            .certificates(certificates)
            .user_agent(concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION")));
        if network == Network::Own || origin.is_local_address() {
            http = http.allow_local();
        }
        let http = http.build()?;
        let metadata = Arc::new(Mutex::new(Cached::new(Self::KEPT.0, Self::KEPT.1)));
        Ok(Self { issuer, search, http, metadata, flight: Arc::default() })
    }

    /// Returns the issuer of the server.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Lets the host of this configured URL have any address, like the issuer's own.
    pub(crate) fn admit(&self, url: &EndpointUrl) {
        self.http.trust_host(url.origin().host());
    }

    /// Returns the server's metadata (RFC 8414), fetched at first use and every hour.
    ///
    /// One search serves all callers, which wait for it only while nothing is known.
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
            let found = found.unwrap_or(Err(Unreachable::Http(HttpErrorKind::Timeout)));
            if let Err(why) = &found {
                warn!(issuer = %server.issuer, %why, "no metadata of an authorization server");
            }
            server.kept().fetched(found.ok(), now);
        })
    }

    /// Has the metadata fetched again when that is due, because a URL from it did not work. It is used until then.
    pub(crate) fn doubt(&self) {
        self.kept().doubt();
    }

    /// Discards the metadata, which is unusable.
    pub(crate) fn clear(&self) {
        self.kept().clear();
    }

    fn kept(&self) -> MutexGuard<'_, Cached<AuthorizationServerMetadata>> {
        self.metadata.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find(&self) -> Result<AuthorizationServerMetadata, Unreachable> {
        let mut search = self.search.clone();
        loop {
            let answer = match self.ask(search.url()).await {
                // A page for people may be as long as it likes: it is no document.
                Err(Unreachable::Http(HttpErrorKind::TooLarge)) => None,
                answer => Some(answer?),
            };
            let step = match &answer {
                Some(answer) => search.resume(answer, issued_by(&self.issuer)),
                None => search.too_large(),
            };
            match step.map_err(Unreachable::NotFound)? {
                MetadataStep::Found { document, .. } => {
                    let body = answer.as_ref().map(Response::body);
                    let names = body.map(|body| AuthorizationServerMetadata::passed_over(body));
                    for member in names.into_iter().flatten() {
                        warn!(issuer = %self.issuer, member, "a malformed member was passed over");
                    }
                    return Ok(document);
                }
                MetadataStep::Next(next) => search = next,
            }
        }
    }

    /// Fetches a JSON document, also where it has moved on its origin.
    #[cfg_attr(
        not(any(feature = "jwt", test)),
        expect(dead_code, reason = "only keys are fetched so")
    )]
    pub(crate) async fn get(&self, url: &EndpointUrl) -> Result<Response<Bytes>, Unreachable> {
        Ok(self.http.fetch_document(url, Self::BOUNDS).await?)
    }

    /// One request for a JSON document.
    async fn ask(&self, url: &EndpointUrl) -> Result<Response<Bytes>, Unreachable> {
        let request = Request::get(url.as_str()).header(ACCEPT, "application/json");
        let request = request.body(Bytes::new());
        self.send(request.map_err(|_| Unreachable::Http(HttpErrorKind::Url))?).await
    }

    /// One exchange with the server, at a place that it or the configuration names.
    pub(crate) async fn send(
        &self,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, Unreachable> {
        Ok(self.http.fetch(request, Self::BOUNDS).await?)
    }
}

#[cfg(test)]
mod tests;
