//! Who knows a token?

use core::fmt;
use core::future::Future;
use std::sync::Arc;

use authorization_server::Store;
use oauth_types::{Issuer, Secret, UnixTime};
use resource_server::TokenFacts;
use tracing::warn;

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
    /// The facts about a token, or `None` when it is unknown, forged or revoked. Expiry, audience and scope are
    /// judged by the caller.
    fn verify(
        &self,
        token: &Secret,
        now: UnixTime,
    ) -> impl Future<Output = Result<Option<TokenFacts>, VerifierUnavailable>> + Send;
}

/// Looks tokens up in the store of our own authorization server. Tokens that are bound to a key (DPoP) are unknown to it:
/// whoever steals one is not to get in with it, and [`Protect`](crate::Protect) does not read proofs yet.
#[derive(Debug)]
pub struct StoreVerifier<S> {
    store: Arc<S>,
    issuer: Issuer,
}

impl<S> StoreVerifier<S> {
    /// A verifier for the tokens of the server with this issuer and store.
    #[must_use]
    pub const fn new(store: Arc<S>, issuer: Issuer) -> Self {
        Self { store, issuer }
    }
}

impl<S: Store + 'static> TokenVerifier for StoreVerifier<S> {
    async fn verify(
        &self,
        token: &Secret,
        now: UnixTime,
    ) -> Result<Option<TokenFacts>, VerifierUnavailable> {
        let record = self.store.access(&token.digest(), now).await.map_err(|error| {
            warn!(%error, "a token could not be checked");
            VerifierUnavailable
        })?;
        // A token that is bound to a key is no bearer token, and nothing here looks at proofs of that key.
        Ok(record.filter(|record| record.jkt.is_none()).map(|record| TokenFacts {
            subject: record.subject,
            client_id: record.client_id,
            issuer: self.issuer.clone(),
            scopes: record.scopes,
            audience: vec![record.resource],
            expires_at: Some(record.expires_at),
        }))
    }
}
