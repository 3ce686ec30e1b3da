//! Tokens that say themselves what they are. What they say is judged by `resource-server`; this fetches the keys.

use core::time::Duration;
use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;
use client_auth::InvalidKeys;
use http::Response;
use oauth_types::{EndpointUrl, Issuer, KeySet, ResourceUri, Secret, UnixTime};
use resource_server::{Believed, JwtProfile, JwtTokens, JwtVerdict, TokenFacts};
use tracing::{info, warn};

use super::cache::{Cache, Recalled};
use super::flight::{Flight, Landed};
use crate::verifier::{InvalidRemote, RemoteServer, TokenVerifier, VerifierUnavailable};

/// Takes the JWT access tokens (RFC 9068) of an authorization server that is not ours, without asking about each.
///
/// Its keys are found through its metadata and fetched when they are first needed: a server starts while its
/// authorization server is down, and answers 503 until it is up. They are fetched again every 5 minutes, and when a
/// token has another key, once for all who wait, and not twice within 30 seconds; within 5 while none are known,
/// whatever tokens strangers show. While they cannot be fetched, those that are known are used on, for an hour; a set
/// without a usable key ends them. A token that is good is not verified again for 30 seconds. After those and the time
/// that keys are kept, the tokens of a key that the server took back are refused.
///
/// A token that the server revokes is good until it expires, which is a minute after its `exp`, because the server's
/// clock may be off; that is what [`Granted::expires_at`](resource_server::Granted::expires_at) says. Where that is too long, ask the server about each
/// (RFC 7662).
///
/// ```no_run
/// # use mcp_authz_axum::{JwtVerifier, Protect};
/// # use oauth_types::Issuer;
/// # use resource_server::{OperationScopes, Resource};
/// # fn f(resource: Resource, scopes: OperationScopes, mcp: axum::Router) -> Result<axum::Router, Box<dyn std::error::Error>> {
/// let verifier = JwtVerifier::new(Issuer::parse("https://as.example")?)?;
/// let protected = mcp.layer(Protect::new(resource, verifier, scopes));
/// # Ok(protected) }
/// ```
#[derive(Debug)]
pub struct JwtVerifier {
    tokens: Arc<RwLock<JwtTokens>>,
    source: Option<Source>,
    flight: Flight,
    cache: Cache,
}

/// Where the keys are.
#[derive(Clone, Debug)]
struct Source {
    server: RemoteServer,
    /// Where the metadata does not have to be asked.
    jwks_uri: Option<EndpointUrl>,
}

impl JwtVerifier {
    /// How long a token that is good is not verified again.
    const WINDOW: Duration = Duration::from_secs(30);

    /// Takes the tokens of the server with this issuer.
    ///
    /// # Errors
    ///
    /// [`InvalidRemote`] when it cannot be asked for its keys.
    pub fn new(issuer: Issuer) -> Result<Self, InvalidRemote> {
        Ok(Self::of(RemoteServer::new(issuer)?))
    }

    /// Takes the tokens of this server.
    #[must_use]
    pub fn of(server: RemoteServer) -> Self {
        let tokens = JwtTokens::new(server.issuer().clone());
        let source = Source { server, jwks_uri: None };
        Self::build(tokens, Some(source))
    }

    /// Takes the tokens that these keys have signed, and asks nobody. An RSA key that names no algorithm is used with
    /// RS256.
    ///
    /// # Errors
    ///
    /// [`InvalidKeys::NoUsableKey`]
    pub fn with_keys(issuer: Issuer, keys: &KeySet) -> Result<Self, InvalidKeys> {
        Ok(Self::build(JwtTokens::with_keys(issuer, keys)?, None))
    }

    fn build(tokens: JwtTokens, source: Option<Source>) -> Self {
        let tokens = Arc::new(RwLock::new(tokens));
        Self { tokens, source, flight: Flight::default(), cache: Cache::new() }
    }

    /// Fetches the keys from here, and asks for no metadata. A verifier that was given its keys fetches none.
    #[must_use]
    pub fn with_jwks_uri(mut self, url: EndpointUrl) -> Self {
        if let Some(source) = &mut self.source {
            source.server.admit(&url);
            source.jwks_uri = Some(url);
        }
        self
    }

    /// Uses RSA keys that are fetched and name no algorithm with PS256 instead of RS256.
    #[must_use]
    pub fn with_ps256(self) -> Self {
        self.changed(JwtTokens::with_ps256)
    }

    /// Takes access tokens in the dialect of this provider. RFC 9068 if nothing is said.
    #[must_use]
    pub fn with_profile(self, profile: JwtProfile) -> Self {
        self.changed(|tokens| tokens.with_profile(profile))
    }

    /// Takes `name` in a token's audience for this resource, as [`JwtTokens::with_audience`].
    #[must_use]
    pub fn with_audience(self, name: &str, resource: ResourceUri) -> Self {
        self.changed(|tokens| tokens.with_audience(name, resource))
    }

    /// Takes the scopes from another claim than the profile's, as [`JwtTokens::with_scope_claim`].
    #[must_use]
    pub fn with_scope_claim(self, name: &str) -> Self {
        self.changed(|tokens| tokens.with_scope_claim(name))
    }

    /// Takes the client from another claim than the profile's, as [`JwtTokens::with_client_claim`].
    #[must_use]
    pub fn with_client_claim(self, name: &str) -> Self {
        self.changed(|tokens| tokens.with_client_claim(name))
    }

    fn changed(self, change: impl FnOnce(JwtTokens) -> JwtTokens) -> Self {
        let tokens = change(self.read(JwtTokens::clone));
        Self { tokens: Arc::new(RwLock::new(tokens)), ..self }
    }

    fn read<T>(&self, look: impl FnOnce(&JwtTokens) -> T) -> T {
        look(&self.tokens.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The fetch to wait for, if there is one.
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
    /// The answer to a request for the key set.
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
            // They may have moved.
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
    ) -> Result<Option<Arc<TokenFacts>>, VerifierUnavailable> {
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
                self.cache.keep(digest, Believed::new(Arc::clone(&facts), Self::WINDOW, now));
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

    #[tokio::test]
    async fn sec_148_whoever_comes_late_to_a_fetch_begins_no_other_one() {
        let issuer = Issuer::parse("http://127.0.0.1:1").unwrap();
        let verifier = JwtVerifier::new(issuer).unwrap();
        let now = UnixTime::from_secs(1000);
        assert!(verifier.tokens.write().unwrap().fetched(None, now).is_err());
        assert!(verifier.fetch(now).is_none());
        assert!(verifier.fetch(UnixTime::from_secs(1005)).is_some());
    }
}
