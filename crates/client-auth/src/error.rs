//! Errors of client authentication (RFC 6749 §5.2).
//!
//! The reason is precise for the log, and the reply is the same for most reasons.

use core::fmt;

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Response, StatusCode};
use oauth_types::{ErrorResponse, FormError, TokenErrorCode, json_response_uncached};

use crate::replay::Replayed;

/// Reason why client authentication failed.
///
/// It is for the server's log only: the client receives one code for most reasons (RFC 6749 §5.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Reason {
    /// The form of the request is malformed or too long ([`FormError`]).
    MalformedForm,
    /// A client authentication parameter appears more than once.
    ///
    /// The parameters are `client_id`, `client_secret`, `client_assertion` and `client_assertion_type`.
    RepeatedParameter,
    /// The request has more than one `Authorization` header.
    RepeatedHeader,
    /// The `Authorization` header is too long.
    ///
    /// The limit is [`BasicCredentials::MAX_BYTES`](crate::BasicCredentials::MAX_BYTES).
    HeaderTooLong,
    /// The request uses more than one authentication method (RFC 6749 §2.3).
    SeveralMethods,
    /// The body's `client_id` differs from the client in the header or assertion.
    IdentifierMismatch,
    /// The `Authorization` header is not well-formed Basic.
    MalformedHeader,
    /// The `Authorization` header has another scheme than Basic.
    UnknownScheme,
    /// The client assertion is of a type that is not accepted here.
    AssertionNotSupported,
    /// The client assertion is not a JWT with the required claims (RFC 7523 §3).
    MalformedAssertion,
    /// The request has no client identifier, or an invalid one.
    NoIdentifier,
    /// No client has this identifier.
    UnknownClient,
    /// The client is registered for another method, or for one that is not supported here.
    WrongMethod,
    /// The client is registered for a secret and has none stored.
    NoStoredSecret,
    /// The stored secret has expired.
    ExpiredSecret,
    /// The presented secret is not the registered one.
    WrongSecret,
    /// The client's secret is stored as a hash, and no [`SecretVerifier`](crate::SecretVerifier) was used.
    NoSecretVerifier,
    /// The verifier cannot read the hash of the client's secret, or its own decoy.
    InvalidSecretHash,
    /// The client is registered for assertions and has no keys stored.
    NoStoredKeys,
    /// The client assertion is not signed with the client's key in the key's algorithm.
    WrongSignature,
    /// The client assertion has another issuer or subject than the client itself.
    WrongIssuer,
    /// The client assertion has an audience other than this server, or besides it.
    WrongAudience,
    /// The client assertion has expired, is not valid yet, or has too long a lifetime.
    OutsideLifetime,
    /// The client assertion was used before.
    Replayed,
}

impl fmt::Display for Reason {
    #[expect(clippy::too_many_lines, reason = "a table of texts")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MalformedForm => {
                "the form of the request is malformed or too long: the client has to form-encode it (RFC 6749 appendix B)"
            }
            Self::RepeatedParameter => {
                "a parameter of client authentication is repeated: the client has to send it once"
            }
            Self::RepeatedHeader => {
                "the request has more than one Authorization header: the client has to send one"
            }
            Self::HeaderTooLong => {
                "the Authorization header is too long: the client has to send its Basic \
                 credentials alone"
            }
            Self::SeveralMethods => {
                "the client authenticates by more than one method: it has to choose one (RFC \
                 6749 §2.3)"
            }
            Self::IdentifierMismatch => {
                "`client_id` in the body is not the one in the header: the client has to leave it \
                 out of the body"
            }
            Self::MalformedHeader => {
                "the Authorization header is malformed: the client has to form-encode identifier \
                 and secret, join them by a colon and encode the pair in Base64 (RFC 6749 §2.3.1)"
            }
            Self::UnknownScheme => {
                "the Authorization header has another scheme than Basic: the client has to send \
                 `Basic` credentials"
            }
            Self::AssertionNotSupported => {
                "client assertions of this type are not supported: the client has to send a JWT \
                 (RFC 7523 §2.2), or the host to enable the feature `jwt`"
            }
            Self::MalformedAssertion => {
                "the client assertion is malformed or lacks a claim: the client has to send the \
                 claims of RFC 7523 §3"
            }
            Self::NoIdentifier => {
                "the client identifier is missing or malformed: the client has to send the one \
                 that it was issued"
            }
            Self::UnknownClient => "no client has this identifier: the client has to register",
            Self::WrongMethod => {
                "the client is registered for another authentication method: it has to use \
                 that one"
            }
            Self::NoStoredSecret => {
                "the client is registered for a secret and has none stored: the host has to \
                 store its digest, or the client to register again"
            }
            Self::ExpiredSecret => {
                "the client's secret has expired: the client has to register again"
            }
            Self::WrongSecret => {
                "the client's secret is wrong: the client has to send the one that it was \
                 issued"
            }
            Self::NoSecretVerifier => {
                "the client's secret is stored as a hash and no verifier was used: call \
                 `verify_with`, or set the server's secret verifier"
            }
            Self::InvalidSecretHash => {
                "the stored hash of the client's secret, or the decoy, is none that the verifier \
                 reads: the host has to store a hash of the verifier's algorithm"
            }
            Self::NoStoredKeys => {
                "the client is registered for assertions and has no keys stored: the host \
                 has to store its public keys"
            }
            Self::WrongSignature => {
                "the client assertion is not signed with the client's key: the client has to sign \
                 with a key that it registered"
            }
            Self::WrongIssuer => {
                "the client assertion has another issuer or subject than the client: the client \
                 has to put its identifier into `iss` and `sub`"
            }
            Self::WrongAudience => {
                "the client assertion has another audience, or further ones: the client has \
                 to name the issuer of this server alone"
            }
            Self::OutsideLifetime => {
                "the client assertion has expired, is not valid yet, or is valid for too \
                     long: compare the clocks of client and server"
            }
            Self::Replayed => {
                "the client assertion was used before: the client has to sign another for \
                 each request"
            }
        })
    }
}

