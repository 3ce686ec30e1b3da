//! Builder for [`AuthorizedClient`], with the settings of its HTTP client.

use core::fmt;
use std::time::Duration;

use client_flow::{ClientConfig, Grant};
use mcp_authz_http::{BuildError, GuardedClient};
use oauth_types::{ResourceUri, http_origins_for_development, without_query};
use scope_stepup::Policy;
use tracing::warn;

use crate::client::AuthorizedClient;
use crate::error::Error;
use crate::http_client::HttpClient;
use crate::identity::IdentitySource;
use crate::renewal::{Credentials, Login, Renewal};
use crate::store::{CredentialStore, MemoryCredentials};
use crate::user_agent::UserAgent;

/// Builder for an [`AuthorizedClient`].
///
/// Defaults: credentials in memory, one step-up for each operation, no user agent and no identity source.
#[must_use = "it makes a client when it is built"]
pub struct AuthorizedClientBuilder {
    server_url: String,
    login: Login,
    policy: Policy,
    connection: Connection,
}

/// Settings of the HTTP client.
pub(crate) struct Connection {
    http: reqwest::ClientBuilder,
    response_deadline: Duration,
    proxy: Option<String>,
    /// `true` if all hosts may be at local addresses.
    is_local: bool,
    /// Hosts named by the configuration, which may be at local addresses.
    trusted: Vec<String>,
}

impl Default for Connection {
    fn default() -> Self {
        Self {
            http: reqwest::Client::builder(),
            response_deadline: AuthorizedClient::RESPONSE_DEADLINE,
            proxy: None,
            is_local: false,
            trusted: Vec::new(),
        }
    }
}

impl AuthorizedClientBuilder {
    pub(crate) fn new(server_url: &str, config: ClientConfig) -> Self {
        Self {
            server_url: server_url.to_owned(),
            login: Login {
                config,
                agent: None,
                identity: None,
                store: Box::new(MemoryCredentials::default()),
            },
            policy: Policy::default(),
            connection: Connection::default(),
        }
    }

    /// Sets the user agent, which sends the user through a browser.
    ///
    /// Its redirect URI must be the one of the configuration; [`build`](Self::build) compares them.
    pub fn user(mut self, agent: impl UserAgent) -> Self {
        self.login.agent = Some(Box::new(agent));
        self
    }

    /// Sets the identity source of a client without a browser.
    ///
    /// Needed for [`ClientConfig::workload_identity`] and [`ClientConfig::id_jag`].
    pub fn identity(mut self, source: impl IdentitySource) -> Self {
        self.login.identity = Some(Box::new(source));
        self
    }

    /// Sets the credential store; [`MemoryCredentials`] by default.
    pub fn store(mut self, store: impl CredentialStore) -> Self {
        self.login.store = Box::new(store);
        self
    }

    /// Sets the step-up policy: when to request more scope, and which scopes.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets the reqwest builder to build on, for example with certificates of your own.
    ///
    /// Everything that it adds to a request is sent to every server that a login leads to, including servers that other
    /// servers name, so put no credentials there. Redirects are never followed, and the client resolves names itself
    /// and refuses local addresses; no setting changes that. Set a proxy with [`proxy`](Self::proxy): the proxies of
    /// this builder are dropped if the MCP server is on this machine, because requests for it might be sent to them.
    pub fn http(mut self, http: reqwest::ClientBuilder) -> Self {
        self.connection.http = http;
        self
    }

    /// Sends requests through the proxy at this URL, such as `http://proxy.corp:3128`.
    ///
    /// The URL may contain credentials before the host.
    ///
    /// This proxy replaces those of the environment, which are used by default. Its host may be at a private address,
    /// by name or literally, as may the hosts of the environment's proxies; every other name still leads to public
    /// addresses only. The proxy then resolves the names of servers, and has to control the addresses that they lead
    /// to.
    ///
    /// Requests are sent directly to this machine, to a host for which http is allowed in development
    /// ([`allow_http_for_development`](oauth_types::allow_http_for_development)), and to a host that `NO_PROXY` names.
    pub fn proxy(mut self, url: &str) -> Self {
        self.connection.proxy = Some(url.to_owned());
        self
    }

