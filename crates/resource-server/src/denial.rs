//! A refusal with its finished reply.

use core::fmt;
use core::time::Duration;

use bytes::Bytes;
#[cfg(feature = "dpop")]
use client_auth::InvalidProof;
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
#[cfg(feature = "dpop")]
use oauth_types::header;
use oauth_types::{
    BearerChallenge, BearerErrorCode, ErrorDescription, ScopeSet, TokenType, json_response_uncached,
};
use scope_stepup::{Missing, UnreadableRequest};

use crate::resource::Resource;

const UNAUTHORIZED: StatusCode = StatusCode::UNAUTHORIZED;

/// Why a request is not let in: for the log.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DenialReason {
    /// No token in the `Authorization` header.
    NoToken,
    /// More than one `Authorization` header, or one that is not `Bearer token` (RFC 6750 §2.1).
    MalformedHeader,
    /// Nobody knows the token, or it is revoked.
    UnknownToken,
    /// The token is of an authorization server that the resource does not name.
    ForeignIssuer,
    /// The token is bound to a key, and nobody proved to hold it.
    BoundToken,
    /// The token is bound to no key, where one is proved or has to be.
    UnboundToken,
    /// The proof of possession is not right.
    #[cfg(feature = "dpop")]
    Proof(InvalidProof),
    /// So many proofs are remembered that there is no room for another.
    ProofsFull,
    /// The token has expired, or does not say when it does.
    ExpiredToken,
    /// The token is for another resource.
    WrongAudience,
    /// The token does not grant what the operation needs.
    InsufficientScope,
    /// The body is not a JSON-RPC message.
    UnreadableBody,
    /// A header says something else than the body about what is asked for.
    ContradictingHeader,
    /// The host could not say what the operation needs.
    ScopeUndecided,
    /// The body is too long.
    BodyTooLarge,
    /// The body did not come in time.
    BodyTooSlow,
    /// The body is compressed, or encoded otherwise.
    EncodedBody,
    /// The host's code panicked.
    Panicked,
    /// The session belongs to somebody else, or to nobody.
    ForeignSession,
    /// The event that a stream should go on behind was not sent to this principal.
    ForeignEvent,
    /// The user has as many sessions as one user may have.
    TooManySessions,
    /// All places for sessions are taken.
    SessionsFull,
    /// A stream, or the end of a session, is asked for without a token and outside a session that has no owner.
    StreamWithoutToken,
    /// The request names a host or an origin that the server is not reached by.
    ForeignHost,
    /// The token could not be checked now.
    VerifierUnavailable,
}

/// A request is not let in.
#[derive(Clone, Debug)]
pub struct Denial {
    reason: DenialReason,
    response: Box<Response<Bytes>>,
}

impl Denial {
    /// Why, for the log.
    #[must_use]
    pub const fn reason(&self) -> DenialReason {
        self.reason
    }

