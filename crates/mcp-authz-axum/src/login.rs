//! Who is this browser? The answer is the host's.

use core::future::Future;

use http::HeaderMap;
use oauth_types::{EndpointUrl, Issuer, Subject};
use tracing::error;

/// A user who is logged in.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct User {
    /// The identifier that tokens carry. Never reassigned, never a client's.
    pub subject: Subject,
    /// The name that the consent page shows to the user.
    pub name: String,
}

impl User {
    /// A user of this identifier and name.
    ///
    /// ```
    /// use mcp_authz_axum::{Browser, User};
    /// use oauth_types::Subject;
    ///
    /// let browser = Browser::User(User::new(Subject::parse("user-7")?, "Alice"));
    /// # let _ = browser;
    /// # Ok::<(), oauth_types::InvalidSubject>(())
    /// ```
    #[must_use]
    pub fn new(subject: Subject, name: impl Into<String>) -> Self {
        Self { subject, name: name.into() }
    }
}

/// What is known about a browser.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Browser {
    /// A user is logged in.
    User(User),
    /// Nobody is: send it to this URL, and let it come back to the address it asked for.
    SendTo(String),
}

/// The host's own login.
///
/// What it owes to the users, because nobody else can see to it:
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
/// It is asked again when the user answers the consent page: the answer counts only if it is still the same user.
pub trait Login: Send + Sync + 'static {
    /// Who the browser with these headers is. `return_to` is the path and query at which it finds its request again.
    fn browser(&self, headers: &HeaderMap, return_to: &str)
    -> impl Future<Output = Browser> + Send;

    /// Where browsers are sent to log in, if that is another server, and that server knows this one as a single client,
    /// whichever client asks here.
    ///
    /// It would take every client for the one that its user agreed to long ago, and ask nothing. So the user is asked
    /// here, *before* the browser goes there, and a code is given to the browser that agreed and to no other. The page
    /// names the host.
    fn upstream(&self) -> Option<&EndpointUrl> {
        None
    }

    /// Returns `true` if it lets browsers in without a login, as [`DemoLogin`] does. Beside an issuer that is not on
    /// this machine, [`AuthorizationServer::router`](crate::AuthorizationServer::router) then reports an event at level
    /// `ERROR`, because whoever reaches the issuer gets tokens of that user.
    fn is_demo(&self) -> bool {
        false
    }
}

/// Returns `true`, and reports it, if this login lets browsers in that come from other machines.
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

/// Takes every browser for one and the same user: for demos and tests on this machine, and for nothing else.
///
/// Beside an issuer whose host is no loopback name or address, an event at level `ERROR` says so
/// ([`Login::is_demo`]).
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to say")]
pub struct DemoLogin;

impl Login for DemoLogin {
    async fn browser(&self, _: &HeaderMap, _: &str) -> Browser {
        #[expect(clippy::expect_used, reason = "a constant")]
        let subject = Subject::parse("demo").expect("four letters are a subject");
        Browser::User(User::new(subject, "Demo user"))
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
        async fn browser(&self, _: &HeaderMap, _: &str) -> Browser {
            Browser::SendTo("/login".to_owned())
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
