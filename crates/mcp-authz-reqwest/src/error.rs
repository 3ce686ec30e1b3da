//! Errors of requests, logins and renewals.

use core::fmt;
use core::time::Duration;
use std::borrow::Cow;
use std::io;

use client_flow::{
    EndpointMoved, FlowError, FlowErrorKind, FlowStage, TransportError, TransportErrorKind,
};
use mcp_authz_http::{HttpError, HttpErrorKind};
use oauth_types::{ErrorDescription, InvalidUri, SentSecrets, UnixTime};
use scope_stepup::{InsufficientScope, WindowLimit};
use tracing::debug;

use crate::identity::IdentityError;
use crate::store::StoreError;
use crate::user_agent::VisitError;

/// Error of an [`AuthorizedClient`](crate::AuthorizedClient).
///
/// Holds no secret and no unvalidated text.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Error {
    /// The request brought no response.
    ///
    /// The [source](core::error::Error::source) is the HTTP library's error, without the URL.
    Transport(TransportError),
    /// The server sent no response head in time; it may have acted on the request.
    NoResponse {
        /// The deadline ([`response_deadline`](crate::AuthorizedClientBuilder::response_deadline)).
        within: Duration,
    },
    /// A login, refresh or step-up ended without tokens.
    Flow(FlowError),
    /// The browser did not return from the authorization server.
    Visit(VisitError),
    /// The loopback port for the browser's redirect cannot be bound.
    CallbackPort {
        /// The port; 0 for an ephemeral one.
        port: u16,
        /// The reason; `AddrInUse` when another program listens on the port.
        kind: io::ErrorKind,
    },
    /// The identity source has no token for the client.
    Identity(IdentityError),
    /// The credential store failed to lock, save or remove credentials.
    Store(StoreError),
    /// The operation needs scope that could not be obtained.
    InsufficientScope(Box<InsufficientScope>),
    /// The server refuses the tokens that were just issued.
    Unauthorized,
    /// The server refused every attempt, each time for another reason.
    RetryLimitReached,
    /// The server redirects to another URL, where its token is not sent.
    EndpointMoved(EndpointMoved),
    /// The request is for another origin than the MCP server's.
    ForeignOrigin,
    /// The request was built from an invalid URL, header or body.
    Request,
    /// The body is a stream, which cannot be sent again after a login.
    BodyNotReplayable,
    /// The fixed token contains a character that a header cannot carry.
    UnusableToken,
    /// The proof of possession for a bound token could not be signed (RFC 9449 §4).
    NotSigned,
    /// The system's random source failed.
    NoEntropy,
    /// The HTTP client could not be built.
    HttpClient,
    /// The proxy URL is invalid.
    Proxy,
    /// The redirect URI of the user agent differs from the configuration's.
    RedirectUri,
    /// The budget of browser windows that requests may open for this server is spent.
    ///
    /// Set by [`Policy::with_window_limit`](scope_stepup::Policy::with_window_limit). The login registers no client,
    /// and does not count as a failed one.
    TooManyWindows(TooManyWindows),
    /// The user logged out, or the login was cancelled, while it was under way.
    ///
    /// The next request begins another login.
    LoginEnded,
    /// The user agent, credential store or identity source panicked during a login.
    Panicked,
    /// The runtime ended while a login was under way.
    Stopped,
}

/// Spent budget of browser windows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct TooManyWindows {
    /// The budget.
    pub limit: WindowLimit,
    /// Time from which a request may open the next window, by the wall clock.
    pub until: UnixTime,
}

impl fmt::Display for TooManyWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a login needs a browser window, and {} were opened for this server within {} s: the \
             next request may open one from Unix time {} on, and the user at any time (`log_in`)",
            self.limit.windows(),
            self.limit.period().as_secs(),
            self.until.as_secs()
        )
    }
}

impl core::error::Error for TooManyWindows {}

impl Error {
    /// Returns the error for an invalid server URL.
    pub(crate) const fn server_url(rule: InvalidUri) -> Self {
        Self::Flow(FlowError::new(FlowStage::Start, FlowErrorKind::ServerUrl(rule)))
    }

    /// Returns the error for a request without a response.
    pub(crate) fn of_http(error: HttpError) -> Self {
        debug!(failure = %error.kind(), error = chain(&error), "no answer");
        Self::Transport(transport(error))
    }

    /// Removes the secrets of a request from what this error quotes of the response.
    pub(crate) fn without(mut self, sent: &SentSecrets) -> Self {
        if let Self::InsufficientScope(refused) = &mut self {
            let description = refused.description.take();
            refused.description =
                description.map(|text| ErrorDescription::new(&sent.strike_out(text.as_str())));
            // Values that are compared or requested are dropped as a whole, because a part of such a value has another
            // meaning.
            let is_clean = |text: &str| matches!(sent.strike_out(text), Cow::Borrowed(_));
            refused.required.take_if(|scope| !is_clean(scope.as_str()));
            refused.resource_metadata.take_if(|url| !is_clean(url.as_str()));
        }
        self
    }
}

