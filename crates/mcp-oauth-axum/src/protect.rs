//! A tower layer that lets in what may in. It decides nothing: `resource-server` does.

use core::error::Error;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use oauth_types::Secret;
use resource_server::{Denial, Granted, Recognition, Requirement, Resource, SessionBindings};
use scope_stepup::{NoHierarchy, ScopeOrder};
use tower::{Layer, Service};
use tracing::{debug, info};

#[cfg(feature = "dpop")]
use crate::proofs::Proofs;
use crate::{Clock, TokenVerifier};

/// Lets requests through to a service when their token grants what they ask for.
///
/// The service is whatever takes and gives `http` types: an axum router, rmcp's, tonic's, or one on plain hyper. What a
/// request has to grant is one [`ScopeSet`](oauth_types::ScopeSet) for all, or a table of an MCP server's
/// [operations](resource_server::OperationScopes).
///
/// Handlers find a [`Granted`] in the request's extensions; the token itself is taken out.
///
/// ```
/// # use mcp_oauth_axum::{Protect, TokenVerifier};
/// # use resource_server::{OperationScopes, Resource};
/// # fn f(resource: Resource, verifier: impl TokenVerifier, mcp: axum::Router) -> Result<axum::Router, oauth_types::InvalidScope> {
/// let scopes = OperationScopes::new("files:read")?.tool("write-file", "files:read files:write")?;
/// let protected = mcp.layer(Protect::new(resource, verifier, scopes));
/// # Ok(protected) }
/// ```
pub struct Protect<V>(Guard<V>);

/// What all services of one layer share.
struct Guard<V> {
    resource: Arc<Resource>,
    verifier: Arc<V>,
    required: Arc<Requirement>,
    order: Arc<dyn ScopeOrder + Send + Sync>,
    sessions: Option<Arc<Mutex<SessionBindings>>>,
    #[cfg(feature = "dpop")]
    proofs: Proofs,
    clock: Clock,
    max_body: usize,
    hands_token_on: bool,
}

impl<V> Clone for Guard<V> {
    fn clone(&self) -> Self {
        Self {
            resource: Arc::clone(&self.resource),
            verifier: Arc::clone(&self.verifier),
            required: Arc::clone(&self.required),
            order: Arc::clone(&self.order),
            sessions: self.sessions.clone(),
            #[cfg(feature = "dpop")]
            proofs: self.proofs.clone(),
            clock: self.clock.clone(),
            max_body: self.max_body,
            hands_token_on: self.hands_token_on,
        }
    }
}

impl<V> Clone for Protect<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> fmt::Debug for Protect<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protect").field("resource", self.0.resource.uri()).finish_non_exhaustive()
    }
}

/// The token of a request that was let in, in its extensions where [`Protect::with_raw_token`] asks for it. It is for
/// this server alone: whoever sends it on lets others act as its user (MCP, token passthrough).
#[derive(Clone, Debug)]
pub struct RawToken(pub Secret);

impl<V: TokenVerifier> Protect<V> {
    /// Longest request body that is read where it says what is asked for, in bytes, if nothing else is said.
    pub const MAX_BODY: usize = 4 * 1024 * 1024;
    /// Most MCP sessions whose owners are remembered.
    pub const MAX_SESSIONS: usize = 10_000;
    /// Most proofs of possession that are remembered, if nothing else is said: each for as long
    /// as it counts, two to three minutes, and at most a tenth of them of one principal.
    #[cfg(feature = "dpop")]
    pub const MAX_PROOFS: usize = 200_000;

    /// Protects `resource` with what `verifier` knows and what `required` asks for.
    #[must_use]
    pub fn new(resource: Resource, verifier: V, required: impl Into<Requirement>) -> Self {
        Self(Guard {
            resource: Arc::new(resource),
            verifier: Arc::new(verifier),
            required: Arc::new(required.into()),
            order: Arc::new(NoHierarchy),
            sessions: Some(Arc::new(Mutex::new(SessionBindings::new(Self::MAX_SESSIONS)))),
            #[cfg(feature = "dpop")]
            proofs: Proofs::here(Self::MAX_PROOFS),
            clock: Clock::default(),
            max_body: Self::MAX_BODY,
            hands_token_on: false,
        })
    }

    /// With scopes that include others.
    #[must_use]
    pub fn with_hierarchy(mut self, order: impl ScopeOrder + Send + Sync + 'static) -> Self {
        self.0.order = Arc::new(order);
        self
    }

    /// With another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.0.clock = clock;
        self
    }

    /// Reads bodies up to this many bytes, where they say what is asked for.
    #[must_use]
    pub const fn with_max_body(mut self, bytes: usize) -> Self {
        self.0.max_body = bytes;
        self
    }

    /// Also puts the token into the request's extensions, as a [`RawToken`].
    #[must_use]
    pub const fn with_raw_token(mut self) -> Self {
        self.0.hands_token_on = true;
        self
    }

    /// Remembers up to this many proofs of possession, in about 50 bytes each. When that is too few, requests are
    /// answered with 503.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn with_max_proofs(mut self, proofs: usize) -> Self {
        self.0.proofs = Proofs::here(proofs);
        self
    }

    /// Remembers proofs of possession in a store, where several processes serve one resource: a proof that one of them
    /// has seen is then good at no other.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn with_shared_proofs(
        mut self,
        store: Arc<impl authorization_server::Store + 'static>,
    ) -> Self {
        self.0.proofs = Proofs::shared(store);
        self
    }

    /// Lets any good token use any MCP session. For a service that looks at a session's owner by itself, or whose
    /// sessions are opened in another process.
    #[must_use]
    pub fn without_session_binding(mut self) -> Self {
        self.0.sessions = None;
        self
    }
}

