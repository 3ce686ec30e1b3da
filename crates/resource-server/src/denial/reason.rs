//! Reasons for a denial: names for programs, and messages for logs.

use core::fmt;

#[cfg(feature = "dpop")]
use client_auth::DpopError;

/// Reasons for a denial, for logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum DenialReason {
    /// The `Authorization` header contains no token.
    NoToken,
    /// There are several tokens or `Authorization` headers, or the header is malformed (RFC 6750 §2.1).
    MalformedHeader,
    /// The token is unknown or revoked.
    UnknownToken,
    /// The issuer of the token is not an authorization server of the resource.
    ForeignIssuer,
    /// The token is bound to a key, and its possession is not proved.
    BoundToken,
    /// The token is not bound to a key, although a proof was sent or bound tokens are required.
    UnboundToken,
    /// The DPoP proof is missing or invalid (RFC 9449 §4.3).
    #[cfg(feature = "dpop")]
    Proof(DpopError),
    /// The memory for used proofs is full.
    ProofsFull,
    /// The token has expired or names no expiry time.
    ExpiredToken,
    /// The audience of the token is another resource.
    WrongAudience,
    /// The token lacks a scope that the operation needs.
    InsufficientScope,
    /// The body is not a JSON-RPC message.
    UnreadableBody,
    /// A header contradicts the operation that the body names.
    ContradictingHeader,
    /// The host could not decide which scopes the operation needs.
    ScopeUndecided,
    /// The body is too long.
    BodyTooLarge,
    /// The body did not arrive before the deadline.
    BodyTooSlow,
    /// The body is compressed or has another content coding.
    EncodedBody,
    /// Code of the host panicked.
    Panicked,
    /// The session belongs to another principal or does not exist.
    ForeignSession,
    /// The `Last-Event-ID` was not sent to this principal.
    ForeignEvent,
    /// The user has reached the limit of sessions for one user.
    TooManySessions,
    /// All places for sessions are in use.
    SessionsFull,
    /// A GET or DELETE without a token is not in a session that was opened without a token.
    StreamWithoutToken,
    /// The request names a host or an origin that is not a name of the server.
    ForeignHost,
    /// The token could not be verified, because the verifier is unavailable.
    VerifierUnavailable,
}

/// Says what was expected, what was found, and who has to act.
impl fmt::Display for DenialReason {
    #[expect(clippy::too_many_lines, reason = "a table of messages")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            #[cfg(feature = "dpop")]
            Self::Proof(error) => return error.fmt(f),
            Self::NoToken => {
                "the request has no token: the client has to log in and send an access token in the `Authorization` \
                 header (RFC 6750 §2.1)"
            }
            Self::MalformedHeader => {
                "the request has several tokens, or a malformed `Authorization` header: the client has to send one \
                 header with one token (RFC 6750 §2.1)"
            }
            Self::UnknownToken => {
                "the token is unknown, revoked or forged: the client has to get a new one"
            }
            Self::ForeignIssuer => {
                "the token's issuer is not an authorization server of this resource: the client has to log in at one that \
                 the resource metadata names (RFC 9728 §2)"
            }
            Self::BoundToken => {
                "the token is bound to a key, and its possession is not proved: the client has to send the token with \
                 the scheme `DPoP` and a proof (RFC 9449 §7.1)"
            }
            Self::UnboundToken => {
                "the token is bound to no key, and a proof was sent or is required: the client has to request a bound \
                 token (RFC 9449 §5)"
            }
            Self::ProofsFull => {
                "the memory for used proofs is full, or one user fills a tenth of it: the client has to try again \
                 later, and the host to allow more proofs if that lasts"
            }
            Self::ExpiredToken => {
                "the token has expired, or names no expiry time: the client has to refresh it, or to log in again"
            }
            Self::WrongAudience => {
                "the token was issued for another resource: the client has to request one for this resource (RFC 8707 \
                 §2)"
            }
            Self::InsufficientScope => {
                "the token lacks a scope that the operation needs: the client has to request those of the challenge \
                 (RFC 6750 §3.1)"
            }
            Self::UnreadableBody => {
                "the body is not a JSON-RPC message: the client has to send one whole message"
            }
            Self::ContradictingHeader => {
                "a header names another operation than the body: the client has to send `Mcp-Method` and `Mcp-Name` \
                 as in the body"
            }
            Self::ScopeUndecided => {
                "the host could not decide which scopes the operation needs: its programmer has to correct the code \
                 that names them"
            }
            Self::BodyTooLarge => {
                "the body is longer than the host's limit: the client has to send less, or the host to raise the limit"
            }
            Self::BodyTooSlow => {
                "the body did not arrive before the host's deadline: the client has to send it without pauses"
            }
            Self::EncodedBody => {
                "the body is compressed or encoded, so its operation is not known: the client has to send it without \
                 `Content-Encoding`"
            }
            Self::Panicked => "code of the host panicked: its programmer has to correct it",
            Self::ForeignSession => {
                "the session does not exist, or belongs to another principal: the client has to open its own"
            }
            Self::ForeignEvent => {
                "`Last-Event-ID` was not sent to this principal: the client has to open the stream without it"
            }
            Self::TooManySessions => {
                "the user has reached the limit of sessions: the client has to end one, or to wait as long as \
                 `Retry-After` says"
            }
            Self::SessionsFull => {
                "all places for sessions are in use: the client has to wait as long as `Retry-After` says, and the \
                 host to allow more sessions if that lasts"
            }
            Self::StreamWithoutToken => {
                "the stream has no token, and its session was not opened without one: the client has to log in, or \
                 to send POST requests only"
            }
            Self::ForeignHost => {
                "`Host` or `Origin` is not a name of this server: if it should be one, the host has to add it by `with_host` or \
                 `with_browser_origins`"
            }
            Self::VerifierUnavailable => {
                "the token could not be checked: the client has to keep it and try again, and the operator to read \
                 the reason in the log"
            }
        })
    }
}

impl core::error::Error for DenialReason {}
