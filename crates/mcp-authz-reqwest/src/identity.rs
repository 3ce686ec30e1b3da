//! Identity assertions of a client without a browser (RFC 7523 §2.1, RFC 8693).

use core::fmt;

use futures::future::BoxFuture;
use oauth_types::{Issuer, Secret};

/// Error of an identity source that has no token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the reason stays in the source")]
pub struct IdentityError;

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the identity source has no token for this client: the host has to supply a currently \
             valid one; its identity source knows the reason",
        )
    }
}

impl core::error::Error for IdentityError {}

/// Source of tokens that identify the workload or the user that a client acts for.
///
/// The source is the platform that a workload runs on, or the enterprise's identity provider that the user has signed
/// in to.
///
/// # Examples
///
/// ```
/// use futures::future::BoxFuture;
/// use mcp_authz_reqwest::{IdentityError, IdentitySource};
/// use oauth_types::{Issuer, Secret};
///
/// /// Token that the platform writes into a file, for one audience.
/// struct Mounted {
///     path: &'static str,
///     audience: Issuer,
/// }
///
/// impl IdentitySource for Mounted {
///     fn token<'a>(&'a self, reader: &'a Issuer) -> BoxFuture<'a, Result<Secret, IdentityError>> {
///         Box::pin(async move {
///             if *reader != self.audience {
///                 return Err(IdentityError);
///             }
///             std::fs::read_to_string(self.path).map(Secret::new).map_err(|_| IdentityError)
///         })
///     }
/// }
/// ```
pub trait IdentitySource: Send + Sync + 'static {
    /// Returns a currently valid token whose audience is `reader`.
    ///
    /// For a workload, the reader is the authorization server; for a user, the identity provider itself.
    ///
    /// # Errors
    ///
    /// [`IdentityError`] when there is no such token.
    fn token<'a>(&'a self, reader: &'a Issuer) -> BoxFuture<'a, Result<Secret, IdentityError>>;
}
