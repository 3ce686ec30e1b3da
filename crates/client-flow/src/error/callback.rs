//! Errors of an authorization response (callback), and of a sealed login.

use core::fmt;

use iss_validate::CallbackRejected;

use super::{FlowError, FlowErrorKind};
use crate::stage::FlowStage;

/// Reason for which a callback does not finish a login; nothing was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum CallbackError {
    /// The callback does not answer this login.
    Rejected(CallbackRejected),
    /// The callback came more than ten minutes after the login began.
    TooLate,
    /// The callback was used before.
    Replayed,
}

impl fmt::Display for CallbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejected) => rejected.fmt(f),
            Self::TooLate => f.write_str("the login took longer than ten minutes: begin it again"),
            Self::Replayed => f.write_str(
                "this login was finished before, and its callback counts once: begin another login \
                 if it did not bring tokens",
            ),
        }
    }
}

impl core::error::Error for CallbackError {}

impl From<CallbackError> for FlowError {
    fn from(error: CallbackError) -> Self {
        FlowErrorKind::Callback(error).at(FlowStage::Authorization)
    }
}

/// Reason for which a login cannot be sealed, or a sealed login cannot be opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum SealError {
    /// The identifier of the session to seal the login for is empty.
    NoSession,
    /// The login is too long to be sealed.
    TooLong,
    /// The text was not sealed with this key for this session, or it was changed.
    UnknownLogin,
}

impl fmt::Display for SealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSession => {
                "the session that the login is to be sealed for has no name: pass the value that \
                 identifies the user's session with this host"
            }
            Self::TooLong => {
                "the login is too long to be sealed: request fewer scopes, or keep it in the \
                 host's own memory"
            }
            Self::UnknownLogin => {
                "this session began no such login: the user has to begin it again in this browser"
            }
        })
    }
}

impl core::error::Error for SealError {}

impl From<SealError> for FlowError {
    fn from(error: SealError) -> Self {
        FlowErrorKind::Seal(error).at(FlowStage::Authorization)
    }
}
