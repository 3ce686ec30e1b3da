//! Who vouches for a client without a browser.

use core::fmt;

use futures::future::BoxFuture;
use oauth_types::{Issuer, Secret};

/// No token could be had.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the reason stays in the source")]
pub struct IdentityError;

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there is no token that says on whose behalf this client asks")
    }
}

impl core::error::Error for IdentityError {}

/// Whoever has tokens that say on whose behalf this client asks: the platform that a workload runs on, or the
/// enterprise's identity provider that the user has signed in to.
pub trait IdentitySource: Send + Sync + 'static {
    /// A token that is valid now, for this reader: for a workload the authorization server, for a user the identity
    /// provider itself.
    fn token<'a>(&'a self, reader: &'a Issuer) -> BoxFuture<'a, Result<Secret, IdentityError>>;
}
