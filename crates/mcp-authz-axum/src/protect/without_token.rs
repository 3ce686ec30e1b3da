//! Requests without a token, and replies to refused requests. `resource-server` decides about both.

use core::pin::pin;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, Response};
use resource_server::{AuthInfo, Denial, DenialReason, NamedSession, Requirement};
use tracing::{error, info};

use super::admit::{in_time, is_grpc, presence};
use super::sessions::Opening;
use super::{Guard, read};
use crate::verifier::TokenVerifier;

impl<V: TokenVerifier> Guard<V> {
    /// Admits a request without a token, where the table of operations allows it.
    ///
    /// The service finds an `Option<AuthInfo>` that is `None`.
    pub(super) async fn admit_without_token(
        &self,
        request: &mut Request<Body>,
        denial: Denial,
    ) -> Result<Opening, Denial> {
        let Some(table) = self.required.table_without_token(request) else { return Err(denial) };
        let body = presence(request.body());
        let body = match self.required.table_for(request.method(), body) {
            Some(_) => {
                let body = self.read_in_time(request).await?;
                *request.body_mut() = Body::from(body.clone());
                Some(body)
            }
            None => None,
        };
        let session = match &self.sessions {
            Some(_) => self.seal.session_without_token(request.headers()),
            None => NamedSession::None,
        };
        table.admit_without_token(&self.resource, request, body.as_deref(), session)?;
        let opening = match &body {
            Some(body) => self.reserve(request.headers(), body, None, self.clock.now())?,
            None => Opening::Never,
        };
        self.open_handles(request.headers_mut(), None)?;
        request.extensions_mut().insert(None::<AuthInfo>);
        Ok(opening)
    }

    /// Reads the body of a request within its deadline, with or without a token.
    pub(super) async fn read_in_time(&self, request: &mut Request<Body>) -> Result<Bytes, Denial> {
        let body = read(core::mem::take(request.body_mut()), self.max_body);
        let body = in_time(self.body_deadline, pin!(body)).await;
        body.map_err(|_| Denial::body_too_slow()).flatten()
    }

    /// Returns the reply to a refused request.
    pub(super) async fn refuse(
        &self,
        denial: Denial,
        request: &mut Request<Body>,
    ) -> Response<Body> {
        match denial.reason() {
            reason @ (DenialReason::Panicked | DenialReason::ScopeUndecided) => {
                error!(?reason, why = %reason, "the host's code could not decide");
            }
            reason => info!(?reason, why = %reason, "not let in"),
        }
        // A gRPC client reads the status, and would take any body for a broken message.
        if matches!(*self.required, Requirement::Same(_)) && is_grpc(request.headers()) {
            return denial.into_response().map(|_| Body::empty());
        }
        let is_call =
            self.answers_tool_calls && denial.has_challenge() && request.method() == Method::POST;
        let denial = match is_call {
            // Boxed, because few servers need room for it.
            true => Box::pin(self.answer_tool_call(denial, request)).await,
            false => denial,
        };
        denial.into_response().map(Body::from)
    }

    async fn answer_tool_call(&self, denial: Denial, request: &mut Request<Body>) -> Denial {
        match self.read_in_time(request).await {
            Ok(body) => denial.for_tool_call(request.headers(), &body),
            Err(_) => denial,
        }
    }
}