impl core::error::Error for Reason {}

/// Failed client authentication (RFC 6749 §5.2).
///
/// Its [response](Self::into_response) is the same for an unknown client, a wrong method and a wrong secret.
///
/// # Examples
///
/// ```
/// use client_auth::{ClientAuthError, Reason};
/// use http::header::WWW_AUTHENTICATE;
///
/// let [unknown, wrong] = [Reason::UnknownClient, Reason::WrongSecret].map(ClientAuthError::new);
/// assert_ne!(unknown.reason(), wrong.reason(), "the log tells them apart");
/// let (unknown, wrong) = (unknown.into_response(), wrong.into_response());
/// assert_eq!(unknown.body(), wrong.body(), "the client cannot");
/// assert_eq!(unknown.headers()[WWW_AUTHENTICATE], wrong.headers()[WWW_AUTHENTICATE]);
/// ```
#[doc(alias = "invalid_client")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientAuthError {
    reason: Reason,
}

impl ClientAuthError {
    /// Creates an error with this reason, for hosts with further checks.
    ///
    /// [`Presented::verify`](crate::Presented::verify) creates its own.
    #[must_use]
    pub const fn new(reason: Reason) -> Self {
        Self { reason }
    }

    /// Returns the reason, for the log.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// Returns the error code that the client receives (RFC 6749 §5.2).
    #[must_use]
    pub const fn code(&self) -> TokenErrorCode {
        match self.reason {
            Reason::MalformedForm
            | Reason::RepeatedParameter
            | Reason::RepeatedHeader
            | Reason::HeaderTooLong
            | Reason::SeveralMethods => TokenErrorCode::InvalidRequest,
            Reason::NoSecretVerifier | Reason::InvalidSecretHash => TokenErrorCode::ServerError,
            _ => TokenErrorCode::InvalidClient,
        }
    }

    /// Returns `true` if the host is at fault and the reply says so (500).
    ///
    /// Log the reason as an error then, and do not count the request as a failed attempt of the peer.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self.reason, Reason::NoSecretVerifier | Reason::InvalidSecretHash)
    }

    /// Returns the description; all reasons that would tell clients apart share one.
    const fn description(&self) -> &'static str {
        match self.reason {
            Reason::RepeatedParameter | Reason::RepeatedHeader | Reason::SeveralMethods => {
                "client authentication is ambiguous"
            }
            Reason::MalformedForm => "the form is malformed or too long",
            Reason::HeaderTooLong => "the Authorization header is too long",
            Reason::NoSecretVerifier | Reason::InvalidSecretHash => "the server failed",
            _ => "client authentication failed",
        }
    }

    /// Returns the HTTP reply (RFC 6749 §5.2).
    ///
    /// The reply is 400 `invalid_request`, 401 `invalid_client` with a `Basic` challenge, or 500 `server_error` if the
    /// [host is at fault](Self::is_failure). Every 401 has the
    /// challenge, as RFC 9110 §15.5.2 requires. It does not depend on the request's `Authorization` header, because a
    /// difference would tell clients apart.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        let code = self.code();
        let status = match code {
            TokenErrorCode::InvalidRequest => StatusCode::BAD_REQUEST,
            TokenErrorCode::ServerError => StatusCode::INTERNAL_SERVER_ERROR,
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

/// The reply is 400 `invalid_request`.
impl From<FormError> for ClientAuthError {
    fn from(_: FormError) -> Self {
        Self::new(Reason::MalformedForm)
    }
}

impl From<Replayed> for ClientAuthError {
    fn from(_: Replayed) -> Self {
        Self::new(Reason::Replayed)
    }
}
