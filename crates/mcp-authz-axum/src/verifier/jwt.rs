//! Verification of JWT access tokens (RFC 9068). `resource-server` judges the claims; this module fetches the keys.

use core::time::Duration;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use client_auth::InvalidKeys;
use http::Response;
use oauth_types::{ClaimNames, EndpointUrl, Issuer, JwkSet, ResourceUri, Secret, UnixTime};
use resource_server::{AccessTokenInfo, CacheDuration, JwtProfile, JwtTokens, JwtVerdict};
use tracing::{info, warn};

use super::cache::{Cache, Recalled};
use super::flight::{Flight, Landed};
use crate::verifier::{InvalidRemote, RemoteServer, TokenVerifier, VerifierUnavailable};

/// Verifies JWT access tokens (RFC 9068) of an external issuer, without asking it about each.
///
/// The keys are found through the issuer's metadata and fetched at first use: a server starts while its authorization
/// server is down, and answers 503 until that is up. Keys are fetched again every 5 minutes, and when a token names
/// another key: once for all that wait, and at most every 30 seconds (every 5 while no key is known), whatever tokens
/// attackers send. While keys cannot be fetched, the known ones are used for an hour; a set without a usable key ends
/// them. A valid token is not verified again for 30 seconds. After those and the time for which keys are kept, the
/// tokens of a withdrawn key are refused.
///
/// A revoked token is accepted until it expires, which is a minute after its `exp`, because the server's clock may be
/// off; [`AuthInfo::expires_at`](resource_server::AuthInfo::expires_at) tells this time. Where that is too long, use an
/// [`IntrospectionVerifier`](crate::IntrospectionVerifier) (RFC 7662).
///
/// ```no_run
/// # use mcp_authz_axum::{JwtVerifier, ProtectLayer};
/// # use oauth_types::Issuer;
/// # use resource_server::{OperationScopes, Resource};
/// # fn f(resource: Resource, scopes: OperationScopes, mcp: axum::Router) -> Result<axum::Router, Box<dyn std::error::Error>> {
/// let verifier = JwtVerifier::new(Issuer::parse("https://as.example")?)?;
/// let protected = mcp.layer(ProtectLayer::new(resource, verifier, scopes));
/// # Ok(protected) }
/// ```
#[derive(Debug)]
pub struct JwtVerifier {
    tokens: Arc<RwLock<JwtTokens>>,
    source: Option<Source>,
    flight: Flight,
    cache: Cache,
}

/// Source of the keys: the authorization server, and the URL of its key set if configured.
#[derive(Clone, Debug)]
struct Source {
    server: RemoteServer,
    /// Configured URL of the key set, with which the metadata is not needed.
    jwks_uri: Option<EndpointUrl>,
}

impl JwtVerifier {
    /// Time for which a valid token is not verified again.
    const WINDOW: Duration = Duration::from_secs(30);

    /// Creates a verifier for the tokens of the server with this issuer.
    ///
    /// # Errors
    ///
    /// [`InvalidRemote`] when it cannot be asked for its keys.
    pub fn new(issuer: Issuer) -> Result<Self, InvalidRemote> {
        Ok(Self::of(RemoteServer::new(issuer)?))
    }

    /// Creates a verifier for the tokens of this server.
    #[must_use]
    pub fn of(server: RemoteServer) -> Self {
        let tokens = JwtTokens::new(server.issuer().clone());
        let source = Source { server, jwks_uri: None };
        Self::build(tokens, Some(source))
    }

    /// Creates a verifier with these keys, which fetches none.
    ///
    /// An RSA key that names no algorithm is used with RS256.
    ///
    /// # Errors
    ///
    /// [`InvalidKeys::NoUsableKey`] when none of the keys can verify signatures.
    pub fn with_keys(issuer: Issuer, keys: &JwkSet) -> Result<Self, InvalidKeys> {
        Ok(Self::build(JwtTokens::with_keys(issuer, keys)?, None))
    }

    fn build(tokens: JwtTokens, source: Option<Source>) -> Self {
        let tokens = Arc::new(RwLock::new(tokens));
        Self { tokens, source, flight: Flight::default(), cache: Cache::new() }
    }

    /// Sets the URL of the key set, so that no metadata is fetched. A verifier with given keys fetches none.
    #[must_use]
    pub fn with_jwks_uri(mut self, url: EndpointUrl) -> Self {
        if let Some(source) = &mut self.source {
            source.server.admit(&url);
            source.jwks_uri = Some(url);
        }
        self
    }

    /// Uses PS256 instead of RS256 for fetched RSA keys that name no algorithm.
    #[must_use]
    pub fn with_ps256(self) -> Self {
        self.changed(JwtTokens::with_ps256)
    }

    /// Accepts access tokens in the format of this provider. RFC 9068 by default.
    #[must_use]
    pub fn with_profile(self, profile: JwtProfile) -> Self {
        self.changed(|tokens| tokens.with_profile(profile))
    }

    /// Accepts `name` in a token's audience for this resource, as [`JwtTokens::with_audience`].
    #[must_use]
    pub fn with_audience(self, name: &str, resource: ResourceUri) -> Self {
        self.changed(|tokens| tokens.with_audience(name, resource))
    }

