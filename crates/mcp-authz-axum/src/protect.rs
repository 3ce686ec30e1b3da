//! Tower layer that protects a resource server with OAuth access tokens (RFC 6750). `resource-server` takes the
//! decisions.

mod admit;
mod service;
mod sessions;
mod streams;
mod without_token;

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex, Once};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use oauth_types::Secret;
use resource_server::{
    BrowserOrigins, Denial, HandleSeal, OpenSessions, Requirement, Resource, SessionKey,
};
use scope_stepup::{NoHierarchy, ScopeHierarchy};
use tracing::error;

#[cfg(test)]
pub(crate) use streams::TokenEnded;

pub use self::service::Protected;
use crate::clock::{Clock, entropy, warn_of_http_for_development};
#[cfg(feature = "dpop")]
use crate::proofs::Proofs;
use crate::reading::is_too_long;
use crate::startup::{self, kind_of_verifier};
use crate::verifier::TokenVerifier;

/// Tower layer that admits requests whose access token grants what they need.
///
/// The service is whatever takes and gives `http` types: an axum router, rmcp's, tonic's, or one on plain hyper. What a
/// request has to grant is one [`ScopeSet`](oauth_types::ScopeSet) for all, or a table of an MCP server's
/// [operations](resource_server::OperationScopes).
///
/// Where the layer is first applied, one event at level `INFO` names the resource, its issuers and the kind of verifier.
///
/// Handlers find an [`AuthInfo`](resource_server::AuthInfo) in the request's extensions; the token itself is taken out.
/// Where the table has operations that need no token, they find an `Option<AuthInfo>` beside it, which is `None` for a
/// request without one.
///
/// ```
/// # use mcp_authz_axum::{ProtectLayer, TokenVerifier};
/// # use resource_server::{OperationScopes, Resource};
/// # fn f(resource: Resource, verifier: impl TokenVerifier, mcp: axum::Router)
/// #     -> Result<axum::Router, oauth_types::InvalidScope> {
/// let scopes = OperationScopes::new("files:read")?.tool("write-file", "files:read files:write")?;
/// let protected = mcp.layer(ProtectLayer::new(resource, verifier, scopes));
/// # Ok(protected) }
/// ```
pub struct ProtectLayer<V>(Arc<Guard<V>>);

/// State that all services of one layer share.
///
/// axum applies a layer anew for every request, so cloning it has to be cheap.
struct Guard<V> {
    resource: Arc<Resource>,
    verifier: Arc<V>,
    /// Type of the verifier, and whether the start-up event was logged.
    startup: Arc<(String, Once)>,
    required: Arc<Requirement>,
    order: Arc<dyn ScopeHierarchy + Send + Sync>,
    seal: HandleSeal,
    /// `None` where the service checks the owners of sessions itself.
    sessions: Option<Arc<Mutex<OpenSessions>>>,
    seals_events: bool,
    recheck_interval: Duration,
    #[cfg(feature = "dpop")]
    proofs: Proofs,
    clock: Clock,
    deadline: Duration,
    body_deadline: Duration,
    max_body: usize,
    hands_token_on: bool,
    answers_tool_calls: bool,
}

impl<V> Clone for Guard<V> {
    fn clone(&self) -> Self {
        Self {
            resource: Arc::clone(&self.resource),
            verifier: Arc::clone(&self.verifier),
            startup: Arc::clone(&self.startup),
            required: Arc::clone(&self.required),
            order: Arc::clone(&self.order),
            seal: self.seal.clone(),
            sessions: self.sessions.clone(),
            seals_events: self.seals_events,
            recheck_interval: self.recheck_interval,
            #[cfg(feature = "dpop")]
            proofs: self.proofs.clone(),
            clock: self.clock.clone(),
            deadline: self.deadline,
            body_deadline: self.body_deadline,
            max_body: self.max_body,
            hands_token_on: self.hands_token_on,
            answers_tool_calls: self.answers_tool_calls,
        }
    }
}

impl<V> Clone for ProtectLayer<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V> fmt::Debug for ProtectLayer<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Protect").field("resource", self.0.resource.uri()).finish_non_exhaustive()
    }
}

/// Access token of an authorized request, as a request extension ([`ProtectLayer::with_raw_token`]).
///
/// It is issued for this server only. Sending it to another server lets that server act as the user (MCP, token
/// passthrough).
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_structs, reason = "the token is all there is")]
pub struct RawToken(pub Secret);

impl<V> Guard<V> {
    /// Logs once what is protected, although axum applies a layer to every route, and again for requests.
    fn log_startup(&self) {
        let (verifier, logged) = &*self.startup;
        logged.call_once(|| startup::protected_resource(&self.resource, verifier));
    }
}

