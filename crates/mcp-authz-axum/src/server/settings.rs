//! Settings of the server besides its configuration: pages, limits and proxies.

use std::net::IpAddr;
use std::sync::Arc;

use authorization_server::{InvalidConfig, Store};
use axum::Router;
use client_auth::{InvalidSecretHash, SecretVerifier};

use super::AuthorizationServer;
use crate::clock::Clock;
use crate::login::Login;
use crate::page::{ConsentPage, Template};
use crate::peer::TrustedProxies;
use crate::rate::RateLimits;
use crate::reading::Deadlines;
use crate::secrets::Secrets;

impl<S: Store + 'static, L: Login> AuthorizationServer<S, L> {
    /// Sets the description of a scope on the consent page.
    #[must_use]
    pub fn describe(mut self, scope: &str, text: &str) -> Self {
        self.scope_texts.insert(scope.to_owned(), text.to_owned());
        self
    }

    /// Writes the consent page another way. The headers stay: no script, nothing from elsewhere, no frame around it,
    /// styles only in elements with the page's nonce.
    ///
    /// ```
    /// use authorization_server::Store;
    /// use mcp_authz_axum::{AuthorizationServer, ConsentPage, Login};
    ///
    /// fn escaped(text: &str) -> String {
    ///     text.replace('&', "&amp;").replace('<', "&lt;").replace('"', "&quot;")
    /// }
    ///
    /// fn page(page: &ConsentPage<'_>) -> String {
    ///     format!(
    ///         r#"<!doctype html><html lang="eo"><title>Ĉu permesi?</title><h1>Ĉu permesi?</h1>
    ///         <p>Programo: <bdi>{}</bdi>. Reiros al: {}</p><form method="post" action="{}">
    ///         <input type="hidden" name="transaction" value="{}"><button name="decision" value="deny">Ne</button>
    ///         <button name="decision" value="allow">Jes</button></form>"#,
    ///         escaped(page.client_name().unwrap_or("?")),
    ///         escaped(page.redirect_host()),
    ///         escaped(page.form_action()),
    ///         escaped(page.transaction()),
    ///     )
    /// }
    ///
    /// fn own<S: Store + 'static, L: Login>(server: AuthorizationServer<S, L>) -> AuthorizationServer<S, L> {
    ///     server.with_consent_page(page)
    /// }
    /// ```
    #[must_use]
    pub fn with_consent_page(
        mut self,
        write: impl Fn(&ConsentPage<'_>) -> String + Send + Sync + 'static,
    ) -> Self {
        self.template = Template::new(write);
        self
    }

    /// Replaces the system clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the verifier of client secrets that the store, or the configuration of a resource server, keeps as password
    /// hashes (argon2, bcrypt).
    ///
    /// It runs on threads for blocking work, once for each processor at once, after the limits of the peer
    /// ([`RateLimits::failures`]) have admitted the attempt. A verification that has begun goes on if the client hangs
    /// up. Every secret that is refused costs one, so a server on which all clients have digests needs none.
    ///
    /// ```
    /// # use authorization_server::MemoryStore;
    /// # use mcp_authz_axum::{AuthorizationServer, DemoLogin};
    /// use client_auth::{InvalidSecretHash, SecretVerifier};
    ///
    /// # fn f(
    /// #     server: AuthorizationServer<MemoryStore, DemoLogin>,
    /// #     argon2_hashes: impl SecretVerifier + 'static,
    /// # ) -> Result<(), InvalidSecretHash> {
    /// let server = server.with_secret_verifier(argon2_hashes)?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidSecretHash`] when the verifier cannot read its own decoy.
    pub fn with_secret_verifier(
        mut self,
        verifier: impl SecretVerifier + 'static,
    ) -> Result<Self, InvalidSecretHash> {
        self.secrets = Some(Secrets::new(Arc::new(verifier))?);
        Ok(self)
    }

    /// Sets the deadlines of requests.
    #[must_use]
    pub const fn with_deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// Sets the rate limits of one address.
    ///
    /// The address of a request is known from [`serve`](crate::serve()), or from axum's
    /// `into_make_service_with_connect_info`. Without it no request is limited, and one log event warns of that.
    #[must_use]
    pub const fn with_rate_limits(mut self, limits: RateLimits) -> Self {
        self.rate_limits = limits;
        self
    }

    /// Sets the proxies whose `X-Forwarded-For` is trusted.
    ///
    /// The header is ignored from any other address. Requests of a trusted proxy without the header are limited as the
    /// proxy's own.
    ///
    /// ```
    /// # use authorization_server::MemoryStore;
    /// # use mcp_authz_axum::{AuthorizationServer, DemoLogin};
    /// # fn f(server: AuthorizationServer<MemoryStore, DemoLogin>) {
    /// let server = server.with_trusted_proxies(|address| address.is_loopback());
    /// # }
    /// ```
    #[must_use]
    pub fn with_trusted_proxies(
        mut self,
        is_trusted: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.proxies = TrustedProxies::new(is_trusted);
        self
    }

    /// Serves the routes of the host's [`Login`] beside the endpoints, under the same limits: what one network may ask
    /// for ([`RateLimits::logins`], beyond it 429), the time to an answer ([`Deadlines::answer`]), the check of `Host`,
    /// and panics. A fallback of these routes is left out.
    ///
    /// Anybody can begin a login. Keep nothing for one that has not ended: seal what has to be known afterwards into a
    /// cookie, as `examples/upstream-login` does.
    ///
    /// ```
    /// # use authorization_server::MemoryStore;
    /// # use mcp_authz_axum::{AuthorizationServer, DemoLogin};
    /// use axum::{Router, routing::get};
    ///
    /// async fn form() -> &'static str {
    ///     "…"
    /// }
    ///
    /// # fn f(server: AuthorizationServer<MemoryStore, DemoLogin>) {
    /// let server = server.with_login_routes(Router::new().route("/login", get(form)));
    /// # }
    /// ```
    #[must_use]
    pub fn with_login_routes(mut self, routes: Router) -> Self {
        self.login_routes = routes.reset_fallback();
        self
    }

    /// Says that a proxy in front takes this prefix of the issuer's path away: with the issuer
    /// `https://host.example/auth` and the prefix `/auth`, requests arrive at `/token`. If nothing is said, the proxy
    /// keeps paths, and they arrive at `/auth/token`. Well-known documents are at the root of the host in either case.
    ///
    /// ```
    /// # use authorization_server::{InvalidConfig, MemoryStore};
    /// # use mcp_authz_axum::{AuthorizationServer, DemoLogin};
    /// # fn f(server: AuthorizationServer<MemoryStore, DemoLogin>) -> Result<(), InvalidConfig> {
    /// let server = server.with_stripped_prefix("/auth")?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidConfig::PathPrefix`] when the issuer's path does not begin with it.
    pub fn with_stripped_prefix(mut self, prefix: &str) -> Result<Self, InvalidConfig> {
        let token = self.config.paths().token;
        let rest = token.strip_prefix(prefix);
        if !prefix.starts_with('/') || !rest.is_some_and(|rest| rest.starts_with('/')) {
            return Err(InvalidConfig::PathPrefix);
        }
        self.stripped = prefix.into();
        Ok(self)
    }
}
