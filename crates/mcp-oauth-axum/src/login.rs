//! Who is this browser? The answer is the host's.

use core::future::Future;

use http::HeaderMap;

/// A user who is logged in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// The identifier that tokens carry. Never reassigned, never a client's.
    pub subject: String,
    /// The name that the consent page shows to the user.
    pub name: String,
}

/// What is known about a browser.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Browser {
    /// A user is logged in.
    User(User),
    /// Nobody is: send it to this URL, and let it come back to the address it asked for.
    SendTo(String),
}

/// The host's own login.
pub trait Login: Send + Sync + 'static {
    /// Who the browser with these headers is. `return_to` is the path and query that it asked for.
    fn browser(&self, headers: &HeaderMap, return_to: &str)
    -> impl Future<Output = Browser> + Send;
}

/// Takes every browser for one and the same user: for demos and tests, and for nothing else.
#[derive(Clone, Copy, Debug, Default)]
pub struct DemoLogin;

impl Login for DemoLogin {
    async fn browser(&self, _: &HeaderMap, _: &str) -> Browser {
        Browser::User(User { subject: "demo".to_owned(), name: "Demo user".to_owned() })
    }
}