impl<V: TokenVerifier> ProtectLayer<V> {
    /// Default limit of request bodies that the layer reads, in bytes.
    pub const MAX_BODY: usize = 4 * 1024 * 1024;
    /// Default deadline of the verifier, and of the store of shared proofs.
    pub const DEADLINE: Duration = Duration::from_secs(60);
    /// Default time from the end of a head to the end of a body that the layer reads.
    pub const BODY_DEADLINE: Duration = Duration::from_secs(30);
    /// Default maximum number of open MCP sessions.
    ///
    /// One user may have a tenth of them, through all their clients. Beyond that, opening another is refused with 429
    /// until one ends or was unused for ten minutes.
    pub const MAX_SESSIONS: usize = 10_000;
    /// Default time between two checks of the token of an open stream.
    pub const RECHECK_INTERVAL: Duration = Duration::from_secs(30);
    /// Default maximum number of remembered DPoP proofs.
    ///
    /// Each is remembered while it is valid, five to six minutes ([`Resource::with_dpop_window`]), and one user may
    /// have a tenth of them. That is enough for 1,300 requests a second, in about 25 MB.
    #[cfg(feature = "dpop")]
    pub const MAX_PROOFS: usize = 500_000;

    /// Creates a layer that verifies tokens with `verifier` and requires `required`.
    #[must_use]
    pub fn new(resource: Resource, verifier: V, required: impl Into<Requirement>) -> Self {
        warn_of_http_for_development();
        let seal = match entropy() {
            Some(key) => HandleSeal::new(&SessionKey::new(key), resource.uri()),
            None => {
                error!("no random source: no session is let out or in");
                HandleSeal::without_key()
            }
        };
        Self(Arc::new(Guard {
            resource: Arc::new(resource),
            startup: Arc::new((kind_of_verifier(&verifier), Once::new())),
            verifier: Arc::new(verifier),
            required: Arc::new(required.into()),
            order: Arc::new(NoHierarchy),
            seal,
            sessions: Some(Arc::new(Mutex::new(OpenSessions::new(Self::MAX_SESSIONS)))),
            seals_events: true,
            recheck_interval: Self::RECHECK_INTERVAL,
            #[cfg(feature = "dpop")]
            proofs: Proofs::here(Self::MAX_PROOFS),
            clock: Clock::default(),
            deadline: Self::DEADLINE,
            body_deadline: Self::BODY_DEADLINE,
            max_body: Self::MAX_BODY,
            hands_token_on: false,
            answers_tool_calls: false,
        }))
    }

    /// Sets the hierarchy of scopes, in which some include others.
    #[must_use]
    pub fn with_hierarchy(self, order: impl ScopeHierarchy + Send + Sync + 'static) -> Self {
        self.with(|guard| guard.order = Arc::new(order))
    }

    /// Replaces the system clock.
    #[must_use]
    pub fn with_clock(self, clock: Clock) -> Self {
        self.with(|guard| guard.clock = clock)
    }

    /// Sets the deadline of the verifier ([`DEADLINE`](Self::DEADLINE) by default).
    ///
    /// It also holds for the store of [shared proofs](Self::with_shared_proofs), and a request that misses it is
    /// answered with 503. A call that may open a session has as long to answer after its client disconnects.
    #[must_use]
    pub fn with_deadline(self, deadline: Duration) -> Self {
        self.with(|guard| guard.deadline = deadline)
    }

    /// Sets the deadline of bodies ([`BODY_DEADLINE`](Self::BODY_DEADLINE) by default).
    ///
    /// It is counted from the end of the head. An incomplete body is answered with 408, with or without a token.
    ///
    /// The deadline holds for the bodies that the layer reads: those of MCP messages, where a table of operations
    /// says what they need. Behind one [`ScopeSet`](oauth_types::ScopeSet) for all requests, bodies stream to the
    /// service, which is then their owner.
    ///
    /// ```
    /// # use core::time::Duration;
    /// # use mcp_authz_axum::{ProtectLayer, TokenVerifier};
    /// # fn f<V: TokenVerifier>(protect: ProtectLayer<V>) -> ProtectLayer<V> {
    /// protect.with_body_deadline(Duration::from_secs(120)) // for uploads over slow lines
    /// # }
    /// ```
    #[must_use]
    pub fn with_body_deadline(self, deadline: Duration) -> Self {
        self.with(|guard| guard.body_deadline = deadline)
    }

    /// Sets the limit of bodies that the layer reads, in bytes.
    #[must_use]
    pub fn with_max_body(self, bytes: usize) -> Self {
        self.with(|guard| guard.max_body = bytes)
    }

