//! Answers that end with their token: event streams, with identifiers bound to their user, and other bodies without a
//! known size.

use core::error::Error;
use core::fmt;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::{Arc, Once};

use axum::body::Body;
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body as HttpBody, Frame};
use oauth_types::{Secret, UnixTime};
use resource_server::{AccessTokenInfo, AuthInfo, EventIds, OpenSessions};
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::Guard;
use super::admit::{in_time, lock, unless_panicked};
use super::sessions::Opening;
use crate::verifier::TokenVerifier;

/// Guard of the log event about compressed streams, which is written once.
static TOLD: Once = Once::new();

/// Facts about an admitted request that its answer needs.
pub(super) struct Admitted {
    /// Grant of the request's token; `None` without one.
    pub(super) granted: Option<AuthInfo>,
    /// `Authorization` header, which has one well-formed token.
    pub(super) authorization: Option<HeaderValue>,
    pub(super) opening: Opening,
}

impl Admitted {
    fn token(&self) -> Option<Secret> {
        let line = self.authorization.as_ref()?.to_str().ok()?;
        let (_, token) = line.split_once(' ')?;
        Some(Secret::new(token.trim_start_matches(' ')))
    }
}

impl<V: TokenVerifier> Guard<V> {
    /// Returns the service's answer, watched if its body has no known size.
    pub(super) fn watch<R>(
        self: &Arc<Self>,
        response: Response<R>,
        admitted: Admitted,
        session: Option<HeaderValue>,
    ) -> Response<Body>
    where
        R: HttpBody<Data = Bytes> + Send + 'static,
        R::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        let is_events = is_event_stream(response.headers());
        let goes_on =
            !response.body().is_end_stream() && response.body().size_hint().exact().is_none();
        if !is_events && (!goes_on || admitted.granted.is_none()) {
            return response.map(Body::new);
        }
        let (mut parts, body) = response.into_parts();
        let seals = is_events && self.seals_events;
        let ids = seals.then(|| self.seal.event_ids(admitted.granted.as_ref()));
        let ids = ids.filter(|_| {
            let is_plain = !parts.headers.contains_key(CONTENT_ENCODING);
            if !is_plain {
                TOLD.call_once(|| {
                    warn!("event streams are compressed before the layer: they cannot be resumed");
                });
            }
            is_plain
        });
        if is_events {
            // Sealed identifiers are longer, so the length no longer holds.
            parts.headers.remove(CONTENT_LENGTH);
        }
        let end = Arc::clone(self).until_it_has_to_end(admitted, session);
        let body = Watched { body: Some(Box::pin(body)), is_events, ids, end: Box::pin(end) };
        Response::from_parts(parts, Body::new(body))
    }

    /// Completes when a stream has to end, and keeps its session in use until then.
    async fn until_it_has_to_end(
        self: Arc<Self>,
        admitted: Admitted,
        session: Option<HeaderValue>,
    ) {
        let token = admitted.token();
        let mut end = admitted.granted.as_ref().and_then(AuthInfo::expires_at);
        loop {
            let now = self.clock.now();
            let left = end.map_or(Duration::MAX, |end| end.saturating_duration_since(now));
            // The clock and the timer may differ, so the time is read again; and a session with an open stream is in
            // use.
            let interval = self.recheck_interval.min(OpenSessions::IDLE / 2);
            sleep(left.min(interval).max(Duration::from_secs(1))).await;
            let now = self.clock.now();
            if let (Some(sessions), Some(session)) = (&self.sessions, &session) {
                lock(sessions).touch(session, now);
            }
            let (Some(granted), Some(token)) = (&admitted.granted, &token) else { continue };
            if end.is_none_or(|end| now >= end) {
                info!("a stream ends with its token");
                return;
            }
            let left = end
                .map_or(self.deadline, |end| end.saturating_duration_since(now).min(self.deadline));
            match self.recheck(granted, token, now, left).await {
                Recheck::Upheld(facts) => end = facts.expires_at,
                Recheck::Unavailable => {}
                Recheck::Over => return,
            }
        }
    }

    /// Verifies the token again, within the time that the token has left.
    async fn recheck(
        &self,
        granted: &AuthInfo,
        token: &Secret,
        now: UnixTime,
        left: Duration,
    ) -> Recheck {
        let facts = pin!(self.verifier.verify(token, now));
        let facts = in_time(left, facts);
        let Ok(facts) = unless_panicked(pin!(facts)).await else {
            error!("the host's code could not decide about a stream");
            return Recheck::Over;
        };
        match facts.flatten() {
            Ok(Some(facts)) if granted.is_upheld_by(&facts, now) => Recheck::Upheld(facts),
            Ok(_) => {
                info!("a stream ends, because its token is no longer good");
                Recheck::Over
            }
            Err(_) => Recheck::Unavailable,
        }
    }
}

/// Result of verifying the token of an open stream again.
enum Recheck {
    Upheld(Arc<AccessTokenInfo>),
    Unavailable,
    Over,
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| {
        let essence = kind.as_bytes().split(|&byte| byte == b';').next();
        essence.is_some_and(|it| it.trim_ascii().eq_ignore_ascii_case(b"text/event-stream"))
    })
}

/// Error that cuts off a body, so that a client does not take a part for the whole.
#[derive(Debug)]
pub(crate) struct TokenEnded;

impl fmt::Display for TokenEnded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the answer was cut off, because its token is no longer valid: the client has to get a new token, and \
             to send the request again",
        )
    }
}

impl Error for TokenEnded {}

/// Body of an answer that ends with its token.
struct Watched<R> {
    /// Body of the service; `None` once it has ended.
    body: Option<Pin<Box<R>>>,
    is_events: bool,
    ids: Option<EventIds>,
    /// Future that completes when the body has to end.
    end: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<R> HttpBody for Watched<R>
where
    R: HttpBody<Data = Bytes>,
    R::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        // The end is polled first, because a service that always has a frame ready could otherwise delay it for ever.
        let is_over = this.end.as_mut().poll(cx).is_ready();
        if is_over {
            this.body = None;
            return Poll::Ready((!this.is_events).then(|| Err(TokenEnded.into())));
        }
        let frame = core::task::ready!(body.as_mut().poll_frame(cx));
        if frame.is_none() {
            this.body = None;
        }
        let ids = &mut this.ids;
        Poll::Ready(frame.map(|frame| match frame {
            Ok(frame) => Ok(match ids {
                Some(ids) => frame.map_data(|data| ids.seal(data)),
                None => frame,
            }),
            Err(error) => Err(error.into()),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(|body| body.is_end_stream())
    }
}
