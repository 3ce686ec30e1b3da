//! A tower layer that lets in what may in. It decides nothing: `resource-server` does.

mod without_token;

use core::error::Error;
use core::fmt;
use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::routing::any;
use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Method, Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use oauth_types::Secret;
use resource_server::{
    BrowserOrigins, Denial, DenialReason, Granted, Recognition, Requirement, Resource,
    SessionBindings,
};
use scope_stepup::{NoHierarchy, ScopeOrder};
use tokio::time::timeout;
use tower::{Layer, Service, service_fn};
use tracing::{debug, warn};

use crate::ambient::warn_of_http_for_development;
use crate::cors;
#[cfg(feature = "dpop")]
use crate::proofs::{self, Proofs};
use crate::reading::is_too_long;
use crate::{Clock, TokenVerifier, VerifierUnavailable};

/// Lets requests through to a service when their token grants what they ask for.
///
/// The service is whatever takes and gives `http` types: an axum router, rmcp's, tonic's, or one on plain hyper. What a
/// request has to grant is one [`ScopeSet`](oauth_types::ScopeSet) for all, or a table of an MCP server's
/// [operations](resource_server::OperationScopes).
///
/// Handlers find a [`Granted`] in the request's extensions; the token itself is taken out. Where the table has operations
/// that need no token, they find an `Option<Granted>` beside it, which is `None` for a request without one.
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

#[cfg(feature = "dpop")]
static DPOP: http::HeaderName = http::HeaderName::from_static("dpop");

/// What all services of one layer share. axum applies a layer anew for every request, so that has to cost nothing.
struct Guard<V> {
    resource: Arc<Resource>,
    verifier: Arc<V>,
    required: Arc<Requirement>,
    order: Arc<dyn ScopeOrder + Send + Sync>,
    sessions: Option<Arc<Mutex<SessionBindings>>>,
    #[cfg(feature = "dpop")]
    proofs: Proofs,
    clock: Clock,
    deadline: Duration,
    max_body: usize,
    hands_token_on: bool,
    answers_tool_calls: bool,
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
            deadline: self.deadline,
            max_body: self.max_body,
            hands_token_on: self.hands_token_on,
            answers_tool_calls: self.answers_tool_calls,
        }
    }
}