    /// Sets the maximum time from a request to its response head; by default 60 s.
    ///
    /// A server that answers with JSON sends the head with the result, and some that answer with an event stream send
    /// it with the first event, among them the TypeScript SDK. Set this to more than the slowest tool takes that
    /// reports no progress. Responses of status 1xx do not extend the deadline.
    ///
    /// A GET that asks for an event stream has no deadline. The body of an event stream has none either; for any other
    /// body, the transport for rmcp allows this time between two parts.
    pub fn response_deadline(mut self, deadline: Duration) -> Self {
        self.connection.response_deadline = deadline;
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    ///
    /// [`Error::Flow`] when the server URL is neither https nor http on a loopback host; [`Error::RedirectUri`] when
    /// the redirect URI of the user agent differs from the configuration's; [`Error::Proxy`] when the proxy URL is
    /// invalid; [`Error::HttpClient`] when the HTTP client cannot be built.
    pub fn build(self) -> Result<AuthorizedClient, Error> {
        let config = &self.login.config;
        if let (Grant::AuthorizationCode { redirect_uri }, Some(agent)) =
            (&config.grant, &self.login.agent)
            && redirect_uri != agent.redirect_uri()
        {
            return Err(Error::RedirectUri);
        }
        let mut connection = self.connection;
        connection.is_local = config.allows_local_addresses;
        if let Grant::EnterpriseManaged(provider) = &config.grant {
            // Trusted, because the enterprise's administrator configured it.
            connection.trusted.push(provider.token_endpoint.origin().host().to_owned());
        }
        let login = Credentials::Login(Box::new(self.login));
        build(&self.server_url, login, self.policy, connection)
    }
}

pub(crate) fn build(
    server_url: &str,
    credentials: Credentials,
    policy: Policy,
    connection: Connection,
) -> Result<AuthorizedClient, Error> {
    let server = ResourceUri::canonical(server_url).map_err(Error::server_url)?;
    for origin in http_origins_for_development() {
        warn!(%origin, "plain http is allowed for this origin, which is for development only");
    }
    let mut http = GuardedClient::visiting(&server.origin(), connection.http);
    if connection.is_local {
        http = http.allow_local();
    }
    if let Some(proxy) = &connection.proxy {
        http = http.proxy(proxy);
    }
    for host in &connection.trusted {
        http = http.trust_host(host);
    }
    let http = http.build().map_err(|error| match error {
        BuildError::Proxy => Error::Proxy,
        _ => Error::HttpClient,
    })?;
    let http = HttpClient::new(http);
    let renewal = Renewal::new(http.clone(), server.clone(), credentials, policy);
    Ok(AuthorizedClient::of(http, server, renewal, connection.response_deadline))
}

impl fmt::Debug for AuthorizedClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizedClientBuilder")
            // Userinfo and query may be secret, and the URL has not been validated yet.
            .field("server_url", &ShownUrl(&self.server_url))
            .finish_non_exhaustive()
    }
}

/// Unvalidated URL, shown without userinfo, query and fragment.
struct ShownUrl<'a>(&'a str);

impl fmt::Debug for ShownUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = without_query(self.0);
        match address.rsplit_once('@') {
            Some((_, after)) => write!(f, "\"[..]@{}\"", after.escape_debug()),
            None => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use oauth_types::allow_http_for_development;

    use super::*;

    /// C-TOKEN-1
    #[tokio::test]
    async fn http_for_development_goes_through_no_proxy() {
        #[expect(clippy::disallowed_methods, reason = "a proxy that hears nothing")]
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let proxy = format!("http://{}", listener.local_addr().unwrap());
        allow_http_for_development("http://10.255.255.1:8080").unwrap();
        let url = "http://10.255.255.1:8080/mcp";
        let http = reqwest::Client::builder().proxy(reqwest::Proxy::all(proxy).unwrap());
        let token = Credentials::Fixed(http::HeaderValue::from_static("Bearer canary"));
        let connection = Connection { http, ..Connection::default() };
        let client = build(url, token, Policy::default(), connection).unwrap();
        let sent = client.send(client.post(url));
        let _ = tokio::time::timeout(Duration::from_millis(500), sent).await;
        assert!(listener.accept().is_err(), "the token went to the proxy");
    }
}