    /// The reply. It tells the client what to do and nothing about the token.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        *self.response
    }

    /// Returns `true` if the reply names what the client should ask for (RFC 6750 §3).
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

    /// Returns the denial with another reply.
    pub(crate) fn with_response(self, response: Response<Bytes>) -> Self {
        Self { response: Box::new(response), ..self }
    }

    /// A reply without a challenge.
    pub(crate) fn plain(reason: DenialReason, status: StatusCode, error: &str) -> Self {
        let body = format!("{{\"error\":\"{error}\"}}");
        Self { reason, response: Box::new(json_response_uncached(status, body.into())) }
    }

    /// A reply to a request that used this scheme, if any that is known here.
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
        // Bearer is the first line, because clients that know nothing else read no other. Who shows a proof is not
        // asked for the token without one.
        if !is_proved {
            add(challenge.to_header_value());
        }
        let algorithms = resource.metadata().dpop_signing_alg_values_supported.as_deref();
        if let Some(algorithms) = algorithms.filter(|_| is_proved || status == UNAUTHORIZED) {
            // What is wrong is said in the scheme that was used.
            let silent = challenge.clone().with_error(None).with_error_description(None);
            let own = if is_proved { challenge } else { &silent };
            add(own.to_dpop_header_value(algorithms));
        }
        denial
    }

    /// The server is asked for under a name that is not its: 403.
    pub(crate) fn foreign_host() -> Self {
        Self::plain(DenialReason::ForeignHost, StatusCode::FORBIDDEN, "foreign_host")
    }

    /// 401 (RFC 6750 §3, RFC 9449 §7.1): with an error code only when a token was presented.
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

    /// The same with the nonce that the next proof has to carry (RFC 9449 §9).
    #[cfg(feature = "dpop")]
    #[must_use]
    pub(crate) fn with_nonce(mut self, nonce: &str) -> Self {
        let nonce = HeaderValue::from_str(nonce);
        self.response.headers_mut().extend(nonce.map(|nonce| (header::DPOP_NONCE, nonce)));
        self
    }

    /// 400 (RFC 6750 §3.1): the authorization itself is malformed.
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

    /// 403 (RFC 6750 §3.1): everything the operation needs, at once.
    pub(crate) fn insufficient(resource: &Resource, used: TokenType, missing: &Missing) -> Self {
        // R-AUTH-4
        let challenge = missing.challenge(resource.metadata_url().clone());
        let (reason, status) = (DenialReason::InsufficientScope, StatusCode::FORBIDDEN);
        Self::challenged(reason, status, resource, Some(used), &challenge)
    }

    /// The body is not a JSON-RPC message: 400.
    #[must_use]
    pub fn unreadable_body() -> Self {
        Self::plain(DenialReason::UnreadableBody, StatusCode::BAD_REQUEST, "invalid_request")
    }

    /// It cannot be told what is asked for: 400.
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

    /// The host could not say what the operation needs: 500, whatever the token grants.
    pub(crate) fn undecided() -> Self {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Self::plain(DenialReason::ScopeUndecided, status, "server_error")
    }

    /// The body is longer than the host reads: 413.
    #[must_use]
    pub fn body_too_large() -> Self {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::plain(DenialReason::BodyTooLarge, status, "invalid_request")
    }

    /// The body did not come before the deadline of the host: 408.
    #[must_use]
    pub fn body_too_slow() -> Self {
        let status = StatusCode::REQUEST_TIMEOUT;
        Self::plain(DenialReason::BodyTooSlow, status, "invalid_request")
    }

    /// What the body says after decoding is not known here: 415.
    pub(crate) fn encoded_body() -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::plain(DenialReason::EncodedBody, status, "invalid_request")
    }

    /// The host's code panicked: 500, and nobody is let in.
    #[must_use]
    pub fn panicked() -> Self {
        Self::plain(DenialReason::Panicked, StatusCode::INTERNAL_SERVER_ERROR, "server_error")
    }

    /// There is no stream for a client without a token and session: 405, which clients take for a server without one
    /// (MCP, streamable HTTP).
    pub(crate) fn stream_without_token() -> Self {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        let mut denial = Self::plain(DenialReason::StreamWithoutToken, status, "no_stream");
        denial.response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        denial
    }

    /// Somebody else's session is answered like one that does not exist: 404.
    #[must_use]
    pub fn foreign_session() -> Self {
        Self::plain(DenialReason::ForeignSession, StatusCode::NOT_FOUND, "unknown_session")
    }

    /// An event of another principal's stream is answered like one that does not exist: 404.
    pub(crate) fn foreign_event() -> Self {
        Self::plain(DenialReason::ForeignEvent, StatusCode::NOT_FOUND, "unknown_event")
    }

    /// The user has as many sessions as one user may have: 429. Ending one makes room at once.
    pub(crate) fn too_many_sessions(wait: Duration) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        Self::later(DenialReason::TooManySessions, status, "too_many_sessions", wait)
    }

    /// All places for sessions are taken: 503.
    pub(crate) fn sessions_full(wait: Duration) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::later(DenialReason::SessionsFull, status, "temporarily_unavailable", wait)
    }

    /// The token could not be checked: 503, and the client keeps it.
    #[must_use]
    pub fn verifier_unavailable() -> Self {
        Self::unavailable(DenialReason::VerifierUnavailable)
    }

    /// The proof could not be remembered: 503, because one that is not would count twice.
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
    /// What the client hears in a 401.
    fn error(self) -> Option<BearerErrorCode> {
        match self {
            Self::NoToken => None,
            // RFC 9449 §7.1: a right proof of another key tells that the token is the sender's of another.
            #[cfg(feature = "dpop")]
            Self::Proof(InvalidProof::OtherKey) => Some(BearerErrorCode::InvalidToken),
            #[cfg(feature = "dpop")]
            Self::Proof(InvalidProof::Nonce) => Some(BearerErrorCode::UseDpopNonce),
            #[cfg(feature = "dpop")]
            Self::Proof(_) => Some(BearerErrorCode::InvalidDpopProof),
            _ => Some(BearerErrorCode::InvalidToken),
        }
    }
}

/// What helps, for the developer.
const fn advice(error: &BearerErrorCode) -> &'static str {
    match error {
        BearerErrorCode::UseDpopNonce => "send a proof with this nonce",
        BearerErrorCode::InvalidDpopProof => "send one new proof for this request and token",
        _ => "get a new token",
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            DenialReason::NoToken => "no token",
            DenialReason::MalformedHeader => "malformed authorization",
            DenialReason::UnknownToken => "unknown token",
            DenialReason::ForeignIssuer => "the token is of another authorization server",
            DenialReason::BoundToken => "the token is bound to a key that nobody proved to hold",
            DenialReason::UnboundToken => "the token is bound to no key",
            #[cfg(feature = "dpop")]
            DenialReason::Proof(_) => "the proof of possession is not right",
            DenialReason::ProofsFull => "too many proofs are remembered",
            DenialReason::ExpiredToken => "expired token",
            DenialReason::WrongAudience => "the token is for another resource",
            DenialReason::InsufficientScope => "insufficient scope",
            DenialReason::UnreadableBody => "the body is not JSON-RPC",
            DenialReason::ContradictingHeader => "a header contradicts the body",
            DenialReason::ScopeUndecided => "the host could not say which scopes are needed",
            DenialReason::BodyTooLarge => "the body is too long",
            DenialReason::BodyTooSlow => "the body did not come in time",
            DenialReason::EncodedBody => "the body is encoded",
            DenialReason::Panicked => "the host's code panicked",
            DenialReason::ForeignSession => "somebody else's session",
            DenialReason::ForeignEvent => "an event that this principal was not sent",
            DenialReason::TooManySessions => "the user has too many sessions",
            DenialReason::SessionsFull => "too many sessions are open",
            DenialReason::StreamWithoutToken => "a stream without a token",
            DenialReason::ForeignHost => "a foreign host or origin",
            DenialReason::VerifierUnavailable => "the token could not be checked",
        })
    }
}

impl core::error::Error for Denial {}
