//! Why a client is not let in: one word to the log, the same few words to everybody else.

use core::fmt;

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Response, StatusCode};
use oauth_types::{ErrorResponse, TokenErrorCode, json_response_uncached};

use crate::replay::Replayed;

/// What exactly failed. For the server's log only: the client hears one code for most of them
/// (RFC 6749 §5.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// `client_id`, `client_secret` or a client assertion parameter appears more than once.
    RepeatedParameter,
    /// More than one `Authorization` header.
    RepeatedHeader,
    /// The `Authorization` header is longer than
    /// [`BasicCredentials::MAX_BYTES`](crate::BasicCredentials::MAX_BYTES).
    HeaderTooLong,
    /// More than one way to authenticate in one request (RFC 6749 §2.3).
    SeveralMethods,
    /// `client_id` in the body is not the one in the header.
    IdentifierMismatch,
    /// The `Authorization` header is not well-formed Basic.
    MalformedHeader,
    /// The `Authorization` header has another scheme than Basic.
    UnknownScheme,
    /// A client assertion of a kind that is not taken here.
    AssertionNotSupported,
    /// The client assertion is no JWT with the claims that it needs (RFC 7523 §3).
    MalformedAssertion,
    /// No client identifier, or one that cannot be one.
    NoIdentifier,
    /// No client has this identifier.
    UnknownClient,
    /// The client is registered for another method, or for one that is not spoken here.
    WrongMethod,
    /// The client is registered for a secret and has none stored.
    NoStoredSecret,
    /// The stored secret has expired.
    ExpiredSecret,
    /// The secret is wrong.
    WrongSecret,
    /// The client is registered for assertions and has no keys stored.
    NoStoredKeys,
    /// The client assertion is not signed with the client's key in the key's algorithm.
    WrongSignature,
    /// The client assertion has another issuer or subject than the client itself.
    WrongIssuer,
    /// The client assertion is meant for somebody else, or for others too.
    WrongAudience,
    /// The client assertion has expired, or does not count yet, or is meant to count for too long.
    OutsideLifetime,
    /// The client assertion was used before.
    Replayed,
}

/// A client did not authenticate (RFC 6749 §5.2). Its [response](Self::into_response) is the same for an unknown client,
/// a wrong method and a wrong secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientAuthError {
    reason: Reason,
}

impl ClientAuthError {
    /// A client that is not let in for this reason: for hosts that check more than
    /// [`Presented::verify`](crate::Presented::verify) does.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self { reason }
    }

    /// What exactly failed, for the log.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// What the client is told.
    #[must_use]
    pub const fn code(&self) -> TokenErrorCode {
        match self.reason {
            Reason::RepeatedParameter
            | Reason::RepeatedHeader
            | Reason::HeaderTooLong
            | Reason::SeveralMethods => TokenErrorCode::InvalidRequest,
            _ => TokenErrorCode::InvalidClient,
        }
    }

    /// One text for everything that would tell clients apart.
    const fn description(&self) -> &'static str {
        match self.reason {
            Reason::RepeatedParameter | Reason::RepeatedHeader | Reason::SeveralMethods => {
                "client authentication is ambiguous"
            }
            Reason::HeaderTooLong => "the Authorization header is too long",
            _ => "client authentication failed",
        }
    }

    /// The finished reply (RFC 6749 §5.2): 400 `invalid_request`, or 401 `invalid_client` with a
    /// `Basic` challenge. Every 401 has it, as RFC 9110 §15.5.2 asks, whether or not the
    /// `Authorization` header was used: a difference would tell clients apart.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        let code = self.code();
        let status = match code {
            TokenErrorCode::InvalidRequest => StatusCode::BAD_REQUEST,
            _ => StatusCode::UNAUTHORIZED,
        };
        let body = ErrorResponse::new(code).with_description(self.description()).to_json();
        let mut response = json_response_uncached(status, body);
        if status == StatusCode::UNAUTHORIZED {
            // A-AUTHN-1
            let challenge = HeaderValue::from_static("Basic realm=\"oauth\", charset=\"UTF-8\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

impl fmt::Display for ClientAuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}

impl core::error::Error for ClientAuthError {}

impl From<Replayed> for ClientAuthError {
    fn from(_: Replayed) -> Self {
        Self::new(Reason::Replayed)
    }
}
