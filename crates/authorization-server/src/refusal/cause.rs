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
    /// The host's login cannot tell now which user a browser belongs to.
    LoginUnavailable,
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
        f.write_str(match self {
            Self::TooLong => {
                "the body is longer than the server reads: the client has to send less"
            }
            Self::TooSlow => {
                "the body did not arrive in time: the client has to send it without pauses"
            }
            Self::Broken => {
                "the body ended too early, or its framing is invalid: the client has to send it whole"
            }
        })
    }
}

impl core::error::Error for UnreadBody {}

impl fmt::Display for Cause {
    #[expect(clippy::too_many_lines, reason = "a table of messages")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Parameter(name) => {
                return write!(
                    f,
                    "`{name}` is missing or malformed: the client's developer has to correct it"
                );
            }
            Self::Client(reason) => return reason.fmt(f),
            Self::ClientUrl(rule) => return rule.fmt(f),
            Self::Consent(error) => return error.fmt(f),
            Self::Proof(error) => return error.fmt(f),
            Self::Assertion(error) => return error.fmt(f),
            Self::Store(error) => return error.fmt(f),
            Self::Method => {
                "the endpoint does not accept this method: the client has to use one that `Allow` names"
            }
            Self::Body => {
                "the body is too long, incomplete or malformed: the client has to send a whole form with its media \
                 type"
            }
            Self::RepeatedParameter => {
                "a parameter is repeated: the client has to send each one once (RFC 6749 §3.1, §3.2)"
            }
            Self::QueryInUrl => {
                "the URL has a query: the client has to send parameters in the body, because URLs are logged"
            }
            Self::RegisteredMetadata => {
                "the metadata of the registration is malformed or not acceptable: the client has to correct what the \
                 description in the reply names (RFC 7591 §3.2.2)"
            }
            Self::UnknownClient => {
                "no client has this identifier: the client has to register"
            }
            Self::ClientDocument => {
                "the metadata document at the client identifier describes no valid client: its developer has to \
                 correct it"
            }
            Self::RedirectUri => {
                "the redirect URI is not registered for the client: the client has to send one that is, or to \
                 register this one"
            }
            Self::Grant => {
                "the client may not use this grant, or the server does not offer it: the client has to use one that \
                 it is registered for"
            }
            Self::Scope => {
                "a scope is unknown, or exceeds the grant: the client has to request scopes that the metadata lists, \
                 and to log in again for more than was granted"
            }
            Self::Target => {
                "the resource is unknown, or not the one that was authorized: the client has to name the resource of \
                 its login (RFC 8707 §2)"
            }
            Self::UnknownGrant => {
                "the code or token is unknown, or was issued to another client: the client has to log in again"
            }
            Self::Expired => {
                "the code or the grant has expired: the client has to log in again"
            }
            Self::Verifier => {
                "the code verifier does not match the code challenge: the client has to send the verifier of the \
                 same login (RFC 7636 §4.6)"
            }
            Self::CodeReplayed => {
                "the code was used a second time, so its grant is revoked: the client has to log in again, and to \
                 redeem a code once"
            }
            Self::RefreshTokenReused => {
                "the refresh token was used again after the grace window, so its grant is revoked: the client has to \
                 log in again, and to store the refresh token of each reply"
            }
            Self::Revoked => {
                "the grant was revoked before: the client has to log in again"
            }
            Self::NotOffered => {
                "the resource or all scopes of the grant are no longer offered: the client has to log in again for \
                 what is offered now"
            }
            Self::RegisteredRedirectUri => {
                "a redirect URI of the registration is not allowed: the client has to correct what the description \
                 in the reply names (RFC 7591 §3.2.2)"
            }
            Self::Quota => {
                "the quota of registrations is reached: the client has to try again later, and the host to store \
                 more clients if that lasts"
            }
            Self::Unasked => {
                "the user has to be asked, and the request forbids it (`prompt=none`): the client has to send the \
                 request without that"
            }
            Self::TooMany => {
                "one address sends too many requests: its clients have to wait as long as `Retry-After` says; if it \
                 is a proxy, the operator has to name it as trusted"
            }
            Self::ForeignHost => {
                "`Host` names another server, or the request comes from a page of another origin: if it should be \
                 accepted, the host has to add it by `with_host_name` or `with_browser_origins`"
            }
            Self::LoginUnavailable => {
                "the host's login cannot tell now who is logged in: the operator has to check what it asks, such as the \
                 database of users"
            }
            Self::Entropy => {
                "the random source of the host failed, so nothing is issued: the operator has to check the system's \
                 random source"
            }
            Self::Panicked => {
                "code of the host panicked: its programmer has to correct it"
            }
            Self::Late => {
                "code of the host took too long: its programmer has to check the store and the login"
            }
        })
    }
}

impl core::error::Error for Cause {}

impl fmt::Display for ConsentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => {
                "no consent page waits for this answer, because it was answered before or has expired: the user has \
                 to start again from the application"
            }
            Self::OtherBrowser => {
                "the answer comes from another browser than the one that was asked: the user has to answer in the \
                 browser that shows the page"
            }
            Self::OtherUser => {
                "the answer comes from another user than the one who was asked, or without a login: the user has to \
                 log in, and to start again from the application"
            }
            Self::OtherSite => {
                "the answer comes from a page of another site: the user has to start again from the application"
            }
        })
    }
}

impl core::error::Error for ConsentError {}

impl fmt::Display for AssertionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownProvider => {
                "the assertion is not a JWT of a configured identity provider: the client has to send an ID-JAG, or \
                 the operator to configure its issuer"
            }
            Self::WrongSignature => {
                "the assertion lacks a claim, or no key of the identity provider verifies it: the client has to get \
                 a new ID-JAG, and the operator to compare the configured keys"
            }
            Self::WrongAudience => {
                "the audience of the assertion is not this server alone: the client has to request an ID-JAG for the \
                 issuer of this server"
            }
            Self::OtherClient => {
                "the assertion was issued to another client: the client has to request its own, with its identifier \
                 at this server"
            }
            Self::OutsideLifetime => {
                "the assertion has expired, is not valid yet, or is valid for too long: compare the clocks of this \
                 server and the identity provider, then its lifetime"
            }
            Self::Malformed => {
                "a claim of the assertion is empty, too long, or names a tenant: the identity provider's operator \
                 has to correct it"
            }
            Self::Replayed => {
                "the assertion was used before: the client has to request one for each token request"
            }
        })
    }
}

impl core::error::Error for AssertionError {}
