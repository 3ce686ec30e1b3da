//! Stages of a flow: one for each request, and one for input of the host and the browser.

use core::fmt;

/// Stage of a flow, for errors, messages and logs.
///
/// # Examples
///
/// ```
/// use client_flow::FlowStage;
///
/// assert_eq!(FlowStage::Refresh.to_string(), "token refresh");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum FlowStage {
    /// Start of the flow, with the address of the MCP server that the host hands over.
    Start,
    /// Protected resource metadata (RFC 9728).
    ResourceMetadata,
    /// Authorization server metadata (RFC 8414).
    ServerMetadata,
    /// Client registration (RFC 7591), or the choice of credentials that stand for one.
    Registration,
    /// Authorization request and response (RFC 6749 §4.1.1, §4.1.2), with the user's browser between them.
    Authorization,
    /// Authorization code for tokens (RFC 6749 §4.1.3).
    CodeExchange,
    /// Refresh token for tokens (RFC 6749 §6).
    Refresh,
    /// Client credentials for tokens (RFC 6749 §4.4.2).
    ClientCredentials,
    /// ID token for an identity assertion, at an enterprise's identity provider (RFC 8693).
    TokenExchange,
    /// Assertion for tokens (RFC 7523 §2.1).
    JwtBearer,
}

impl fmt::Display for FlowStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start of the flow",
            Self::ResourceMetadata => "protected resource metadata",
            Self::ServerMetadata => "authorization server metadata",
            Self::Registration => "client registration",
            Self::Authorization => "authorization",
            Self::CodeExchange => "code exchange",
            Self::Refresh => "token refresh",
            Self::ClientCredentials => "client credentials grant",
            Self::TokenExchange => "token exchange",
            Self::JwtBearer => "assertion grant",
        })
    }
}
