//! Admission of a request to the service: token, DPoP proof, scopes, session. `resource-server` decides about each.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::Poll;
use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Extensions, HeaderMap, Method, Request};
use http_body::Body as _;
use oauth_types::UnixTime;
use resource_server::{
    AuthInfo, Denial, DenialReason, HandleSeal, OpenSessions, Recognition, RequestBody, Requirement,
};
use tokio::time::timeout;
use tracing::warn;

use super::sessions::{Opening, Reserved};
use super::streams::Admitted;
use super::{Guard, RawToken};
#[cfg(feature = "dpop")]
use crate::proofs;
use crate::verifier::{TokenVerifier, VerifierUnavailable};

impl<V: TokenVerifier> Guard<V> {
    /// Admits a request, and changes it to what the service may see.
    pub(super) async fn admit(&self, request: &mut Request<Body>) -> Result<Admitted, Denial> {
        let base = self.required.base();
        let presented = match self.resource.present(request, base) {
            Err(denial) if self.required.is_mixed() && denial.reason() == DenialReason::NoToken => {
                // Boxed, so that the future of every request stays small.
                let admitted = Box::pin(self.admit_without_token(request, denial));
                let opening = admitted.await?;
                return Ok(Admitted { granted: None, authorization: None, opening });
            }
            presented => presented?,
        };
        let now = self.clock.now();
        let facts = self.verifier.verify(presented.token(), now);
        let facts = in_time(self.deadline, pin!(facts)).await.flatten();
        let facts = facts.map_err(|_| Denial::verifier_unavailable())?;
        let token = self.hands_token_on.then(|| RawToken(presented.token().clone()));
        // The body is read after the token is recognized, so that a request without a valid one costs less.
        let recognized = match presented.recognize(facts, base, now)? {
            Recognition::Done(recognized) => recognized,
            #[cfg(feature = "dpop")]
            Recognition::CheckProof(step) => {
                let step = step.prove(request.method(), proofs::path(request), now)?;
                // Boxed, because the future of every request would otherwise reserve room for it.
                let mut resumed = Box::pin(self.proofs.resume(step, now));
                let resumed = in_time(self.deadline, resumed.as_mut()).await;
                resumed.map_err(|_| Denial::verifier_unavailable()).flatten()?
            }
            #[cfg(not(feature = "dpop"))]
            Recognition::CheckProof(step) => return Err(step.refuse()),
        };
        let body = presence(request.body());
        let (granted, opening) = match self.required.table_for(request.method(), body) {
            Some(_) => {
                let body = self.read_in_time(request).await?;
                let required =
                    self.required.required_for(request.method(), request.headers(), &body);
                let granted =
                    required.and_then(|required| recognized.authorize(&required, &*self.order));
                let granted = granted.and_then(|granted| {
                    let opening = self.reserve(request.headers(), &body, Some(&granted), now)?;
                    Ok((granted, opening))
                });
                // The body is put back, because the service needs it, and a refusal may read it again.
                *request.body_mut() = Body::from(body);
                granted?
            }
            None => {
                let granted = recognized.authorize(base, &*self.order)?;
                let opening = self.may_open(request, &granted)?;
                (granted, opening)
            }
        };
        self.open_handles(request.headers_mut(), Some(&granted))?;
        // R-AUTH-8: handlers see claims, not the token, unless the host asks.
        let authorization = request.headers_mut().remove(AUTHORIZATION);
        #[cfg(feature = "dpop")]
        request.headers_mut().remove(oauth_types::header::DPOP);
        self.tell(request.extensions_mut(), &granted, token);
        Ok(Admitted { granted: Some(granted), authorization, opening })
    }

    /// Inserts the grant, and the token if the host asks for it, into the extensions.
    fn tell(&self, extensions: &mut Extensions, granted: &AuthInfo, token: Option<RawToken>) {
        extensions.insert(granted.clone());
        if self.required.is_mixed() {
            extensions.insert(Some(granted.clone()));
        }
        if let Some(token) = token {
            extensions.insert(token);
        }
    }

    /// Replaces the sealed session and event identifiers by those of the service.
    pub(super) fn open_handles(
        &self,
        headers: &mut HeaderMap,
        granted: Option<&AuthInfo>,
    ) -> Result<(), Denial> {
        if self.sessions.is_some() {
            self.seal.open_session(headers, granted)?;
        }
        if self.seals_events {
            self.seal.open_event(headers, granted)?;
        }
        if let (Some(sessions), Some(session)) = (&self.sessions, HandleSeal::session(headers)) {
            lock(sessions).touch(session, self.clock.now());
        }
        Ok(())
    }

    /// Reserves a place for the session that a request's body opens.
    ///
    /// A session beyond the limit is refused before the service is called.
    pub(super) fn reserve(
        &self,
        headers: &HeaderMap,
        body: &[u8],
        granted: Option<&AuthInfo>,
        now: UnixTime,
    ) -> Result<Opening, Denial> {
        match &self.sessions {
            Some(sessions) if Requirement::opens_session(headers, body) => {
                let account = lock(sessions).reserve(granted, now)?;
                Ok(Opening::Announced(Reserved::new(Arc::clone(sessions), account)))
            }
            _ => Ok(Opening::Never),
        }
    }

    /// Checks a request that may open a session, but whose body is not read.
    ///
    /// gRPC requests open none.
    fn may_open(&self, request: &Request<Body>, granted: &AuthInfo) -> Result<Opening, Denial> {
        let headers = request.headers();
        match &self.sessions {
            Some(sessions)
                if request.method() == Method::POST
                    && !HandleSeal::has_session(headers)
                    && !is_grpc(headers) =>
            {
                lock(sessions).check_reserved(Some(granted))?;
                Ok(Opening::Possible)
            }
            _ => Ok(Opening::Never),
        }
    }

    /// Reserves a place for an abandoned request that may open a session.
    pub(super) fn reserve_for_abandoned(&self, granted: Option<&AuthInfo>) -> Option<Reserved> {
        let sessions = self.sessions.as_ref()?;
        let account = lock(sessions).reserve_for_abandoned(granted);
        Some(Reserved::new(Arc::clone(sessions), account))
    }
}

pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Returns the presence of a body; one whose end is unknown counts as present.
pub(super) fn presence(body: &Body) -> RequestBody {
    if body.is_end_stream() { RequestBody::Absent } else { RequestBody::Present }
}

pub(super) fn lock(sessions: &Mutex<OpenSessions>) -> std::sync::MutexGuard<'_, OpenSessions> {
    sessions.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Completes with a future's output, or an error if the host's code panicked.
///
/// Host code is its verifier, clock, hierarchy or store. The future is borrowed, because moving it would cost as much
/// as polling it.
pub(super) async fn unless_panicked<T>(
    mut future: Pin<&mut impl Future<Output = T>>,
) -> std::thread::Result<T> {
    // Unwind safety is given, because the future is dropped after a panic.
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Awaits a future until the deadline.
///
/// Most futures are ready at once and need no timer, so the timer is boxed and made only after the first poll.
pub(super) async fn in_time<T>(
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
