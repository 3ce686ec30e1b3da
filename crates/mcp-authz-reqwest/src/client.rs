//! HTTP client that logs in, refreshes tokens and steps up on its own.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use client_flow::{ClientConfig, Tried, endpoint_redirect};
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderMap, Method};
use oauth_types::{Origin, ResourceUri, Secret, SentSecrets};
use reqwest::{Request, RequestBuilder, Response, Url};
use scope_stepup::{Policy, StepUpMode};
use tokio::time::timeout;
use tracing::debug;

use crate::builder::{self, AuthorizedClientBuilder, Connection};
use crate::error::Error;
use crate::http_client::HttpClient;
use crate::renewal::{Answered, Credentials, Logout, Next, Renewal};
use crate::user_agent::UserAgent;

/// Client that sends requests to one MCP server, with an access token for it.
///
/// Cloning is cheap, and all clones share one login. Requests that meet the same refusal share one refresh or one
/// browser visit and wait for its outcome; a request with a valid token does not wait. A login continues when the
/// request that began it is dropped.
///
/// # Examples
///
/// ```
/// use mcp_authz_reqwest::{AuthorizedClient, Error, UserAgent};
///
/// async fn status(agent: impl UserAgent) -> Result<u16, Error> {
///     let server = "https://mcp.example/mcp";
///     let client = AuthorizedClient::new(server, "Notes", agent)?;
///     let response = client.send(client.get(server)).await?;
///     Ok(response.status().as_u16())
/// }
/// ```
#[derive(Clone)]
pub struct AuthorizedClient(Arc<Shared>);

struct Shared {
    http: HttpClient,
    server: ResourceUri,
    renewal: Renewal,
    head_deadline: Duration,
}

/// Maximum pause in a body that is read as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pause(
    #[cfg_attr(not(feature = "rmcp"), expect(dead_code, reason = "the transport reads it"))]
    pub(crate) Duration,
);

impl AuthorizedClient {
    /// Maximum number of times that one request is sent.
    ///
    /// Passes after renewals by other requests count as well.
    const MAX_PASSES: usize = 32;

    /// Creates a client for the MCP server at `server_url`, with credentials in memory.
    ///
    /// The client calls itself `client_name` and sends users through `agent`.
    ///
    /// # Errors
    ///
    /// [`Error::Flow`] when the server URL is neither https nor http on a loopback host.
    pub fn new(server_url: &str, client_name: &str, agent: impl UserAgent) -> Result<Self, Error> {
        let config = ClientConfig::new(client_name, agent.redirect_uri().clone());
        Self::builder(server_url, config).user(agent).build()
    }

