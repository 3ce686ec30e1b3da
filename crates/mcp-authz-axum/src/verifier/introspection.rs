//! Verification of tokens by introspection (RFC 7662). `resource-server` interprets the responses.

use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oauth_types::{
    AuthMethod, ClaimNames, ClientId, EndpointUrl, IntrospectionResponse, Issuer, ResourceUri,
    Secret, UnixTime,
};
use resource_server::{
    AccessTokenInfo, Cached, Introspected, Introspection, IntrospectionEndpoint,
    IntrospectionFailed,
};
use tracing::{Level, debug, enabled, error, info, warn};

use super::cache::{Cache, Recalled};
use super::questions::Questions;
use crate::standing::Standing;
use crate::verifier::{InvalidRemote, RemoteServer, TokenVerifier, VerifierUnavailable};

/// Introspects each token at its authorization server (RFC 7662), and caches the response for some seconds.
///
/// The endpoint is found in the server's metadata at its first use. If the server is down or its response is
/// unusable, requests are answered with 503, and clients keep their tokens. The same answer goes to requests with
/// tokens that were not introspected recently, while 1,000 others are being introspected.
///
/// ```no_run
/// use axum::Router;
/// use mcp_authz_axum::{IntrospectionVerifier, ProtectLayer};
/// use oauth_types::{ClientId, Issuer, Secret};
/// use resource_server::{OperationScopes, Resource};
///
/// # fn f(mcp: Router, resource: Resource, secret: Secret) -> Result<Router, Box<dyn std::error::Error>> {
/// let issuer = Issuer::parse("https://as.example")?;
/// let verifier = IntrospectionVerifier::new(issuer, ClientId::parse("rs")?, secret)?;
/// let scopes = OperationScopes::new("files:read")?;
/// let protected = mcp.layer(ProtectLayer::new(resource, verifier, scopes));
/// # Ok(protected) }
/// ```
#[derive(Debug)]
pub struct IntrospectionVerifier {
    asker: Asker,
    cache: Arc<Cache>,
    questions: Arc<Questions>,
}

/// Sender of introspection requests, with the server and the credentials for it.
#[derive(Clone, Debug)]
struct Asker {
    server: RemoteServer,
    introspection: Introspection,
    endpoint: Option<EndpointUrl>,
    trouble: Arc<Mutex<Trouble>>,
}

/// Failures that an operator has to fix.
#[derive(Debug)]
struct Trouble {
    /// Time of the server's refusal of these credentials, which are not sent again at once.
    refusal: Cached<()>,
    /// Time of the last logged error, because attackers must not fill the log.
    told: Cached<()>,
}

impl Default for Trouble {
    fn default() -> Self {
        let nothing = || Cached::new(Duration::ZERO, Duration::ZERO);
        Self { refusal: nothing(), told: nothing() }
    }
}

impl IntrospectionVerifier {
    /// Creates a verifier that authenticates to this authorization server with this client ID and secret.
    ///
    /// # Errors
    ///
    /// [`InvalidRemote`] when the server cannot be asked.
    pub fn new(issuer: Issuer, client_id: ClientId, secret: Secret) -> Result<Self, InvalidRemote> {
        Ok(Self::of(RemoteServer::new(issuer)?, client_id, secret))
    }

    /// Creates a verifier for a server that is reached in its own way, such as on a private network.
    #[must_use]
    pub fn of(server: RemoteServer, client_id: ClientId, secret: Secret) -> Self {
        let introspection = Introspection::new(server.issuer().clone(), client_id, secret);
        let asker = Asker { server, introspection, endpoint: None, trouble: Arc::default() };
        Self { asker, cache: Arc::new(Cache::new()), questions: Arc::new(Questions::new()) }
    }

    /// Sets the introspection endpoint, so that the metadata is not searched for it.
    #[must_use]
    pub fn with_endpoint(mut self, endpoint: EndpointUrl) -> Self {
        self.asker.server.admit(&endpoint);
        self.asker.endpoint = Some(endpoint);
        self
    }

    /// Sets the authentication method, as [`Introspection::with_method`].
    #[must_use]
    pub fn with_method(mut self, method: AuthMethod) -> Self {
        self.asker.introspection = self.asker.introspection.with_method(method);
        self
    }

    /// Sets the time for which a revoked token may still work, as [`Introspection::with_window`].
    ///
    /// 10 seconds by default; 30 at most.
    #[must_use]
    pub fn with_window(mut self, window: Duration) -> Self {
        self.asker.introspection = self.asker.introspection.with_window(window);
        self
    }

    /// Accepts tokens without a subject, as [`Introspection::with_unnamed_subjects`].
    #[must_use]
    pub fn with_unnamed_subjects(mut self) -> Self {
        self.asker.introspection = self.asker.introspection.with_unnamed_subjects();
        self
    }

