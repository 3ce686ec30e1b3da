//! Finished replies: deadlines of answers, replies to panics, and logged correlation numbers for server failures.

use core::any::Any;
use core::error::Error;
use core::pin::pin;

use authorization_server::{ErrorForm, PageError, Refusal};
use axum::body::Body;
use bytes::Bytes;
use http::Response;
use tokio::time::timeout;
use tracing::{error, info};

use crate::clock::correlation_id;
use crate::reading::Deadlines;

/// Turns an outcome into a reply, and logs the cause of a refusal.
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

/// Replies to a request that is refused before any endpoint.
pub(crate) fn refused(refusal: Refusal) -> Response<Body> {
    reply(Err(refusal))
}

/// Replies with the endpoint's outcome, or with a refusal after the deadline.
pub(crate) async fn answer(
    deadlines: Deadlines,
    endpoint: impl Future<Output = Result<Response<Bytes>, Refusal>>,
) -> Response<Body> {
    // Pinned here, because the timeout would move the large future of an endpoint.
    let outcome = timeout(deadlines.answer, pin!(endpoint)).await;
    reply(outcome.unwrap_or_else(|_| Err(Refusal::late())))
}

/// Replies with the page endpoint's outcome, or with an error page after the deadline.
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
            match error.source() {
                Some(_) => {
                    let source = sources(&error);
                    error!(cause = %error.cause(), %source, %id, "the server failed");
                }
                None => error!(cause = %error.cause(), %id, "the server failed"),
            }
            return error.with_correlation(id).into_response();
        }
        info!(cause = %error.cause(), "refused with a page");
        error.into_response()
    });
    response.map(Body::from)
}

/// Returns the texts of an error's sources, joined by colons, for the log.
pub(crate) fn sources(error: &dyn Error) -> String {
    let (mut texts, mut source) = (Vec::new(), error.source());
    while let Some(inner) = source {
        texts.push(inner.to_string());
        source = inner.source();
    }
    texts.join(": ")
}

/// Replies after a panic in the host's code, without the panic's message.
pub(crate) fn panicked(_: Box<dyn Any + Send>) -> Response<Body> {
    reply(Err(Refusal::panicked()))
}

/// Replies with an error page after a panic in the host's code.
pub(crate) fn page_panicked(_: Box<dyn Any + Send>) -> Response<Body> {
    page_reply(Err(PageError::panicked()))
}
