//! User agent of a login: the browser at the authorization server (RFC 6749 §4.1).

use core::fmt;

use client_flow::BrowserRequest;
use futures::future::BoxFuture;
use oauth_types::{Issuer, RedirectUri};

/// Reason why the browser did not return from the authorization server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum VisitError {
    /// No browser could be opened.
    NoBrowser,
    /// The user closed the browser, or declined in the host.
    Declined,
    /// The browser did not return in time.
    Timeout,
}

impl fmt::Display for VisitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBrowser => {
                "no browser could be opened for the login: run the program where there is one, or \
                 give the client a user agent (`AuthorizedClientBuilder::user`)"
            }
            Self::Declined => {
                "the login was cancelled: log in (`AuthorizedClient::log_in`), or send the request \
                 again after half a minute, to begin another"
            }
            Self::Timeout => {
                "the login was not finished in time: log in (`AuthorizedClient::log_in`), or send \
                 the request again after half a minute, to begin another"
            }
        })
    }
}

impl core::error::Error for VisitError {}

/// Browser access of a host: sends the user to a login and returns the redirect.
///
/// # Examples
///
/// ```
/// use client_flow::BrowserRequest;
/// use futures::future::BoxFuture;
/// use mcp_authz_reqwest::{UserAgent, VisitError};
/// use oauth_types::RedirectUri;
///
/// /// Asks before it opens the browser.
/// struct Asking<A> {
///     agent: A,
///     agrees: fn(&str) -> bool,
/// }
///
/// impl<A: UserAgent> UserAgent for Asking<A> {
///     fn redirect_uri(&self) -> &RedirectUri {
///         self.agent.redirect_uri()
///     }
///
///     fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>> {
///         let question = format!(
///             "{} sends you to log in at {}. Go on?",
///             visit.resource().origin().host(),
///             visit.authorization_endpoint().origin().host(),
///         );
///         match (self.agrees)(&question) {
///             true => self.agent.visit(visit),
///             false => Box::pin(async { Err(VisitError::Declined) }),
///         }
///     }
/// }
/// ```
pub trait UserAgent: Send + Sync + 'static {
    /// Returns the redirect URI that the browser returns to (RFC 6749 §3.1.2).
    fn redirect_uri(&self) -> &RedirectUri;

    /// Sends the user to [`BrowserRequest::url`], and returns the URL or query of the redirect.
    ///
    /// Before the browser opens, the user should see which server asks for the login and where it takes place:
    /// [`BrowserRequest::resource`] is the server that the tokens are for, [`BrowserRequest::authorization_endpoint`]
    /// is the place of the login, and [`BrowserRequest::client_id`] and [`BrowserRequest::scope`] tell what is
    /// requested.
    ///
    /// The returned URL is passed on unvalidated, as it arrived. A URL that does not
    /// [answer](BrowserRequest::is_answered_by) the visit ends the login, so an agent that can wait for another one
    /// should do so.
    ///
    /// # Errors
    ///
    /// [`VisitError`] when the browser cannot be opened or does not return.
    fn visit<'a>(&'a self, visit: &'a BrowserRequest) -> BoxFuture<'a, Result<String, VisitError>>;

    /// Returns the index of the authorization server to use; 0 by default.
    fn choose_server(&self, servers: &[Issuer]) -> usize {
        let _ = servers;
        0
    }
}
