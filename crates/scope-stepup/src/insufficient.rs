//! The one error for every way in which step-up ends without success.

use core::fmt;

use oauth_types::{EndpointUrl, ErrorDescription, ScopeSet};

use crate::operation::Operation;

/// Why no authorization was started.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum GaveUp {
    /// The host asked to see the challenge instead ([`Mode::Surface`](crate::Mode::Surface)).
    Surfaced,
    /// The limit of attempts for this operation is 0, or used up.
    LimitReached,
    /// Everything that the server asks for is held already, and a fresh token did not help.
    AlreadyHeld,
    /// The user declined before.
    Declined,
    /// The union of scopes would pass the bounds of a scope set.
    TooManyScopes,
    /// The host's filter leaves nothing to ask for.
    NotAllowed,
    /// There is nobody to ask, or no way to ask: the credentials are fixed.
    NobodyToAsk,
}

/// An operation needs more scope and this client does not get it. Permanent: retrying the same request
/// gives the same answer.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct InsufficientScope {
    /// What was refused.
    pub operation: Operation,
    /// What the server asks for, when it said so.
    pub required: Option<ScopeSet>,
    /// Where it says who may grant it.
    pub resource_metadata: Option<EndpointUrl>,
    /// What it says about it; cleaned.
    pub description: Option<ErrorDescription>,
    /// How many authorizations were really started for this operation.
    pub attempts: u8,
    /// Why there is no further one.
    pub reason: GaveUp,
}

impl fmt::Display for InsufficientScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} needs more scope", self.operation)?;
        if let Some(required) = &self.required {
            write!(f, " ({required})")?;
        }
        let attempts = self.attempts;
        match self.reason {
            GaveUp::Surfaced => f.write_str("; the host decides what to do about it"),
            GaveUp::LimitReached if attempts == 0 => f.write_str("; the host allows no step-up"),
            GaveUp::LimitReached => write!(f, "; authorized again {attempts} times in vain"),
            GaveUp::AlreadyHeld => {
                f.write_str("; the server asks for scopes that are held already")
            }
            GaveUp::Declined => f.write_str("; the user declined it before"),
            GaveUp::TooManyScopes => f.write_str("; the server asks for too many scopes"),
            GaveUp::NotAllowed => f.write_str("; the host does not allow to ask for it"),
            GaveUp::NobodyToAsk => f.write_str("; there is no way to ask for it"),
        }
    }
}

impl core::error::Error for InsufficientScope {}
