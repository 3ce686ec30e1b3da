//! Who knows a token?

mod cache;
mod flight;
mod introspection;
#[cfg(feature = "jwt")]
mod jwt;
mod questions;
mod remote;

use core::fmt;
use core::future::Future;
use std::sync::Arc;

use authorization_server::Store;
use oauth_types::{Issuer, Secret, UnixTime};
use resource_server::TokenFacts;
use tracing::warn;

pub use introspection::IntrospectionVerifier;
#[cfg(feature = "jwt")]
pub use jwt::JwtVerifier;
pub use remote::{InvalidRemote, RemoteServer};

/// The token could not be checked now. The client keeps it and tries again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct VerifierUnavailable;

impl VerifierUnavailable {
    /// The error.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl Default for VerifierUnavailable {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for VerifierUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the token could not be checked")
    }
}

impl core::error::Error for VerifierUnavailable {}

/// Finds out what is known about a token: by look-up, by signature, by asking its authorization server.
pub trait TokenVerifier: Send + Sync + 'static {
    /// The facts about a token, or `None` when it is unknown, forged or revoked. Expiry, audience, scope and the key
    /// that it may be bound to are judged by the caller.
    fn verify(
        &self,
        token: &Secret,
        now: UnixTime,
    ) -> impl Future<Output = Result<Option<Arc<TokenFacts>>, VerifierUnavailable>> + Send;
}

/// Looks tokens up in the store of our own authorization server, whatever they look like.
#[derive(Debug)]
pub struct StoreVerifier<S> {
    store: S,
    issuer: Issuer,
}

impl<S> StoreVerifier<S> {
    /// A verifier for the tokens of the server with this issuer and store.
    ///
    /// The store is given as an [`Arc`] where both share it.
    #[must_use]
    pub const fn new(store: S, issuer: Issuer) -> Self {
        Self { store, issuer }
    }
}

impl<S: Store + 'static> TokenVerifier for StoreVerifier<S> {
    async fn verify(
        &self,
        token: &Secret,
        now: UnixTime,
    ) -> Result<Option<Arc<TokenFacts>>, VerifierUnavailable> {
        self.store.token_facts(&token.digest(), &self.issuer, now).await.map_err(|error| {
            warn!(%error, "a token could not be checked");
            VerifierUnavailable
        })
    }
}
