//! The tower service behind [`Protect`].

use core::error::Error;
use core::fmt;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response};
use resource_server::{Denial, HandleSeal};
use tower::{Layer, Service, service_fn};
use tracing::{debug, info};

use super::admit::unless_panicked;
use super::sessions::Place;
use super::{Guard, Protect};
use crate::{TokenVerifier, cors};

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
    guard: &Arc<Guard<V>>,
    mut request: Request<Body>,
) -> Result<Response<Body>, S::Error>
where
    S: Service<Request<Body>, Response = Response<R>>,
    R: http_body::Body<Data = Bytes> + Send + 'static,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let admitted = unless_panicked(pin!(guard.admit(&mut request))).await;
    let admitted = match admitted.unwrap_or_else(|_| Err(Denial::panicked())) {
        Ok(admitted) => admitted,
        Err(denial) => return Ok(guard.refuse(denial, &mut request).await),
    };
    let granted = admitted.granted.as_ref();
    match granted {
        Some(granted) => debug!(client = %granted.client_id(), "let in"),
        None => debug!("let in without a token"),
    }
    let session = HandleSeal::session(request.headers()).cloned();
    let (place, is_delete) = (Place::of(&request), request.method() == Method::DELETE);
    let mut response = inner.call(request).await?;
    let noted =
        guard.note_session(&mut response, session.as_ref(), is_delete, granted, (inner, &place));
    if let Err(denial) = noted.await {
        info!(reason = ?denial.reason(), "not let in");
        return Ok(denial.into_response().map(Body::from));
    }
    Ok(guard.watch(response, admitted, session))
}
