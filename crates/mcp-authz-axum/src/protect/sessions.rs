//! Sessions of the service: counted when it opens them, and ended where there are too many.

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

/// Where the service answers: taken of a request, for one that the layer makes.
pub(super) struct Place {
    uri: Uri,
    host: Option<HeaderValue>,
}

impl Place {
    pub(super) fn of(request: &Request<Body>) -> Self {
        Self { uri: request.uri().clone(), host: request.headers().get(HOST).cloned() }
    }

    /// The end of a session (MCP, session management), by the grant that opened it.
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

/// Place of a session that may be opened, given back when this is dropped.
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

/// Session that a request opens, as far as it is known before the answer.
#[derive(Default)]
pub(super) enum Opening {
    /// None: the request names a session, opens none, or sessions are not counted.
    #[default]
    Never,
    /// Perhaps one, because the body is not read here.
    Possible,
    /// One, because the body says so.
    Announced(Reserved),
}

/// A call that may open a session. When its client is gone, the call is handed on instead of being dropped: the service
/// would keep the session, and nobody would count it or end it.
pub(super) struct Finished<F, A: FnOnce(Pin<Box<F>>)> {
    call: Option<(Pin<Box<F>>, A)>,
}

impl<F, A: FnOnce(Pin<Box<F>>)> Finished<F, A> {
    pub(super) fn new(call: F, when_abandoned: A) -> Self {
        Self { call: Some((Box::pin(call), when_abandoned)) }
    }
}

// Nothing in it but the box is pinned.
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

/// Runs what no client waits for. Without a runtime, as while one shuts down, there is no service to go on either.
pub(super) fn spawn(task: impl Future<Output = ()> + Send + 'static) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(task);
    }
}

/// Request of a call, as far as what its answer says about sessions needs it.
pub(super) struct Caller {
    /// The session of the request, as the service calls it.
    pub(super) session: Option<HeaderValue>,
    pub(super) is_delete: bool,
    pub(super) granted: Option<AuthInfo>,
    pub(super) place: Place,
}

impl<V: TokenVerifier> Guard<V> {
    /// Takes note of what an answer says about sessions, and seals the one that it names. Returns the session that the
    /// service has opened, and sends the service the end of each that is one too many, for which nobody waits.
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
                // It may mean the method: rmcp keeps the session then.
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

    /// Ends a session whose identifier reached nobody. One that the service does not end stays counted.
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

    /// Returns `true` if the service has ended a session.
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
