//! Sessions of the service: counted when it opens them, and ended where there are too many.

use core::future::poll_fn;

use axum::body::Body;
use http::header::HOST;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use resource_server::{Denial, EndedSession, Granted, HandleSeal};
use tokio::time::timeout;
use tower::Service;
use tracing::{info, warn};

use super::Guard;
use super::admit::lock;

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
    fn delete(&self, session: EndedSession, is_mixed: bool) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::DELETE;
        *request.uri_mut() = session.uri;
        request.headers_mut().insert("mcp-session-id", session.id);
        if let Some(host) = &self.host {
            request.headers_mut().insert(HOST, host.clone());
        }
        if is_mixed {
            request.extensions_mut().insert(session.opened_by.clone());
        }
        if let Some(granted) = session.opened_by {
            request.extensions_mut().insert(granted);
        }
        request
    }
}

impl<V> Guard<V> {
    /// Takes note of what an answer says about sessions, and seals the one that it names. `session` is the one of the
    /// request, as the service calls it.
    pub(super) async fn note_session<S, R>(
        &self,
        response: &mut Response<R>,
        session: Option<&HeaderValue>,
        is_delete: bool,
        granted: Option<&Granted>,
        (inner, place): (&mut S, &Place),
    ) -> Result<(), Denial>
    where
        S: Service<Request<Body>, Response = Response<R>>,
    {
        let Some(sessions) = &self.sessions else { return Ok(()) };
        if let Some(session) = session {
            match response.status() {
                // It may mean the method: rmcp keeps the session then.
                StatusCode::NOT_FOUND => lock(sessions).doubted(session, &place.uri),
                status if is_delete && status.is_success() => {
                    lock(sessions).closed(session, &place.uri);
                }
                _ => {}
            }
        }
        if !HandleSeal::has_session(response.headers()) {
            return Ok(());
        }
        if let Some(named) = HandleSeal::session(response.headers())
            && Some(named) != session
        {
            let opened = lock(sessions).opened(named, &place.uri, granted, self.clock.now());
            let (ended, denial) = match opened {
                Ok(ended) => (ended, None),
                Err(denial) => {
                    let (id, uri) = (named.clone(), place.uri.clone());
                    let opened_by = granted.cloned();
                    (Some(EndedSession { id, uri, opened_by }), Some(denial))
                }
            };
            if let Some(ended) = ended {
                // In a place of its own: few requests need the room for it.
                Box::pin(self.end_session(inner, place.delete(ended, self.required.is_mixed())))
                    .await;
            }
            if let Some(denial) = denial {
                return Err(denial);
            }
        }
        self.seal.seal_session(response.headers_mut(), granted);
        Ok(())
    }

    async fn end_session<S, R>(&self, inner: &mut S, delete: Request<Body>)
    where
        S: Service<Request<Body>, Response = Response<R>>,
    {
        let answer = async {
            poll_fn(|cx| inner.poll_ready(cx)).await?;
            inner.call(delete).await
        };
        match timeout(self.deadline, answer).await {
            Ok(Ok(answer)) if answer.status().is_success() => info!("a session was ended"),
            Ok(Ok(answer)) if answer.status() == StatusCode::NOT_FOUND => {}
            _ => warn!("the service did not end a session that was one too many"),
        }
    }
}
