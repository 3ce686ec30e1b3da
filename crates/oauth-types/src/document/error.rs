//! The error response of token, registration and revocation endpoints (RFC 6749 §5.2).

use serde::{Deserialize, Serialize};

use crate::ErrorDescription;

/// An OAuth error as a server sent it: its code is still text, because which codes exist depends on
/// the endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorResponse<Code> {
    /// Which error.
    pub error: Code,
    /// For the developer. Cleaned when read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_description: Option<ErrorDescription>,
}

impl<Code> ErrorResponse<Code> {
    /// An error without explanation.
    #[must_use]
    pub const fn new(error: Code) -> Self {
        Self { error, error_description: None }
    }

    /// The same error, explained.
    #[must_use]
    pub fn with_description(mut self, description: &str) -> Self {
        self.error_description = Some(ErrorDescription::new(description));
        self
    }
}

impl<Code: Serialize + for<'de> Deserialize<'de>> ErrorResponse<Code> {
    /// Reads an error response.
    ///
    /// # Errors
    ///
    /// [`DocumentError`](crate::DocumentError) when the body is no error response.
    pub fn from_json(json: &[u8]) -> Result<Self, crate::DocumentError> {
        crate::document::read(json)
    }

    /// The error as JSON.
    #[must_use]
    pub fn to_json(&self) -> bytes::Bytes {
        // Text keys and plain values: writing them to memory does not fail.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}
