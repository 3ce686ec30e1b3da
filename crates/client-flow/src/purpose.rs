//! Purposes of the requests that a flow sends.

use core::fmt;

/// Purpose of a request, for messages and logs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum Purpose {
    /// Protected resource metadata (RFC 9728).
    ResourceMetadata,
    /// Authorization server metadata (RFC 8414).
    ServerMetadata,
    /// Dynamic registration (RFC 7591).
    Registration,
    /// An authorization code for tokens (RFC 6749 §4.1.3).
    CodeExchange,
    /// A refresh token for tokens (RFC 6749 §6).
    Refresh,
    /// Our own credentials for tokens (RFC 6749 §4.4.2).
    ClientCredentials,
    /// An ID token for an identity assertion, at an enterprise's identity provider (RFC 8693).
    TokenExchange,
    /// An assertion for tokens (RFC 7523 §2.1).
    JwtBearer,
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ResourceMetadata => "protected resource metadata",
            Self::ServerMetadata => "authorization server metadata",
            Self::Registration => "client registration",
            Self::CodeExchange => "code exchange",
            Self::Refresh => "token refresh",
            Self::ClientCredentials => "client credentials grant",
            Self::TokenExchange => "token exchange",
            Self::JwtBearer => "assertion grant",
        })
    }
}
