//! Host names and origins that the authorization server accepts, by the rules of [`Hosts`](oauth_types::Hosts).

use http::{Request, StatusCode};
use oauth_types::{BrowserOrigins, InvalidUri, TokenErrorCode};

use crate::config::Config;
use crate::refusal::{Cause, Refusal};

impl Config {
    /// Adds a host name, without a port, that is accepted in `Host` and `Origin`.
    ///
    /// A server whose issuer is a loopback address accepts only loopback names by default, so that no page reaches it
    /// by rebinding its DNS name. Any other accepts every name until one is added, because a proxy may change `Host`;
    /// then only the issuer's host and the added names.
    ///
    /// ```
    /// use authorization_server::Config;
    ///
    /// # fn f(config: Config) -> Result<Config, oauth_types::InvalidUri> {
    /// // A resource server in a container calls this one, whose issuer is http://localhost:8000.
    /// let config = config.with_host_name("host.docker.internal")?;
    /// # Ok(config) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidUri`] when the text is no host: a scheme, a port or a path is not part of one.
    pub fn with_host_name(mut self, host: &str) -> Result<Self, InvalidUri> {
        self.hosts = self.hosts.with_name(host)?;
        Ok(self)
    }

    /// Lets pages of these origins call a server that accepts only its own names.
    ///
    /// Any other server is open to pages of every origin, because no cookie counts at the endpoints that clients call.
    #[must_use]
    pub fn with_browser_origins(mut self, origins: BrowserOrigins) -> Self {
        self.hosts = self.hosts.with_browser_origins(origins);
        self
    }

    /// Checks that a request names this server in `Host`, request line and `Origin`.
    ///
    /// Call it before every endpoint and document.
    ///
    /// # Errors
    ///
    /// [`Refusal`] with status 403, when the host or origin is another one; the reply names the server's address.
    pub fn check_host<B>(&self, request: &Request<B>) -> Result<(), Refusal> {
        if self.hosts.admits(request) {
            return Ok(());
        }
        let why = format!(
            "the host or origin of this request is not one of this server: call it as {}; its operator can add names \
             (Config::with_host_name) and origins of pages (Config::with_browser_origins)",
            self.issuer.as_str()
        );
        let refusal = Refusal::token(Cause::ForeignHost, TokenErrorCode::InvalidRequest, &why);
        Err(refusal.with_status(StatusCode::FORBIDDEN))
    }
}
