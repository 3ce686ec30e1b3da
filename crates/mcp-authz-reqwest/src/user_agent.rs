//! The user's side of a login.

use core::fmt;

use client_flow::Visit;
use futures::future::BoxFuture;
use oauth_types::{Issuer, RedirectUri};

/// Why a browser did not come back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum VisitError {
    /// No browser could be opened.
    NoBrowser,
    /// The user closed it, or said no to the host.
    Declined,
    /// It did not come back in time.
    Timeout,
}

impl fmt::Display for VisitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBrowser => "no browser could be opened for the login",
            Self::Declined => "the login was cancelled",
            Self::Timeout => "the login was not finished in time",
        })
    }
}

impl core::error::Error for VisitError {}

/// A way to send a user through a browser and to catch where it comes back to.
///
/// ```
/// use client_flow::Visit;
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
///     fn visit<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<String, VisitError>> {
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
    /// Where the browser comes back to.
    fn redirect_uri(&self) -> &RedirectUri;

    /// The user should know who sends them where before the browser opens: [`Visit::resource`] is what the tokens are
    /// for, [`Visit::authorization_endpoint`] where they log in, [`Visit::client_id`] and [`Visit::scope`] what is
    /// asked for.
    ///
    /// Sends the user to [`Visit::url`] and answers with the URL, or its query, that the browser came back with.
    /// Nobody has validated it: hand it on as it is. One by which the visit is not
    /// [answered](Visit::is_answered_by) ends the login; who can, waits for another.
    fn visit<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<String, VisitError>>;

    /// Which of several authorization servers to use, by its place in the list. By default the first.
    fn choose_server(&self, servers: &[Issuer]) -> usize {
        let _ = servers;
        0
    }
}
