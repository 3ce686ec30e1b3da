//! Error of an operation that lacks scope after step-up has ended.

use core::fmt;

use oauth_types::{EndpointUrl, ErrorDescription, ScopeSet};

use crate::operation::Operation;

/// Reason why no further authorization was started.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum InsufficientScopeKind {
    /// The host handles the challenge itself ([`StepUpMode::Manual`](crate::StepUpMode::Manual)).
    Surfaced,
    /// The limit of attempts for this operation is 0 or reached.
    LimitReached,
    /// Every scope that the server requires is granted, and a fresh token did not help.
    AlreadyHeld,
    /// The user declined this operation before.
    Declined,
    /// The union of scopes would pass the bounds of a scope set.
    TooManyScopes,
    /// The host's filter leaves no scope to request.
    NotAllowed,
    /// The credentials are fixed, so there is no user to ask
    /// ([`StepUpMode::StaticToken`](crate::StepUpMode::StaticToken)).
    NobodyToAsk,
}

/// Error of an operation that needs more scope than this client obtains.
///
/// Retrying the same request gives the same result.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct InsufficientScope {
    /// Refused operation.
    pub operation: Operation,
    /// Scopes that the challenge requires, if it names any.
    pub required: Option<ScopeSet>,
    /// URL of the protected resource metadata in the challenge (RFC 9728 §5.1), if it has one.
    pub resource_metadata: Option<EndpointUrl>,
    /// Description from the challenge, without control characters.
    pub description: Option<ErrorDescription>,
    /// Number of authorizations that were started for this operation.
    pub attempts: u8,
    /// Reason why no further one is started.
    pub reason: InsufficientScopeKind,
}

impl fmt::Display for InsufficientScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} needs more scope", self.operation)?;
        if let Some(required) = &self.required {
            write!(f, " ({required})")?;
        }
        let attempts = self.attempts;
        match self.reason {
            InsufficientScopeKind::Surfaced => {
                f.write_str("; the host decides what to do about it")
            }
            InsufficientScopeKind::LimitReached if attempts == 0 => {
                f.write_str("; the host's limit allows no step-up")
            }
            InsufficientScopeKind::LimitReached => write!(
                f,
                "; authorized again {attempts} times without success, so the server's \
                 operator has to say which scopes it grants"
            ),
            InsufficientScopeKind::AlreadyHeld => f.write_str(
                "; the server asks for scopes that are held already, so its operator has \
                     to correct the challenge",
            ),
            InsufficientScopeKind::Declined => {
                f.write_str("; the user declined it before and has to start it anew")
            }
            InsufficientScopeKind::TooManyScopes => f.write_str(
                "; the server asks for too many scopes, so its operator has to correct the \
                 challenge",
            ),
            InsufficientScopeKind::NotAllowed => {
                f.write_str("; the host's filter leaves no scope to request")
            }
            InsufficientScopeKind::NobodyToAsk => f.write_str(
                "; the credentials are fixed, so the operator of this client has to obtain \
                 ones with that scope",
            ),
        }
    }
}

impl core::error::Error for InsufficientScope {}
