//! Errors of a flow: the [stage](FlowStage) at which it ended and the [reason](FlowErrorKind).

mod callback;
mod consequence;
mod discovery;
mod kind;
mod registration;

use core::fmt;
use std::borrow::Cow;

use oauth_types::{
    EndpointUrl, ErrorDescription, ErrorResponse, InvalidUri, SentSecrets, TokenErrorCode,
};

pub use self::callback::{CallbackError, SealError};
pub use self::discovery::DiscoveryError;
pub use self::kind::FlowErrorKind;
pub use self::registration::RegistrationError;
use crate::stage::FlowStage;

/// Failure of a login, refresh or step-up, which ended without tokens.
///
/// Contains neither secrets nor unvalidated text; the source of a [`TransportError`](crate::TransportError) is as clean
/// as the host that added it. Its `Display` text says who has to act, and how.
///
/// # Examples
///
/// Most hosts show the text, retry where that may help, and match the few reasons that they act on.
///
/// ```
/// use client_flow::{FlowError, FlowErrorKind};
/// use oauth_types::AuthorizationErrorCode;
///
/// enum Next {
///     TryLater,
///     Idle,
///     Show(String),
/// }
///
/// fn next(error: &FlowError) -> Next {
///     match error.kind() {
///         _ if error.is_transient() => Next::TryLater,
///         FlowErrorKind::Denied(answer) if answer.code == AuthorizationErrorCode::AccessDenied => {
///             Next::Idle
///         }
///         _ => Next::Show(error.to_string()),
///     }
/// }
/// ```
#[derive(Clone, PartialEq, Debug)]
pub struct FlowError {
    stage: FlowStage,
    kind: FlowErrorKind,
}

impl FlowError {
    /// Creates the error of a flow that ended at this stage, for this reason.
    #[must_use]
    pub const fn new(stage: FlowStage, kind: FlowErrorKind) -> Self {
        Self { stage, kind }
    }

    /// Returns the stage at which the flow ended.
    #[must_use]
    pub const fn stage(&self) -> FlowStage {
        self.stage
    }

    /// Returns the reason.
    #[must_use]
    pub const fn kind(&self) -> &FlowErrorKind {
        &self.kind
    }

    /// Returns the reason by value, including the data that it hands back.
    #[must_use]
    pub fn into_kind(self) -> FlowErrorKind {
        self.kind
    }

    /// Creates the error of an invalid MCP server URL.
    pub(crate) const fn server_url(rule: InvalidUri) -> Self {
        Self::new(FlowStage::Start, FlowErrorKind::ServerUrl(rule))
    }

    /// Removes the secrets of the request from the server's error response.
    pub(crate) fn without(self, sent: &SentSecrets) -> Self {
        match self.kind {
            FlowErrorKind::Refused(error) => {
                Self { kind: FlowErrorKind::Refused(struck_out(error, sent)), ..self }
            }
            _ => self,
        }
    }
}

/// Shows the stage in front of a reason that names only "the server" or "the document"; the others name their subject.
impl fmt::Display for FlowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            FlowErrorKind::Transport(_)
            | FlowErrorKind::Status(_)
            | FlowErrorKind::Document { .. }
            | FlowErrorKind::Refused(_)
            | FlowErrorKind::NamedUrl(_) => write!(f, "{}: ", self.stage)?,
            _ => {}
        }
        self.kind.fmt(f)
    }
}

impl core::error::Error for FlowError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        self.kind.source()
    }
}

/// Returns the error response without text that the request contained.
fn struck_out(
    mut error: ErrorResponse<TokenErrorCode>,
    sent: &SentSecrets,
) -> ErrorResponse<TokenErrorCode> {
    let description = error.error_description.take();
    error.error_description =
        description.map(|text| ErrorDescription::new(&sent.strike_out(text.as_str())));
    let is_clean = |uri: &EndpointUrl| sent.strike_out(uri.as_str()) == uri.as_str();
    error.error_uri = error.error_uri.filter(is_clean);
    if let Cow::Owned(code) = sent.strike_out(error.error.as_str()) {
        error.error = TokenErrorCode::parse(&code).unwrap_or(TokenErrorCode::InvalidRequest);
    }
    error
}
