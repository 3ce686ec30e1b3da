//! Logins that are chosen at run time: [`DynLogin`].

use core::any::type_name;
use core::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use http::HeaderMap;
use oauth_types::EndpointUrl;

use crate::login::{Login, LoginResult};

/// Any [`Login`] behind one type, for programs that choose the login when they start.
///
/// `Login` is not dyn-compatible, because its method returns `impl Future`. Here each call allocates its future, and a
/// clone is another pointer to the same login. All methods are forwarded. `Debug` shows the type of the login and
/// nothing of its content.
///
/// # Examples
///
/// ```
/// use mcp_authz_axum::{DemoLogin, DynLogin};
/// # use mcp_authz_axum::{Login, LoginResult, LoginStatus};
/// # struct Accounts;
/// # impl Login for Accounts {
/// #     async fn status(&self, _: &http::HeaderMap, _: &str) -> LoginResult {
/// #         Ok(LoginStatus::Redirect("/login".to_owned()))
/// #     }
/// # }
///
/// # let is_demo = true;
/// let login = if is_demo { DynLogin::new(DemoLogin) } else { DynLogin::new(Accounts) };
/// assert_eq!(format!("{login:?}"), "DynLogin(mcp_authz_axum::login::DemoLogin)");
/// ```
#[derive(Clone)]
pub struct DynLogin(Arc<dyn ErasedLogin>);

impl DynLogin {
    /// Wraps a login.
    #[must_use]
    pub fn new(login: impl Login) -> Self {
        Self(Arc::new(login))
    }
}

impl fmt::Debug for DynLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DynLogin({})", self.0.type_name())
    }
}

/// Dyn-compatible form of [`Login`].
trait ErasedLogin: Send + Sync {
    fn type_name(&self) -> &'static str;

    fn status<'a>(
        &'a self,
        headers: &'a HeaderMap,
        return_to: &'a str,
    ) -> BoxFuture<'a, LoginResult>;

    fn upstream(&self) -> Option<&EndpointUrl>;

    fn is_demo(&self) -> bool;
}

impl<L: Login> ErasedLogin for L {
    fn type_name(&self) -> &'static str {
        type_name::<L>()
    }

    fn status<'a>(
        &'a self,
        headers: &'a HeaderMap,
        return_to: &'a str,
    ) -> BoxFuture<'a, LoginResult> {
        Box::pin(Login::status(self, headers, return_to))
    }

    fn upstream(&self) -> Option<&EndpointUrl> {
        Login::upstream(self)
    }

    fn is_demo(&self) -> bool {
        Login::is_demo(self)
    }
}

// The lint holds the wrapper to the trait, because a default method that it lacks would not be forwarded.
#[deny(clippy::missing_trait_methods)]
impl Login for DynLogin {
    async fn status(&self, headers: &HeaderMap, return_to: &str) -> LoginResult {
        self.0.status(headers, return_to).await
    }

    fn upstream(&self) -> Option<&EndpointUrl> {
        self.0.upstream()
    }

    fn is_demo(&self) -> bool {
        self.0.is_demo()
    }
}