    /// Returns a builder for a client with another grant, store, policy or HTTP client.
    ///
    /// # Examples
    ///
    /// ```
    /// use core::time::Duration;
    ///
    /// use mcp_authz_reqwest::AuthorizedClient;
    /// use mcp_authz_reqwest::client_flow::ClientConfig;
    /// use mcp_authz_reqwest::oauth_types::RedirectUri;
    /// use mcp_authz_reqwest::scope_stepup::{Policy, WindowLimit};
    ///
    /// let config = ClientConfig::new("Notes", RedirectUri::parse("http://127.0.0.1:8914/callback")?);
    /// let one_an_hour = WindowLimit::new(1, Duration::from_secs(3600));
    /// let client = AuthorizedClient::builder("https://mcp.example/mcp", config)
    ///     .policy(Policy::default().with_window_limit(one_an_hour))
    ///     .response_deadline(Duration::from_secs(300))
    ///     .build()?;
    /// assert_eq!(client.server_url(), "https://mcp.example/mcp");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn builder(server_url: &str, config: ClientConfig) -> AuthorizedClientBuilder {
        AuthorizedClientBuilder::new(server_url, config)
    }

    /// Creates a client that sends the given access token and obtains no other.
    ///
    /// A 401 is [`Error::Unauthorized`], a 403 about scope is [`Error::InsufficientScope`].
    ///
    /// # Errors
    ///
    /// The errors of [`new`](Self::new), and [`Error::UnusableToken`] when a header cannot carry the token.
    ///
    /// # Examples
    ///
    /// ```
    /// use mcp_authz_reqwest::oauth_types::Secret;
    /// use mcp_authz_reqwest::{AuthorizedClient, Error};
    ///
    /// fn from_environment(token: String) -> Result<AuthorizedClient, Error> {
    ///     AuthorizedClient::with_token("https://mcp.example/mcp", &Secret::new(token))
    /// }
    /// # assert!(from_environment("mF_9.B5f-4.1JqM".to_owned()).is_ok());
    /// # assert!(from_environment("two\nlines".to_owned()).is_err());
    /// ```
    pub fn with_token(server_url: &str, token: &Secret) -> Result<Self, Error> {
        let token = token.header_value("Bearer ").ok_or(Error::UnusableToken)?;
        let policy = Policy::default().with_mode(StepUpMode::StaticToken);
        builder::build(server_url, Credentials::Fixed(token), policy, Connection::default())
    }

    pub(crate) fn of(
        http: HttpClient,
        server: ResourceUri,
        renewal: Renewal,
        head_deadline: Duration,
    ) -> Self {
        Self(Arc::new(Shared { http, server, renewal, head_deadline }))
    }

    /// Default maximum time from a request to the head of its response: 60 seconds.
    ///
    /// [`AuthorizedClientBuilder::response_deadline`] changes it.
    pub const RESPONSE_DEADLINE: Duration = Duration::from_secs(60);

    /// Returns the server URL in its canonical form.
    #[must_use]
    pub fn server_url(&self) -> &str {
        self.0.server.as_str()
    }

    /// Sends the user through a login now, for a "Connect" button or another account.
    ///
    /// A login that a request has begun is joined; [`cancel_login`](Self::cancel_login) ends it first. Tokens that
    /// another program has put into the store meanwhile are used without a browser window. Waiting times after
    /// failures, and the budget of windows, delay requests but not this login; its window is counted all the same.
    ///
    /// # Errors
    ///
    /// [`Error`] when the login ends without tokens.
    ///
    /// # Examples
    ///
    /// ```
    /// use mcp_authz_reqwest::{AuthorizedClient, Error};
    ///
    /// async fn connect(client: &AuthorizedClient) -> Result<(), Error> {
    ///     client.cancel_login();
    ///     client.log_in().await
    /// }
    /// ```
    pub async fn log_in(&self) -> Result<(), Error> {
        self.0.renewal.log_in().await
    }

    /// Ends a login or step-up that waits for the user.
    ///
    /// Callers that wait for it get [`Error::LoginEnded`]. An existing session is kept.
    pub fn cancel_login(&self) {
        self.0.renewal.cancel_login();
    }

    /// Removes the tokens from memory and from the store; the registration is kept.
    ///
    /// The next request leads to a login. The grant at the authorization server remains until it expires there.
    ///
    /// A login or step-up that is under way ends without effect, even if its user returns later.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store failed. The tokens are removed from memory all the same, and this client does
    /// not load them again; the removal is repeated with the next renewals and by [`flush`](Self::flush). Until then a
    /// restart finds them. A login that another program, which shares the store, finishes meanwhile is kept.
    pub async fn log_out(&self) -> Result<(), Error> {
        self.0.renewal.log_out(Logout::Tokens).await
    }

    /// Removes the tokens and the client registration from memory and from the store.
    ///
    /// The next login registers anew. Use this when the authorization server's page says that it does not know the
    /// client.
    ///
    /// # Errors
    ///
    /// The errors of [`log_out`](Self::log_out).
    pub async fn forget(&self) -> Result<(), Error> {
        self.0.renewal.log_out(Logout::Registration).await
    }

    /// Waits until refreshes under way are done and everything is saved.
    ///
    /// Call it before a program ends: otherwise the program may end while a rotated refresh token is on its way, and
    /// the next run would present the spent one.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] when the store does not accept what this client holds: the next run needs a login.
    ///
    /// # Examples
    ///
    /// ```
    /// use mcp_authz_reqwest::{AuthorizedClient, Error};
    ///
    /// async fn end(client: AuthorizedClient) -> Result<(), Error> {
    ///     client.flush().await
    /// }
    /// ```
    pub async fn flush(&self) -> Result<(), Error> {
        self.0.renewal.flush().await
    }

    /// Begins a GET of `url`, to be sent with [`send`](Self::send).
    pub fn get(&self, url: &str) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// Begins a POST to `url`, to be sent with [`send`](Self::send).
    pub fn post(&self, url: &str) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// Begins a request, to be sent with [`send`](Self::send).
    ///
    /// A request that is sent with reqwest's own `send` carries no token.
    pub fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.0.http.request(method, url)
    }

    /// Builds a request and [executes](Self::execute) it.
    ///
    /// # Errors
    ///
    /// The errors of [`execute`](Self::execute); [`Error::Request`] when the request was built from an invalid URL,
    /// header or body.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Error> {
        self.execute(request.build().map_err(|_| Error::Request)?).await
    }

    /// Sends a request, with the login, refresh or step-up that it needs.
    ///
    /// A response that is neither a 401 nor a 403 about scope is returned as it is, except for a redirect of the MCP
    /// endpoint: to the same URL with or without a final slash it is followed, to any other URL it is an error.
    ///
    /// The head of each response has to arrive within [`RESPONSE_DEADLINE`](Self::RESPONSE_DEADLINE) or the builder's
    /// value; the login, refresh or step-up in between does not count. The body has no deadline, because it may be an
    /// event stream.
    ///
    /// # Errors
    ///
    /// [`Error::NoResponse`] when no head arrives in time; [`Error::EndpointMoved`] when the endpoint redirects
    /// elsewhere; [`Error::ForeignOrigin`] when the request is for another origin than the server's;
    /// [`Error::BodyNotReplayable`] when its body is a stream; another [`Error`] when the request gets no response,
    /// or when the tokens or scopes that it needs cannot be obtained.
    pub async fn execute(&self, mut request: Request) -> Result<Response, Error> {
        let Shared { http, server, renewal, head_deadline } = &*self.0;
        if Origin::of(request.url().as_str()).ok() != Some(server.origin()) {
            return Err(Error::ForeignOrigin);
        }
        let mut tried = Tried::default();
        // The bound exceeds every sequence of refusals of an honest server.
        for _ in 0..Self::MAX_PASSES {
            let held = renewal.current(&mut tried).await?;
            let mut attempt = request.try_clone().ok_or(Error::BodyNotReplayable)?;
            let headers = attempt.headers_mut();
            headers.remove(AUTHORIZATION);
            headers.extend(renewal.authorization(&held, &request)?);
            let sent = SentSecrets::new(attempt.headers(), b"");
            // The deadline is for the final head, so a 1xx response does not extend it. A GET for an event stream has
            // none, because a server may hold its head back until the first event.
            let is_stream = attempt.method() == Method::GET && accepts_events(attempt.headers());
            let within = if is_stream { Duration::MAX } else { *head_deadline };
            let response = timeout(within, http.execute(attempt)).await;
            let response = response.map_err(|_| Error::NoResponse { within: *head_deadline })?;
            let mut response = response.map_err(Error::of_http)?;
            let answer = (response.status(), response.headers());
            let moved = endpoint_redirect(server, request.url().as_str(), tried, answer);
            if let Some(url) = moved.map_err(Error::EndpointMoved)? {
                debug!(server = url.path(), "the endpoint is at its slash form");
                *request.url_mut() = Url::parse(url.as_str()).map_err(|_| Error::Request)?;
                tried.redirect = true;
                continue;
            }
            let answered = Answered { request: &request, response: &response, held };
            match renewal.judge(answered, &mut tried).await.map_err(|error| error.without(&sent))? {
                Next::Done => {
                    // Used by the transport for rmcp, which reads and quotes the body.
                    response.extensions_mut().insert(sent);
                    response.extensions_mut().insert(Pause(*head_deadline));
                    return Ok(response);
                }
                Next::Again => {}
            }
        }
        Err(Error::RetryLimitReached)
    }
}

/// Returns `true` if a request asks for an event stream.
fn accepts_events(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|kind| kind.trim().starts_with("text/event-stream"))
}

impl fmt::Debug for AuthorizedClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizedClient").field("server", &self.0.server).finish_non_exhaustive()
    }
}
