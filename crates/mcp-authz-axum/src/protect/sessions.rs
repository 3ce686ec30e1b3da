//! MCP sessions of the service: counted when it opens them, and ended where they exceed the limit.

use core::future::poll_fn;
use core::mem::take;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::{Arc, Mutex};

use axum::body::Body;
use http::header::HOST;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use oauth_types::header::MCP_SESSION_ID;
use resource_server::{
    Account, AuthInfo, Denial, EndedSession, HandleSeal, OpenSessions, Requirement,
};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tower::Service;
use tracing::{info, warn};

use super::Guard;
use super::admit::lock;
use crate::verifier::TokenVerifier;

/// URI and host of a request, copied for a request that the layer makes itself.
pub(super) struct Place {
    uri: Uri,
    host: Option<HeaderValue>,
}

impl Place {
    pub(super) fn of(request: &Request<Body>) -> Self {
        Self { uri: request.uri().clone(), host: request.headers().get(HOST).cloned() }
    }

    /// Creates the request that ends a session (MCP, session management).
    ///
    /// It carries the grant that opened the session.
    fn delete(&self, session: EndedSession, required: &Requirement) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::DELETE;
        *request.uri_mut() = session.uri;
        request.headers_mut().insert(MCP_SESSION_ID, session.id);
        if let Some(host) = &self.host {
            request.headers_mut().insert(HOST, host.clone());
        }
        if required.is_mixed() {
            request.extensions_mut().insert(session.opened_by.clone());
        }
        if let Some(granted) = session.opened_by {
            request.extensions_mut().insert(granted);
        }
        request
    }
}

/// Reserved place of a session that may be opened, released when dropped.
pub(super) struct Reserved {
    sessions: Arc<Mutex<OpenSessions>>,
    account: Option<Account>,
}

impl Reserved {
    pub(super) const fn new(sessions: Arc<Mutex<OpenSessions>>, account: Account) -> Self {
        Self { sessions, account: Some(account) }
    }

    fn release(mut self, sessions: &mut OpenSessions) {
        if let Some(account) = take(&mut self.account) {
            sessions.release(&account);
        }
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(account) = &self.account {
            lock(&self.sessions).release(account);
        }
    }
}

/// Session that a request may open, as far as known before the answer.
#[derive(Default)]
pub(super) enum Opening {
    /// The request opens no session, or sessions are not counted.
    #[default]
    Never,
    /// The request may open a session, because its body is not read here.
    Possible,
    /// The request opens a session, as its body says.
    Announced(Reserved),
}

/// Future of a call that may open a session.
///
/// When its client disconnects, the call is handed on instead of being dropped, because the service would otherwise
/// keep a session that is neither counted nor ended.
pub(super) struct Finished<F, A: FnOnce(Pin<Box<F>>)> {
    call: Option<(Pin<Box<F>>, A)>,
}

impl<F, A: FnOnce(Pin<Box<F>>)> Finished<F, A> {
    pub(super) fn new(call: F, when_abandoned: A) -> Self {
        Self { call: Some((Box::pin(call), when_abandoned)) }
    }
}

// Only the contents of the box are pinned, so moving this is sound.
impl<F, A: FnOnce(Pin<Box<F>>)> Unpin for Finished<F, A> {}

impl<F: Future, A: FnOnce(Pin<Box<F>>)> Future for Finished<F, A> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some((call, _)) = &mut self.call else { return Poll::Pending };
        let answer = core::task::ready!(call.as_mut().poll(cx));
        self.call = None;
        Poll::Ready(answer)
    }
}

impl<F, A: FnOnce(Pin<Box<F>>)> Drop for Finished<F, A> {
    fn drop(&mut self) {
        if let Some((call, when_abandoned)) = self.call.take()
            && !std::thread::panicking()
        {
            when_abandoned(call);
        }
    }
}

/// Spawns a task for which no client waits.
///
/// Without a runtime, as during its shutdown, the task is dropped, because the service has ended as well.
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(task);
    }
}

