//! Requests are read whole: in time, and no longer than any form that is read.

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

/// How long a request to the authorization server may take, counted from the end of its head.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Deadlines {
    /// To the end of its body: 30 seconds. What comes later is answered with 408.
    pub body: Duration,
    /// To its answer, with all that the login and the store do: 60 seconds. What is not done then is given up and
    /// answered with 503.
    pub answer: Duration,
}

impl Deadlines {
    /// Sets [`body`](Self::body): the deadline of a request's body.
    #[must_use]
    pub const fn with_body(mut self, body: Duration) -> Self {
        self.body = body;
        self
    }

    /// Sets [`answer`](Self::answer): the deadline of its answer.
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

/// Whether a body could not be read because it is longer than allowed, here or by a limit of the host's around this.
pub(crate) fn is_too_long(error: &(dyn Error + 'static)) -> bool {
    successors(Some(error), |error| (*error).source()).any(|error| error.is::<LengthLimitError>())
}

/// The whole request in memory.
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
