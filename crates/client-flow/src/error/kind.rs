//! Reasons for which a flow ends, sorted by the party that can act on them.

use core::fmt;

use client_auth::NoUsableMethod;
use http::StatusCode;
use iss_validate::AuthorizationError;
use oauth_types::{
    DocumentError, EndpointUrl, ErrorResponse, InvalidScope, InvalidUri, TokenErrorCode,
};

use super::{CallbackError, DiscoveryError, FlowError, RegistrationError, SealError};
use crate::stage::FlowStage;
use crate::transport::TransportError;

/// Reason of a [`FlowError`].
///
/// Reasons that can occur at one stage only have a type of their own.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum FlowErrorKind {
    // The network.
    /// A request brought no response; tokens that were held before are still valid.
    Transport(TransportError),
    // The peer broke a rule, or lacks a feature.
    /// A server answered with a status that ends the flow.
    Status(StatusCode),
    /// A document breaks a rule of its format.
    Document {
        /// The URL of the document.
        url: EndpointUrl,
        /// The rule that it breaks.
        error: DocumentError,
    },
    /// The metadata of the resource or of its authorization server cannot be used.
    Discovery(DiscoveryError),
    /// The client could not register with the authorization server, or has no way to.
    Registration(RegistrationError),
    /// The callback does not finish this login; nothing was sent.
    Callback(CallbackError),
    /// The scopes to request exceed the limits.
    Scope(InvalidScope),
    /// A URL that a server named, or one derived from its issuer, cannot be used.
    NamedUrl(InvalidUri),
    // Denied by the user, or refused by the server.
    /// The authorization server's error response (RFC 6749 §4.1.2.1), validated as its own.
    Denied(AuthorizationError),
    /// The error response of a token endpoint (RFC 6749 §5.2).
    ///
    /// At [`FlowStage::TokenExchange`] that of the enterprise's identity provider, otherwise that of the authorization
    /// server.
    Refused(ErrorResponse<TokenErrorCode>),
    // The host has to do something.
    /// The URL of the MCP server cannot be used.
    ServerUrl(InvalidUri),
    /// The credentials cannot be used at this server.
    Credentials(NoUsableMethod),
    /// A login could not be sealed, or a sealed login could not be opened.
    Seal(SealError),
    /// The cryptographic library did not sign a token request.
    NotSigned,
    /// The host could not load the record.
    ///
    /// Another process may have used the held refresh token, so it was not sent.
    NotLoaded,
    /// The session has no refresh token.
    NoRefreshToken,
}

impl FlowErrorKind {
    /// Creates the error of a flow that ends at this stage, for this reason.
    pub(crate) const fn at(self, stage: FlowStage) -> FlowError {
        FlowError::new(stage, self)
    }
}

impl fmt::Display for FlowErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(failure) => failure.fmt(f),
            Self::Status(status) => {
                write!(f, "the server answered with status {}; ", status.as_u16())?;
                f.write_str(match super::consequence::is_transient_status(*status) {
                    true => "try again later",
                    false => {
                        "check its address, and if it is right, its operator has to correct the \
                         answer"
                    }
                })
            }
            // The query is left out because it may hold private data of the user.
            Self::Document { url, error } => write!(
                f,
                "the document at {} cannot be used, because {error}; the server's operator has to \
                 correct it",
                url.without_query()
            ),
            Self::Discovery(error) => error.fmt(f),
            Self::Registration(error) => error.fmt(f),
            Self::Callback(error) => error.fmt(f),
            Self::Scope(error) => write!(f, "the scopes cannot be requested: {error}"),
            Self::NamedUrl(rule) => write!(
                f,
                "a URL that the server named {rule}; the server's operator has to correct it"
            ),
            Self::Denied(error) => error.fmt(f),
            Self::Refused(error) => refused(error, f),
            Self::ServerUrl(rule) => {
                write!(f, "the address of the MCP server {rule}; correct the address")
            }
            Self::Credentials(error) => error.fmt(f),
            Self::Seal(error) => error.fmt(f),
            Self::NotSigned => f.write_str(
                "the token request could not be signed: check that the key is one for the algorithm \
                 that it is configured for",
            ),
            Self::NotLoaded => f.write_str(
                "the stored credentials could not be read, so the refresh token was not sent: \
                 another process may have used it; try again when the store can be read",
            ),
            Self::NoRefreshToken => {
                f.write_str("the session has no refresh token: the user has to log in again")
            }
        }
    }
}

/// Shows an error response, and what its code asks for.
fn refused(error: &ErrorResponse<TokenErrorCode>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "the server refused with {}", error.error)?;
    if let Some(description) = &error.error_description {
        write!(f, " ({description})")?;
    }
    f.write_str(match &error.error {
        TokenErrorCode::InvalidClient => "; log in again, or correct the client's credentials",
        TokenErrorCode::InvalidGrant => "; log in again, or get another assertion",
        TokenErrorCode::UnauthorizedClient | TokenErrorCode::UnsupportedGrantType => {
            "; its operator has to allow this client the grant"
        }
        TokenErrorCode::InvalidScope => "; request scopes that it grants",
        TokenErrorCode::InvalidTarget => {
            "; its operator has to issue tokens for the MCP server, if the address is right"
        }
        TokenErrorCode::ServerError | TokenErrorCode::TemporarilyUnavailable => "; try again later",
        TokenErrorCode::UseDpopNonce | TokenErrorCode::InvalidDpopProof => {
            "; check the clock of this machine and the proof key, and try again"
        }
        _ if error.error.as_str() == "slow_down" => "; try again later",
        _ => "; ask its operator what that means",
    })
}

impl core::error::Error for FlowErrorKind {
    // `Display` includes the texts of this project's errors, so only the HTTP library's error is a source.
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Transport(error) => error.source(),
            _ => None,
        }
    }
}
