//! Consequences of a failed flow for the client, its grant and the next attempt.

use http::StatusCode;
use oauth_types::{ErrorResponse, TokenErrorCode};

use super::{FlowError, FlowErrorKind};
use crate::stage::FlowStage;
use crate::transport::TransportErrorKind;

impl FlowError {
    /// Returns `true` if the server no longer knows the client (`invalid_client`).
    ///
    /// The client registers anew at the next login.
    #[must_use]
    pub fn ends_client(&self) -> bool {
        // C-TOKEN-7
        self.refused_by_server().is_some_and(|answer| answer.error == TokenErrorCode::InvalidClient)
    }

    /// Returns `true` if a retry may succeed a little later; any other failure would occur again.
    ///
    /// Such failures are those of the network, of an overloaded or broken server, and of a store that cannot be read.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        use TokenErrorCode::{ServerError, TemporarilyUnavailable};
        match &self.kind {
            FlowErrorKind::Transport(error) => !matches!(
                error.kind(),
                TransportErrorKind::LocalAddress
                    | TransportErrorKind::PublicAddress
                    | TransportErrorKind::Url
            ),
            FlowErrorKind::NotLoaded | FlowErrorKind::NotSigned => true,
            FlowErrorKind::Status(status) => is_transient_status(*status),
            FlowErrorKind::Refused(answer) => {
                matches!(answer.error, ServerError | TemporarilyUnavailable)
                    || answer.error.as_str() == "slow_down"
            }
            _ => false,
        }
    }

    /// Returns `true` if the failure of a refresh ends the grant.
    ///
    /// The server will never accept that refresh token again. Go on with [`Session::after`](crate::Session::after), so
    /// that the next 401 leads to a login.
    ///
    /// Only an OAuth error of the token endpoint ends a grant, whether this process or another one that shares the
    /// store received it ([`FlowErrorKind::NoRefreshToken`]). After a bare status, a page, or metadata that is
    /// unreadable or names another issuer, the tokens are still valid.
    #[must_use]
    pub fn ends_grant(&self) -> bool {
        // C-TOKEN-7
        use TokenErrorCode::{InvalidClient, InvalidGrant, Other, UnauthorizedClient};
        if self.kind == FlowErrorKind::NoRefreshToken {
            return true;
        }
        // Some servers have their own error codes for a dead refresh token (GitHub: `bad_refresh_token`).
        let ends = |answer: &ErrorResponse<TokenErrorCode>| {
            matches!(answer.error, InvalidClient | InvalidGrant | UnauthorizedClient | Other(_))
        };
        self.refused_by_server().is_some_and(ends) && !self.is_transient()
    }

    /// Returns the error response of the authorization server's token endpoint, if there is one.
    ///
    /// The error response of an identity provider is left out.
    pub(crate) fn refused_by_server(&self) -> Option<&ErrorResponse<TokenErrorCode>> {
        match &self.kind {
            FlowErrorKind::Refused(answer) if self.stage != FlowStage::TokenExchange => {
                Some(answer)
            }
            _ => None,
        }
    }
}

/// Returns `true` if the status is one of an overloaded or broken server.
pub(super) fn is_transient_status(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}
