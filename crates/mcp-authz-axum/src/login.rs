//! Login of users, which the host implements: the [`Login`] trait, and a demo of it.

use core::error::Error;
use core::fmt;
use core::future::Future;
use core::time::Duration;
use std::sync::Arc;

use authorization_server::PageError;
use http::HeaderMap;
use oauth_types::{EndpointUrl, Issuer, Subject};
use tracing::error;

/// User who is logged in.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct User {
    /// Identifier of the user in tokens: never reassigned, and never that of a client.
    pub subject: Subject,
    /// Name of the user, shown on the consent page.
    pub name: String,
}

impl User {
    /// Creates a user with this identifier and name.
    ///
    /// ```
    /// use mcp_authz_axum::{LoginStatus, User};
    /// use oauth_types::Subject;
    ///
    /// let browser = LoginStatus::LoggedIn(User::new(Subject::parse("user-7")?, "Alice"));
    /// # let _ = browser;
    /// # Ok::<(), oauth_types::InvalidSubject>(())
    /// ```
    #[must_use]
    pub fn new(subject: Subject, name: impl Into<String>) -> Self {
        Self { subject, name: name.into() }
    }
}

/// Login status of a browser.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum LoginStatus {
    /// A user is logged in.
    LoggedIn(User),
    /// No user is logged in: redirect to this URL, which later leads back to the requested address.
    Redirect(String),
}

/// Result of [`Login::status`].
pub type LoginResult = Result<LoginStatus, LoginUnavailable>;

/// Error when a login cannot tell now which user a browser belongs to.
///
/// The user database is down, or an upstream server does not answer. The user reads that the server cannot find out who
/// is logged in, with a link that repeats the request, and nothing that was decided is lost (503). The source is logged
/// with its own sources and shown to nobody, so it must not contain secrets.
///
/// # Examples
///
/// ```
/// use core::time::Duration;
/// use mcp_authz_axum::{LoginResult, LoginStatus, LoginUnavailable, User};
///
/// # struct Users;
/// # impl Users {
/// #     async fn by_session(&self, _: &str) -> std::io::Result<User> { Err(std::io::ErrorKind::TimedOut.into()) }
/// # }
/// async fn status(users: &Users, session: &str) -> LoginResult {
///     let user = users.by_session(session).await.map_err(LoginUnavailable::from_source)?;
///     Ok(LoginStatus::LoggedIn(user))
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// assert!(status(&Users, "s1").await.is_err());
/// # });
/// // Where the time of recovery is known, the reply names it.
/// let busy = LoginUnavailable::new().with_retry_after(Duration::from_secs(30));
/// assert_eq!(busy.retry_after(), Some(Duration::from_secs(30)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct LoginUnavailable {
    source: Option<Arc<dyn Error + Send + Sync>>,
    retry_after: Option<Duration>,
}

impl LoginUnavailable {
    /// Creates the error without a source.
    #[must_use]
    pub const fn new() -> Self {
        Self { source: None, retry_after: None }
    }

    /// Creates the error from its source: an error, or a text for the log.
    #[must_use]
    pub fn from_source(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(source.into().into()), retry_after: None }
    }

    /// Sets the time after which another attempt may succeed, for the header `Retry-After`.
    #[must_use]
    pub const fn with_retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Returns the time after which another attempt may succeed, if it is known.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// Returns the page for it, which does not repeat the request yet.
    pub(crate) fn into_page(self) -> PageError {
        PageError::login_unavailable(self.retry_after, self.source)
    }
}

impl fmt::Display for LoginUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the login cannot tell now which user the browser belongs to: the operator has to check what it asks, \
             such as the database of users",
        )
    }
}