    /// Puts the token into the request's extensions, as a [`RawToken`].
    #[must_use]
    pub fn with_raw_token(self) -> Self {
        self.with(|guard| guard.hands_token_on = true)
    }

    /// Answers a refused `tools/call` with 200 and a result of the tool instead of 401 and 403, as
    /// [`Denial::for_tool_call`] says: `isError`, and the challenges in `_meta["mcp/www_authenticate"]`.
    ///
    /// This is meant for servers whose client is ChatGPT, which reads it and asks its user to log in. Clients that read
    /// 401 and 403, such as Claude, see a failed tool and start no login. Other requests are answered with 401 and 403
    /// as before.
    #[must_use]
    pub fn with_tool_result_challenges(self) -> Self {
        self.with(|guard| guard.answers_tool_calls = true)
    }

    /// Sets the maximum number of remembered DPoP proofs, about 50 bytes each.
    ///
    /// When it is reached, requests are answered with 503.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn with_max_proofs(self, proofs: usize) -> Self {
        self.with(|guard| guard.proofs = guard.proofs.with_capacity(proofs))
    }

    /// Remembers DPoP proofs in a store that several processes share.
    ///
    /// A proof that one process has seen is then a replay at every other. Each process also remembers and counts the
    /// proofs that it has seen itself.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn with_shared_proofs(
        self,
        store: Arc<impl authorization_server::Store + 'static>,
    ) -> Self {
        self.with(|guard| guard.proofs = guard.proofs.with_store(store))
    }

    /// Sets the origins whose pages may call the service and read its answers (CORS).
    ///
    /// By default these are pages on the user's own machine, as in [`Resource::with_browser_origins`]. A preflight is
    /// answered without a token and only tells what may be sent. Cookies are always ignored.
    ///
    /// ```
    /// # use mcp_authz_axum::{ProtectLayer, TokenVerifier};
    /// # use resource_server::BrowserOrigins;
    /// # fn f<V: TokenVerifier>(protect: ProtectLayer<V>) -> Result<ProtectLayer<V>, oauth_types::InvalidUri> {
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

    /// Sets the key that binds sessions and event streams to their user.
    ///
    /// Give the same key to all processes that serve one resource, so that each accepts the sessions that another
    /// opened. By default each process draws a random key at start-up, and accepts only its own sessions and events.
    ///
    /// ```
    /// # use mcp_authz_axum::{ProtectLayer, TokenVerifier};
    /// use oauth_types::Entropy;
    /// use resource_server::SessionKey;
    ///
    /// # fn f<V: TokenVerifier>(protect: ProtectLayer<V>, secret: [u8; 32]) -> ProtectLayer<V> {
    /// // 32 random bytes that all processes are given
    /// let protect = protect.with_session_key(&SessionKey::new(Entropy::new(secret)));
    /// # protect }
    /// ```
    #[must_use]
    pub fn with_session_key(self, key: &SessionKey) -> Self {
        self.with(|guard| guard.seal = HandleSeal::new(key, guard.resource.uri()))
    }

    /// Sets the maximum number of open MCP sessions.
    #[must_use]
    pub fn with_max_sessions(self, sessions: usize) -> Self {
        let sessions = Arc::new(Mutex::new(OpenSessions::new(sessions)));
        self.with(|guard| guard.sessions = Some(sessions))
    }

    /// Turns off the binding and counting of MCP sessions.
    ///
    /// Any valid token may then use any session, so the service has to check a session's owner itself. Events stay
    /// bound.
    #[must_use]
    pub fn without_session_binding(self) -> Self {
        self.with(|guard| guard.sessions = None)
    }

    /// Turns off the binding of event identifiers.
    ///
    /// This is for a service that checks the owner of the stream in `Last-Event-ID` itself, or whose clients read
    /// identifiers as data. Any valid token may then present any identifier.
    #[must_use]
    pub fn without_event_binding(self) -> Self {
        self.with(|guard| guard.seals_events = false)
    }

    /// Sets the time between two checks of an open stream's token: 1 s to 5 min.
    ///
    /// The stream of a revoked token may go on for this time, and for as long as the verifier caches its answer; a JWT
    /// is valid until it expires. While the verifier is unavailable, streams go on until their token expires. Any other
    /// answer without a known size is checked as well, and then breaks off with an error.
    #[must_use]
    pub fn with_recheck_interval(self, interval: Duration) -> Self {
        self.with(|guard| guard.recheck_interval = interval)
    }

    fn with(mut self, change: impl FnOnce(&mut Guard<V>)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }
}

/// Reads a whole body, without a copy if it comes in one piece.
async fn read(body: Body, limit: usize) -> Result<Bytes, Denial> {
    if !usize::try_from(body.size_hint().lower()).is_ok_and(|lower| lower <= limit) {
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
