//! Reading whole requests into memory, with deadlines and a bound of their size.

use core::error::Error;
use core::iter::successors;
use core::time::Duration;

use authorization_server::UnreadBody;
use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use oauth_types::FormPairs;
use tokio::time::timeout;

/// Deadlines of a request to the authorization server, counted from the end of its head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Deadlines {
    /// Time to the end of the body: 30 seconds. A later body is answered with 408.
    pub body: Duration,
    /// Time to the answer, login and store included: 60 seconds.
    ///
    /// A request that takes longer is given up and answered with 503.
    pub answer: Duration,
}

impl Deadlines {
    /// Sets [`body`](Self::body): the deadline of a request's body.
    #[must_use]
    pub const fn with_body(mut self, body: Duration) -> Self {
        self.body = body;
        self
    }

    /// Sets [`answer`](Self::answer): the deadline of the answer.
    #[must_use]
    pub const fn with_answer(mut self, answer: Duration) -> Self {
        self.answer = answer;
        self
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { body: Duration::from_secs(30), answer: Duration::from_secs(60) }
    }
}

/// Returns `true` if a body exceeds the limit of this server or one that the host has put around it.
pub(crate) fn is_too_long(error: &(dyn Error + 'static)) -> bool {
    successors(Some(error), |error| (*error).source()).any(|error| error.is::<LengthLimitError>())
}

/// Reads the whole request into memory.
pub(crate) async fn whole(
    request: Request<Body>,
    deadlines: Deadlines,
) -> Result<Request<Bytes>, UnreadBody> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, FormPairs::MAX_BYTES).collect();
    match timeout(deadlines.body, body).await {
        Ok(Ok(body)) => Ok(Request::from_parts(parts, body.to_bytes())),
        Ok(Err(error)) if is_too_long(&*error) => Err(UnreadBody::TooLong),
        Ok(Err(_)) => Err(UnreadBody::Broken),
        Err(_) => Err(UnreadBody::TooSlow),
    }
}
