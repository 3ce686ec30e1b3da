//! Finished replies: there is one in time, and one that says that the server failed has a number in the log.

use core::any::Any;

use authorization_server::{ErrorForm, PageError, Refusal};
use axum::body::Body;
use bytes::Bytes;
use http::Response;
use tokio::time::timeout;
use tracing::{error, info};

use crate::ambient::correlation_id;
use crate::reading::Deadlines;

/// The finished reply of either outcome; a refusal's cause goes to the log.
fn reply(outcome: Result<Response<Bytes>, Refusal>) -> Response<Body> {
    let response = outcome.unwrap_or_else(|refusal| {
        if refusal.is_failure() {
            let id = correlation_id();
            error!(cause = %refusal.cause(), %id, "the server failed");
            return refusal.with_correlation(id).into_response();
        }
        info!(cause = %refusal.cause(), "refused");
        refusal.into_response()
    });
    response.map(Body::from)
}

/// The reply to a request that no endpoint sees.
pub(crate) fn refused(refusal: Refusal) -> Response<Body> {
    reply(Err(refusal))
}

/// The reply of an endpoint, if there is one in time.
pub(crate) async fn answer(
    deadlines: Deadlines,
    endpoint: impl Future<Output = Result<Response<Bytes>, Refusal>>,
) -> Response<Body> {
    let outcome = timeout(deadlines.answer, endpoint).await;
    reply(outcome.unwrap_or_else(|_| Err(Refusal::late())))
}

/// The same for an endpoint that answers with pages.
pub(crate) async fn page_answer(
    deadlines: Deadlines,
    form: ErrorForm,
    endpoint: impl Future<Output = Result<Response<Bytes>, PageError>>,
) -> Response<Body> {
    let outcome = timeout(deadlines.answer, endpoint).await;
    let outcome = outcome.unwrap_or(Err(PageError::late()));
    page_reply(outcome.map_err(|error| error.with_form(form)))
}

fn page_reply(outcome: Result<Response<Bytes>, PageError>) -> Response<Body> {
    let response = outcome.unwrap_or_else(|error| {
        if error.is_failure() {
            let id = correlation_id();
            error!(cause = %error.cause(), %id, "the server failed");
            return error.with_correlation(id).into_response();
        }
        info!(cause = %error.cause(), "refused with a page");
        error.into_response()
    });
    response.map(Body::from)
}

/// The reply when the host's code panicked: its client still gets one, and nobody hears what was said.
pub(crate) fn panicked(_: Box<dyn Any + Send>) -> Response<Body> {
    reply(Err(Refusal::panicked()))
}

/// The same for an endpoint that answers with pages.
pub(crate) fn page_panicked(_: Box<dyn Any + Send>) -> Response<Body> {
    page_reply(Err(PageError::panicked()))
}
