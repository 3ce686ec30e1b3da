//! A client with everything said.

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

/// Makes an [`AuthorizedClient`]. What is not said is as in [`AuthorizedClient::new`]: credentials are kept in memory,
/// one step-up for each operation is tried, and nobody is there to ask.
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
    /// Local addresses are allowed for all hosts.
    is_local: bool,
    /// Hosts that the configuration names, which may be at local addresses.
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

    /// Who sends the user through a browser. Its redirect URI is the one of the configuration.
    pub fn user(mut self, agent: impl UserAgent) -> Self {
        self.login.agent = Some(Box::new(agent));
        self
    }

    /// Who vouches for a client without a browser ([`ClientConfig::for_workload`],
    /// [`ClientConfig::for_enterprise`]).
    pub fn identity(mut self, source: impl IdentitySource) -> Self {
        self.login.identity = Some(Box::new(source));
        self
    }

    /// Where credentials are kept.
    pub fn store(mut self, store: impl CredentialStore) -> Self {
        self.login.store = Box::new(store);
        self
    }

    /// When to ask for more scope, and for which.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The HTTP client to build on, for a proxy or certificates of one's own.
    ///
    /// Whatever it adds to a request goes to every server that a login leads to, also to those that others name: put
    /// no credentials there. Whatever it says, redirects are not followed, and names are looked up by the client
    /// itself, so that they lead to no local address. Name a proxy by [`proxy`](Self::proxy): the proxies of this HTTP
    /// client are dropped where the MCP server is on this machine, because they might be asked for it.
    pub fn http(mut self, http: reqwest::ClientBuilder) -> Self {
        self.connection.http = http;
        self
    }

    /// Sends requests through the proxy at this URL (`http://proxy.corp:3128`; credentials may stand before the host).
    ///
    /// It takes the place of the environment's proxies, which are used otherwise. Its host may be at a private address,
    /// by name or literally, as may those of the environment's; every other name still leads to public addresses alone.
    /// The names of servers are then looked up by the proxy, which has to see to where they lead.
    ///
    /// Requests to this machine go through no proxy, nor do those to a host for which http is allowed in development
    /// ([`allow_http_for_development`](oauth_types::allow_http_for_development)) or that `NO_PROXY` names.
    pub fn proxy(mut self, url: &str) -> Self {
        self.connection.proxy = Some(url.to_owned());
        self
    }

    /// Longest time from a request to the MCP server to the head of its response; 60 seconds unless it is set.
    ///
    /// A server that answers with JSON sends the head with the result, and some that answer with an event stream send it
    /// with the first event, among them the TypeScript SDK: set this to more than the slowest tool takes that reports no
    /// progress. Responses of status 1xx do not extend it. A GET that asks for an event stream has no such deadline. After
    /// the head nothing ends an event stream; the transport for rmcp waits as long for each part of any other body.
    pub fn response_deadline(mut self, deadline: Duration) -> Self {
        self.connection.response_deadline = deadline;
        self
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// [`Error::Flow`] when the address is not https, nor http on a loopback host; [`Error::RedirectUri`] when the
    /// browser would come back to another address than is asked for; [`Error::Proxy`] when the proxy has no URL;
    /// [`Error::HttpClient`] when the HTTP client cannot be built.
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
            // The enterprise's administrator named it.
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
            // What precedes the host and what follows the path may be secret, and nothing was checked yet.
            .field("server_url", &Shown(&self.server_url))
            .finish_non_exhaustive()
    }
}

/// An address that was not checked, without userinfo, query and fragment.
struct Shown<'a>(&'a str);

impl fmt::Debug for Shown<'_> {
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

    #[tokio::test]
    async fn c_token_1_http_for_development_goes_through_no_proxy() {
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
