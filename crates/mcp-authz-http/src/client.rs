//! HTTP client for URLs that peers name: checked URLs and addresses, bounded bodies and times.

mod builder;

use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use http::header::ACCEPT;
use http::{Method, Request, Response};
use oauth_types::{EndpointUrl, Location, Origin};
use reqwest::{IntoUrl, RequestBuilder};

use crate::body::read_body;
use crate::error::{HttpError, HttpErrorKind};
use crate::resolve::Names;
pub use builder::GuardedClientBuilder;

/// HTTP client for URLs that peers name.
///
/// Clones share connections and policy.
///
/// ```no_run
/// use core::time::Duration;
///
/// use bytes::Bytes;
/// use mcp_authz_http::{Bounds, GuardedClient};
///
/// # async fn f() -> Result<(), Box<dyn std::error::Error>> {
/// let client = GuardedClient::builder().https_only().build()?;
/// let request = http::Request::get("https://client.example/metadata.json").body(Bytes::new())?;
/// let bounds = Bounds::new(64 * 1024, Duration::from_secs(5));
/// let response = client.fetch(request, bounds).await?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct GuardedClient {
    http: reqwest::Client,
    names: Names,
    https_only: bool,
}

/// Longest body and longest time of one exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Bounds {
    /// Most bytes of the response's body.
    pub body: usize,
    /// Longest time from the request to the end of the body.
    pub time: Duration,
}

impl Bounds {
    /// Creates bounds of `body` bytes and this time.
    #[must_use]
    pub const fn new(body: usize, time: Duration) -> Self {
        Self { body, time }
    }
}

impl GuardedClient {
    /// Returns a builder that allows only public addresses.
    ///
    /// URLs are https, or http on loopback and development hosts.
    pub fn builder() -> GuardedClientBuilder {
        GuardedClientBuilder::new()
    }

    /// Returns a builder on a host's own HTTP client, for the server that the user names.
    ///
    /// Every host may be at a local address if the server has only local addresses. A server on the public internet
    /// cannot lead a request into a private network, and a later answer of its name server does not make it local.
    ///
    /// Certificates, default headers, encodings and retries stay as `http` sets them. Requests go through its proxies
    /// or those of the environment (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`), whose hosts are trusted. If
    /// the server is on this machine or there are development hosts, the proxies of `http` are dropped, because they
    /// could receive requests for such a host.
    pub fn visiting(server: &Origin, http: reqwest::ClientBuilder) -> GuardedClientBuilder {
        GuardedClientBuilder::visiting(server, http)
    }

    /// Trusts a host at any address, because the configuration names it.
    pub fn trust_host(&self, host: &str) {
        self.names.reach.trust(host);
    }

    /// Sends a request and reads the response; redirects are not followed.
    ///
    /// # Errors
    ///
    /// [`HttpError`] if the URL or its addresses are not allowed, or there is no complete response within the bounds.
    pub async fn fetch(
        &self,
        request: Request<Bytes>,
        bounds: Bounds,
    ) -> Result<Response<Bytes>, HttpError> {
        let mut request = reqwest::Request::try_from(request.map(reqwest::Body::from))?;
        *request.timeout_mut() = Some(bounds.time);
        read_body(self.execute(request).await?, bounds.body).await
    }

    /// Fetches a JSON document, and follows redirects on its own origin.
    ///
    /// The redirects are those of [`Location::of_document`]: 301, 307 and 308, at most
    /// [`MAX_REDIRECTS`](Location::MAX_REDIRECTS). The response to any other redirect is returned as it is. The bounds
    /// apply to each exchange.
    ///
    /// # Errors
    ///
    /// The errors of [`fetch`](Self::fetch).
    pub async fn fetch_document(
        &self,
        url: &EndpointUrl,
        bounds: Bounds,
    ) -> Result<Response<Bytes>, HttpError> {
        let mut url = url.clone();
        let mut redirects = 0;
        loop {
            let request = Request::get(url.as_str()).header(ACCEPT, "application/json");
            let request = request.body(Bytes::new()).map_err(|_| HttpErrorKind::Url)?;
            let answer = self.fetch(request, bounds).await?;
            match Location::of_document(&url, answer.status(), answer.headers()) {
                Some(moved) if redirects < Location::MAX_REDIRECTS => url = moved,
                _ => return Ok(answer),
            }
            redirects += 1;
        }
    }

    /// Starts a request for [`execute`](Self::execute).
    ///
    /// The request builder's own `send` skips the checks: it would connect to a literal local address.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// Sends a request and returns the response before its body is read.
    ///
    /// The caller limits the time, and the body with [`read_body`].
    ///
    /// # Errors
    ///
    /// [`HttpError`] if the URL or its addresses are not allowed, or there is no response.
    pub async fn execute(&self, request: reqwest::Request) -> Result<reqwest::Response, HttpError> {
        self.check(request.url())?;
        Ok(self.http.execute(request).await?)
    }

    fn check(&self, url: &reqwest::Url) -> Result<(), HttpErrorKind> {
        let origin = Origin::of(url.as_str()).map_err(|_| HttpErrorKind::Url)?;
        if self.https_only && url.scheme() != "https" {
            return Err(HttpErrorKind::Url);
        }
        // The resolver does not see literal addresses.
        if origin.is_local_address() && !self.names.reach.admits_literal(&origin) {
            return Err(HttpErrorKind::LocalAddress);
        }
        if !self.names.has_budget_for_literal(origin.host()) {
            return Err(HttpErrorKind::Busy);
        }
        Ok(())
    }
}

impl fmt::Debug for GuardedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedClient").field("names", &self.names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
