//! Causes of refusals, in words for the server's log. No text of a request is in them.

use core::fmt;

use client_auth::{InvalidProof, Reason};
use http::StatusCode;
use oauth_types::InvalidClientId;

use crate::store::StoreError;

/// Cause of a refusal: for the log, never for the peer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Cause {
    /// The method is not one of the endpoint's.
    Method,
    /// The body is too long, or not of the form the endpoint reads.
    Body,
    /// This parameter is missing or malformed.
    Parameter(&'static str),
    /// A parameter that may stand in a request once is repeated (RFC 6749 §3.1, §3.2).
    RepeatedParameter,
    /// The URL of a POST has a query, where a secret would end up in logs.
    QueryInUrl,
    /// The metadata in a registration is malformed or not acceptable.
    RegisteredMetadata,
    /// Client authentication failed.
    Client(Reason),
    /// No client has this identifier.
    UnknownClient,
    /// The identifier looks like the URL of a document, and breaks this rule.
    ClientUrl(InvalidClientId),
    /// The identifier is the URL of a document, and there is no client in it.
    ClientDocument,
    /// The redirect URI is not one of the client's.
    RedirectUri,
    /// The client may not use this grant, or the server lacks it.
    Grant,
    /// A scope is unknown or wider than granted.
    Scope,
    /// A resource is unknown or not the one that was authorized.
    Target,
    /// No such code or token, or not this client's.
    UnknownGrant,
    /// The code or family has expired.
    Expired,
    /// The verifier does not match the challenge.
    Verifier,
    /// A code was used a second time; its family is revoked.
    CodeReplayed,
    /// A refresh token was used again after its grace; its family is revoked.
    RefreshTokenReused,
    /// The family was revoked before.
    Revoked,
    /// Nothing of what was granted is offered any more.
    NotOffered,
    /// A redirect URI in a registration is not allowed.
    RegisteredRedirectUri,
    /// The registration quota is reached.
    Quota,
    /// Somebody would have to be asked, and the request does not allow it.
    Unasked,
    /// Too many requests from one address.
    TooMany,
    /// An answer to a consent page is refused.
    Consent(ConsentError),
    /// The request names another host in `Host`, or comes from a page of another origin.
    ForeignHost,
    /// A proof of possession is not taken, or missing.
    Proof(InvalidProof),
    /// The word of an identity provider is not taken.
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

/// Why an answer to a consent page is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ConsentError {
    /// Nobody waits for it: it was given before, or came too late, or never belonged to a page.
    Gone,
    /// It comes from another browser than the one that was asked.
    OtherBrowser,
    /// It comes from another user than the one who was asked, or from nobody who is logged in.
    OtherUser,
    /// It comes from a page of another site.
    OtherSite,
}

/// Reasons for which an identity assertion (ID-JAG) is refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum AssertionError {
    /// The issuer is none of the configuration's identity providers, or the assertion is no JWT.
    UnknownProvider,
    /// The signature is not the provider's, in the algorithm of its key, or a claim of an ID-JAG is missing.
    WrongSignature,
    /// The audience is another server, or has others beside this one.
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

/// Why the body of a request was not read to its end.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum UnreadBody {
    /// It is longer than anything that is read here.
    TooLong,
    /// It did not arrive in time.
    TooSlow,
    /// It ended too early, or is not framed as it says.
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
