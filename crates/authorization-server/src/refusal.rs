//! Refusals with their finished replies; the type says whether a reply is JSON, a page or a redirect.

mod cause;
mod page_error;
mod redirect_error;

use core::fmt;
use core::time::Duration;

use bytes::Bytes;
use client_auth::ClientAuthError;
#[cfg(feature = "dpop")]
use client_auth::DpopError;
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
#[cfg(feature = "dpop")]
use oauth_types::header;
use oauth_types::{
    Entropy, ErrorDescription, ErrorResponse, RegistrationErrorCode, TokenErrorCode,
    json_response_uncached,
};

pub use self::cause::{AssertionError, Cause, ConsentError, UnreadBody};
pub use self::page_error::PageError;
pub use self::redirect_error::RedirectError;
pub(crate) use self::redirect_error::redirect;
use crate::correlation::CorrelationId;
use crate::store::StoreError;

/// Value of `Retry-After` after a failure of the server, in seconds.
const RETRY: &str = "2";

impl From<UnreadBody> for Refusal {
    fn from(error: UnreadBody) -> Self {
        Self::token(Cause::Body, TokenErrorCode::InvalidRequest, error.description())
            .with_status(error.status())
    }
}

/// Refusal of an endpoint that programs call: an uncached JSON reply.
#[derive(Clone)]
pub struct Refusal {
    cause: Cause,
    response: Box<Response<Bytes>>,
}

impl Refusal {
    /// Returns the cause, for the log.
    #[must_use]
    pub const fn cause(&self) -> Cause {
        self.cause
    }