impl<V: TokenVerifier> Guard<V> {
    /// The request as the service may see it, and who makes it.
    async fn admit<B>(&self, request: Request<B>) -> Result<(Request<Body>, Granted), Denial>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let base = self.required.base();
        let presented = self.resource.present(&request, base)?;
        let (mut parts, body) = request.into_parts();
        let now = self.clock.now();
        let facts = self.verifier.verify(presented.token(), now).await;
        let facts = facts.map_err(|_| Denial::verifier_unavailable())?;
        let token = self.hands_token_on.then(|| RawToken(presented.token().clone()));
        // A stranger's body is not even read.
        let recognized = match presented.recognize(facts, base, now)? {
            Recognition::Done(recognized) => recognized,
            #[cfg(feature = "dpop")]
            Recognition::CheckProof(step) => self.proofs.check(step, &parts, now).await?,
            #[cfg(not(feature = "dpop"))]
            Recognition::CheckProof(step) => return Err(step.refuse()),
        };
        let (body, granted) = match self.required.table() {
            Some(table) if parts.method == Method::POST => {
                let body = read(body, self.max_body).await?;
                let required = table.required_for(&parts.headers, &body)?;
                let granted = recognized.authorize(&required, &*self.order)?;
                (Body::from(body), granted)
            }
            _ => (Body::new(body), recognized.authorize(base, &*self.order)?),
        };
        if let Some(sessions) = &self.sessions
            && SessionBindings::concern(&parts.headers)
        {
            lock(sessions).check(&parts.headers, &granted)?;
        }
        // R-AUTH-8: handlers see claims, not the token, unless the host asks.
        parts.headers.remove(AUTHORIZATION);
        #[cfg(feature = "dpop")]
        parts.headers.remove("dpop");
        parts.extensions.insert(granted.clone());
        if let Some(token) = token {
            parts.extensions.insert(token);
        }
        Ok((Request::from_parts(parts, body), granted))
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

fn lock(sessions: &Mutex<SessionBindings>) -> std::sync::MutexGuard<'_, SessionBindings> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn read<B>(body: B, limit: usize) -> Result<Bytes, Denial>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Denial::body_too_large()),
        Err(_) => Err(Denial::unreadable_body()),
    }
}

impl<S, V> Layer<S> for Protect<V> {
    type Service = Protected<S, V>;

    fn layer(&self, inner: S) -> Protected<S, V> {
        Protected { inner, guard: Arc::new(self.0.clone()) }
    }
}

/// A service behind [`Protect`].
pub struct Protected<S, V> {
    inner: S,
    guard: Arc<Guard<V>>,
}

impl<S: Clone, V> Clone for Protected<S, V> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), guard: Arc::clone(&self.guard) }
    }
}

impl<S, V> fmt::Debug for Protected<S, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protected").finish_non_exhaustive()
    }
}

impl<S, V, B, R> Service<Request<B>> for Protected<S, V>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
    V: TokenVerifier,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The clone takes the place of the one that was polled ready.
        let next = self.inner.clone();
        let mut inner = core::mem::replace(&mut self.inner, next);
        let guard = Arc::clone(&self.guard);
        let is_grpc = guard.required.table().is_none() && is_grpc(request.headers());
        Box::pin(async move {
            let (request, granted) = match guard.admit(request).await {
                Ok(admitted) => admitted,
                Err(denial) => {
                    info!(reason = ?denial.reason(), "not let in");
                    let response = denial.into_response();
                    // A client of gRPC reads the status, and takes any body for a broken message.
                    return Ok(response.map(|text| match is_grpc {
                        true => Body::empty(),
                        false => Body::from(text),
                    }));
                }
            };
            debug!(client = %granted.client_id(), "let in");
            let ending = (request.method() == Method::DELETE).then(|| request.headers().clone());
            let response = inner.call(request).await?;
            if let Some(sessions) = &guard.sessions {
                if SessionBindings::concern(response.headers()) {
                    lock(sessions).opened(response.headers(), &granted);
                }
                if let Some(ended) = ending.filter(|_| response.status().is_success()) {
                    lock(sessions).closed(&ended);
                }
            }
            Ok(response.map(Body::new))
        })
    }
}

/// The routes of the resource's metadata: public, so mount them beside the protected service.
pub fn metadata_routes(resource: &Resource) -> Router {
    let mut router = Router::new();
    for path in resource.metadata_paths() {
        let resource = resource.clone();
        let handler =
            async move |method: Method| resource.metadata_response(&method).map(Body::from);
        router = router.route(path, any(handler));
    }
    router
}