    /// Reads the scopes from another claim than the profile's, as [`JwtTokens::with_scope_claim`].
    #[must_use]
    pub fn with_scope_claim(self, name: &str) -> Self {
        self.changed(|tokens| tokens.with_scope_claim(name))
    }

    /// Reads the client from another claim than the profile's, as [`JwtTokens::with_client_claim`].
    #[must_use]
    pub fn with_client_claim(self, name: &str) -> Self {
        self.changed(|tokens| tokens.with_client_claim(name))
    }

    /// Passes these further claims on to handlers, as [`JwtTokens::with_extra_claims`].
    ///
    /// ```
    /// # use mcp_authz_axum::JwtVerifier;
    /// # use oauth_types::Issuer;
    /// use resource_server::{AuthInfo, ClaimError, ClaimNames};
    ///
    /// # fn f(issuer: Issuer) -> Result<JwtVerifier, Box<dyn std::error::Error>> {
    /// let verifier = JwtVerifier::new(issuer)?.with_extra_claims(ClaimNames::new(["groups", "email"])?);
    /// # Ok(verifier) }
    ///
    /// fn handler(granted: &AuthInfo) -> Result<Vec<String>, ClaimError> {
    ///     granted.claim("groups")
    /// }
    /// ```
    #[must_use]
    pub fn with_extra_claims(self, names: ClaimNames) -> Self {
        self.changed(|tokens| tokens.with_extra_claims(names))
    }

    fn changed(self, change: impl FnOnce(JwtTokens) -> JwtTokens) -> Self {
        let tokens = change(self.read(JwtTokens::clone));
        Self { tokens: Arc::new(RwLock::new(tokens)), ..self }
    }

    fn read<T>(&self, look: impl FnOnce(&JwtTokens) -> T) -> T {
        look(&self.tokens.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the fetch to wait for, if there is one.
    fn fetch(&self, now: UnixTime) -> Option<Landed> {
        let begin = || {
            let may_fetch = self.read(|tokens| tokens.may_fetch(now));
            let source = self.source.clone().filter(|_| may_fetch)?;
            let tokens = Arc::clone(&self.tokens);
            Some(async move {
                let answer = source.keys(now).await;
                let mut tokens = tokens.write().unwrap_or_else(PoisonError::into_inner);
                if let Err(why) = tokens.fetched(answer.as_ref(), now) {
                    warn!(issuer = %tokens.issuer(), %why, "no keys of an authorization server");
                }
            })
        };
        self.flight.join(begin)
    }
}

impl Source {
    /// Fetches the key set.
    async fn keys(&self, now: UnixTime) -> Option<Response<Bytes>> {
        let issuer = self.server.issuer();
        let url = match &self.jwks_uri {
            Some(url) => url.clone(),
            None => {
                let metadata = self.server.metadata(now).await.ok()?;
                let Some(url) = metadata.jwks_uri.clone() else {
                    warn!(%issuer, "the metadata of an authorization server names no keys");
                    self.server.clear();
                    return None;
                };
                url
            }
        };
        let answer = self.server.get(&url).await;
        if !answer.as_ref().is_ok_and(|answer| answer.status().is_success()) {
            // The keys may have moved, so the metadata is fetched again.
            self.server.doubt();
        }
        answer.inspect_err(|why| warn!(%issuer, %why, "keys could not be fetched")).ok()
    }
}

impl TokenVerifier for JwtVerifier {
    async fn verify(
        &self,
        token: &Secret,
        now: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        let digest = token.digest();
        if let Recalled::Facts(facts) = self.cache.recall(&digest, now) {
            return Ok(Some(facts));
        }
        let (mut verdict, should_fetch) =
            self.read(|tokens| (tokens.verify(token, now), tokens.should_fetch(now)));
        let must_fetch = verdict == JwtVerdict::NeedsKeys;
        if must_fetch || should_fetch {
            let fetch = self.fetch(now);
            if must_fetch {
                if let Some(fetch) = fetch {
                    fetch.await;
                }
                verdict = self.read(|tokens| tokens.verify(token, now));
            }
        }
        match verdict {
            JwtVerdict::Known(facts) => {
                self.cache.keep(digest, CacheDuration::new(Arc::clone(&facts), Self::WINDOW, now));
                Ok(Some(facts))
            }
            JwtVerdict::Refused(why) => {
                info!(%why, "a token was not taken");
                self.cache.forget(&digest);
                Ok(None)
            }
            JwtVerdict::NeedsKeys | JwtVerdict::Unavailable => Err(VerifierUnavailable),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-148
    #[tokio::test]
    async fn whoever_comes_late_to_a_fetch_begins_no_other_one() {
        let issuer = Issuer::parse("http://127.0.0.1:1").unwrap();
        let verifier = JwtVerifier::new(issuer).unwrap();
        let now = UnixTime::from_secs(1000);
        assert!(verifier.tokens.write().unwrap().fetched(None, now).is_err());
        assert!(verifier.fetch(now).is_none());
        assert!(verifier.fetch(UnixTime::from_secs(1005)).is_some());
    }
}
