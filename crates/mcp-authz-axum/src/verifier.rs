//! Verification of access tokens: by store look-up, signature (RFC 9068) or introspection (RFC 7662).

mod cache;
mod dyn_token_verifier;
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
use resource_server::AccessTokenInfo;
use tracing::warn;

pub use dyn_token_verifier::DynTokenVerifier;
pub use introspection::IntrospectionVerifier;
#[cfg(feature = "jwt")]
pub use jwt::JwtVerifier;
pub use remote::{InvalidRemote, RemoteServer};

/// Error when a token cannot be checked now: the client keeps it and tries again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct VerifierUnavailable;

impl VerifierUnavailable {
    /// Creates the error.
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
        f.write_str(
            "the token could not be checked: the client has to keep it and try again, and the operator to read the \
             reason in the log",
        )
    }
}

impl core::error::Error for VerifierUnavailable {}

/// Finds the facts about a token: by look-up, by signature, or by introspection.
///
/// Several layers share a verifier, with the keys and answers that it has cached, in an [`Arc`]:
///
/// ```
/// use std::sync::Arc;
///
/// use axum::Router;
/// use mcp_authz_axum::{ProtectLayer, TokenVerifier};
/// use resource_server::{OperationScopes, Resource};
///
/// fn protect(
///     [files, mail]: [Router; 2],
///     [files_at, mail_at]: [Resource; 2],
///     verifier: impl TokenVerifier,
/// ) -> Result<Router, oauth_types::InvalidScope> {
///     let verifier = Arc::new(verifier);
///     let scopes = OperationScopes::new("files:read")?;
///     let files = files.layer(ProtectLayer::new(files_at, Arc::clone(&verifier), scopes));
///     let scopes = OperationScopes::new("mail:read")?;
///     Ok(files.merge(mail.layer(ProtectLayer::new(mail_at, verifier, scopes))))
/// }
/// ```
pub trait TokenVerifier: Send + Sync + 'static {
    /// Returns the facts about a token, or `None` if it is unknown, forged or revoked.
    ///
    /// The caller judges expiry, audience, scope and the key to which the token may be bound.
    fn verify(
        &self,
        token: &Secret,
        now: UnixTime,
    ) -> impl Future<Output = Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable>> + Send;
}

impl<V: TokenVerifier> TokenVerifier for Arc<V> {
    async fn verify(
        &self,
        token: &Secret,
        now: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        V::verify(self, token, now).await
    }
}

/// Verifies tokens by look-up in the store of this project's authorization server, whatever their format.
#[derive(Debug)]
pub struct StoreVerifier<S> {
    store: S,
    issuer: Issuer,
}

impl<S> StoreVerifier<S> {
    /// Creates a verifier for the tokens of the server with this issuer and store.
    ///
    /// Pass the store as an [`Arc`] if the authorization server shares it.
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
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        self.store.access_token_info(&token.digest(), &self.issuer, now).await.map_err(|error| {
            warn!(%error, "a token could not be checked");
            VerifierUnavailable
        })
    }
}
