//! Errors of tokens that an external issuer signed, and of fetching its keys.

use core::fmt;

use client_auth::InvalidKeys;
use http::StatusCode;
use oauth_types::DocumentError;

use super::JwtTokens;

/// Reasons to refuse a token, for logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum JwtRefused {
    /// The token is not a JWT, names another issuer, or is too long.
    NotOurs,
    /// No key of the issuer verifies the signature.
    NotSigned,
    /// The `typ` header is not that of an access token in the issuer's [profile](crate::JwtProfile).
    Type,
    /// The claims are those of another kind of token, such as an ID token.
    NotAccessToken,
    /// A claim is missing, repeated or malformed.
    Claims,
    /// The claim that names the client is missing or malformed.
    NoClient,
    /// `sub` is missing or empty.
    NoSubject,
    /// The token is bound to something that cannot be checked here.
    Confirmation,
    /// The token is not valid yet, or has a lifetime of more than a year.
    OutsideLifetime,
}

impl fmt::Display for JwtRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOurs => {
                return write!(
                    f,
                    "the token is not a JWT of this issuer with at most {} bytes: compare its `iss` with the configured \
                     issuer, byte for byte",
                    JwtTokens::MAX_BYTES
                );
            }
            Self::NotSigned => {
                "no key of the issuer verifies the signature: the client has to get a new token from this issuer"
            }
            Self::Type => {
                "`typ` in the token's header is not that of an access token (`at+jwt`, RFC 9068 §2.1): if the issuer \
                 types its access tokens otherwise, configure its `JwtProfile`"
            }
            Self::NotAccessToken => {
                "the claims are not those of an access token in the issuer's `JwtProfile`: the client has to send its \
                 access token, not its ID token"
            }
            Self::NoClient => {
                "the claim that names the client is missing or malformed: if the issuer has it elsewhere, name it by \
                 `with_client_claim`"
            }
            Self::NoSubject => {
                "`sub` is missing or empty: the issuer's operator has to let access tokens name a subject (RFC 9068 \
                 §2.2)"
            }
            Self::Claims => {
                "a claim is missing, repeated or malformed: the issuer's operator has to issue access tokens by \
                 RFC 9068 §2.2"
            }
            Self::Confirmation => {
                "`cnf` is not the thumbprint of one key (`jkt`): the issuer's operator has to bind tokens by DPoP \
                 (RFC 9449 §6.1), or not at all"
            }
            Self::OutsideLifetime => {
                "the token is not valid yet, or valid for more than a year: compare the clocks, then let the issuer's \
                 operator shorten the lifetime"
            }
        })
    }
}

impl core::error::Error for JwtRefused {}

/// Errors while fetching keys, for logs.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum NoKeys {
    /// There was no response.
    NoAnswer,
    /// The response has a status other than 200.
    Status(StatusCode),
    /// The response is not a JWK Set (RFC 7517 §5).
    Document(DocumentError),
    /// The JWK Set contains no usable key.
    Keys(InvalidKeys),
}

impl fmt::Display for NoKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer => f.write_str(
                "the URL of the issuer's keys did not answer: check the network, and whether the issuer is up",
            ),
            Self::Status(status) => write!(
                f,
                "the URL of the issuer's keys answered {} instead of 200: the issuer's operator has to correct that, \
                 unless it passes with time",
                status.as_u16()
            ),
            Self::Document(error) => write!(
                f,
                "the issuer's key set is malformed ({error}): the issuer's operator has to publish a JWK Set \
                 (RFC 7517 §5)"
            ),
            Self::Keys(error) => write!(
                f,
                "the issuer's key set cannot be used ({error}): the issuer's operator has to correct it"
            ),
        }
    }
}

impl core::error::Error for NoKeys {}