    /// Returns the reply.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        *self.response
    }

    /// Returns `true` if the reply says that the server failed (5xx).
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.response.status().is_server_error()
    }

    /// Adds the number of the log entry to a reply that says that the server failed.
    #[must_use]
    pub fn with_correlation(mut self, id: CorrelationId) -> Self {
        // The description carries the number, because clients show it to users.
        if self.is_failure()
            && let Ok(error) = ErrorResponse::<String>::from_json(self.response.body())
        {
            let said = error.error_description.as_ref().map_or("", ErrorDescription::as_str);
            let description = format!("{said} (number {id} in the server's log)");
            *self.response.body_mut() = error.with_description(&description).to_json();
        }
        self
    }

    pub(crate) fn new(cause: Cause, response: Response<Bytes>) -> Self {
        Self { cause, response: Box::new(response) }
    }

    /// Returns 400 with an error code of the token endpoint.
    pub(crate) fn token(cause: Cause, code: TokenErrorCode, description: &str) -> Self {
        // A-TOKEN-7
        let body = ErrorResponse::new(code).with_description(description).to_json();
        Self::new(cause, json_response_uncached(StatusCode::BAD_REQUEST, body))
    }

    /// Returns 401 for failed client authentication, 400 for several credentials at once, or 500 for a fault of the host.
    pub(crate) fn unauthenticated(error: ClientAuthError) -> Self {
        Self::new(Cause::Client(error.reason()), error.into_response())
    }

    /// Returns 400 for a missing parameter.
    pub(crate) fn missing(name: &'static str) -> Self {
        let why = format!("{name} is missing");
        Self::token(Cause::Parameter(name), TokenErrorCode::InvalidRequest, &why)
    }

    /// Returns 400 `invalid_grant`, with the same description for every cause.
    pub(crate) fn invalid_grant(cause: Cause) -> Self {
        Self::token(cause, TokenErrorCode::InvalidGrant, "the grant is not valid")
    }

    /// Returns the random bytes of the host, or 503 if its random source failed.
    pub(crate) fn drawn<const N: usize>(random: Option<Entropy<N>>) -> Result<Entropy<N>, Self> {
        random.ok_or_else(|| Self::unavailable(Cause::Entropy))
    }

    /// Returns 400 with an error code of the registration endpoint.
    pub(crate) fn registration(
        cause: Cause,
        code: RegistrationErrorCode,
        description: &str,
    ) -> Self {
        let body = ErrorResponse::new(code).with_description(description).to_json();
        Self::new(cause, json_response_uncached(StatusCode::BAD_REQUEST, body))
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        *self.response.status_mut() = status;
        self
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: &'static str) -> Self {
        self.response.headers_mut().insert(name, HeaderValue::from_static(value));
        self
    }

    /// Returns 400 `use_dpop_nonce` with the nonce for the next proof (RFC 9449 §8).
    #[cfg(feature = "dpop")]
    pub(crate) fn use_nonce(nonce: &str) -> Self {
        let cause = Cause::Proof(DpopError::Nonce);
        let why = "send the proof with this nonce";
        let mut own = Self::token(cause, TokenErrorCode::UseDpopNonce, why);
        let nonce = HeaderValue::from_str(nonce);
        own.response.headers_mut().extend(nonce.map(|nonce| (header::DPOP_NONCE, nonce)));
        own
    }

    /// Returns 405 with the allowed methods.
    pub(crate) fn method(allowed: &'static str) -> Self {
        Self::token(Cause::Method, TokenErrorCode::InvalidRequest, "use another method")
            .with_status(StatusCode::METHOD_NOT_ALLOWED)
            .with_header(ALLOW, allowed)
    }

    /// Returns the reply for a failure of the store; the client may send the same request again.
    #[must_use]
    pub fn store(error: StoreError) -> Self {
        let cause = Cause::Store(error);
        match error {
            StoreError::Corrupt => Self::server_error(cause),
            StoreError::Unavailable | StoreError::UnknownOutcome => Self::unavailable(cause),
        }
    }

    /// Returns 429 with the time after which the address may try again (`Retry-After`).
    #[must_use]
    pub fn too_many(wait: Duration) -> Self {
        let code = TokenErrorCode::TemporarilyUnavailable;
        let mut refusal = Self::token(Cause::TooMany, code, "too many requests from one address")
            .with_status(StatusCode::TOO_MANY_REQUESTS);
        // Rounded up to whole seconds, so that the client does not return too early.
        let rest = u64::from(wait.subsec_nanos() > 0);
        let seconds = wait.as_secs().saturating_add(rest).max(1);
        refusal.response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        refusal
    }

    /// Returns `true` if client authentication failed, as it does for a guessed secret, and not by the host's fault.
    pub(crate) fn is_failed_authentication(&self) -> bool {
        matches!(self.cause, Cause::Client(_)) && !self.is_failure()
    }

    /// Returns `true` if the code or token of the request is unknown, as a made-up one is.
    pub(crate) const fn is_unknown_grant(&self) -> bool {
        matches!(self.cause, Cause::UnknownGrant)
    }

    /// Returns the reply for host code that took too long.
    ///
    /// The effect of that code is unknown; the client may send the same request again.
    #[must_use]
    pub fn late() -> Self {
        Self::unavailable(Cause::Late)
    }

    fn unavailable(cause: Cause) -> Self {
        Self::token(cause, TokenErrorCode::TemporarilyUnavailable, "try again")
            .with_status(StatusCode::SERVICE_UNAVAILABLE)
            .with_header(RETRY_AFTER, RETRY)
    }

    /// Returns the reply for host code that panicked; the panic message is not in it.
    #[must_use]
    pub fn panicked() -> Self {
        Self::server_error(Cause::Panicked)
    }

    fn server_error(cause: Cause) -> Self {
        Self::token(cause, TokenErrorCode::ServerError, "the server failed")
            .with_status(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (the reply has the status {})", self.cause, self.response.status().as_u16())
    }
}

impl core::error::Error for Refusal {}

/// Shows neither headers nor body, because they are for the client alone.
impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Refusal")
            .field("cause", &self.cause)
            .field("status", &self.response.status().as_u16())
            .finish_non_exhaustive()
    }
}