impl<V> Clone for Protect<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
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
    /// How long the verifier may take if nothing else is said, and the store of shared proofs.
    pub const DEADLINE: Duration = Duration::from_secs(60);
    /// Most MCP sessions whose owners are remembered, if nothing else is said: a tenth of them of one user's through one
    /// client. Those that go are unknown from then on.
    pub const MAX_SESSIONS: usize = 10_000;
    /// Most proofs of possession that are remembered, if nothing else is said: each for as long
    /// as it counts, two to three minutes, and at most a tenth of them of one principal.
    #[cfg(feature = "dpop")]
    pub const MAX_PROOFS: usize = 200_000;

    /// Protects `resource` with what `verifier` knows and what `required` asks for.
    #[must_use]
    pub fn new(resource: Resource, verifier: V, required: impl Into<Requirement>) -> Self {
        warn_of_http_for_development();
        Self(Arc::new(Guard {
            resource: Arc::new(resource),
            verifier: Arc::new(verifier),
            required: Arc::new(required.into()),
            order: Arc::new(NoHierarchy),
            sessions: Some(Arc::new(Mutex::new(SessionBindings::new(Self::MAX_SESSIONS)))),
            #[cfg(feature = "dpop")]
            proofs: Proofs::here(Self::MAX_PROOFS),
            clock: Clock::default(),
            deadline: Self::DEADLINE,
            max_body: Self::MAX_BODY,
            hands_token_on: false,
            answers_tool_calls: false,
        }))
    }

    /// With scopes that include others.
    #[must_use]
    pub fn with_hierarchy(self, order: impl ScopeOrder + Send + Sync + 'static) -> Self {
        self.with(|guard| guard.order = Arc::new(order))
    }

    /// With another clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        self.with(|guard| guard.clock = clock)
    }

    /// Gives the verifier more or less time, and the store of [shared proofs](Self::with_shared_proofs). What is not done
    /// then is given up and answered with 503. The body of a request without a token has as much time to come, and is
    /// answered with 408 afterwards.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        self.with(|guard| guard.deadline = deadline)
    }

    /// Reads bodies up to this many bytes, where they say what is asked for.
    #[must_use]
    pub fn with_max_body(self, bytes: usize) -> Self {
        self.with(|guard| guard.max_body = bytes)
    }

    /// Also puts the token into the request's extensions, as a [`RawToken`].
    #[must_use]
    pub fn with_raw_token(self) -> Self {
        self.with(|guard| guard.hands_token_on = true)
    }

    /// Answers a refused `tools/call` with 200 and a result of the tool instead of 401 and 403, as
    /// [`Denial::for_tool_call`] says: `isError`, and the challenges in `_meta["mcp/www_authenticate"]`.
    ///
    /// For servers whose client is ChatGPT, which asks its user to log in when it reads that. Clients that read 401 and
    /// 403, such as Claude, see a tool that failed, and do not log in because of it; other requests are answered with
    /// 401 and 403 as before.
    #[must_use]
    pub fn with_tool_result_challenges(self) -> Self {
        self.with(|guard| guard.answers_tool_calls = true)
    }

    /// Remembers up to this many proofs of possession, in about 50 bytes each. When that is too few, requests are
    /// answered with 503.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn with_max_proofs(self, proofs: usize) -> Self {
        self.with(|guard| guard.proofs = Proofs::here(proofs))
    }

    /// Remembers proofs of possession in a store, where several processes serve one resource: a proof that one of them
    /// has seen is then good at no other.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn with_shared_proofs(
        self,
        store: Arc<impl authorization_server::Store + 'static>,
    ) -> Self {
        self.with(|guard| guard.proofs = Proofs::shared(store))
    }

    /// Lets pages of these origins call the service, and read its answers (CORS). If nothing is said, pages on the
    /// user's own machine may, as [`Resource::with_browser_origins`] has it.
    ///
    /// A preflight is answered without a token, and says nothing but what may be sent. Cookies count in no case.
    ///
    /// ```
    /// # use mcp_oauth_axum::{Protect, TokenVerifier};
    /// # use resource_server::BrowserOrigins;
    /// # fn f<V: TokenVerifier>(protect: Protect<V>) -> Result<Protect<V>, oauth_types::InvalidUri> {
    /// let protect = protect.with_cors(BrowserOrigins::listed(["https://app.example"])?);
    /// # Ok(protect) }
    /// ```
    #[must_use]
    pub fn with_cors(self, origins: BrowserOrigins) -> Self {
        self.with(|guard| {
            let resource = Resource::clone(&guard.resource).with_browser_origins(origins);
            guard.resource = Arc::new(resource);
        })
    }

    /// Remembers the owners of up to this many MCP sessions.
    #[must_use]
    pub fn with_max_sessions(self, sessions: usize) -> Self {
        let sessions = Arc::new(Mutex::new(SessionBindings::new(sessions)));
        self.with(|guard| guard.sessions = Some(sessions))
    }

    /// Lets any good token use any MCP session. For a service that looks at a session's owner by itself, or whose
    /// sessions are opened in another process.
    #[must_use]
    pub fn without_session_binding(self) -> Self {
        self.with(|guard| guard.sessions = None)
    }

    fn with(mut self, change: impl FnOnce(&mut Guard<V>)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

impl<V: TokenVerifier> Guard<V> {
    /// Who makes a request that may in, `None` where no token is needed; afterwards it is as the service may see it.
    async fn admit(&self, request: &mut Request<Body>) -> Result<Option<Granted>, Denial> {
        let base = self.required.base();
        let presented = match self.resource.present(request, base) {
            Err(denial) if self.required.is_mixed() && denial.reason() == DenialReason::NoToken => {
                // In a place of its own, as below.
                let admitted = Box::pin(self.admit_without_token(request, denial));
                return admitted.await.map(|()| None);
            }
            presented => presented?,
        };
        let now = self.clock.now();
        let facts = self.verifier.verify(presented.token(), now);
        let facts = in_time(self.deadline, pin!(facts)).await.flatten();
        let facts = facts.map_err(|_| Denial::verifier_unavailable())?;
        let token = self.hands_token_on.then(|| RawToken(presented.token().clone()));
        // A stranger's body is not even read.
        let recognized = match presented.recognize(facts, base, now)? {
            Recognition::Done(recognized) => recognized,
            #[cfg(feature = "dpop")]
            Recognition::CheckProof(step) => {
                let step = step.prove(request.method(), proofs::path(request), now)?;
                // In a place of its own: the future of every request would have room for it.
                let mut resumed = Box::pin(self.proofs.resume(step, now));
                let resumed = in_time(self.deadline, resumed.as_mut()).await;
                resumed.map_err(|_| Denial::verifier_unavailable()).flatten()?
            }
            #[cfg(not(feature = "dpop"))]
            Recognition::CheckProof(step) => return Err(step.refuse()),
        };
        let has_body = !request.body().is_end_stream();
        let granted = match self.required.table_for(request.method(), has_body) {
            Some(_) => {
                let body = read(core::mem::take(request.body_mut()), self.max_body).await?;
                let required =
                    self.required.required_for(request.method(), request.headers(), &body);
                let granted =
                    required.and_then(|required| recognized.authorize(&required, &*self.order));
                // A refusal may have to read it again.
                *request.body_mut() = Body::from(body);
                granted?
            }
            None => recognized.authorize(base, &*self.order)?,
        };
        if let Some(sessions) = &self.sessions
            && SessionBindings::concern(request.headers())
        {
            lock(sessions).check(request.headers(), &granted)?;
        }
        // R-AUTH-8: handlers see claims, not the token, unless the host asks.
        request.headers_mut().remove(AUTHORIZATION);
        #[cfg(feature = "dpop")]
        request.headers_mut().remove(&DPOP);
        request.extensions_mut().insert(granted.clone());
        if self.required.is_mixed() {
            request.extensions_mut().insert(Some(granted.clone()));
        }
        if let Some(token) = token {
            request.extensions_mut().insert(token);
        }
        Ok(Some(granted))
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

fn lock(sessions: &Mutex<SessionBindings>) -> std::sync::MutexGuard<'_, SessionBindings> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a future comes to, or that the host's code panicked in it: its verifier, clock, hierarchy or store. It stays
/// where it is: to move it would cost as much as what it does.
async fn unless_panicked<T>(
    mut future: Pin<&mut impl Future<Output = T>>,
) -> std::thread::Result<T> {
    // Nothing of it is used again.
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// What comes of a question before the deadline. Most are answered at once and need no timer, nor room for one.
async fn in_time<T>(
    deadline: Duration,
    mut question: Pin<&mut impl Future<Output = T>>,
) -> Result<T, VerifierUnavailable> {
    let first = poll_fn(|cx| Poll::Ready(question.as_mut().poll(cx))).await;
    if let Poll::Ready(answer) = first {
        return Ok(answer);
    }
    Box::pin(timeout(deadline, question)).await.map_err(|_| {
        warn!("a token was not checked, or a body not read, in time");
        VerifierUnavailable::new()
    })
}

/// The whole body. Most come in one piece, which is not copied.
async fn read(body: Body, limit: usize) -> Result<Bytes, Denial> {
    if body.size_hint().lower() > limit.try_into().unwrap_or(u64::MAX) {
        return Err(Denial::body_too_large());
    }
    let mut body = Limited::new(body, limit);
    let mut whole = Bytes::new();
    let mut pieces = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| {
            if is_too_long(&*error) { Denial::body_too_large() } else { Denial::unreadable_body() }
        })?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.is_empty() && pieces.is_empty() {
            whole = data;
            if body.is_end_stream() {
                break;
            }
        } else {
            pieces.extend_from_slice(&core::mem::take(&mut whole));
            pieces.extend_from_slice(&data);
        }
    }
    Ok(if pieces.is_empty() { whole } else { pieces.freeze() })
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
        let request = request.map(Body::new);
        match cors::of_resource(&guard.resource, &request) {
            None => Box::pin(async move { answer(&mut inner, &guard, request).await }),
            Some(cors) => {
                let answered = service_fn(move |request| {
                    // Called once, so that the service which was polled ready is the one that is called.
                    let next = inner.clone();
                    let mut inner = core::mem::replace(&mut inner, next);
                    let guard = Arc::clone(&guard);
                    async move { answer(&mut inner, &guard, request).await }
                });
                Box::pin(cors.layer(answered).call(request))
            }
        }
    }
}

/// The service's answer to a request that may in, or the refusal.
async fn answer<S, R, V: TokenVerifier>(
    inner: &mut S,
    guard: &Guard<V>,
    mut request: Request<Body>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<R>>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let admitted = unless_panicked(pin!(guard.admit(&mut request))).await;
    let granted = match admitted.unwrap_or_else(|_| Err(Denial::panicked())) {
        Ok(granted) => granted,
        Err(denial) => return Ok(guard.refuse(denial, &mut request).await),
    };
    match &granted {
        Some(granted) => debug!(client = %granted.client_id(), "let in"),
        None => debug!("let in without a token"),
    }
    let ending = (request.method() == Method::DELETE).then(|| Box::new(request.headers().clone()));
    let response = inner.call(request).await?;
    if let Some(sessions) = &guard.sessions {
        if SessionBindings::concern(response.headers()) {
            lock(sessions).opened(response.headers(), granted.as_ref());
        }
        if let Some(ended) = ending.filter(|_| response.status().is_success()) {
            lock(sessions).closed(&ended);
        }
    }
    Ok(response.map(Body::new))
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
    router.layer(cors::public(Method::GET))
}
