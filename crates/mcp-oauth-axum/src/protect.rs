//! A tower layer that lets in what may in. It decides nothing: `resource-server` does.

use core::convert::Infallible;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use resource_server::{Denial, Granted, OperationScopes, Resource, SessionBindings};
use scope_stepup::{NoHierarchy, ScopeOrder};
use tower::{Layer, Service};
use tracing::{debug, info};

use crate::{Clock, TokenVerifier};

/// Lets requests through to an MCP server when their token grants what they ask for.
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
pub struct Protect<V>(Arc<Guard<V>>);

struct Guard<V> {
    resource: Resource,
    verifier: V,
    scopes: OperationScopes,
    order: Box<dyn ScopeOrder + Send + Sync>,
    sessions: Mutex<SessionBindings>,
    clock: Clock,
}

impl<V> Clone for Protect<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V> core::fmt::Debug for Protect<V> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Protect").field("resource", self.0.resource.uri()).finish_non_exhaustive()
    }
}

impl<V: TokenVerifier> Protect<V> {
    /// Longest request body that is read, in bytes.
    pub const MAX_BODY: usize = 4 * 1024 * 1024;
    /// Most MCP sessions whose owners are remembered.
    pub const MAX_SESSIONS: usize = 10_000;

    /// Protects `resource` with what `verifier` knows and what `scopes` asks for.
    #[must_use]
    pub fn new(resource: Resource, verifier: V, scopes: OperationScopes) -> Self {
        Self::with(resource, verifier, scopes, NoHierarchy, Clock::default())
    }

    /// The same with scopes that include others, and another clock.
    #[must_use]
    pub fn with(
        resource: Resource,
        verifier: V,
        scopes: OperationScopes,
        order: impl ScopeOrder + Send + Sync + 'static,
        clock: Clock,
    ) -> Self {
        let sessions = Mutex::new(SessionBindings::new(Self::MAX_SESSIONS));
        let order = Box::new(order);
        Self(Arc::new(Guard { resource, verifier, scopes, order, sessions, clock }))
    }
}

impl<V: TokenVerifier> Guard<V> {
    /// The request as the service may see it, and who makes it.
    async fn admit(&self, request: Request<Body>) -> Result<(Request<Body>, Granted), Denial> {
        let (mut parts, body) = request.into_parts();
        let presented = self.resource.present(&parts.headers, self.scopes.base())?;
        let now = self.clock.now();
        let facts = self.verifier.verify(presented.token(), now).await;
        let facts = facts.map_err(|_| Denial::verifier_unavailable())?;
        // A stranger's body is not even read.
        let recognized = presented.recognize(facts, self.scopes.base(), now)?;
        let (body, required) = if parts.method == Method::POST {
            let body = read(body, Self::max_body()).await?;
            let required = self.scopes.required_for(&parts.headers, &body)?;
            (Body::from(body), required)
        } else {
            (body, self.scopes.base().clone())
        };
        let granted = recognized.authorize(&required, &*self.order)?;
        self.sessions().check(&parts.headers, &granted)?;
        // R-AUTH-8: handlers see claims, not the token.
        parts.headers.remove(AUTHORIZATION);
        parts.extensions.insert(granted.clone());
        Ok((Request::from_parts(parts, body), granted))
    }

    const fn max_body() -> usize {
        Protect::<V>::MAX_BODY
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, SessionBindings> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(body: Body, limit: usize) -> Result<Bytes, Denial> {
    match Limited::new(body, limit).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Denial::body_too_large()),
        Err(_) => Err(Denial::unreadable_body()),
    }
}

impl<S, V> Layer<S> for Protect<V> {
    type Service = Protected<S, V>;

    fn layer(&self, inner: S) -> Protected<S, V> {
        Protected { inner, guard: Arc::clone(&self.0) }
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

impl<S, V> core::fmt::Debug for Protected<S, V> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Protected").finish_non_exhaustive()
    }
}

impl<S, V, B> Service<Request<Body>> for Protected<S, V>
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn core::error::Error + Send + Sync>>,
    V: TokenVerifier,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        // The clone takes the place of the one that was polled ready.
        let next = self.inner.clone();
        let mut inner = core::mem::replace(&mut self.inner, next);
        let guard = Arc::clone(&self.guard);
        Box::pin(async move {
            let (request, granted) = match guard.admit(request).await {
                Ok(admitted) => admitted,
                Err(denial) => {
                    info!(reason = ?denial.reason(), "not let in");
                    return Ok(denial.into_response().map(Body::from));
                }
            };
            debug!(client = %granted.client_id(), "let in");
            let ending = (request.method() == Method::DELETE).then(|| request.headers().clone());
            let response = inner.call(request).await?;
            let mut sessions = guard.sessions();
            sessions.opened(response.headers(), &granted);
            if let Some(ended) = ending.filter(|_| response.status().is_success()) {
                sessions.closed(&ended);
            }
            drop(sessions);
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