/// Facts about a request that are needed to track the sessions in its answer.
pub(super) struct Caller {
    /// Identifier that the service gave to the request's session.
    pub(super) session: Option<HeaderValue>,
    pub(super) is_delete: bool,
    pub(super) granted: Option<AuthInfo>,
    pub(super) place: Place,
}

impl<V: TokenVerifier> Guard<V> {
    /// Records the sessions that an answer opens or ends, and seals its identifier.
    ///
    /// Returns the session that the service has opened. A session beyond the limit is ended at the service in the
    /// background.
    pub(super) fn note_session<S, R>(
        self: &Arc<Self>,
        response: &mut Response<R>,
        caller: &Caller,
        reserved: Option<Reserved>,
        inner: &S,
    ) -> Result<Option<EndedSession>, Denial>
    where
        S: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
        S::Future: Send,
        R: Send + 'static,
    {
        let Some(sessions) = &self.sessions else { return Ok(None) };
        let Caller { session, is_delete, granted, place } = caller;
        let (session, granted) = (session.as_ref(), granted.as_ref());
        if let Some(session) = session {
            match response.status() {
                // The status may refer to the method, in which case rmcp keeps the session.
                StatusCode::NOT_FOUND => lock(sessions).doubted(session, &place.uri),
                status if *is_delete && status.is_success() => {
                    lock(sessions).closed(session, &place.uri);
                }
                _ => {}
            }
        }
        if !HandleSeal::has_session(response.headers()) {
            return Ok(None);
        }
        let named = HandleSeal::session(response.headers()).filter(|named| Some(*named) != session);
        let opened = named.map(|named| {
            EndedSession::new(named.clone(), place.uri.clone()).with_opened_by(granted.cloned())
        });
        if let Some(opened) = &opened {
            let noted = {
                let mut table = lock(sessions);
                if let Some(reserved) = reserved {
                    reserved.release(&mut table);
                }
                table.opened(&opened.id, &opened.uri, granted, self.clock.now())
            };
            let (ended, denial) = match noted {
                Ok(ended) => (ended, None),
                Err(denial) => (Some(opened.clone()), Some(denial)),
            };
            if let Some(ended) = ended {
                let (guard, inner) = (Arc::clone(self), inner.clone());
                let delete = place.delete(ended, &self.required);
                spawn(async move {
                    guard.end_session(inner, delete).await;
                });
            }
            if let Some(denial) = denial {
                return Err(denial);
            }
        }
        self.seal.seal_session(response.headers_mut(), granted);
        Ok(opened)
    }

    /// Ends a session whose identifier reached no client.
    ///
    /// It stays counted if the service does not end it.
    pub(super) async fn end_abandoned<S, R>(&self, inner: S, opened: EndedSession, place: &Place)
    where
        S: Service<Request<Body>, Response = Response<R>> + Send,
        S::Future: Send,
        R: Send,
    {
        let EndedSession { id, uri, .. } = opened.clone();
        let delete = place.delete(opened, &self.required);
        if self.end_session(inner, delete).await
            && let Some(sessions) = &self.sessions
        {
            lock(sessions).closed(&id, &uri);
        }
    }

    /// Sends the end of a session, and returns `true` if the service has ended it.
    async fn end_session<S, R>(&self, mut inner: S, delete: Request<Body>) -> bool
    where
        S: Service<Request<Body>, Response = Response<R>>,
    {
        let answer = async {
            poll_fn(|cx| inner.poll_ready(cx)).await.ok()?;
            inner.call(delete).await.ok().map(|answer| answer.status())
        };
        match timeout(self.deadline, answer).await {
            Ok(Some(status)) if status.is_success() => {
                info!("a session was ended");
                true
            }
            Ok(Some(StatusCode::NOT_FOUND)) => true,
            _ => {
                warn!("the service did not end a session that was one too many");
                false
            }
        }
    }
}
