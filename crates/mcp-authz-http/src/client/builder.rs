//! Settings of a guarded client.

use core::fmt;
use core::future::Future;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use oauth_types::Origin;
use reqwest::{ClientBuilder, redirect, retry};

use crate::client::GuardedClient;
use crate::error::BuildError;
use crate::proxy::{self, ServerPlace};
use crate::reach::Reach;
use crate::resolve::{Budget, LookUp, Names, system};

/// Builder of a [`GuardedClient`].
///
/// The crate's page has a table of the settings.
#[must_use = "a builder makes a client when it is built"]
pub struct GuardedClientBuilder {
    http: ClientBuilder,
    https_only: bool,
    reach: Reach,
    pinned: BTreeMap<String, SocketAddr>,
    look_up: LookUp,
    budget: Option<Budget>,
    proxies: Proxies,
    #[cfg(feature = "rustls")]
    certificates: Vec<u8>,
}

/// Proxies that requests go through.
enum Proxies {
    None,
    /// Proxies of the environment or of the host's HTTP client.
    Ambient(ServerPlace),
    Named(String),
}

impl GuardedClientBuilder {
    /// Longest time until a connection is made, including name resolution.
    const CONNECT: Duration = Duration::from_secs(10);

    pub(crate) fn new() -> Self {
        // Each is switched off by name, because other crates may enable features of reqwest.
        let http = reqwest::Client::builder()
            .no_proxy()
            .retry(retry::never())
            .no_gzip()
            .no_brotli()
            .no_zstd()
            .no_deflate();
        Self::with(http, Reach::default(), Proxies::None)
    }

    pub(crate) fn visiting(server: &Origin, http: ClientBuilder) -> Self {
        Self::with(http, Reach::of(server), Proxies::Ambient(ServerPlace::of(server)))
    }

    fn with(http: ClientBuilder, reach: Reach, proxies: Proxies) -> Self {
        Self {
            http,
            https_only: false,
            reach,
            pinned: BTreeMap::new(),
            look_up: system(),
            budget: None,
            proxies,
            #[cfg(feature = "rustls")]
            certificates: Vec::new(),
        }
    }

    /// Refuses http, also on loopback and development hosts.
    pub fn https_only(mut self) -> Self {
        self.https_only = true;
        self
    }

    /// Sets the `User-Agent` header.
    pub fn user_agent(mut self, name: &str) -> Self {
        self.http = self.http.user_agent(name);
        self
    }

    /// Prepares the client for untrusted URLs.
    ///
    /// `allows` is called for each address before it is connected to, at most four of a name. The request fails with
    /// [`HttpErrorKind::Busy`] if `allows` returns `false`, or if a name waits for a second while 64 others are being
    /// resolved. Connections are HTTP/1.1 and not reused. Refused names are not logged. Such a client uses no proxy,
    /// because a proxy resolves names by itself.
    ///
    /// [`HttpErrorKind::Busy`]: crate::HttpErrorKind::Busy
    pub fn untrusted_urls(
        mut self,
        allows: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.http = self.http.http1_only().pool_max_idle_per_host(0);
        self.budget = Some(Arc::new(allows));
        self
    }

    /// Allows local addresses for every host, for a network of your own.
    pub fn allow_local(mut self) -> Self {
        self.reach.allow_local();
        self
    }

    /// Trusts a host at any address, because the configuration names it.
    pub fn trust_host(self, host: &str) -> Self {
        self.reach.trust(host);
        self
    }

    /// Connects to a host at a fixed address instead of resolving its name, for development and tests.
    ///
    /// The port is that of the URL. If the URL names none, it is the address's, or the scheme's default if the
    /// address's is 0.
    pub fn pin(mut self, host: String, address: SocketAddr) -> Self {
        self.pinned.insert(host, address);
        self
    }

    /// Resolves names with this function instead of the system's resolver; its answers are still checked.
    pub fn look_up_with<F>(mut self, look_up: impl Fn(String) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        self.look_up = Arc::new(move |name| Box::pin(look_up(name)));
        self
    }

    /// Trusts these certificates (PEM, or empty) in addition to the system's, for every host.
    #[cfg(feature = "rustls")]
    pub fn certificates(mut self, pem: &[u8]) -> Self {
        self.certificates = pem.to_vec();
        self
    }

    /// Sends requests through the proxy at this URL (`http://proxy.example:3128`), and trusts its host.
    ///
    /// Requests to this machine, to development hosts and to the hosts in `NO_PROXY` use no proxy.
    pub fn proxy(mut self, url: &str) -> Self {
        self.proxies = Proxies::Named(url.to_owned());
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// [`BuildError`] if a certificate or the proxy's URL cannot be read, TLS cannot be set up, or
    /// [`untrusted_urls`](Self::untrusted_urls) would be fetched through a proxy.
    pub fn build(mut self) -> Result<GuardedClient, BuildError> {
        if self.budget.is_some() && !matches!(self.proxies, Proxies::None) {
            return Err(BuildError::ProxyForUntrusted);
        }
        let (http, proxies) = match &self.proxies {
            Proxies::None => (self.http, Vec::new()),
            Proxies::Ambient(server) => proxy::ambient(self.http, *server),
            Proxies::Named(url) => proxy::named(self.http, url)?,
        };
        self.reach.trust_proxies(proxies);
        #[cfg(feature = "rustls")]
        let http = match self.certificates.as_slice() {
            b"" => http,
            pem => {
                let certificates = reqwest::Certificate::from_pem_bundle(pem);
                http.tls_certs_merge(certificates.map_err(|_| BuildError::Certificate)?)
            }
        };
        let names = Names::new(self.reach, self.pinned, self.look_up, self.budget);
        let http = http
            // C-TOKEN-1, A-CIMD-1: neither a token nor a code follows a redirect.
            .redirect(redirect::Policy::none())
            .referer(false)
            .connect_timeout(Self::CONNECT)
            .dns_resolver(names.clone())
            .build();
        let http = http.map_err(|_| BuildError::Tls)?;
        Ok(GuardedClient { http, names, https_only: self.https_only })
    }
}

impl fmt::Debug for GuardedClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardedClientBuilder").field("reach", &self.reach).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(feature = "rustls")]
    #[test]
    fn certificates_have_to_be_readable() {
        let bad = b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n";
        let built = GuardedClient::builder().certificates(bad).build();
        assert_eq!(built.err(), Some(BuildError::Certificate));
    }

    #[test]
    fn untrusted_urls_go_through_no_proxy() {
        let builder = GuardedClient::builder().untrusted_urls(|_| true);
        let built = builder.proxy("http://proxy.example:3128").build();
        assert_eq!(built.err(), Some(BuildError::ProxyForUntrusted));
    }

    #[test]
    fn a_builder_shows_no_headers_and_no_proxy() {
        let headers = http::HeaderMap::from_iter([(
            http::header::COOKIE,
            http::HeaderValue::from_static("canary"),
        )]);
        let http = reqwest::Client::builder().default_headers(headers);
        let server = Origin::of("https://mcp.example").unwrap();
        let proxy = "http://me:canary@proxy.example";
        let builder = GuardedClient::visiting(&server, http).proxy(proxy);
        assert!(!format!("{builder:?}").contains("canary"));
        assert!(!format!("{:?}", builder.build().unwrap()).contains("canary"));
    }
}
