//! Causes of refusals, for the server's log; they contain no text of a request.

use core::fmt;

use client_auth::{DpopError, Reason};
use http::StatusCode;
use oauth_types::InvalidClientId;

use crate::store::StoreError;

/// Cause of a refusal: for the log, never for the peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The endpoint does not accept the request method.
    Method,
    /// The body is too long, incomplete or malformed.
    Body,
    /// This parameter is missing or malformed.
    Parameter(&'static str),
    /// A parameter that may occur once is repeated (RFC 6749 §3.1, §3.2).
    RepeatedParameter,
    /// The URL of a POST has a query, which would put secrets into logs.
    QueryInUrl,
    /// The metadata in a registration is malformed or not acceptable.
    RegisteredMetadata,
    /// Client authentication failed.
    Client(Reason),
    /// No client has the identifier of the request.
    UnknownClient,
    /// The client identifier looks like the URL of a metadata document, but breaks this rule.
    ClientUrl(InvalidClientId),
    /// The client identifier is the URL of a document that describes no valid client.
    ClientDocument,
    /// The redirect URI is not registered for the client.
    RedirectUri,
    /// The client may not use the grant type, or the server does not offer it.
    Grant,
    /// A scope is unknown or exceeds the grant.
    Scope,
    /// A resource is unknown or not the one that was authorized.
    Target,
    /// The code or token is unknown, or was issued to another client.
    UnknownGrant,
    /// The code or family has expired.
    Expired,
    /// The code verifier does not match the code challenge (RFC 7636 §4.6).
    Verifier,
    /// A code was used a second time; its family is revoked.
    CodeReplayed,
    /// A refresh token was used again after the grace window; its family is revoked.
    RefreshTokenReused,
    /// The family was revoked before.
    Revoked,
    /// The server no longer offers the resource or any scope of the grant.
    NotOffered,
    /// A redirect URI in a registration is not allowed.
    RegisteredRedirectUri,
    /// The registration quota is reached.
    Quota,
    /// The user has to be asked, but the request forbids it (`prompt=none`).
    Unasked,
    /// One address sends too many requests.
    TooMany,
    /// An answer to a consent page is refused.
    Consent(ConsentError),
    /// The request names another host in `Host`, or comes from a page of another origin.
    ForeignHost,
    /// A proof of possession is invalid or missing.
    Proof(DpopError),
    /// An identity assertion (ID-JAG) is refused.
    Assertion(AssertionError),
    /// The store failed.
    Store(StoreError),
    /// The host's random source failed, so nothing is issued.
    Entropy,
    /// The host's own code panicked.
    Panicked,
    /// The host's own code took too long.
    Late,
}

/// Reasons for which an answer to a consent page is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ConsentError {
    /// The question was answered before, has expired, or was never asked.
    Gone,
    /// The answer comes from another browser than the one that was asked.
    OtherBrowser,
    /// The answer comes from another user than the one who was asked, or without a login.
    OtherUser,
    /// The answer comes from a page of another site.
    OtherSite,
}

/// Reasons for which an identity assertion (ID-JAG) is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum AssertionError {
    /// The issuer is not a configured identity provider, or the assertion is not a JWT.
    UnknownProvider,
    /// The signature does not verify with the provider's key, or a claim of an ID-JAG is missing.
    WrongSignature,
    /// The audience is not this server alone.
    WrongAudience,
    /// The assertion was issued to another client.
    OtherClient,
    /// The assertion has expired, is not valid yet, or is valid for too long.
    OutsideLifetime,
    /// The assertion names a tenant, or a claim is empty or too long.
    Malformed,
    /// The assertion was used before.
    Replayed,
}

/// Reasons for which the body of a request was not read to its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum UnreadBody {
    /// The body is longer than the server reads.
    TooLong,
    /// The body did not arrive in time.
    TooSlow,
    /// The body ended too early, or its framing is invalid.
    Broken,
}

impl UnreadBody {
    pub(super) const fn description(self) -> &'static str {
        match self {
            Self::TooLong => "the body is too long",
            Self::TooSlow => "the body did not arrive in time",
            Self::Broken => "the body is broken off",
        }
    }

    pub(super) const fn status(self) -> StatusCode {
        match self {
            Self::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Broken => StatusCode::BAD_REQUEST,
        }
    }
}

impl fmt::Display for UnreadBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.description())
    }
}

impl core::error::Error for UnreadBody {}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parameter(name) => return write!(f, "{name} is missing or malformed"),
            Self::Client(reason) => return reason.fmt(f),
            Self::ClientUrl(rule) => return rule.fmt(f),
            Self::Consent(error) => return error.fmt(f),
            Self::Proof(error) => return error.fmt(f),
            Self::Assertion(error) => return error.fmt(f),
            Self::Store(error) => return error.fmt(f),
            Self::Method => "the endpoint does not accept this method",
            Self::Body => "the body is too long, incomplete or not of the expected form",
            Self::RepeatedParameter => "a parameter is repeated",
            Self::QueryInUrl => "the URL has a query, but parameters belong in the body",
            Self::RegisteredMetadata => "the metadata of the registration is not acceptable",
            Self::UnknownClient => "no client has this identifier",
            Self::ClientDocument => {
                "no client could be read from the metadata document at its identifier"
            }
            Self::RedirectUri => "the redirect URI is not one of the client's",
            Self::Grant => "the client may not use this grant, or the server does not offer it",
            Self::Scope => "a scope is unknown or wider than granted",
            Self::Target => "the resource is unknown or not the one that was authorized",
            Self::UnknownGrant => "no such code or token was issued to this client",
            Self::Expired => "the code or the grant has expired",
            Self::Verifier => "the code verifier does not match the challenge",
            Self::CodeReplayed => "the code was used a second time: its grant is revoked",
            Self::RefreshTokenReused => {
                "the refresh token was used a second time: its grant is revoked"
            }
            Self::Revoked => "the grant was revoked before",
            Self::NotOffered => "nothing of what was granted is offered any more",
            Self::RegisteredRedirectUri => "a redirect URI of the registration is not allowed",
            Self::Quota => "the quota of registrations is reached",
            Self::Unasked => "the user has to be asked, and the request does not allow it",
            Self::TooMany => "one address sends too many requests",
            Self::ForeignHost => {
                "the request names another host, or comes from a page of another origin"
            }
            Self::Entropy => "the random source of the host failed, so nothing is issued",
            Self::Panicked => "code of the host panicked",
            Self::Late => "code of the host took too long",
        })
    }
}

impl fmt::Display for ConsentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => {
                "no consent page waits for this answer: it was answered before, or expired"
            }
            Self::OtherBrowser => {
                "the answer comes from another browser than the one that was asked"
            }
            Self::OtherUser => "the answer comes from another user than the one who was asked",
            Self::OtherSite => "the answer comes from a page of another site",
        })
    }
}

impl core::error::Error for ConsentError {}

impl fmt::Display for AssertionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownProvider => "the assertion is no JWT of a configured identity provider",
            Self::WrongSignature => {
                "the assertion lacks a claim or is not signed with the identity provider's key"
            }
            Self::WrongAudience => "the audience of the assertion is not this server alone",
            Self::OtherClient => "the assertion was issued to another client",
            Self::OutsideLifetime => {
                "the assertion has expired, is not valid yet, or is valid for too long"
            }
            Self::Malformed => "a claim of the assertion is empty, too long, or names a tenant",
            Self::Replayed => "the assertion was used before",
        })
    }
}

impl core::error::Error for AssertionError {}