    /// Reads the user from another member than `sub`, as [`Introspection::with_subject_claim`].
    #[must_use]
    pub fn with_subject_claim(mut self, name: &str) -> Self {
        self.asker.introspection = self.asker.introspection.with_subject_claim(name);
        self
    }

    /// Accepts `name` in a token's audience for this resource, as [`Introspection::with_audience`].
    #[must_use]
    pub fn with_audience(mut self, name: &str, resource: ResourceUri) -> Self {
        self.asker.introspection = self.asker.introspection.with_audience(name, resource);
        self
    }

    /// Passes these further members on to handlers, as [`Introspection::with_extra_claims`].
    #[must_use]
    pub fn with_extra_claims(mut self, names: ClaimNames) -> Self {
        self.asker.introspection = self.asker.introspection.with_extra_claims(names);
        self
    }

    /// Accepts tokens without an audience for this resource, as [`Introspection::with_sole_resource`].
    #[must_use]
    pub fn with_sole_resource(mut self, resource: ResourceUri) -> Self {
        self.asker.introspection = self.asker.introspection.with_sole_resource(resource);
        self
    }
}

impl TokenVerifier for IntrospectionVerifier {
    async fn verify(
        &self,
        token: &Secret,
        now: UnixTime,
    ) -> Result<Option<Arc<AccessTokenInfo>>, VerifierUnavailable> {
        if !Introspection::is_askable(token) {
            return Ok(None);
        }
        let digest = token.digest();
        let standing = match self.cache.recall(&digest, now) {
            Recalled::Facts(facts) => return Ok(Some(facts)),
            Recalled::WasGood => Standing::Good,
            Recalled::Nothing => Standing::New,
        };
        let question = || {
            let (asker, cache, token) =
                (self.asker.clone(), Arc::clone(&self.cache), token.clone());
            async move {
                let answer = asker.ask(&token, now).await?;
                Ok(match answer {
                    Introspected::Yes(believed) => {
                        let facts = Arc::clone(believed.facts());
                        cache.keep(digest, believed);
                        Some(facts)
                    }
                    Introspected::No(reason) => {
                        info!(%reason, "a token was not taken");
                        cache.forget(&digest);
                        None
                    }
                })
            }
        };
        self.questions.ask(digest, standing, question).await
    }
}

impl Asker {
    async fn ask(
        &self,
        token: &Secret,
        now: UnixTime,
    ) -> Result<Introspected, VerifierUnavailable> {
        let issuer = self.introspection.issuer();
        if !self.trouble().refusal.may_fetch(now) {
            return Err(VerifierUnavailable);
        }
        let endpoint = self.endpoint(now).await?;
        let answer = self.server.send(endpoint.request(token)).await;
        let answer = answer.map_err(|reason| {
            self.server.doubt();
            warn!(%issuer, %reason, "a token could not be asked about");
            VerifierUnavailable
        })?;
        if enabled!(Level::DEBUG) {
            for member in IntrospectionResponse::passed_over(answer.body()) {
                debug!(%issuer, member, "a malformed member was passed over");
            }
        }
        self.introspection.read(&answer, now).map_err(|reason| {
            if reason.may_have_moved() {
                self.server.doubt();
            }
            // SEC-154: refused credentials of this resource server are for the operator to fix, so the client gets
            // 503.
            if reason == IntrospectionFailed::NotAuthenticated {
                self.trouble().refusal.fetched(None, now);
            }
            if reason.is_passing() {
                warn!(%issuer, %reason, "a token could not be asked about");
            } else if self.may_tell(now) {
                error!(%issuer, %reason, "tokens cannot be asked about");
            }
            VerifierUnavailable
        })
    }

    /// Returns `true` if nothing was logged recently, and records that something is logged now.
    fn may_tell(&self, now: UnixTime) -> bool {
        let mut trouble = self.trouble();
        let may_tell = trouble.told.may_fetch(now);
        if may_tell {
            trouble.told.fetched(None, now);
        }
        may_tell
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn endpoint(&self, now: UnixTime) -> Result<IntrospectionEndpoint, VerifierUnavailable> {
        let found = match &self.endpoint {
            Some(given) => self.introspection.at(given),
            None => self.introspection.discovered(&*self.server.metadata(now).await?),
        };
        found.map_err(|reason| {
            if self.may_tell(now) {
                let issuer = self.introspection.issuer();
                error!(%issuer, %reason, "tokens cannot be asked about");
            }
            // Unusable metadata counts as none, and is asked for again as soon.
            self.server.clear();
            VerifierUnavailable
        })
    }
}