impl Error for LoginUnavailable {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Login of users, implemented by the host.
///
/// The authorization server cannot check these duties of an implementation:
///
/// - A login ends the session that the browser had and starts one with a fresh identifier, in a cookie named
///   `__Host-…` with `Secure`, `HttpOnly` and `SameSite=Lax`. `Strict` would hide it from a browser that comes from a
///   client.
/// - The login form is protected against forged requests, and its page against framing, as the consent page is.
/// - After the login the browser goes to `return_to` by 303 and nowhere else: it is a path and query of this server,
///   but in the form it is the user's to change, so take only what starts with one slash and is visible ASCII.
/// - A policy with `form-action` on the login page also holds for where that 303 leads in the end. A user who agreed
///   before is sent on to the client at once, and a client may lead on to anywhere, so leave the directive out.
///
/// The server calls [`status`](Self::status) again when the user answers the consent page: the answer counts only
/// if the same user is still logged in.
///
/// # Examples
///
/// Users whom a proxy in front has authenticated, and named in a header that it alone can set:
///
/// ```
/// use http::HeaderMap;
/// use mcp_authz_axum::{Login, LoginResult, LoginStatus, User};
/// use oauth_types::Subject;
///
/// struct ProxyLogin;
///
/// impl Login for ProxyLogin {
///     async fn status(&self, headers: &HeaderMap, _return_to: &str) -> LoginResult {
///         let name = headers.get("x-authenticated-user").and_then(|name| name.to_str().ok());
///         Ok(match name.and_then(|name| Some((Subject::parse(name).ok()?, name))) {
///             Some((subject, name)) => LoginStatus::LoggedIn(User::new(subject, name)),
///             None => LoginStatus::Redirect("/login".to_owned()),
///         })
///     }
/// }
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let headers = HeaderMap::from_iter([("x-authenticated-user".parse().unwrap(), "alice".parse().unwrap())]);
/// assert!(matches!(ProxyLogin.status(&headers, "/").await, Ok(LoginStatus::LoggedIn(_))));
/// # });
/// ```
pub trait Login: Send + Sync + 'static {
    /// Returns the login status of the browser that sent these headers.
    ///
    /// `return_to` is the path and query to which the browser returns after the login.
    ///
    /// # Errors
    ///
    /// [`LoginUnavailable`] when the status cannot be known now. A browser without a user is no error, but
    /// [`LoginStatus::Redirect`]. A login that cannot fail answers `Ok`.
    fn status(
        &self,
        headers: &HeaderMap,
        return_to: &str,
    ) -> impl Future<Output = LoginResult> + Send;

    /// Returns the login URL of another server that knows this server as a single client.
    ///
    /// That server would take every client for the one to which its user consented long ago, and skip consent. The
    /// user is therefore asked here *before* the browser goes there, and the code is given only to the browser that
    /// consented. The consent page names the host.
    fn upstream(&self) -> Option<&EndpointUrl> {
        None
    }

    /// Returns `true` if browsers need no login, as with [`DemoLogin`].
    ///
    /// If the issuer is not on this machine, [`AuthorizationServer::router`](crate::AuthorizationServer::router) then
    /// logs an event at level `ERROR`, because everybody who reaches the issuer gets tokens of that user.
    fn is_demo(&self) -> bool {
        false
    }
}

/// Returns `true`, and logs it, if this login needs no credentials and the issuer is not on this machine.
pub(crate) fn is_open_to_all(login: &impl Login, issuer: &Issuer) -> bool {
    let is_here = EndpointUrl::parse(issuer.as_str()).is_ok_and(|it| it.origin().is_loopback());
    let is_open = login.is_demo() && !is_here;
    if is_open {
        error!(
            issuer = issuer.as_str(),
            "this login takes every browser for one user, and the issuer is not on this machine: whoever reaches it \
             gets tokens. Give AuthorizationServer::new a Login of your own in place of DemoLogin"
        );
    }
    is_open
}

/// Login that takes every browser for the same user: only for demos and tests on this machine.
///
/// If the host of the issuer is not a loopback name or address, an event at level `ERROR` says so
/// ([`Login::is_demo`]).
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to say")]
pub struct DemoLogin;

impl Login for DemoLogin {
    async fn status(&self, _: &HeaderMap, _: &str) -> LoginResult {
        #[expect(clippy::expect_used, reason = "a constant")]
        let subject = Subject::parse("demo").expect("four letters are a subject");
        Ok(LoginStatus::LoggedIn(User::new(subject, "Demo user")))
    }

    fn is_demo(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Own;

    impl Login for Own {
        async fn status(&self, _: &HeaderMap, _: &str) -> LoginResult {
            Ok(LoginStatus::Redirect("/login".to_owned()))
        }
    }

    #[test]
    fn a_demo_of_a_login_is_for_this_machine() {
        let open = |issuer: &str| is_open_to_all(&DemoLogin, &Issuer::parse(issuer).unwrap());
        for here in ["http://127.0.0.1:8001", "http://localhost:8001/as", "http://[::1]:8001"] {
            assert!(!open(here), "{here}");
        }
        for public in ["https://as.example", "https://10.0.0.1", "https://localhost.example"] {
            assert!(open(public), "{public}");
        }
        assert!(!is_open_to_all(&Own, &Issuer::parse("https://as.example").unwrap()));
    }
}
