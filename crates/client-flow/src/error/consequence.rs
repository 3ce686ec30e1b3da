//! Consequences of a flow that failed: for the client, its grant, and the next attempt.

use http::StatusCode;
use oauth_types::{ErrorResponse, TokenErrorCode};

use super::{FlowError, FlowErrorKind};
use crate::stage::FlowStage;
use crate::transport::TransportError;

impl FlowError {
    /// Returns `true` if the server does not know this client any more. It registers anew at the next login.
    #[must_use]
    pub fn ends_client(&self) -> bool {
        // C-TOKEN-7
        self.refused_by_server().is_some_and(|answer| answer.error == TokenErrorCode::InvalidClient)
    }

    /// Returns `true` if the same may work a little later: the network, a server that is overloaded or broken, a store
    /// that cannot be read. Any other failure will occur again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        use TokenErrorCode::{ServerError, TemporarilyUnavailable};
        match &self.kind {
            FlowErrorKind::Transport(failure) => *failure != TransportError::LocalAddress,
            FlowErrorKind::NotLoaded | FlowErrorKind::NotSigned => true,
            FlowErrorKind::Status(status) => is_transient_status(*status),
            FlowErrorKind::Refused(answer) => {
                matches!(answer.error, ServerError | TemporarilyUnavailable)
                    || answer.error.as_str() == "slow_down"
            }
            _ => false,
        }
    }

    /// Returns `true` if a refresh that ended like this ends the grant: the server will never take that refresh token
    /// again. Go on with [`Session::after`](crate::Session::after), so that the next 401 leads to a login.
    ///
    /// Only an OAuth error of the token endpoint says so, to this process or to another one that shares the store
    /// ([`FlowErrorKind::NoRefreshToken`]). A status, a page, or metadata that cannot be read or names another
    /// issuer says nothing about the grant, and the tokens are still good.
    #[must_use]
    pub fn ends_grant(&self) -> bool {
        // C-TOKEN-7
        use TokenErrorCode::{InvalidClient, InvalidGrant, Other, UnauthorizedClient};
        if self.kind == FlowErrorKind::NoRefreshToken {
            return true;
        }
        // Some servers have codes of their own for a dead refresh token (GitHub: `bad_refresh_token`).
        let ends = |answer: &ErrorResponse<TokenErrorCode>| {
            matches!(answer.error, InvalidClient | InvalidGrant | UnauthorizedClient | Other(_))
        };
        self.refused_by_server().is_some_and(ends) && !self.is_transient()
    }

    /// Returns the error response of the authorization server's token endpoint, which is not that of an identity provider.
    pub(crate) fn refused_by_server(&self) -> Option<&ErrorResponse<TokenErrorCode>> {
        match &self.kind {
            FlowErrorKind::Refused(answer) if self.stage != FlowStage::TokenExchange => {
                Some(answer)
            }
            _ => None,
        }
    }
}

/// Returns `true` for the status of a server that is overloaded or broken.
pub(super) fn is_transient_status(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
}
