//! Consequences of a flow that failed: for the client, its grant, and the next attempt.

use oauth_types::TokenErrorCode;

use crate::error::FlowError;
use crate::transport::TransportFailed;

impl FlowError {
    /// Returns `true` if the server does not know this client any more. It registers anew at the next login.
    #[must_use]
    pub fn ends_client(&self) -> bool {
        // C-TOKEN-7
        matches!(self, Self::Token(answer) if answer.error == TokenErrorCode::InvalidClient)
    }

    /// Returns `true` if the same may work a little later: the network, a server that is overloaded or broken, a store that
    /// is full. Anything else will be so again.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        use TokenErrorCode::{ServerError, TemporarilyUnavailable};
        match self {
            Self::Transport { failure: TransportFailed::LocalAddress, .. } => false,
            Self::Transport { .. } | Self::NotSaved | Self::NotLoaded | Self::NotSigned => true,
            Self::Status { status, .. } => {
                status.is_server_error() || matches!(status.as_u16(), 408 | 425 | 429)
            }
            Self::Token(answer) | Self::IdentityProvider(answer) => {
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
    /// ([`NoRefreshToken`](Self::NoRefreshToken)). A status, a page, or metadata that cannot be read or names another
    /// issuer says nothing about the grant, and the tokens are still good.
    #[must_use]
    pub fn ends_grant(&self) -> bool {
        // C-TOKEN-7
        use TokenErrorCode::{InvalidClient, InvalidGrant, Other, UnauthorizedClient};
        match self {
            Self::NoRefreshToken => true,
            // Some servers have codes of their own for a dead refresh token (GitHub: `bad_refresh_token`).
            Self::Token(answer) => {
                matches!(answer.error, InvalidClient | InvalidGrant | UnauthorizedClient | Other(_))
                    && !self.is_transient()
            }
            _ => false,
        }
    }
}
