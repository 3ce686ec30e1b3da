//! The tower service behind [`ProtectLayer`].

use core::error::Error;
use core::fmt;
use core::mem::take;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response};
use resource_server::{Denial, HandleSeal};
use tokio::time::timeout;
use tower::{Layer, Service, service_fn};
use tracing::{debug, info};

use super::admit::unless_panicked;
use super::sessions::{Caller, Finished, Opening, Place, spawn};
use super::{Guard, ProtectLayer};
use crate::cors;
use crate::verifier::TokenVerifier;

impl<S, V> Layer<S> for ProtectLayer<V> {
    type Service = Protected<S, V>;

    fn layer(&self, inner: S) -> Protected<S, V> {
        self.0.log_startup();
        Protected { inner, guard: Arc::clone(&self.0) }
    }
}

/// A service behind [`ProtectLayer`].
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
            None => Box::pin(async move { answer(inner, &guard, request).await }),
            Some(cors) => {
                let answered = service_fn(move |request| {
                    // This closure runs once, so the service that was polled ready is the one that is called.
                    let next = inner.clone();
                    let inner = core::mem::replace(&mut inner, next);
                    let guard = Arc::clone(&guard);
                    async move { answer(inner, &guard, request).await }
                });
                Box::pin(cors.layer(answered).call(request))
            }
        }
    }
}

/// Returns the service's answer to an admitted request, or the refusal.
async fn answer<S, R, V: TokenVerifier>(
    mut inner: S,
    guard: &Arc<Guard<V>>,
    mut request: Request<Body>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let admitted = unless_panicked(pin!(guard.admit(&mut request))).await;
    let mut admitted = match admitted.unwrap_or_else(|_| Err(Denial::panicked())) {
        Ok(admitted) => admitted,
        Err(denial) => return Ok(guard.refuse(denial, &mut request).await),
    };
    match &admitted.granted {
        Some(granted) => debug!(client = %granted.client_id(), "let in"),
        None => debug!("let in without a token"),
    }
    let session = HandleSeal::session(request.headers()).cloned();
    let caller = Caller {
        session: session.clone(),
        is_delete: request.method() == Method::DELETE,
        granted: admitted.granted.clone(),
        place: Place::of(&request),
    };
    let noted = match take(&mut admitted.opening) {
        Opening::Never => {
            let mut response = inner.call(request).await?;
            let noted = guard.note_session(&mut response, &caller, None, &inner);
            noted.map(|_| response)
        }
        opening => opened(inner, guard, request, caller, opening).await?,
    };
    match noted {
        Ok(response) => Ok(guard.watch(response, admitted, session)),
        Err(denial) => {
            info!(reason = ?denial.reason(), why = %denial, "not let in");
            Ok(denial.into_response().map(Body::from))
        }
    }
}

/// Calls the service with a request that may open a session.
///
/// The call goes on after its client disconnects, because the service may have opened the session already. A session
/// whose identifier reached no client is ended.
fn opened<S, R, V: TokenVerifier>(
    mut inner: S,
    guard: &Arc<Guard<V>>,
    request: Request<Body>,
    caller: Caller,
    opening: Opening,
) -> impl Future<Output = Result<Result<Response<R>, Denial>, S::Error>> + Send
where
    S: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    R: Send + 'static,
{
    let (guard, own) = (Arc::clone(guard), Arc::clone(guard));
    let (service, granted) = (inner.clone(), caller.granted.clone());
    let reserved = Arc::new(Mutex::new(match opening {
        Opening::Announced(reserved) => Some(reserved),
        _ => None,
    }));
    let held = Arc::clone(&reserved);
    let call = inner.call(request);
    let call = async move {
        let mut response = call.await?;
        let reserved = reserved.lock().unwrap_or_else(PoisonError::into_inner).take();
        let noted = guard.note_session(&mut response, &caller, reserved, &inner);
        Ok::<_, S::Error>((noted.map(|opened| (response, opened)), caller))
    };
    let call = Finished::new(call, move |call| {
        // The call counts as a session until its answer shows if it opened one.
        let mut held = held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.is_none() {
            *held = own.reserve_for_abandoned(granted.as_ref());
        }
        drop(held);
        spawn(async move {
            // The deadline ends services that still wait for the client, which is gone.
            let answer = timeout(own.deadline, async { call.await.ok() }).await;
            if let Ok(Some((Ok((_, Some(opened))), caller))) = answer {
                own.end_abandoned(service, opened, &caller.place).await;
            }
        });
    });
    async move {
        let (noted, _) = call.await?;
        Ok(noted.map(|(response, _)| response))
    }
}