/// Returns the failure for the flow, with the HTTP library's error as its source.
pub(crate) fn transport(error: HttpError) -> TransportError {
    let failure = TransportError::new(match error.kind() {
        HttpErrorKind::LocalAddress => TransportErrorKind::LocalAddress,
        HttpErrorKind::Name => TransportErrorKind::Name,
        HttpErrorKind::Refused => TransportErrorKind::Refused,
        HttpErrorKind::Tls => TransportErrorKind::Tls,
        HttpErrorKind::Proxy => TransportErrorKind::Proxy,
        HttpErrorKind::Timeout => TransportErrorKind::Timeout,
        HttpErrorKind::Interrupted => TransportErrorKind::Interrupted,
        HttpErrorKind::TooLarge => TransportErrorKind::TooLarge,
        HttpErrorKind::PublicAddress => TransportErrorKind::PublicAddress,
        HttpErrorKind::Url => TransportErrorKind::Url,
        HttpErrorKind::Busy => TransportErrorKind::Busy,
        _ => TransportErrorKind::Connect,
    });
    match error.into_source() {
        Some(source) => failure.with_source(source),
        None => failure,
    }
}

/// Joins the texts of an error and of all its sources.
pub(crate) fn chain(error: &HttpError) -> String {
    let first = core::error::Error::source(error);
    let sources = core::iter::successors(first, |&error| error.source());
    sources.fold(error.to_string(), |text, source| format!("{text}: {source}"))
}

impl fmt::Display for Error {
    #[expect(clippy::too_many_lines, reason = "a table of texts")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => write!(f, "the MCP server gave no answer: {error}"),
            Self::NoResponse { within } => write!(
                f,
                "the MCP server began no response within {within:?}: if its tools take longer, set \
                 `AuthorizedClientBuilder::response_deadline`"
            ),
            Self::Flow(error) => error.fmt(f),
            Self::Visit(error) => error.fmt(f),
            Self::CallbackPort { port: 0, kind } => write!(
                f,
                "no port of the loopback address can be listened on ({kind}): check that this \
                 machine has a loopback address, and a free port"
            ),
            Self::CallbackPort { port, kind: io::ErrorKind::AddrInUse } => write!(
                f,
                "another program listens on port {port} of the loopback address: end it, or use another port \
                 and register its redirect URI"
            ),
            Self::CallbackPort { port, kind } => write!(
                f,
                "port {port} of the loopback address cannot be listened on ({kind}): use another port and \
                 register its redirect URI"
            ),
            Self::Identity(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Request => f.write_str(
                "the request was built from an invalid URL, header or body: correct the one that \
                 was passed to the builder",
            ),
            Self::InsufficientScope(error) => error.fmt(f),
            Self::Unauthorized => f.write_str(
                "the MCP server refuses the access token: replace a configured one; if a login \
                 just brought it, the server's operator has to accept its issuer and audience",
            ),
            Self::RetryLimitReached => f.write_str(
                "the MCP server refuses each attempt for another reason: its operator has to \
                 correct its authorization",
            ),
            Self::ForeignOrigin => f.write_str(
                "the request is for another origin than the MCP server's, where its token is not \
                 sent: make a client for that server",
            ),
            Self::EndpointMoved(moved) => moved.fmt(f),
            Self::BodyNotReplayable => f.write_str(
                "the request body is a stream, which cannot be sent again after a login: pass the \
                 body as bytes",
            ),
            Self::UnusableToken => f.write_str(
                "the token has a character that a header cannot carry: pass it without line breaks \
                 and other control characters",
            ),
            Self::NotSigned => f.write_str(
                "the proof of possession of the request could not be signed: check the proof key",
            ),
            Self::NoEntropy => f.write_str(
                "the system's random source failed: try again; if it fails again, the operator of \
                 this machine has to repair it",
            ),
            Self::RedirectUri => f.write_str(
                "the redirect URI of the configuration is not the one of the user agent: configure \
                 the one that `UserAgent::redirect_uri` returns",
            ),
            Self::HttpClient => f.write_str(
                "the HTTP client could not be built: install certificates to trust, or build with \
                 the feature `rustls`",
            ),
            Self::TooManyWindows(spent) => spent.fmt(f),
            Self::LoginEnded => f.write_str(
                "the user logged out or the login was cancelled while it was under way: send the \
                 request again to begin another",
            ),
            Self::Panicked => f.write_str(
                "the host's own code (user agent, store or identity source) panicked during a \
                 login: correct it where the panic's message says",
            ),
            Self::Proxy => f.write_str(
                "the address of the proxy is no URL: name it as http://host:port, https or socks5",
            ),
            Self::Stopped => f.write_str(
                "the runtime stopped during a login: keep it running until the request ends",
            ),
        }
    }
}

// `Display` includes the texts of this project's errors, so only the HTTP library's error is a source as well.
impl core::error::Error for Error {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Transport(error) => error.source(),
            Self::Flow(error) => error.source(),
            _ => None,
        }
    }
}

impl From<FlowError> for Error {
    fn from(error: FlowError) -> Self {
        Self::Flow(error)
    }
}
