//! Denial of a request, with its reason and the complete HTTP response.

mod reason;

use core::fmt;
use core::time::Duration;

use bytes::Bytes;
#[cfg(feature = "dpop")]
use client_auth::DpopError;
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
#[cfg(feature = "dpop")]
use oauth_types::header;
use oauth_types::{
    BearerChallenge, BearerErrorCode, ErrorDescription, ScopeSet, TokenType, json_response_uncached,
};
use scope_stepup::{Missing, UnreadableRequest};

use crate::resource::Resource;

pub use reason::DenialReason;

const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;

/// Denial of a request, with the complete HTTP response.
#[derive(Clone, Debug)]
pub struct Denial {
    reason: DenialReason,
    response: Box<Response<Bytes>>,
}

impl Denial {
    /// Returns the reason, for the log.
    #[must_use]
    pub const fn reason(&self) -> DenialReason {
        self.reason
    }

    /// Returns the HTTP response.
    ///
    /// The response tells the client how to proceed, and nothing about the token.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        *self.response
    }

    /// Returns `true` if the response has a `WWW-Authenticate` challenge (RFC 6750 §3).
    #[must_use]
    pub fn has_challenge(&self) -> bool {
        self.response.headers().contains_key(WWW_AUTHENTICATE)
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.response.status()
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Replaces the response and keeps the reason.
    pub(crate) fn with_response(self, response: Response<Bytes>) -> Self {
        Self { response: Box::new(response), ..self }
    }

    /// Creates a denial without a challenge.
    pub(crate) fn plain(reason: DenialReason, status: StatusCode, error: &str) -> Self {
        let body = format!("{{\"error\":\"{error}\"}}");
        Self { reason, response: Box::new(json_response_uncached(status, body.into())) }
    }

    /// Creates a denial with challenges; `used` is the scheme of the request, if it is supported.
    fn challenged(
        reason: DenialReason,
        status: StatusCode,
        resource: &Resource,
        used: Option<TokenType>,
        challenge: &BearerChallenge,
    ) -> Self {
        let error = challenge.error.as_ref().map_or("unauthorized", BearerErrorCode::as_str);
        let mut denial = Self::plain(reason, status, error);
        let mut add = |line| {
            denial.response.headers_mut().append(WWW_AUTHENTICATE, line);
        };
        let is_proved = used == Some(TokenType::Dpop) || resource.requires_dpop();
        // Bearer comes first, because clients that support only Bearer read only the first line. A client that sent a
        // proof gets no Bearer challenge, which would ask for its token without a proof.
        if !is_proved {
            add(challenge.to_header_value());
        }
        let algorithms = resource.metadata().dpop_signing_alg_values_supported.as_deref();
        if let Some(algorithms) = algorithms.filter(|_| is_proved || status == UNAUTHORIZED) {
            // The error is reported only in the scheme that the client used.
            let silent = challenge.clone().with_error(None).with_error_description(None);
            let own = if is_proved { challenge } else { &silent };
            add(own.to_dpop_header_value(algorithms));
        }
        denial
    }

    /// Creates a 403: `Host` or `Origin` is not a name of this server.
    pub(crate) fn foreign_host() -> Self {
        Self::plain(DenialReason::ForeignHost, StatusCode::FORBIDDEN, "foreign_host")
    }

    /// Creates a 401 (RFC 6750 §3, RFC 9449 §7.1), with an error code only if a token was presented.
    pub(crate) fn unauthorized(
        resource: &Resource,
        used: Option<TokenType>,
        reason: DenialReason,
        required: &ScopeSet,
    ) -> Self {
        // R-AUTH-1
        let scope = resource.scopes_challenged(required);
        let error = reason.error();
        let challenge = resource
            .challenge()
            .with_error_description(
                error.as_ref().map(|error| ErrorDescription::new(advice(error))),
            )
            .with_error(error)
            .with_scope(Some(scope).filter(|scope| !scope.is_empty()));
        Self::challenged(reason, UNAUTHORIZED, resource, used, &challenge)
    }

    /// Adds the nonce that the next proof has to carry (RFC 9449 §9).
    #[cfg(feature = "dpop")]
    #[must_use]
    pub(crate) fn with_nonce(mut self, nonce: &str) -> Self {
        let nonce = HeaderValue::from_str(nonce);
        self.response.headers_mut().extend(nonce.map(|nonce| (header::DPOP_NONCE, nonce)));
        self
    }

    /// Creates a 400: the `Authorization` header is malformed (RFC 6750 §3.1).
    pub(crate) fn malformed(resource: &Resource, used: TokenType) -> Self {
        // R-AUTH-7
        let challenge = resource
            .challenge()
            .with_error(BearerErrorCode::InvalidRequest)
            .with_error_description(ErrorDescription::new(
                "send one Authorization header with one token",
            ));
        let (reason, status) = (DenialReason::MalformedHeader, StatusCode::BAD_REQUEST);
        Self::challenged(reason, status, resource, Some(used), &challenge)
    }

    /// Creates a 403 that names all scopes that the operation needs (RFC 6750 §3.1).
    pub(crate) fn insufficient(resource: &Resource, used: TokenType, missing: &Missing) -> Self {
        // R-AUTH-4
        let challenge = missing.challenge(resource.metadata_url().clone());
        let (reason, status) = (DenialReason::InsufficientScope, StatusCode::FORBIDDEN);
        Self::challenged(reason, status, resource, Some(used), &challenge)
    }

    /// Creates a 400: the body is not a JSON-RPC message.
    #[must_use]
    pub fn unreadable_body() -> Self {
        Self::plain(DenialReason::UnreadableBody, StatusCode::BAD_REQUEST, "invalid_request")
    }

    /// Creates a 400: the request does not tell which operation it asks for.
    pub(crate) fn unreadable(error: UnreadableRequest) -> Self {
        match error {
            UnreadableRequest::Header(_) => Self::plain(
                DenialReason::ContradictingHeader,
                StatusCode::BAD_REQUEST,
                "invalid_request",
            ),
            _ => Self::unreadable_body(),
        }
    }

    /// Creates a 500: the host could not decide which scopes the operation needs, so no token is sufficient.
    pub(crate) fn undecided() -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::plain(DenialReason::ScopeUndecided, status, "server_error")
    }

    /// Creates a 413: the body is longer than the limit of the host.
    #[must_use]
    pub fn body_too_large() -> Self {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::plain(DenialReason::BodyTooLarge, status, "invalid_request")
    }

    /// Creates a 408: the body did not arrive before the deadline of the host.
    #[must_use]
    pub fn body_too_slow() -> Self {
        let status = StatusCode::REQUEST_TIMEOUT;
        Self::plain(DenialReason::BodyTooSlow, status, "invalid_request")
    }

    /// Creates a 415: the body has a content coding, so its content cannot be checked here.
    pub(crate) fn encoded_body() -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::plain(DenialReason::EncodedBody, status, "invalid_request")
    }

    /// Creates a 500: code of the host panicked, so the request is denied.
    #[must_use]
    pub fn panicked() -> Self {
        Self::plain(DenialReason::Panicked, StatusCode::INTERNAL_SERVER_ERROR, "server_error")
    }

    /// Creates a 405 for a stream without a token outside a session that was opened without a token.
    ///
    /// Clients take a 405 for a server that offers no stream (MCP, Streamable HTTP).
    pub(crate) fn stream_without_token() -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let mut denial = Self::plain(DenialReason::StreamWithoutToken, status, "no_stream");
        denial.response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        denial
    }

    /// Creates a 404 for the session of another principal, the same as for an unknown session.
    #[must_use]
    pub fn foreign_session() -> Self {
        Self::plain(DenialReason::ForeignSession, StatusCode::NOT_FOUND, "unknown_session")
    }

    /// Creates a 404 for an event of another principal, the same as for an unknown event.
    pub(crate) fn foreign_event() -> Self {
        Self::plain(DenialReason::ForeignEvent, StatusCode::NOT_FOUND, "unknown_event")
    }

    /// Creates a 429: the user has reached the limit of sessions.
    ///
    /// Ending a session frees a place at once.
    pub(crate) fn too_many_sessions(wait: Duration) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::later(DenialReason::TooManySessions, status, "too_many_sessions", wait)
    }

    /// Creates a 503: all places for sessions are in use.
    pub(crate) fn sessions_full(wait: Duration) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::later(DenialReason::SessionsFull, status, "temporarily_unavailable", wait)
    }

    /// Creates a 503: the verifier is unavailable, so the client should keep its token and retry.
    #[must_use]
    pub fn verifier_unavailable() -> Self {
        Self::unavailable(DenialReason::VerifierUnavailable)
    }

    /// Creates a 503: the proof cannot be stored, and without storage it could be replayed.
    #[cfg(feature = "dpop")]
    pub(crate) fn proofs_full() -> Self {
        Self::unavailable(DenialReason::ProofsFull)
    }

    fn unavailable(reason: DenialReason) -> Self {
        let wait = Duration::from_secs(5);
        Self::later(reason, StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", wait)
    }

    fn later(reason: DenialReason, status: StatusCode, error: &str, wait: Duration) -> Self {
        let mut denial = Self::plain(reason, status, error);
        let seconds = HeaderValue::from(wait.as_secs().max(1));
        denial.response.headers_mut().insert(RETRY_AFTER, seconds);
        denial
    }
}

impl DenialReason {
    /// Returns the error code for the challenge of a 401.
    fn error(self) -> Option<BearerErrorCode> {
        match self {
            Self::NoToken => None,
            // RFC 9449 §7.1: a valid proof of another key means that the token is bound to a different key.
            #[cfg(feature = "dpop")]
            Self::Proof(DpopError::OtherKey) => Some(BearerErrorCode::InvalidToken),
            #[cfg(feature = "dpop")]
            Self::Proof(DpopError::Nonce) => Some(BearerErrorCode::UseDpopNonce),
            #[cfg(feature = "dpop")]
            Self::Proof(_) => Some(BearerErrorCode::InvalidDpopProof),
            _ => Some(BearerErrorCode::InvalidToken),
        }
    }
}

/// Returns the error description for the developer of the client.
const fn advice(error: &BearerErrorCode) -> &'static str {
    match error {
        BearerErrorCode::UseDpopNonce => "send a proof with this nonce",
        BearerErrorCode::InvalidDpopProof => "send one new proof for this request and token",
        _ => "get a new token",
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl core::error::Error for Denial {}
